"""Gathering what metrics tell, from those who count it.

Owns which value goes under which name of the table. Waits for nobody's lock longer than a copy of a
few numbers takes, and for the disk only as long as LAW_7_NS: what is told is durable then, or the
lag says that it is not.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from atp import __version__
from atp._front import FrontStatistics, TimeCounts
from atp.clock import Clock
from atp.server.call_counts import OK
from atp.server.hot_stock import hot_stock
from atp.server.metrics_families import SECOND, Families
from atp.server.outcome_counts import METHODS
from atp.settings import Settings
from atp.vocabulary import CALL_CODES

if TYPE_CHECKING:
    from atp._core import Engine
    from atp.journal.journal import Journal
    from atp.vocabulary import StockTotals

LAW_7_NS = SECOND // 4


class Sources(NamedTuple):
    """Who is asked."""

    engine: Engine
    journal: Journal
    clock: Clock
    settings: Callable[[], Settings]
    front: Callable[[], FrontStatistics | None]
    tls_refusals: Callable[[], tuple[int, str]]
    control_calls: Callable[[], Mapping[tuple[str, int], int]]
    control_open: Callable[[], int]
    watches: Callable[[], int]
    certificates: Callable[[], Mapping[str, int]]
    """When the certificate in use of each listener runs out, ns since the Unix epoch."""


class Values:
    """What one server's metrics say, scrape by scrape; one scrape at a time."""

    def __init__(self, sources: Sources) -> None:
        self._from = sources
        self._caps = CapsAtWork()

    def gather(self) -> Families:
        """Everything, as it is now."""
        told = Families()
        self._tell_engine(told)
        front = self._from.front()
        if front is not None:
            tell_calls(told, front)
            tell_connections(told, front)
            tell_limits(told, self._own_limits(front))
        told.set("atp_tls_refused_total", self._from.tls_refusals()[0])
        for (method, code), calls in self._from.control_calls().items():
            told.set("atp_calls_total", calls, "control", method, CALL_CODES[code])
        told.set("atp_calls_open", self._from.control_open(), "control")
        self._tell_journal(told)
        self._tell_snapshots(told)
        self._tell_recovery(told)
        self._tell_server(told)
        # What was read above must not be what a crash could take back.
        sequence = self._from.engine.status().sequence
        if self._from.journal.wait_for(sequence):
            self._from.journal.writer.wait(sequence, LAW_7_NS, may_commit=False)
        self._tell_writer(told)
        return told

    def _tell_engine(self, told: Families) -> None:
        engine = self._from.engine
        status, totals = engine.status(), engine.totals()
        told.set("atp_sequence", status.sequence)
        told.set("atp_skus", status.skus)
        told.set("atp_holds", status.live_holds)
        told.set("atp_holds_expired_total", totals.expired_holds)
        told.set("atp_reservations_remembered", status.ended_reservations)
        told.set("atp_receipts_remembered", status.receipts)
        told.set("atp_caps", status.caps)
        told.set("atp_cap_counters", status.cap_counters)
        told.set("atp_engine_bytes", status.bytes)
        tell_units(told, totals)
        self._tell_skus(told)
        self._caps.look(engine.cap_hits())
        for cap, refused, shadow in self._caps.top(self._setting("metrics.top_caps")):
            told.set("atp_cap_refused_total", refused, cap)
            told.set("atp_cap_shadow_refused_total", shadow, cap)
        tell_limits(told, ((row.name, row.value, row.used) for row in engine.limits()))

    def _tell_skus(self, told: Families) -> None:
        count, now_ns = self._setting("metrics.top_skus"), self._from.clock.now_ns()
        for name, heat, one in hot_stock(self._from.engine, count, now_ns):
            told.set("atp_sku_heat", heat, name)
            if one is not None:
                for state, units in (
                    ("on_hand", one.on_hand),
                    ("held", one.held),
                    ("available", one.on_hand - one.held),
                    ("sold", one.sold),
                ):
                    told.set("atp_sku_units", units, name, state)

    def _own_limits(self, front: FrontStatistics) -> Iterable[tuple[str, int, int]]:
        for name, used in (
            ("server.calls_max", front.open_calls),
            ("server.connections_max", front.connections),
            ("data_plane.buffer_bytes_max", front.held_bytes),
            ("watch.max", self._from.watches()),
        ):
            yield name, self._setting(name), used

    def _tell_journal(self, told: Families) -> None:
        status = self._from.journal.status()
        told.set("atp_journal_info", 1, status.durability)
        told.set("atp_journal_bytes", status.journal_bytes)
        told.set("atp_journal_segments", status.segment_count)
        told.set("atp_journal_free_bytes", status.free_bytes)
        told.set("atp_watches", self._from.watches())

    def _tell_writer(self, told: Families) -> None:
        status = self._from.journal.writer.statistics()
        told.set("atp_durable_sequence", status.durable)
        told.set("atp_durable_lag_changes", max(0, status.waiting_records))
        told.set("atp_durable_lag_bytes", status.waiting_bytes)
        told.set("atp_durable_lag_seconds", status.lag_ns / SECOND)
        told.set("atp_journal_written_bytes_total", status.written_bytes)
        told.set_times(
            "atp_sync_duration_seconds", TimeCounts(status.sync_counts, status.sync_sum_ns)
        )
        for reason, is_so in (
            ("disk_low", status.space_level == 1),
            ("disk_full", status.space_level == 2),
            ("behind", status.is_behind),
        ):
            told.set("atp_journal_refusing", is_so, reason)

    def _tell_snapshots(self, told: Families) -> None:
        snapshots = self._from.journal.snapshots
        last = snapshots.last
        if last is not None:
            told.set("atp_snapshot_timestamp_seconds", last.create_time_ns / SECOND)
            told.set("atp_snapshot_sequence", last.sequence)
            told.set("atp_snapshot_bytes", last.size_bytes)
            told.set("atp_snapshot_duration_seconds", last.duration_ns / SECOND)
            told.set("atp_snapshot_stall_seconds", last.longest_stall_ns / SECOND)
        told.set("atp_snapshot_interval_seconds", self._setting("snapshot.every") / SECOND)
        told.set("atp_snapshots_total", snapshots.taken, "ok")
        told.set("atp_snapshots_total", snapshots.failed, "failed")
        told.set("atp_snapshot_failing", bool(snapshots.error))
        told.set("atp_snapshot_running", snapshots.is_running)

    def _tell_recovery(self, told: Families) -> None:
        found = self._from.journal.recovery
        told.set("atp_recovery_duration_seconds", found.duration_ns / SECOND)
        told.set("atp_recovery_replayed_changes", found.replayed_record_count)
        told.set("atp_recovery_expired_holds", found.expired_count)
        told.set("atp_recovery_torn_bytes", found.torn_bytes)
        told.set("atp_recovery_damaged_snapshots", len(found.damaged_snapshots))

    def _tell_server(self, told: Families) -> None:
        told.set("atp_build_info", 1, __version__)
        told.set("atp_clock_drift_seconds", self._from.clock.drift_ns / SECOND)
        for listener, expire_ns in self._from.certificates().items():
            told.set("atp_certificate_expiry_timestamp_seconds", expire_ns / SECOND, listener)
        told.set("atp_threads", len(os.listdir(Path("/proc/self/task"))))

    def _setting(self, name: str) -> int:
        return self._from.settings().integer(name)


