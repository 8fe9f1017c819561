"""What moves from second to second, gathered for a live view: `atp top` asks for it.

Owns which counters go into a GetTopResponse and how many hot SKUs and caps. Counts nothing itself,
and locks nothing for longer than those who count do: a view must not slow down what it shows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from atp._front import TIME_BOUNDS_NS, FrontStatistics
from atp.clock import Clock
from atp.server import convert, journal_words
from atp.server.hot_stock import hot_stock
from atp.server.outcome_counts import OutcomeCounts
from atp.server.status import OUTCOMES
from atp.v1 import maintenance_service_pb2 as pb
from atp.vocabulary import CapMode, CapNotFound, CapSubject, FieldInvalid

if TYPE_CHECKING:
    from atp._core import Engine
    from atp.journal.journal import Journal

SECOND = 1_000_000_000
ROWS = 20
ROWS_MAX = 100
SOON_NS, MINUTE_NS = 10 * SECOND, 60 * SECOND


class Top:
    """Reads everything once for each call. Safe to be called in any thread."""

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        clock: Clock,
        *,
        counts: OutcomeCounts,
        front: Callable[[], FrontStatistics | None],
        watch_count: Callable[[], int],
    ) -> None:
        """`front` gives what the data plane counts, None while it is not open."""
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._counts = counts
        self._front = front
        self._watch_count = watch_count

    def read(self, request: pb.GetTopRequest) -> pb.GetTopResponse:
        """One look. Raises FieldInvalid."""
        skus = rows_of("sku_count", request.sku_count)
        caps = rows_of("cap_count", request.cap_count)
        now_ns = self._clock.now_ns()
        status = self._engine.status()
        soon, minute = self._engine.lines_due(
            sooner_ns=now_ns + SOON_NS, later_ns=now_ns + MINUTE_NS
        )
        totals = self._engine.totals()
        written = self._journal.writer.statistics()
        response = pb.GetTopResponse(
            read_time=convert.timestamp(now_ns),
            start_time=convert.timestamp(self._clock.start_time_ns),
            sequence=status.sequence,
            outcome_counts=[
                pb.OutcomeCount(method=method, outcome=outcome, call_count=calls)
                for method, outcome, calls in self._counts
                if calls
            ],
            hot_skus=self._hot_skus(skus, now_ns),
            cap_uses=self._cap_uses(caps),
            live_hold_count=status.live_holds,
            ending_soon_line_count=soon,
            ending_minute_line_count=minute,
            sku_count=status.skus,
            engine_bytes=status.bytes,
            resident_bytes=resident_bytes(),
            durable_lag=convert.duration(written.lag_ns),
            journal=journal_words.journal_status(self._journal.status(), self._watch_count()),
            written_bytes=written.written_bytes,
            on_hand_quantity=totals.on_hand,
            held_quantity=totals.held,
            sold_quantity=totals.sold,
            expired_hold_count=totals.expired_holds,
        )
        self._add_front(response)
        return response

    def _add_front(self, response: pb.GetTopResponse) -> None:
        told = self._front()
        if told is None:
            return
        response.open_call_count = told.open_calls
        response.connection_count = told.connections
        response.parked_answer_count = told.parked
        for name, refused in told.refused.items():
            response.refused_counts.add(limit_name=name, refused_count=refused)
        for method, times in told.latencies.items():
            if any(times.counts):
                response.call_times.add(
                    method=method,
                    counts=times.counts,
                    bounds_ns=TIME_BOUNDS_NS,
                    sum_ns=times.sum_ns,
                )

    def _hot_skus(self, count: int, now_ns: int) -> list[pb.HotSku]:
        return [
            pb.HotSku(stock=convert.stock(stock), heat=heat)
            for _, heat, stock in hot_stock(self._engine, count, now_ns)
            if stock is not None
        ]

    def _cap_uses(self, count: int) -> list[pb.CapUse]:
        hits = sorted(self._engine.cap_hits(), key=lambda hit: (-hit[1] - hit[2], hit[0]))
        uses = []
        for cap_id, refused, shadow_refused in hits[:count]:
            try:
                cap = self._engine.get_cap(cap_id).cap
            except CapNotFound:
                continue  # it was removed meanwhile
            uses.append(
                pb.CapUse(
                    cap_id=cap_id,
                    subject=OUTCOMES[CapSubject][cap.subject],
                    limit_quantity=cap.limit,
                    mode=OUTCOMES[CapMode][cap.mode],
                    refused_count=refused,
                    shadow_refused_count=shadow_refused,
                )
            )
        return uses


def rows_of(field: str, asked: int) -> int:
    """How many rows are meant. Raises FieldInvalid."""
    if not 0 <= asked <= ROWS_MAX:
        raise FieldInvalid(field, f"is {asked}; 0 to {ROWS_MAX}")
    return asked or ROWS


def resident_bytes() -> int:
    """Memory of this process that is in use, as the system counts it; 0 where it does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except (OSError, IndexError):
        return 0
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
