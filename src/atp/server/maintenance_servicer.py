"""The control plane for operators: how the engine and the journal are, a recount of the laws, and
snapshots.

Owns gathering what others know: engine, journal, clock, settings, counts. Changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, NoReturn, TypeVar

from atp import __version__
from atp.clock import Clock
from atp.journal import errors
from atp.server import convert, journal_words
from atp.server.durable import Durable
from atp.server.edge import Send
from atp.server.feed_servicer import FeedServicer
from atp.server.outcome_counts import OutcomeCounts
from atp.server.status import SnapshotFailed
from atp.server.top import Top
from atp.settings import Settings
from atp.v1 import maintenance_service_pb2 as pb

if TYPE_CHECKING:
    from atp._core import Engine
    from atp.journal.journal import Journal

VIOLATIONS_MAX = 100
PATIENCE_SECONDS = 1.0
"""How long a status waits for its own sequence to be durable. Operators must hear of a disk that
stands still, too: then the status says what is not durable yet."""

Result = TypeVar("Result")


class MaintenanceServicer:
    """Serves MaintenanceService."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        durable: Durable,
        *,
        journal: Journal,
        feed: FeedServicer,
        counts: OutcomeCounts,
        top: Top,
        settings: Callable[[], Settings],
        metrics_address: Callable[[], str],
        executor: Executor,
    ) -> None:
        """`settings` gives those in force now; `executor` runs what takes long."""
        self._engine = engine
        self._clock = clock
        self._durable = durable
        self._journal = journal
        self._feed = feed
        self._counts = counts
        self._top = top
        self._settings = settings
        self._metrics_address = metrics_address
        self._executor = executor
        self._one_check = asyncio.Lock()
        self._one_snapshot = asyncio.Lock()

    async def GetStatus(self, _request: pb.GetStatusRequest) -> pb.GetStatusResponse:
        """Reads the engine's counters, bounds and settings, and how the journal is."""
        status = self._engine.status()
        await self._wait_a_little(status.sequence)
        journal = await self._aside(self._journal.status)
        settings = self._settings()
        return pb.GetStatusResponse(
            version=__version__,
            start_time=convert.timestamp(self._clock.start_time_ns),
            sequence=status.sequence,
            sku_count=status.skus,
            live_hold_count=status.live_holds,
            ended_reservation_count=status.ended_reservations,
            receipt_count=status.receipts,
            cap_counter_count=status.cap_counters,
            cap_count=status.caps,
            engine_bytes=status.bytes,
            outcome_counts=[
                pb.OutcomeCount(method=method, outcome=outcome, call_count=calls)
                for method, outcome, calls in self._counts
                if calls
            ],
            limits=[
                pb.Limit(name=limit.name, value=limit.value, used=limit.used, meaning=limit.meaning)
                for limit in self._engine.limits()
            ],
            settings=[
                pb.Setting(
                    name=name,
                    value=settings.text(name),
                    changed=settings.source(name) != "default",
                )
                for name in settings
            ],
            clock_drift=convert.duration(self._clock.drift_ns),
            journal=journal_words.journal_status(journal, self._feed.watch_count),
            metrics_address=self._metrics_address(),
        )

    async def GetTop(self, request: pb.GetTopRequest) -> pb.GetTopResponse:
        """Reads what moves, away from the event loop."""
        response = await self._aside(lambda: self._top.read(request))
        await self._wait_a_little(response.sequence)
        return response

    async def CheckInvariants(
        self, _request: pb.CheckInvariantsRequest
    ) -> pb.CheckInvariantsResponse:
        """Recounts every law, away from the event loop; one recount at a time, others wait."""
        report = await self._alone(
            self._one_check, lambda: self._engine.check(now_ns=self._clock.now_ns())
        )
        response = pb.CheckInvariantsResponse(
            violations=report.violations[:VIOLATIONS_MAX],
            digest=report.digest,
            sequence=report.sequence,
            sku_count=report.skus,
            reservation_count=report.reservations,
        )
        return await self._durable.once(report.sequence, response)

    async def TakeSnapshot(self, _request: pb.TakeSnapshotRequest) -> pb.TakeSnapshotResponse:
        """Writes a snapshot, away from the event loop; one at a time, others wait."""
        try:
            taken = await self._alone(
                self._one_snapshot, lambda: self._journal.snapshot(self._clock.now_ns())
            )
        except (OSError, errors.SnapshotFailed) as error:
            raise SnapshotFailed(f"no snapshot could be written: {error}") from error
        return pb.TakeSnapshotResponse(snapshot=journal_words.snapshot(taken))

    async def Watch(self, request: pb.WatchRequest, send: Send) -> NoReturn:
        """Streams changes, as feed_servicer.py has it."""
        await self._feed.watch(request, send)

    async def _wait_a_little(self, sequence: int) -> None:
        """Returns once the change is durable, or has not become so for PATIENCE_SECONDS."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._durable.wait(sequence)

    async def _alone(self, lock: asyncio.Lock, work: Callable[[], Result]) -> Result:
        """What the work returns. No other under the lock begins before it has ended.

        Its thread works on when the call ends sooner: callers who give up and come again must not
        fill all threads.
        """
        async with lock:
            working = asyncio.ensure_future(self._aside(work))
            try:
                return await asyncio.shield(working)
            finally:
                if not working.done():
                    await asyncio.wait((working,))
                    working.exception()  # taken note of, for nobody

    async def _aside(self, work: Callable[[], Result]) -> Result:
        """What the work returns, done in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)
