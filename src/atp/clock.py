"""The server's time: the only place that reads a clock.

Owns one promise: time never goes back and never jumps, across restarts neither as far as that can
be known, so that no hold ends early or late because somebody set the system's clock. Decides
nothing about holds; every command takes its time from here once, and carries it along.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SLEW_PPM_MAX = 500
"""How fast the system's clock is followed after a step: parts per million, as ntpd slews. A hold of
ten minutes errs by at most 0.3 s, and a step of 1 s is made good in about 33 minutes."""

CATCH_UP_PPM = 100_000
"""How much slower time runs if it was more than CATCH_UP_NS ahead of the system's clock at the
start: a tenth. Holds last that much longer than they were told, never shorter; a day is made good
in ten."""
CATCH_UP_NS = 1_000_000_000
CAUGHT_UP_NS = 1_000_000

SLEW_HORIZON_NS = 1_000_000_000
"""A correction decided by follow() is spread over this time and ends with it, so that it can't
overshoot when the next follow() comes late."""

_STEADY_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Runs on while the machine is suspended (Linux), so that holds that ended meanwhile have ended."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def _read_wall() -> int:
    return time.clock_gettime_ns(time.CLOCK_REALTIME)


def _read_steady() -> int:
    return time.clock_gettime_ns(_STEADY_CLOCK)


def _read_boot() -> str:
    """What tells one run of the machine from the next; empty where that can't be known."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""


class Mark(NamedTuple):
    """What the server's time was, by the steady clock of one run of the machine."""

    boot: str
    steady_ns: int
    time_ns: int


class Clock:
    """Wall-clock time, read once from the system's clock and from then on carried by a steady one.

    A step of the system's clock, forward or back, is not taken over but followed at no more than
    SLEW_PPM_MAX, each time that follow() is called; drift_ns says how far there is to go. A server
    that starts again on a machine that has run on since takes up its time where it must be by now,
    whatever the system's clock says; after the machine has started again only the system's clock
    can tell how long that took. Safe to read from any thread; follow() has one caller.
    """

    def __init__(
        self,
        read_wall: Callable[[], int] = _read_wall,
        read_steady: Callable[[], int] = _read_steady,
        read_boot: Callable[[], str] = _read_boot,
    ) -> None:
        self._read_wall = read_wall
        self._read_steady = read_steady
        self._boot = read_boot()
        self._slow_ppm_max = SLEW_PPM_MAX
        # One tuple, replaced whole: wall time at the anchor, steady time there, parts per million
        # by which time runs faster during the horizon after it.
        self._anchor = (read_wall(), read_steady(), 0)
        self.start_time_ns = self._anchor[0]
        self.drift_ns = 0
        """How far the system's clock was ahead at the last follow(), or at the start."""

    @property
    def catches_up(self) -> bool:
        """Whether time runs a tenth slower, because it was ahead at the start."""
        return self._slow_ppm_max == CATCH_UP_PPM

    def resume(self, mark: Mark | None) -> bool:
        """Takes up the time of a mark() of an earlier server; False if it can't be told from it.

        To be called before the time is asked for, if at all.
        """
        steady = self._read_steady()
        if mark is None or not mark.boot or mark.boot != self._boot or mark.steady_ns > steady:
            return False
        self._start_at(mark.time_ns + steady - mark.steady_ns, steady)
        return True

    def not_before(self, time_ns: int) -> bool:
        """Sees to it that time is not before one that was; True if it would have been.

        To be called before the time is asked for by anybody whom it would matter to.
        """
        steady = self._read_steady()
        if time_ns <= self._at(steady):
            return False
        self._start_at(time_ns, steady)
        return True

    def mark(self) -> Mark:
        """The time now, for a later server to resume from."""
        steady = self._read_steady()
        return Mark(self._boot, steady, self._at(steady))

    @property
    def anchor(self) -> tuple[int, int, int]:
        """What time is reckoned from, for whoever reckons it elsewhere: wall time at the anchor,
        steady time (CLOCK_BOOTTIME) there, parts per million for SLEW_HORIZON_NS after it."""
        return self._anchor

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
        if self.drift_ns > -CAUGHT_UP_NS:
            self._slow_ppm_max = SLEW_PPM_MAX
        ppm = self.drift_ns * 1_000_000 // SLEW_HORIZON_NS
        self._anchor = (now, steady, max(-self._slow_ppm_max, min(SLEW_PPM_MAX, ppm)))
        return self.drift_ns

    def _start_at(self, time_ns: int, steady: int) -> None:
        self._anchor = (time_ns, steady, 0)
        self.start_time_ns = time_ns
        self.drift_ns = self._read_wall() - time_ns
        self._slow_ppm_max = CATCH_UP_PPM if self.drift_ns < -CATCH_UP_NS else SLEW_PPM_MAX

    def _at(self, steady: int) -> int:
        wall_anchor, steady_anchor, ppm = self._anchor
        elapsed = steady - steady_anchor
        return wall_anchor + elapsed + min(elapsed, SLEW_HORIZON_NS) * ppm // 1_000_000
