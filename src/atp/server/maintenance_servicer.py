"""The control plane for operators: how the engine is, and a recount of its laws.

Owns gathering what others know: engine, clock, settings, counts. Changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING

from atp import __version__
from atp.clock import Clock
from atp.server import convert
from atp.server.outcome_counts import OutcomeCounts
from atp.settings import Settings
from atp.v1 import maintenance_service_pb2 as pb

if TYPE_CHECKING:
    from atp._core import Engine

VIOLATIONS_MAX = 100


class MaintenanceServicer:
    """Serves MaintenanceService."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        counts: OutcomeCounts,
        settings: Callable[[], Settings],
        executor: Executor,
    ) -> None:
        """`settings` gives those in force now; `executor` runs what takes long."""
        self._engine = engine
        self._clock = clock
        self._counts = counts
        self._settings = settings
        self._executor = executor
        self._one_check = asyncio.Lock()

    def GetStatus(self, _request: pb.GetStatusRequest) -> pb.GetStatusResponse:
        """Reads the engine's counters, bounds and settings."""
        status = self._engine.status()
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
        )

    async def CheckInvariants(
        self, _request: pb.CheckInvariantsRequest
    ) -> pb.CheckInvariantsResponse:
        """Recounts every law, away from the event loop; one recount at a time, others wait."""
        async with self._one_check:
            report = await asyncio.get_running_loop().run_in_executor(
                self._executor, partial(self._engine.check, now_ns=self._clock.now_ns())
            )
        return pb.CheckInvariantsResponse(
            violations=report.violations[:VIOLATIONS_MAX],
            digest=report.digest,
            sequence=report.sequence,
            sku_count=report.skus,
            reservation_count=report.reservations,
        )
