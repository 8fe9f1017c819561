"""The server's clock: never back, never a jump, and slow to follow a step of the system's clock.

Runs it on two clocks of the test's own, so that no test waits for time to pass.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.clock import CATCH_UP_PPM, SLEW_PPM_MAX, Clock, Mark
from atp.server import clock_file

SECOND = 1_000_000_000
TICK = SECOND // 10
START = 1_700_000_000 * SECOND
DAY = 86_400 * SECOND


class TwoClocks:
    """A wall clock that can be set and a steady one that can't."""

    def __init__(self) -> None:
        self.wall = START
        self.steady = 77 * SECOND

    def pass_time(self, nanoseconds: int) -> None:
        self.wall += nanoseconds
        self.steady += nanoseconds

    def clock(self, boot: str = "this run") -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady, lambda: boot)


def test_it_starts_at_the_systems_time_and_passes_with_the_steady_clock() -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    assert clock.now_ns() == clock.start_time_ns == START
    clocks.pass_time(5 * SECOND)
    assert clock.now_ns() == START + 5 * SECOND
    assert clock.follow() == 0
    clocks.pass_time(5 * SECOND)
    assert clock.now_ns() == START + 10 * SECOND


@pytest.mark.parametrize("step", [3600 * SECOND, -3600 * SECOND, 60 * SECOND, -60 * SECOND])
def test_a_step_of_the_systems_clock_moves_time_at_most_500_ppm(step: int) -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    clocks.wall += step
    assert clock.now_ns() == START
    for _ in range(6000):  # ten minutes, the life of a usual hold
        clock.follow()
        clocks.pass_time(TICK)
    elapsed = 600 * SECOND
    moved = clock.now_ns() - START - elapsed
    assert abs(moved) == elapsed * SLEW_PPM_MAX // 1_000_000
    assert (moved > 0) == (step > 0)
    assert clock.follow() == step - moved


