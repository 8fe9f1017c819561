"""The recorder's clocks: the only place of histories that reads one.

Owns the choice of the clock that all recorders of a machine share, so that the times of their files
can be compared, and its name. Is no server's time: expire times are never compared with it.
"""

from __future__ import annotations

import time
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def now_ns() -> int:
    """CLOCK_MONOTONIC in nanoseconds: the same for every process of the machine."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def wall_ns() -> int:
    """Nanoseconds since the Unix epoch."""
    return time.time_ns()


def clock_name() -> str:
    """What names the clock: the machine's boot id. Raises OSError where there is none."""
    return _BOOT_ID.read_text(encoding="ascii").strip()
