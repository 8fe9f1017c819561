"""The change feed for those who watch: from a position in the past into the present.

Owns how many may watch, how much of the event loop they get together, and how a watch ends: each
end names the sequence to resume from. Files are read in threads of its own, a batch at a time and
only once the last one was taken, so that no reader costs memory or keeps a checkout waiting.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from atp.journal.feed import Batch, Feed
from atp.server import log_events, logs
from atp.server.edge import Send
from atp.server.status import Draining, PositionAhead, WatchTooSlow
from atp.v1 import maintenance_service_pb2 as pb
from atp.vocabulary import FieldInvalid, LimitReached

LOOK_S = 0.01
"""How often it is looked whether more has become durable, while somebody watches."""
TURN_S = 0.002
"""Pause before each batch, of all watches together: a batch takes a fifth of a millisecond of the
event loop, so that feeds never take more than about a tenth of it."""
SIGN_OF_LIFE_S = 10.0
"""A watch to which nothing has happened for this long is told how far the feed has come."""
PATIENCE_S = 30.0
"""A reader that takes nothing for this long is told where to resume."""


class FeedServicer:
    """Serves Watch. Belongs to one event loop."""

    def __init__(
        self,
        folder: Path,
        *,
        durable: Callable[[], int],
        newest: Callable[[], int],
        watch_max: int,
        patience_s: float = PATIENCE_S,
        sign_of_life_s: float = SIGN_OF_LIFE_S,
    ) -> None:
        """`folder` has the segments; `durable` tells the last change that may be told, `newest` the
        last one there is."""
        self._folder = folder
        self._durable = durable
        self._newest = newest
        self._watch_max = watch_max
        self._patience_s = patience_s
        self._sign_of_life_s = sign_of_life_s
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="atp-feed")
        self._turn = asyncio.Lock()
        loop = asyncio.get_running_loop()
        self._moved: asyncio.Future[None] = loop.create_future()
        self._stopped: asyncio.Future[None] = loop.create_future()
        self._looking: asyncio.Task[None] | None = None
        self.watch_count = 0
        """Open watches."""

    def stop(self) -> None:
        """Ends every watch, telling each where to resume; new ones are refused."""
        if not self._stopped.done():
            self._stopped.set_result(None)
        self._executor.shutdown(wait=False)

    async def watch(self, request: pb.WatchRequest, send: Send) -> NoReturn:
        """Sends changes until the caller goes; ends by raising what status.py has a row for."""
        asked, durable = request.from_sequence, self._durable()
        if asked < 0:
            raise FieldInvalid("from_sequence", f"is {asked}; 1 or more, or 0 for from now on")
        if asked > self._newest() + 1:
            raise PositionAhead(asked, durable + 1)
        self._check_serving(asked or durable + 1)
        self._take_place()
        feed = Feed(self._folder, asked or durable + 1)
        # At once, so that whoever asked for what happens from now on knows that it is told.
        await self._send(send, feed.position, _come_to(feed.position))
        await self._follow(feed, send)

    async def _follow(self, feed: Feed, send: Send) -> NoReturn:
        reading: asyncio.Future[Batch] | None = None
        try:
            while True:
                if feed.position > self._durable():
                    if not await self._more():
                        await self._send(send, feed.position, _come_to(feed.position))
                    self._check_serving(feed.position)
                    continue
                async with self._turn:
                    await asyncio.sleep(TURN_S)
                self._check_serving(feed.position)
                reading = asyncio.get_running_loop().run_in_executor(
                    self._executor, partial(feed.read, self._durable())
                )
                batch = await asyncio.shield(reading)
                await self._send(send, feed.position - batch.changes, batch.message)
        finally:
            if reading is None or reading.done():
                feed.close()
            else:  # the caller has gone, and a thread is still at the file
                reading.add_done_callback(_forget)
                reading.add_done_callback(lambda _: feed.close())

    async def _send(self, send: Send, position: int, message: bytes) -> None:
        """Sends a response whose first change is at the position; waits until it is taken."""
        sending = asyncio.ensure_future(_awaited(send(message)))
        sending.add_done_callback(_forget)
        await asyncio.wait(
            (sending, self._stopped),
            timeout=self._patience_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if sending.done():
            sending.result()
            return
        self._check_serving(position)
        event = log_events.WATCHER_TOO_SLOW
        logs.tell(event, seconds=self._patience_s, sequence=position)
        raise WatchTooSlow(position)

    async def _more(self) -> bool:
        """Waits until more is durable, or the server stops: True; False after a long while."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())
        done, _ = await asyncio.wait(
            (self._moved, self._stopped),
            timeout=self._sign_of_life_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        return bool(done)

    async def _look(self) -> None:
        """Tells those who wait that more is durable; ends when nobody watches."""
        told = -1  # whoever began this may have looked just before more was
        while self.watch_count:
            await asyncio.sleep(LOOK_S)
            if (durable := self._durable()) != told:
                told = durable
                moved, self._moved = self._moved, asyncio.get_running_loop().create_future()
                moved.set_result(None)

    def _check_serving(self, position: int) -> None:
        if self._stopped.done():
            raise Draining(position)

    def _take_place(self) -> None:
        """One of the places there are. Kept until the caller has gone or has heard of the end: what
        was sent last is in memory until then."""
        if self.watch_count >= self._watch_max:
            logs.tell(log_events.WATCHERS_TOO_MANY, watch_max=self._watch_max)
            raise LimitReached("watch.max")
        call = asyncio.current_task()
        assert call is not None
        self.watch_count += 1
        call.add_done_callback(self._give_place)

    def _give_place(self, _call: asyncio.Task[Any]) -> None:
        self.watch_count -= 1


def _come_to(position: int) -> bytes:
    """A response without changes."""
    return pb.WatchResponse(resume_sequence=position).SerializeToString()


async def _awaited(sending: Awaitable[None]) -> None:
    await sending


def _forget(work: asyncio.Future[Any]) -> None:
    """Looks at how work ended that outlived its watch, so that nobody complains that none did."""
    if not work.cancelled():
        work.exception()
