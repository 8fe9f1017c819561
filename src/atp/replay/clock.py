"""The replay's sources of time: the only place of the replay that reads a clock or waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """What a replay needs of the outside world; a test replaces any part of it.

    `elapsed_ns` never goes back and is for durations; `now_ns` counts from the Unix epoch and is
    compared with the server's expire times; `sleep` waits that many seconds.
    """

    elapsed_ns: Callable[[], int] = time.perf_counter_ns
    now_ns: Callable[[], int] = time.time_ns
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
