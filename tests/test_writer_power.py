"""The committer alone, killed and without power at any of its calls: what it said is durable is so.

The process commits from several threads into segments so small that they turn all the time, and
says each sequence as soon as that is durable. The disk is then read without it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

import faults
from atp.journal._native import checksum
from atp.v1.event_pb2 import Event
from faults import Rule
from journal_files import make_folder
from server_process import ROOT, clean_environment

PROGRAM = """
import os, threading
from pathlib import Path
from atp._core import Engine
from journal_files import writer_of

folder, now, ttl = Path(os.environ["FAULTS_DIRECTORY"]), 1_700_000_000_000_000_000, 10**9
engine = Engine(record_events=True, longest_life_ns=ttl)
writer = writer_of(engine, folder, segment_bytes=4096, durability=os.environ["DURABILITY"])
failed = []

def commit():
    try:
        writer.run()
    except OSError as error:
        failed.append(error)
        os.write(2, f"{error.filename} {error.strerror}".encode())
        os._exit(3)

def sell(name):
    for i in range(150):
        sequence = engine.set_stock(f"{name}-{'x' * (7 * i % 40)}", i + 1, now_ns=now).sequence
        if os.environ["DURABILITY"] != "sync" or writer.wait(sequence, 10**10):
            os.write(1, b"%d\\n" % sequence)

threads = [threading.Thread(target=job) for job in (commit, writer.run_ahead)]
sellers = [threading.Thread(target=sell, args=(name,)) for name in "abc"]
for thread in (*threads, *sellers): thread.start()
for thread in sellers: thread.join()
writer.stop()
for thread in threads: thread.join()
os._exit(3 if failed else 0)
"""
CALLS = "create|write|sync|syncdir|rename|truncate|allocate|unlink"


class Ended(NamedTuple):
    """How the process ended, what it had said to be durable, and what the disk has of it."""

    status: int
    said: list[int]
    kept: int
    stderr: str

    @property
    def lost(self) -> list[int]:
        """What it had said, and the disk has not."""
        return [sequence for sequence in self.said if sequence > self.kept]


def run(tmp_path: Path, *rules: Rule, seed: int = 0, durability: str = "sync") -> Ended:
    """Runs the committer until it is done or dead."""
    folder = make_folder(tmp_path / "data")
    told = faults.environment(folder, *rules, seed=seed, log=tmp_path / "log")
    path = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests")))
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean_environment({**told, "PYTHONPATH": path, "DURABILITY": durability}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    said = [int(line) for line in done.stdout.splitlines()]
    return Ended(done.returncode, said, last_sound(folder / "journal"), done.stderr)


def last_sound(folder: Path) -> int:
    """The last record up to which all are there, whole, in order, each once."""
    expected = 1
    for segment in sorted(folder.glob("*.segment")):
        data, offset = segment.read_bytes(), 64
        if int(segment.stem) > expected:
            break  # a gap
        while size := sound_size(data[offset:], expected):
            offset, expected = offset + size, expected + 1
    return expected - 1


def sound_size(data: bytes, sequence: int) -> int:
    """The size of the record with this sequence that begins here, 0: there is none."""
    size = int.from_bytes(data[16:20], "little")
    body = data[8 : 24 + size]
    is_sound = int.from_bytes(data[8:16], "little") == sequence and len(body) == 16 + size
    if not is_sound or int.from_bytes(data[:8], "little") != checksum(body):
        return 0
    Event.FromString(body[16:])
    return 24 + size


def test_without_faults_all_is_kept(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert (ended.status, len(ended.said), ended.kept) == (0, 450, 450)


@pytest.mark.parametrize("seed", range(18))
def test_killed_or_without_power_at_any_call(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    do = ("kill", "kill-after", "within", "cut", "cut-after", "cut")[seed % 6]
    power = {"lose": random.choice(["all", "some"]), "piece": 512} if "cut" in do else {}
    rule = Rule(do, call=CALLS, nth=random.randint(1, 500), **power)
    ended = run(tmp_path, rule, seed=seed)
    assert ended.status == -signal.SIGKILL, "the fault came up"
    assert ended.lost == []


@pytest.mark.parametrize("call", ["write", "sync", "rename", "create", "truncate", "syncdir"])
@pytest.mark.parametrize("nth", [2, 4])
def test_an_error_ends_the_process_and_nothing_that_was_said_is_lost(
    tmp_path: Path, call: str, nth: int
) -> None:
    ended = run(tmp_path, Rule("error", call=call, nth=nth, error="EIO"))
    assert ended.status != 0
    assert "Input/output error" in ended.stderr
    assert ended.lost == []


def test_short_writes_are_gone_on_with(tmp_path: Path) -> None:
    ended = run(tmp_path, Rule("short", call="write", chance=0.5), seed=5)
    assert (ended.status, len(ended.said), ended.kept) == (0, 450, 450)


def test_an_answer_waits_for_a_slow_sync(tmp_path: Path) -> None:
    slow = Rule("delay", call="sync", first=1, ms=5)
    ended = run(tmp_path, slow, Rule("cut", call="sync", nth=40, lose="all"))
    assert ended.status == -signal.SIGKILL
    assert ended.lost == []


@pytest.mark.parametrize("durability", ["sync", "off"])
def test_this_test_can_fail(tmp_path: Path, durability: str) -> None:
    """A disk that lies, and a committer that is not asked to sync, lose what was said."""
    lies = (Rule("lie", call="sync"),) if durability == "sync" else ()
    cut = Rule("cut", call="write", file="*.segment", nth=100 if durability == "sync" else 2)
    ended = run(tmp_path, *lies, cut, durability=durability)
    assert ended.status == -signal.SIGKILL
    assert len(ended.lost) > 0
