"""Runs tests of engine, journal and front under ThreadSanitizer, and under AddressSanitizer with
UBSan.

Owns the builds under build/ and the environment that Python needs for them. Canaries go first:
planted faults that the sanitizer must find, in small programs and in the front itself, else it
proves nothing here.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
EXIT = 66

RACE = """
#include <thread>
int shared;
int main() {
  std::thread one([] { for (int i = 0; i < 100000; ++i) ++shared; });
  for (int i = 0; i < 100000; ++i) ++shared;
  one.join();
}
"""
RACE_OF_LOOPS = """
#include <uv.h>
#include <thread>
int shared;
void on_idle(uv_idle_t* handle) {
  if (++shared % 1000 == 0) uv_idle_stop(handle);
}
void run() {
  uv_loop_t loop;
  uv_idle_t idle;
  uv_loop_init(&loop);
  for (int i = 0; i < 100; ++i) {
    uv_idle_init(&loop, &idle);
    uv_idle_start(&idle, on_idle);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_idle_stop(&idle);
    uv_run(&loop, UV_RUN_NOWAIT);
  }
}
int main() {
  std::thread one(run);
  run();
  one.join();
}
"""
"""A race within libuv's callbacks, as the front's would be: libuv isn't watched, they are."""
RACE_IN_THE_FRONT = """
import threading
from atp._front import TlsServer
from pathlib import Path
one = TlsServer(Path("server.pem").read_bytes(), Path("server.key").read_bytes(), b"")
one.receive(b"\\x16")
def use():
    for _ in range(20_000):
        one.receive(b"")
threads = [threading.Thread(target=use) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
"""One session of TLS, which is for one thread, used by two without the GIL: a race in the front's
own build, under all that its tests run under."""
OVERFLOW = """
#include <cstdlib>
int main(int count, char**) {
  char* bytes = static_cast<char*>(std::malloc(8));
  bytes[8 * count] = 1;
  return bytes[0];
}
"""


class Flavour(NamedTuple):
    """One sanitizer build: what it is linked with, how it is told, and which tests it runs."""

    name: str
    libraries: tuple[str, ...]
    shims: tuple[str, ...]
    """Sources in this folder that are loaded after the sanitizer's own libraries."""
    options: dict[str, str]
    canaries: tuple[tuple[str, tuple[str, ...]], ...]
    tests: tuple[str, ...]
    more_tests: tuple[str, ...]
    """In the long form only."""
    scale: float


FLAVOURS = (
    Flavour(
        "thread",
        ("libtsan.so",),
        ("seen_closes.c",),
        {
            "TSAN_OPTIONS": f"suppressions={ROOT}/tools/suppress_thread.txt "
            f"exitcode={EXIT} report_thread_leaks=0 history_size=7"
        },
        ((RACE, ()), (RACE_OF_LOOPS, ("-luv",))),
        (
            "tests/test_threads.py",
            "tests/test_threads_arrays.py",
            "tests/test_line_queue.py",
            "tests/test_histories.py",
            "tests/test_writer.py",
            "tests/test_read_ahead.py",
            "tests/test_front_threads.py",
        ),
        (  # none that has gRPC's own library in the process: it can't be watched
            "tests/test_front_execute.py",
            "tests/test_front_frames.py",
            "tests/test_front_tls_ends.py",
        ),
        1.0,
    ),
    Flavour(
        "address",
        ("libasan.so", "libubsan.so"),
        (),
        {
            "ASAN_OPTIONS": f"detect_leaks=0:exitcode={EXIT}:allocator_may_return_null=1",
            "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode={EXIT}",
        },
        ((OVERFLOW, ()),),
        (
            "tests/test_threads.py",
            "tests/test_threads_arrays.py",
            "tests/test_line_queue.py",
            "tests/test_model_rules.py",
            "tests/test_malformed.py",
            "tests/test_execute.py",
            "tests/test_engine_bounds.py",
            "tests/test_histories.py",
            "tests/test_writer.py",
            "tests/test_writer_faults.py",
            "tests/test_apply.py",
            "tests/test_apply_refused.py",
            "tests/test_scan.py",
            "tests/test_read_ahead.py",
            "tests/test_load_wire.py",
            "tests/test_front_ends.py",
            "tests/test_front_frames.py",
            "tests/test_front_streams.py",
            "tests/test_front_threads.py",
            "tests/test_front_tls_ends.py",
        ),
        (
            "tests/test_front_calls.py",
            "tests/test_front_execute.py",
            "tests/test_front_floods.py",
            "tests/test_front_judge.py",
            "tests/test_front_tls.py",
            "tests/test_front_tls_hello.py",
            "tests/test_front_wire.py",
        ),
        1.0,
    ),
)
SHORT_SCALE = 0.2


def without_shuffled_addresses() -> list[str]:
    """ThreadSanitizer needs places of its own in memory, which some kernels shuffle into."""
    return ["setarch", platform.machine(), "-R"]