class CapsAtWork:
    """Which caps refused most of late; how often of late counts half from look to look."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, int, int]] = []
        self._heat: dict[str, float] = {}

    def look(self, rows: list[tuple[str, int, int]]) -> None:
        """Takes the counts of every cap there is: id, refused, refused in shadow mode."""
        before = {cap: refused + shadow for cap, refused, shadow in self._rows}
        heat = {}
        for cap, refused, shadow in rows:
            more = max(0, refused + shadow - before.get(cap, 0))
            heat[cap] = self._heat.get(cap, 0.0) / 2 + more
        self._rows, self._heat = rows, heat

    def top(self, count: int) -> list[tuple[str, int, int]]:
        """The busiest, by what they did of late, then by all they did, then by id."""
        return sorted(
            self._rows, key=lambda row: (-self._heat[row[0]], -(row[1] + row[2]), row[0])
        )[:count]


def tell_calls(told: Families, front: FrontStatistics) -> None:
    """Calls of the data plane. A method that is served is told even while it is at 0."""
    answered = {(method, OK): 0 for method in front.latencies}
    for (method, code), calls in {**answered, **front.answered}.items():
        told.set("atp_calls_total", calls, "data", method.rpartition("/")[2], CALL_CODES[code])
    for method, times in front.latencies.items():
        told.set_times("atp_call_duration_seconds", times, method)
    for method, words in METHODS.items():
        for word in words:
            calls = front.outcomes.get((method, word.value), 0)
            told.set("atp_commands_total", calls, method, word.name)
    for reason, commands in front.journal_refused.items():
        told.set("atp_commands_refused_total", commands, reason)
    for reason, calls in front.refused.items():
        if reason != "connections_max":
            told.set("atp_calls_overloaded_total", calls, reason)
    told.set("atp_calls_open", front.open_calls, "data")
    told.set("atp_answers_parked", front.parked)


def tell_connections(told: Families, front: FrontStatistics) -> None:
    """Connections of the data plane, and their bytes."""
    told.set("atp_connections", front.connections)
    told.set("atp_connections_accepted_total", front.accepted)
    told.set("atp_connections_refused_total", front.refused["connections_max"])
    for reason, connections in front.ended.items():
        told.set("atp_connections_ended_total", connections, reason)
    told.set("atp_received_bytes_total", front.received_bytes)
    told.set("atp_sent_bytes_total", front.sent_bytes)
    told.set("atp_message_buffer_bytes", front.held_bytes)


def tell_units(told: Families, totals: StockTotals) -> None:
    """Units of all SKUs."""
    for state, units in (
        ("on_hand", totals.on_hand),
        ("held", totals.held),
        ("available", totals.on_hand - totals.held),
        ("sold", totals.sold),
    ):
        told.set("atp_units", units, state)


def tell_limits(told: Families, rows: Iterable[tuple[str, int, int]]) -> None:
    """Bounds whose use is known: name, value, used."""
    for name, value, used in rows:
        if used >= 0:
            told.set("atp_limit", value, name)
            told.set("atp_limit_used", used, name)
