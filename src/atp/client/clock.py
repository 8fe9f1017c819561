"""The client's sources of time, delay, chance and identity.

The only place in the client that reads a clock, waits or draws a random number. Everything else is
handed a `Clock`, so that tests run retries without waiting and know every delay beforehand.
"""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass


def _uuid4_text() -> str:
    return str(uuid.uuid4())


@dataclass(frozen=True, slots=True)
class Clock:
    """What a client needs of the outside world; replace any part of it in a test.

    `monotonic` gives seconds that never go back, `sleep` and `sleep_async` wait that many seconds,
    `random` draws from 0.0 up to 1.0, `request_id` makes an id that nobody else makes.
    """

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    sleep_async: Callable[[float], Awaitable[None]] = asyncio.sleep
    random: Callable[[], float] = random.random
    request_id: Callable[[], str] = _uuid4_text