def check_canary(flavour: Flavour) -> None:
    """The sanitizer finds planted faults, with the very options that the tests run under."""
    for source, libraries in flavour.canaries:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "canary"
            code = program.with_suffix(".cpp")
            code.write_text(source)
            words = ["c++", f"-fsanitize={flavour.name}", "-g", "-pthread", str(code)]
            subprocess.run([*words, "-o", str(program), *libraries], check=True)
            environment = {**os.environ, **flavour.options, "LD_PRELOAD": preloaded(flavour)}
            expect_a_find(flavour, [str(program)], environment, folder)


def check_front_canary(flavour: Flavour, environment: dict[str, str]) -> None:
    """A race in the front's own build is found."""
    with tempfile.TemporaryDirectory() as folder:
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        words += ["-nodes", "-subj", "/CN=canary", "-keyout", "server.key", "-out", "server.pem"]
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        expect_a_find(flavour, [sys.executable, "-c", RACE_IN_THE_FRONT], environment, folder)


def expect_a_find(
    flavour: Flavour, command: list[str], environment: dict[str, str], folder: str
) -> None:
    """Runs what has a planted fault, and stops all where the sanitizer says nothing of it."""
    found = subprocess.run(
        [*without_shuffled_addresses(), *command],
        capture_output=True,
        check=False,
        env=environment,
        cwd=folder,
    )
    if found.returncode != EXIT or b"Sanitizer" not in found.stderr:
        sys.exit(f"atp: the {flavour.name} sanitizer misses a planted fault: it proves nothing")


def build(flavour: Flavour) -> Path:
    """Builds the package into build/<flavour>/lib and returns that folder."""
    base = folder_of(flavour).parent
    command = [sys.executable, "setup.py", "-q", "build", "-j", "2"]
    command += ["--build-base", str(base), "--build-lib", str(base / "lib")]
    environment = {**os.environ, "ATP_SANITIZE": flavour.name, "ATP_PROFILE": ""}
    if flavour.name == "address":
        environment["ATP_FUZZ"] = "too"
    clear(base / "lib")
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return base / "lib"


def clear(library: Path) -> None:
    """Takes away what may be of another day: all but compiled units, which setup.py knows to be
    stale by their sources, and these too where setup.py itself has changed."""
    setup = (ROOT / "setup.py").stat().st_mtime
    for path in library.rglob("*"):
        if path.is_file() and (path.suffix != ".so" or path.stat().st_mtime < setup):
            path.unlink()


def folder_of(flavour: Flavour) -> Path:
    """Where the flavour's build is, or will be."""
    return ROOT / "build" / flavour.name / "lib"


def library(name: str) -> str:
    """Where the compiler keeps a sanitizer's library."""
    command = ["c++", f"-print-file-name={name}"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    if not Path(found).is_absolute():
        sys.exit(f"atp: {name} is missing: install the Debian package g++")
    return found


def preloaded(flavour: Flavour) -> str:
    """What is loaded before the program: the sanitizer first."""
    shims = []
    for source in flavour.shims:
        shims.append(folder_of(flavour).parent / Path(source).with_suffix(".so"))
        shims[-1].parent.mkdir(parents=True, exist_ok=True)
        words = ["cc", "-shared", "-fPIC", "-O1", f"{ROOT}/tools/{source}", "-o", str(shims[-1])]
        subprocess.run(words, check=True)
    return " ".join([*(library(name) for name in flavour.libraries), *map(str, shims)])


def environment_of(flavour: Flavour, folder: Path) -> dict[str, str]:
    """What Python needs in its environment to run on the flavour's build."""
    return {
        **os.environ,
        **flavour.options,
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": preloaded(flavour),
        "OPENBLAS_NUM_THREADS": "1",
    }


def run(flavour: Flavour, folder: Path, *, short: bool) -> int:
    """Runs the flavour's tests on its build."""
    environment = environment_of(flavour, folder)
    python = [*without_shuffled_addresses(), sys.executable]
    where = [*python, "-c", "import atp._core, atp._front; print(atp._front.__file__)"]
    found = subprocess.run(where, env=environment, check=True, capture_output=True, text=True)
    if not Path(found.stdout.strip()).is_relative_to(folder):
        sys.exit(f"atp: the tests would run on {found.stdout.strip()}, not on {folder}")
    if flavour.name == "thread":
        check_front_canary(flavour, environment)
    scale = flavour.scale * (SHORT_SCALE if short else 1)
    command = [*python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    command += [f"--thread-scale={scale}", *flavour.tests]
    command += () if short else flavour.more_tests
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> None:
    """Exit status 0 when no sanitizer found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="smaller sizes, for every day")
    parser.add_argument("flavours", nargs="*", metavar="FLAVOUR", help="thread, address")
    arguments = parser.parse_args()
    for flavour in FLAVOURS:
        if arguments.flavours and flavour.name not in arguments.flavours:
            continue
        check_canary(flavour)
        print(f"atp: tests under the {flavour.name} sanitizer", flush=True)
        status = run(flavour, build(flavour), short=arguments.short)
        if status:
            sys.exit(f"atp: the {flavour.name} sanitizer, or a test under it, failed ({status})")


if __name__ == "__main__":
    main()
