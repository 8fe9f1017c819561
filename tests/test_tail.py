"""The tail on its own: what waits for whom, and what a promise is worth.

Compiled from the engine's headers, because from outside it would take gigabytes of events that
nobody takes until a change is refused, or an expiry waits.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parent.parent / "src"
HEAD = """
#include <signal.h>

#include <atomic>
#include <thread>

#include "atp/engine/tail.h"

using namespace atp;

Settings recording() {
  Settings all{};
  all.record_events = true;
  return all;
}

// An engine whose tail has little room: 4 MiB.
struct Small : Engine {
  Small() : Engine(recording()) {
    whole = tail.room;
    tail.room = std::size_t{4} << 20;
    attach(*this, SIZE_MAX);
  }
  ~Small() { tail.room = whole; }
  std::size_t whole;
};

void expire(Engine& engine) {
  const Key key{1, 2};
  EventFacts facts{};
  facts.time = 1700000000000000000;
  facts.key = &key;
  append(engine, kExpired, facts);
}

void take_all(Engine& engine) {
  const Taken all = take_tail(engine);
  count_written(engine, all.size);
  return_taken(engine, all);
}
"""
PROGRAMS = {
    "promises": """
int main() {
  Small engine;
  while (may_append(engine.tail)) expire(engine);
  check(used_bytes(engine.tail) > engine.tail.room / 4, "changes are refused from a quarter on");
  for (int i = 0; i < 1000; ++i) {
    wait_to_append(engine.tail, 1);  // the clock is not
    expire(engine);
  }
  take_all(engine);
  check(may_append(engine.tail), "what was taken is no longer in the way");
  check(used_bytes(engine.tail) == 0, "all of it");
  check(load(&engine.gate) == 0, "a limit that nobody set closes nothing");
}
""",
    "waits": """
int main() {
  Small engine;
  while (used_bytes(engine.tail) <= room_for_expiries(engine.tail)) expire(engine);
  std::atomic<bool> appended = false;
  std::thread sweep([&] {
    wait_to_append(engine.tail, 60);
    expire(engine);
    appended = true;
  });
  const timespec moment{0, 50000000};
  nanosleep(&moment, nullptr);
  check(!appended, "an expiry waits while nobody takes");
  take_all(engine);
  sweep.join();
  check(appended && engine.shared.sequence > 0, "and goes on when somebody has");
}
""",
    "ends": """
int main() {
  Small engine;
  while (used_bytes(engine.tail) <= room_for_expiries(engine.tail)) expire(engine);
  wait_to_append(engine.tail, 1);
}
""",
    "takes_twice": """
int main() {
  Small engine;
  expire(engine);
  take_tail(engine);
  expire(engine);
  take_tail(engine);
}
""",
    "is_behind": """
int main() {
  Small engine;
  attach(engine, 10000);
  set_space(engine, 1);
  int count = 0;
  for (; load(&engine.gate) == 1; ++count) expire(engine);
  check(load(&engine.gate) == 3 && is_behind(engine), "more waits than is allowed");
  check(used_bytes(engine.tail) > 10000 && used_bytes(engine.tail) < 10100, "by one event");
  const Taken all = take_tail(engine);
  check(is_behind(engine), "what was taken waits to be written still");
  for (int i = 0; i < count / 4; ++i) expire(engine);
  count_written(engine, all.size / 2);
  check(is_behind(engine), "until half of it is free");
  count_written(engine, all.size - all.size / 2);
  check(!is_behind(engine) && load(&engine.gate) == 1, "then the disk alone decides");
  return_taken(engine, all);
  set_space(engine, 2);
  for (int i = 0; i < 2 * count; ++i) expire(engine);
  check(is_behind(engine) && load(&engine.gate) == 2, "a full disk is the better reason");
  set_space(engine, 0);
  check(load(&engine.gate) == 3, "as long as it is full");
  take_all(engine);
  check(load(&engine.gate) == 0, "and all is open when nothing waits");
}
""",
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs, compiled as one that is told which it is to be."""
    folder = tmp_path_factory.mktemp("tail")
    compiler = shutil.which("g++") or shutil.which("c++")
    assert compiler is not None, "no C++ compiler: install the Debian package g++"
    parts = [HEAD]
    for name, text in PROGRAMS.items():
        parts.append(text.replace("int main()", f"void {name}()"))
    calls = [f'  if (name == "{name}") {name}();' for name in PROGRAMS]
    parts += ["int main(int, char** words) {", "  const std::string name = words[1];", *calls, "}"]
    (folder / "tail.cpp").write_text("\n".join(parts))
    flags = ["-std=c++20", "-O1", "-Wall", "-pthread", f"-I{SOURCE}"]
    built = subprocess.run(
        [compiler, *flags, "tail.cpp", "-o", "tail"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return folder / "tail"


@pytest.mark.parametrize("name", ["promises", "waits", "is_behind"])
def test_what_the_tail_promises(programs: Path, name: str) -> None:
    """Each program checks what it says, and ends well."""
    done = subprocess.run([programs, name], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("ends", "somebody takes the events that wait"),
        ("takes_twice", "tail.other != nullptr"),
    ],
)
def test_what_stops_the_process(programs: Path, name: str, said: str) -> None:
    """An expiry that nobody will ever remember, and a writer that takes what it has."""
    done = subprocess.run([programs, name], capture_output=True, text=True, check=False)
    assert done.returncode < 0
    assert "atp: a check of the engine failed" in done.stderr
    assert said in done.stderr


def test_an_engine_with_little_address_space() -> None:
    """The tail took all there was, and nothing was left for the engine's own blocks."""
    program = (
        "import resource; from atp._core import Engine\n"
        "most = 38 << 30\n"
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "engine = Engine(record_events=True)\n"
        "engine.set_stock('apple', 1, now_ns=1)\n"
        "print(len(engine.take_events()))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
