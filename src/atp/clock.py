"""The server's time: the only place that reads a clock.

Owns one promise: time never goes back and never jumps, so that no hold ends early or late because
somebody set the system's clock. Decides nothing about holds; every command takes its time from here
once, and carries it along.
"""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW_PPM_MAX = 500
"""How fast the system's clock is followed after a step: parts per million, as ntpd slews. A hold of
ten minutes errs by at most 0.3 s, and a step of 1 s is made good in about 33 minutes."""

SLEW_HORIZON_NS = 1_000_000_000
"""A correction decided by follow() is spread over this time and ends with it, so that it can't
overshoot when the next follow() comes late."""

_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Runs on while the machine is suspended (Linux), so that holds that ended meanwhile have ended."""


def _read_wall() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def _read_steady() -> int:
    return time.clock_gettime_ns(_STEADY_CLOCK)


class Clock:
    """Wall-clock time, read once from the system's clock and from then on carried by a steady one.

    A step of the system's clock, forward or back, is not taken over but followed at no more than
    SLEW_PPM_MAX, each time that follow() is called; drift_ns says how far there is to go. A machine
    that starts with a badly wrong clock keeps that time until the server is started again. Safe to
    read from any thread; follow() has one caller.
    """

    def __init__(
        self,
        read_wall: Callable[[], int] = _read_wall,
        read_steady: Callable[[], int] = _read_steady,
    ) -> None:
        self._read_wall = read_wall
        self._read_steady = read_steady
        # One tuple, replaced whole: wall time at the anchor, steady time there, parts per million
        # by which time runs faster during the horizon after it.
        self._anchor = (read_wall(), read_steady(), 0)
        self.start_time_ns = self._anchor[0]
        self.drift_ns = 0
        """How far the system's clock was ahead at the last follow()."""

    def now_ns(self) -> int:
        """Nanoseconds since the Unix epoch; never less than any answer before."""
        return self._at(self._read_steady())

    def follow(self) -> int:
        """Compares with the system's clock and decides the pace until the next call.

        Returns drift_ns. Meant to be called several times a second.
        """
        steady = self._read_steady()
        now = self._at(steady)
        self.drift_ns = self._read_wall() - now
        ppm = self.drift_ns * 1_000_000 // SLEW_HORIZON_NS
        self._anchor = (now, steady, max(-SLEW_PPM_MAX, min(SLEW_PPM_MAX, ppm)))
        return self.drift_ns

    def _at(self, steady: int) -> int:
        wall_anchor, steady_anchor, ppm = self._anchor
        elapsed = steady - steady_anchor
        return wall_anchor + elapsed + min(elapsed, SLEW_HORIZON_NS) * ppm // 1_000_000
