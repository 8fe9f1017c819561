"""The data plane: the native front on its threads, opened, told the time, drained and closed.

Owns the threads and what the settings mean to the front. Speaks no HTTP/2 and judges nothing: the
front does, without Python.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping

from atp._front import Front, FrontOptions, FrontStatistics
from atp.clock import Clock
from atp.journal.journal import Journal
from atp.server import open_files
from atp.server.certificates import Pem
from atp.server.listen import Listen, StartFailed, join_address
from atp.settings import Settings

POLL_SECONDS = 0.005
"""How often a drain looks whether calls are open."""
FAREWELL_SECONDS = 2.0
"""How long clients that have no call open are given to hear that they must go elsewhere."""


class DataPlane:
    """ReservationService and health on one address."""

    name = "data_plane"

    def __init__(self, settings: Settings, journal: Journal, clock: Clock) -> None:
        """Serves the journal's engine; answers wait for its writer as journal.durability says."""
        self._settings = settings
        self._journal = journal
        self._clock = clock
        self._front: Front | None = None
        self._threads: list[threading.Thread] = []
        self._hurrying = asyncio.Event()
        self.address = ""
        """Where it listens, once opened."""

    async def open(self, listen: Listen) -> None:
        """Opens the port and starts to answer. Raises StartFailed."""
        threads = thread_count(self._settings)
        host, _, port = listen.address.rpartition(":")
        try:
            front = Front(
                self._journal.engine,
                self._journal.writer,
                host=host.strip("[]"),
                port=int(port),
                threads=threads,
                options=front_options(self._settings),
            )
        except OSError as error:
            raise StartFailed(
                f"{self.name}.address {listen.address} can't be opened:"
                f" {(error.strerror or str(error)).lower()}"
            ) from None
        self._front = front
        if listen.certificate is not None:
            self.take_certificate(listen.certificate.pem)
        self.address = join_address(*front.address)
        self.follow_clock()
        self._start("front-forerun", front.forerun)
        for index in range(threads):
            self._start(f"front-{index}", front.run, index)
            self._start(f"front-stand-in-{index}", front.stand_in, index)

    def _start(self, name: str, work: Callable[..., None], *of: int) -> None:
        thread = threading.Thread(target=work, args=of, name=name, daemon=True)
        thread.start()
        self._threads.append(thread)

    def take_certificate(self, pem: Pem) -> None:
        """New connections see this one, open ones keep theirs."""
        if self._front is not None:
            self._front.set_tls(*pem)

    def tls_refusals(self) -> tuple[int, str]:
        """Connections that were refused since the start, and the latest one's client and reason."""
        return (0, "") if self._front is None else self._front.tls_refusals()

    def follow_clock(self) -> None:
        """Tells the front the server's time, after each of Clock.follow()."""
        if self._front is not None:
            self._front.publish_clock(*self._clock.anchor)

    def take_settings(self, settings: Settings) -> None:
        """Takes over what may change live."""
        self._settings = settings
        if self._front is not None:
            self._front.set_default_ttl(settings.integer("hold.default_ttl"))

    def outcomes(self) -> Mapping[tuple[str, int], int]:
        """Calls by method and number of the outcome, since the start; none that never was."""
        return {} if self._front is None else self._front.statistics().outcomes

    def statistics(self) -> FrontStatistics | None:
        """What the front counts; None before it is opened."""
        return None if self._front is None else self._front.statistics()

    async def retire(self) -> None:
        """Tells who asks or watches that no service is served any more; calls still are."""
        if self._front is not None:
            self._front.retire()

    def hurry(self) -> None:
        """Ends a drain that is under way without waiting further."""
        self._hurrying.set()

    async def drain(self, seconds: float) -> int:
        """Takes no new calls, waits for those under way, and ends; returns how many were cut off.

        New connections are refused, and open ones are told to go elsewhere.
        """
        front = self._front
        if front is None:
            return 0
        front.drain()
        await self._until(lambda: not front.open_calls, seconds)
        if not front.open_calls:
            # What is on the wire is not open yet: connections end once their clients have heard.
            await self._until(lambda: not front.statistics().connections, FAREWELL_SECONDS)
        cut_off = front.open_calls
        await self.close()
        return cut_off

    async def _until(self, is_so: Callable[[], bool], seconds: float) -> None:
        """Returns when it is so, when time is up, or when somebody hurries."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not (is_so() or self._hurrying.is_set()):
                    await asyncio.sleep(POLL_SECONDS)

    async def close(self) -> None:
        """Ends at once, calls under way included. Harmless when it has ended or never opened."""
        if self._front is None:
            return
        self._front.stop()
        loop = asyncio.get_running_loop()
        while self._threads:
            await loop.run_in_executor(None, self._threads.pop().join)


def thread_count(settings: Settings) -> int:
    """Threads that answer: as many as told, or all cores but one."""
    told = settings.integer("data_plane.threads")
    return told or max(1, len(os.sched_getaffinity(0)) - 1)


def front_options(settings: Settings) -> FrontOptions:
    """The settings that are the front's."""
    return FrontOptions(
        calls_max=settings.integer("server.calls_max"),
        connections_max=open_files.connections_most(settings, "data_plane"),
        streams_max=settings.integer("server.streams_max"),
        message_bytes_max=settings.integer("server.message_bytes_max"),
        metadata_bytes_max=settings.integer("data_plane.metadata_bytes_max"),
        buffer_bytes_max=settings.integer("data_plane.buffer_bytes_max"),
        idle_ns=settings.integer("data_plane.idle_timeout"),
        request_ns=settings.integer("data_plane.request_timeout"),
        keepalive_ns=settings.integer("data_plane.keepalive"),
        wait_ns=settings.integer("data_plane.wait_max"),
        durable=settings.text("journal.durability") == "sync",
        default_ttl_ns=settings.integer("hold.default_ttl"),
    )
