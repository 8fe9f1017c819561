"""The machine by itself: how late a program is that does nothing but look at the clock.

What a host takes away from its guests, nobody here can give back. Owns the measuring of gaps;
every core is watched by a process of its own.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor

SHORTEST_S = 50e-6
"""What is shorter is the program itself."""


def gaps_on(core: int, seconds: float) -> list[float]:
    """Seconds between two looks at the clock, where they were long."""
    os.sched_setaffinity(0, {core})
    gaps = []
    last = time.perf_counter()
    end = last + seconds
    while last < end:
        now = time.perf_counter()
        if now - last > SHORTEST_S:
            gaps.append(now - last)
        last = now
    return gaps


def late_by(gaps: list[float], share: float, seconds: float) -> float:
    """By how many seconds at most that share of all moments waits for the end of its gap."""
    low, high = 0.0, max(gaps, default=0.0)
    for _ in range(40):
        middle = (low + high) / 2
        if sum(gap - middle for gap in gaps if gap > middle) > (1 - share) * seconds:
            low = middle
        else:
            high = middle
    return high


def lateness_ms(seconds: float) -> tuple[float, float]:
    """The p99 and the p99.9 in milliseconds of the worst core."""
    cores = sorted(os.sched_getaffinity(0))
    with ProcessPoolExecutor(len(cores)) as processes:
        found = list(processes.map(gaps_on, cores, [seconds] * len(cores)))
    worst = [max(late_by(gaps, share, seconds) for gaps in found) for share in (0.99, 0.999)]
    return worst[0] * 1e3, worst[1] * 1e3
