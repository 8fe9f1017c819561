"""What the journal tells of itself: its status, a snapshot, a recovery.

Owns plain values, named as in proto/atp/v1/maintenance_service.proto; durations are nanoseconds.
Asks and decides nothing.
"""

from __future__ import annotations

from typing import NamedTuple


class SnapshotInfo(NamedTuple):
    """A snapshot: the whole state after one change."""

    name: str
    sequence: int
    create_time_ns: int
    size_bytes: int
    duration_ns: int
    longest_stall_ns: int


class RecoveryReport(NamedTuple):
    """What a start found in the data directory."""

    snapshot: str = ""
    damaged_snapshots: tuple[str, ...] = ()
    replayed_record_count: int = 0
    expired_count: int = 0
    torn_bytes: int = 0
    torn_copy: str = ""
    duration_ns: int = 0
    digest: str = ""
    sequence: int = 0
    passed_damage: tuple[str, ...] = ()


class JournalStatus(NamedTuple):
    """How what happened is remembered."""

    directory: str
    durability: str
    durable_sequence: int
    waiting_record_count: int
    waiting_bytes: int
    sync_p50_ns: int
    sync_p99_ns: int
    sync_most_ns: int
    sync_count: int
    segment_count: int
    journal_bytes: int
    first_sequence: int
    free_bytes: int
    refusing_reason: str
    last_snapshot: SnapshotInfo | None
    snapshot_error: str
    last_recovery: RecoveryReport