@pytest.mark.parametrize("step", [SECOND // 4, -SECOND // 4])
def test_a_step_is_made_good_in_the_end_and_not_overshot(step: int) -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    clocks.wall += step
    for _ in range(6000):
        drift = clock.follow()
        assert (drift > 0) == (step > 0) or abs(drift) < 1_000  # nanoseconds of rounding
        clocks.pass_time(TICK)
    assert abs(clock.follow()) < 20_000  # nanoseconds


def test_a_late_follow_does_not_overshoot() -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    clocks.wall += 300_000  # nanoseconds
    clock.follow()
    clocks.pass_time(3600 * SECOND)  # the process was stopped for an hour
    assert clock.now_ns() == START + 3600 * SECOND + 300_000


@given(
    st.lists(
        st.tuples(st.integers(0, 3 * SECOND), st.integers(-(10**13), 10**13), st.booleans()),
        max_size=60,
    )
)
def test_it_never_goes_back_and_its_pace_is_bounded(
    history: list[tuple[int, int, bool]],
) -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    for elapsed, step, follow in history:
        before = clock.now_ns()
        clocks.wall += step
        clocks.pass_time(elapsed)
        passed = clock.now_ns() - before
        assert passed >= 0
        assert abs(passed - elapsed) <= elapsed * SLEW_PPM_MAX // 1_000_000 + 1
        if follow:
            now = clock.now_ns()
            clock.follow()
            assert clock.now_ns() == now


def test_it_reads_the_machines_clocks() -> None:
    clock = Clock()
    first = clock.now_ns()
    assert clock.now_ns() >= first > START
    assert abs(clock.follow()) < 60 * SECOND


@pytest.mark.parametrize("step", [DAY, -DAY, 3600 * SECOND, 0])
def test_a_later_server_takes_up_the_time_whatever_the_systems_clock_says(step: int) -> None:
    clocks = TwoClocks()
    mark = clocks.clock().mark()
    clocks.pass_time(40 * SECOND)
    clocks.wall += step
    clock = clocks.clock()
    assert clock.resume(mark)
    assert clock.now_ns() == clock.start_time_ns == START + 40 * SECOND
    assert clock.drift_ns == step


@pytest.mark.parametrize(
    "mark",
    [
        None,
        Mark("another run", 77 * SECOND, START),
        Mark("", 77 * SECOND, START),
        Mark("this run", 1_000 * SECOND, START),
    ],
    ids=["none", "another run of the machine", "a run without a name", "a later one"],
)
def test_a_mark_that_tells_nothing_leaves_the_systems_time(mark: Mark | None) -> None:
    clocks = TwoClocks()
    clocks.wall += DAY
    clock = clocks.clock()
    assert not clock.resume(mark)
    assert clock.now_ns() == START + DAY


def test_a_machine_that_does_not_name_its_runs_resumes_nothing() -> None:
    clocks = TwoClocks()
    assert not clocks.clock(boot="").resume(clocks.clock(boot="").mark())


@pytest.mark.parametrize("behind", [DAY, 1])
def test_time_is_never_before_one_that_was(behind: int) -> None:
    clock = TwoClocks().clock()
    assert clock.not_before(START + behind)
    assert clock.now_ns() == clock.start_time_ns == START + behind
    assert clock.drift_ns == -behind
    assert not clock.not_before(START)
    assert clock.now_ns() == START + behind


def test_time_that_was_ahead_at_the_start_runs_a_tenth_slower_until_it_is_right() -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    clock.not_before(START + 60 * SECOND)
    assert clock.catches_up
    for _ in range(1000):
        clock.follow()
        before = clock.now_ns()
        clocks.pass_time(TICK)
        passed = clock.now_ns() - before
        assert passed == TICK - TICK * CATCH_UP_PPM // 1_000_000
    assert clock.follow() == -50 * SECOND
    for _ in range(7000):
        clock.follow()
        clocks.pass_time(TICK)
    assert abs(clock.follow()) < 1_000_000
    assert not clock.catches_up
    clocks.wall -= 60 * SECOND  # a later step is followed as slowly as any
    clock.follow()
    before = clock.now_ns()
    clocks.pass_time(TICK)
    assert clock.now_ns() - before == TICK - TICK * SLEW_PPM_MAX // 1_000_000


@pytest.mark.parametrize("ahead", [SECOND // 2, 0, -DAY])
def test_time_that_was_right_or_behind_at_the_start_never_runs_that_slow(ahead: int) -> None:
    clocks = TwoClocks()
    clock = clocks.clock()
    clock.not_before(START + ahead)
    assert not clock.catches_up


def test_a_mark_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = clock_file.ClockFile(tmp_path)
    first, second = Mark("a-b-c", 5, START), Mark("a-b-c", 50, START + 45)
    for mark in (first, second):
        file.write(mark)
        assert clock_file.read(tmp_path) == mark
    file.write(Mark("", 60, START))  # of no use to anybody
    assert clock_file.read(tmp_path) == second
    file.close()
    again = clock_file.ClockFile(tmp_path)
    assert clock_file.read(tmp_path) == second
    again.close()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 256, b"atp-clock-2 a 1 2 3", b"atp-clock-1 a 1 2 00000000", b"\xff", b"x " * 99],
)
def test_a_file_that_tells_no_time_is_passed_over_and_said(
    tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / clock_file.NAME).write_bytes(content)
    assert clock_file.read(tmp_path) is None
    assert "tells no time" in caplog.text


def test_no_file_is_no_mark_and_nothing_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert clock_file.read(tmp_path) is None
    assert caplog.text == ""


def test_every_byte_of_a_mark_is_guarded(tmp_path: Path) -> None:
    file = clock_file.ClockFile(tmp_path)
    file.write(Mark("run", 12_345, START))
    path = tmp_path / clock_file.NAME
    whole = path.read_bytes().rstrip()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert clock_file.read(tmp_path) is None, at
    file.close()
