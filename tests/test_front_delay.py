"""When a call is too late to be begun: the loop's estimate alone, with told times.

Owns what an estimate may not hold against a call. The program that asks it is front_delay.cpp.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from native_program import built

MS = 1_000_000
SECOND = 1_000 * MS
NOW = 100 * SECOND


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The estimate as a program, built with the sanitizer for undefined behaviour."""
    return built("front_delay.cpp", tmp_path_factory.mktemp("delay"))


def lateness(program: Path, *commands: str) -> list[bool]:
    """Whether each `late` among the commands is."""
    ran = subprocess.run(
        [str(program)], input="\n".join(commands), capture_output=True, text=True, check=True
    )
    return [line == "1" for line in ran.stdout.split()]


def busy_rounds(number: int, length: int) -> list[str]:
    """Rounds of a loop that never sleeps, the last of them ending at NOW."""
    rounds = []
    for i in range(number, 0, -1):
        began = NOW - i * length
        rounds += [f"wait {began}", f"found {began}", f"end {began + length}"]
    return [*rounds, f"wait {NOW}", f"found {NOW}"]


def late(read_before: int, left: int = SECOND, now: int = NOW) -> str:
    """Asks about a call read now, from a connection that was read before then."""
    return f"late {read_before} {now} {left} {SECOND}"


def test_a_call_that_waits_longer_than_it_may_is_late(program: Path) -> None:
    """Long rounds, one after another: half of one was waited, and one is to come."""
    asked = [late(NOW - 400 * MS, left) for left in (590 * MS, 610 * MS)]
    assert lateness(program, *busy_rounds(9, 400 * MS), *asked) == [True, False]


def test_a_quiet_connection_on_a_busy_loop_is_not_late(program: Path) -> None:
    """It sent nothing for ten seconds: the last wait would have found it. So with new ones."""
    asked = [late(NOW - 10 * SECOND), late(0), late(0, 10 * MS)]
    assert lateness(program, *busy_rounds(20_000, MS), *asked) == [False, False, False]


def test_who_slept_holds_nothing_against_what_woke_it(program: Path) -> None:
    """A sleep ends what rounds before it had cost."""
    rounds = [*busy_rounds(3, 2 * SECOND), f"end {NOW}", f"wait {NOW}", f"found {NOW + MS}"]
    asked = late(NOW - 9 * SECOND, now=NOW + MS)
    assert lateness(program, *rounds, asked) == [False]


def test_a_round_that_ended_at_the_disk_in_another_thread_is_no_long_round(program: Path) -> None:
    """The loop's thread was at a disk that stood still; whoever stood in for it waited for events
    meanwhile and was woken by something else than a call. The next call was refused as too late."""
    began = NOW - 3 * SECOND
    rounds = [f"wait {began}", f"found {began + MS}"]  # the owner: then it was at the disk
    rounds += [f"wait {began + 5 * MS}", f"end {NOW - MS}"]  # the stand-in: a second without calls
    rounds += [f"wait {NOW}", f"found {NOW}"]
    assert lateness(program, *rounds, late(began + MS)) == [False]
