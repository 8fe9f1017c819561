"""Answers that only a server gives, for which the engine's vocabulary has no word.

Plain typed tuples; everything a reserve, a change of a hold, stock or a cap answers is in
`atp.vocabulary`. Times are nanoseconds since the Unix epoch, quantities whole units.
"""

from __future__ import annotations

from typing import NamedTuple

from atp.vocabulary import CapMode, CapStatus, CapSubject, Limit, Stock


class Availability(NamedTuple):
    """What may be promised of one SKU. Unless `known`, everything else is 0.

    `first_expire_time_ns` is when the first held unit comes back unless sold or extended; None when
    none is held.
    """

    sku: str
    known: bool
    available: int
    on_hand: int
    held: int
    first_expire_time_ns: int | None
    sequence: int


class StockPage(NamedTuple):
    """Some of the stock; `next_page_token` is empty after the last page."""

    stocks: tuple[Stock, ...]
    next_page_token: str


class CapPage(NamedTuple):
    """Some of the caps; `next_page_token` is empty after the last page."""

    caps: tuple[CapStatus, ...]
    next_page_token: str


class CapChange(NamedTuple):
    """A cap as it was set, and the sequence from which it holds."""

    status: CapStatus
    sequence: int


class OutcomeCount(NamedTuple):
    """How often a method gave an outcome since the server started."""

    method: str
    outcome: str
    calls: int


class CapUse(NamedTuple):
    """A cap at work: how many commands it refused, or would have in shadow mode."""

    cap_id: str
    subject: CapSubject
    limit: int | None
    mode: CapMode
    refused: int
    shadow_refused: int


class Setting(NamedTuple):
    """One setting of the server, in force; `changed` when it is not the default."""

    name: str
    value: str
    changed: bool


class Snapshot(NamedTuple):
    """The whole state after one change, as a file of the data directory.

    `longest_stall_ns`: the longest that a command may have waited for it.
    """

    name: str
    sequence: int
    create_time_ns: int
    size_bytes: int
    duration_ns: int
    longest_stall_ns: int


class Recovery(NamedTuple):
    """What a start found in the data directory.

    `snapshot` is empty when there was none, `damaged_snapshots` says what was wrong with those
    passed over, `passed_damage` where the journal was in places that the snapshot has. `expired`
    counts holds whose time passed meanwhile. `torn_bytes` were cut off the journal's end and kept
    in `torn_copy`. `digest` is of the state before anything expired.
    """

    snapshot: str
    damaged_snapshots: tuple[str, ...]
    replayed_records: int
    expired: int
    torn_bytes: int
    torn_copy: str
    duration_ns: int
    digest: str
    sequence: int
    passed_damage: tuple[str, ...] = ()


class JournalStatus(NamedTuple):
    """How what happened is remembered.

    `durability` is sync, interval or off; `waiting_records` were made and are not yet durable.
    `sync_p50_ns` and `sync_p99_ns` are over the last 4,096 syncs, `sync_most_ns` since the start.
    `refusing_reason` is empty unless new holds are refused, `snapshot_error` unless the last
    snapshot could not be written.
    """

    directory: str
    durability: str
    durable_sequence: int
    waiting_records: int
    waiting_bytes: int
    sync_p50_ns: int
    sync_p99_ns: int
    sync_most_ns: int
    syncs: int
    segments: int
    journal_bytes: int
    first_sequence: int
    free_bytes: int
    refusing_reason: str
    last_snapshot: Snapshot | None
    snapshot_error: str
    last_recovery: Recovery | None
    watches: int


class ServerStatus(NamedTuple):
    """How a server is: counters, how often each outcome was given, bounds, settings, journal.

    `clock_drift_ns`: how far the system's clock is ahead of the server's, which follows slowly.
    `journal` is None for a server that has none; `metrics_address` is empty when metrics are off.
    """

    version: str
    start_time_ns: int | None
    sequence: int
    skus: int
    live_holds: int
    ended_reservations: int
    receipts: int
    cap_counters: int
    caps: int
    engine_bytes: int
    outcome_counts: tuple[OutcomeCount, ...]
    limits: tuple[Limit, ...]
    settings: tuple[Setting, ...]
    clock_drift_ns: int
    journal: JournalStatus | None = None
    metrics_address: str = ""
