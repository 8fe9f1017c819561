"""Law 7 at the door: an answer waits until every change that it tells of, or lets see, is durable.

Owns the answers that wait: in order of the sequence that each waits for, woken in batches when the
journal's writer says how far it has come. An answer that reveals nothing new does not wait, and
never makes the writer sync. Belongs to one event loop. Judges nothing and makes nothing durable.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import os
from typing import Protocol, TypeVar

GONE_MAX = 64
"""Waits of calls that ended meanwhile may stay in line up to this number and as many as live ones:
so the line is bounded by the calls that may be open."""

Response = TypeVar("Response")


class Writer(Protocol):
    """What makes changes durable (journal's Writer)."""

    @property
    def durable(self) -> int:
        """The last change that is durable."""

    @property
    def notify_fd(self) -> int:
        """An eventfd: readable once `durable` has moved on after a kick."""

    def kick(self, sequence: int) -> None:
        """Says that somebody waits for this change."""


class Journal(Protocol):
    """The journal as far as answers are concerned."""

    @property
    def writer(self) -> Writer:
        """Makes changes durable."""

    def wait_for(self, sequence: int) -> bool:
        """Whether an answer that reveals this change must wait: never for interval and off."""


class Durable:
    """The line of answers that wait."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._writer = journal.writer
        self._line: list[tuple[int, int, asyncio.Future[None]]] = []
        self._tickets = itertools.count()
        self._newest = 0
        self._kicking = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self.waiting = 0
        """Answers that wait now."""

    def open(self) -> None:
        """Listens to the writer from now on, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._writer.notify_fd, self._told)

    def close(self) -> None:
        """Listens no more; what still waits is cancelled. Harmless when it was never opened."""
        if self._loop is not None:
            self._loop.remove_reader(self._writer.notify_fd)
            self._loop = None
        for _, _, future in self._line:
            future.cancel()
        self._line.clear()

    async def once(self, sequence: int, response: Response) -> Response:
        """The response, once the change with this sequence is durable."""
        await self.wait(sequence)
        return response

    async def wait(self, sequence: int) -> None:
        """Returns once the change with this sequence, and every one before it, is durable.

        Whoever is cancelled meanwhile leaves the line; what the call has changed stays.
        """
        if not self._journal.wait_for(sequence):
            return
        assert self._loop is not None, "answers wait only while the line is open"
        future = self._loop.create_future()
        heapq.heappush(self._line, (sequence, next(self._tickets), future))
        self._newest = max(self._newest, sequence)
        if not self._kicking:
            # At the end of this turn of the loop, so that one kick, and with it one sync, serves
            # every call that was judged in the turn.
            self._kicking = True
            self._loop.call_soon(self._kick)
        self.waiting += 1
        try:
            await future
        finally:
            self.waiting -= 1
            self._forget_the_gone()

    def _kick(self) -> None:
        self._kicking = False
        if self._loop is None:
            return
        self._writer.kick(self._newest)
        # Of what became durable just before the kick nobody is told.
        self._wake()

    def _told(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._writer.notify_fd)
        self._wake()

    def _wake(self) -> None:
        durable = self._writer.durable
        while self._line and self._line[0][0] <= durable:
            _, _, future = heapq.heappop(self._line)
            if not future.done():
                future.set_result(None)

    def _forget_the_gone(self) -> None:
        """Calls that end while they wait leave their places in line; too many are cleared."""
        if len(self._line) > GONE_MAX + 2 * self.waiting:
            self._line = [entry for entry in self._line if not entry[2].done()]
            heapq.heapify(self._line)
