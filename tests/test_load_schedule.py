"""When calls are due: the times that a load recorded, against the curve that it was given.

A scripted server answers; the times must not depend on it.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import pytest

from atp import load
from atp.history import list_files, read
from atp.load import LoadPlan
from command import Command
from load_histories import calls_of
from scripted_http2 import Asked, granted, scripted, whole
from server_process import clean_environment

NEAR_S = 2e-6


def dues_s(folder: Path, *, pause_s: float = 0.0, **values: object) -> list[float]:
    """When each call was due, in seconds from the first one that could be."""

    def answer(call: Asked) -> bytes:
        time.sleep(pause_s)  # how long each answer takes
        return whole(call.stream, granted())

    with scripted(answer) as address:
        fixed = {"address": address, "run_name": "when-", "connections": 1, "history": folder}
        load.run(LoadPlan(**(fixed | values)))  # type: ignore[arg-type]
    (path,) = list_files(folder)
    calls = list(calls_of(folder))
    begun_ns = next(iter(read(path))).begun.time_ns
    first_ns = min(call.sent.due_time_ns or call.sent.time_ns for call in calls)
    assert first_ns - begun_ns < 5e8
    return [((call.sent.due_time_ns or call.sent.time_ns) - first_ns) / 1e9 for call in calls]


def test_a_ramp_is_met_to_the_microsecond(tmp_path: Path) -> None:
    dues = dues_s(tmp_path, curve=((0.0, 0.0), (0.5, 1_000.0)), duration_s=0.5)
    assert len(dues) == 250
    for number, due in enumerate(dues):
        assert abs(due - math.sqrt(number / 1_000)) < NEAR_S


def test_steps_and_a_pause_are_met(tmp_path: Path) -> None:
    curve = ((0.0, 100.0), (0.2, 100.0), (0.2, 0.0), (0.4, 0.0), (0.4, 1_000.0))
    dues = dues_s(tmp_path, curve=curve, duration_s=0.5)
    expected = [number / 100 for number in range(20)] + [
        0.4 + number / 1_000 for number in range(100)
    ]
    assert len(dues) == len(expected)
    assert all(abs(due - wanted) < NEAR_S for due, wanted in zip(dues, expected, strict=True))


def test_a_curve_that_ends_at_nothing_ends_the_load(tmp_path: Path) -> None:
    dues = dues_s(tmp_path, curve=((0.0, 1_000.0), (0.2, 0.0)), duration_s=0.5)
    assert len(dues) == 100
    assert dues[-1] < 0.2


def test_times_do_not_depend_on_answers(tmp_path: Path) -> None:
    swift = dues_s(tmp_path / "swift", rate=1_000.0, calls=100)
    slow = dues_s(tmp_path / "slow", rate=1_000.0, calls=100, in_flight=1, pause_s=0.005)
    assert all(abs(one - other) < NEAR_S for one, other in zip(swift, slow, strict=True))


def test_people_come_by_chance(tmp_path: Path) -> None:
    """Gaps of a Poisson process: their mean is 1 / rate, and so is their standard deviation."""
    dues = dues_s(tmp_path, rate=5_000.0, calls=4_000, by_chance=True, seed=3)
    gaps = [after - before for before, after in pairwise(dues)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert 0.9 < mean * 5_000 < 1.1
    assert 0.9 < deviation / mean < 1.1
    assert min(gaps) >= 0


def test_chance_is_the_seeds(tmp_path: Path) -> None:
    def drawn(name: str, seed: int) -> list[float]:
        return dues_s(tmp_path / name, rate=2_000.0, calls=100, by_chance=True, seed=seed)

    one, again, other = drawn("one", 1), drawn("again", 1), drawn("other", 2)
    assert all(abs(a - b) < NEAR_S for a, b in zip(one, again, strict=True))
    assert any(abs(a - b) > 1e-4 for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"curve": ()}, "curve has 0 points"),
        ({"curve": ((1.0, 5.0),)}, "curve begins at 1 s: it must begin at 0 s"),
        ({"curve": ((0.0, 5.0), (2.0, 5.0), (1.0, 5.0))}, "1 s comes after 2 s"),
        ({"curve": ((0.0, -1.0),)}, "-1 calls a second at 0 s"),
        ({"curve": ((0.0, math.nan),)}, "nan calls a second at 0 s"),
        ({"curve": ((0.0, 0.0),)}, "no call would ever be due"),
        ({"curve": ((0.0, 5.0),), "rate": 5.0}, "rate and curve are both given"),
        ({"by_chance": True}, "a closed loop has no rate"),
    ],
)
def test_a_curve_that_cannot_be_is_refused(values: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        LoadPlan(address="a:1", run_name="x", calls=1, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0s", '"0s" is no point of a curve'),
        ("0s:5,nine:5", '"nine:5" is no point of a curve'),
        ("0s:many", '"0s:many" is no point of a curve'),
        ("0s:5,1:5", '"1:5" is no point of a curve'),
        ("", '"" is no point of a curve'),
    ],
)
def test_the_command_says_what_is_wrong_with_a_curve(text: str, told: str) -> None:
    ended = Command()("load-test", "--rate-curve", text)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert told in ended.err
    ended = Command()("load-test", "--rate-curve", "1s:5")
    assert ended.status == 2
    assert "it must begin at 0 s" in ended.err


WITHOUT_THE_CALL = """
import ctypes, errno, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
EPOLL_PWAIT2, LOAD, JUMP_IF, RETURN = 441, 0x20, 0x15, 0x06  # the number on every machine
steps = [(LOAD, 0, 0, 0), (JUMP_IF, 0, 1, EPOLL_PWAIT2),
         (RETURN, 0, 0, 0x00050000 | errno.ENOSYS), (RETURN, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code))
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, program, 0, 0) == 0
assert libc.syscall(EPOLL_PWAIT2, -1, None, 1, None, None, 0) == -1
assert ctypes.get_errno() == errno.ENOSYS
from atp import load
plan = load.LoadPlan(address=sys.argv[1], run_name="old-", connections=1, rate=50.0, calls=50)
begun = time.process_time()
result = load.run(plan)
print(result.good, result.asked, time.process_time() - begun < 0.5)
"""
"""A load in a process for which the kernel has no epoll_pwait2, as those before 5.11."""


def test_a_kernel_without_short_waits_is_waited_on_by_a_timer() -> None:
    """It span for ever, and answered nothing, where the kernel was older than Linux 5.11."""
    with scripted(lambda call: whole(call.stream, granted())) as address:
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_THE_CALL, address],
            env=clean_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "50 50 True\n"
