"""The server's clock: never back, never a jump, and slow to follow a step of the system's clock.

Runs it on two clocks of the test's own, so that no test waits for time to pass.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.clock import SLEW_PPM_MAX, Clock

SECOND = 1_000_000_000
TICK = SECOND // 10
START = 1_700_000_000 * SECOND


class TwoClocks:
    """A wall clock that can be set and a steady one that can't."""

    def __init__(self) -> None:
        self.wall = START
        self.steady = 77 * SECOND

    def pass_time(self, nanoseconds: int) -> None:
        self.wall += nanoseconds
        self.steady += nanoseconds

    def clock(self) -> Clock:
        return Clock(lambda: self.wall, lambda: self.steady)


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
