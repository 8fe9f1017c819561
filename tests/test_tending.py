"""What is looked after once a second is looked after whatever else of it fails."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from atp.clock import Clock
from atp.server.journaling import Opened, Tending


class Full:
    """A file of the clock on a disk that has no room for it."""

    def write(self, mark: Any) -> None:
        raise OSError(28, "No space left on device")


class Tended:
    """A journal that counts how often it was looked after."""

    def __init__(self) -> None:
        self.times = 0
        self.snapshots = self
        self.error = ""

    def tend(self, now_ns: int) -> None:
        self.times += 1


def test_a_clock_that_cannot_be_noted_keeps_nobody_from_the_journal(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """On a full disk it is the journal's tending that sees when there is room again."""
    journal: Any = Tended()
    opened = Opened(tmp_path, journal, journal, journal, Full())  # type: ignore[arg-type]

    async def tend_once() -> None:
        with ThreadPoolExecutor(1) as executor:
            tending = Tending(opened, Clock(), executor)
            running = asyncio.ensure_future(tending.run())
            while journal.times == 0 and not running.done():
                await asyncio.sleep(0.001)
            tending.stop()
            await running

    with caplog.at_level(logging.ERROR):
        asyncio.run(asyncio.wait_for(tend_once(), 20))
    assert journal.times == 1
    assert "No space left on device" in caplog.text


def test_a_fault_of_who_looks_about_ends_nobody_and_is_told(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    journal: Any = Tended()
    opened = Opened(tmp_path, journal, journal, journal, Full())  # type: ignore[arg-type]

    def broken(now_ns: int) -> None:
        raise KeyError("a field that is not there")

    async def tend_once() -> None:
        with ThreadPoolExecutor(1) as executor:
            tending = Tending(opened, Clock(), executor, broken)
            running = asyncio.ensure_future(tending.run())
            while journal.times == 0 and not running.done():
                await asyncio.sleep(0.001)
            tending.stop()
            await running

    asyncio.run(asyncio.wait_for(tend_once(), 20))
    assert journal.times == 1
    assert "was not looked at" in caplog.text
