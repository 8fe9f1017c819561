"""What the journal tells operators, as messages of atp.v1.

Owns the translation of its status, its snapshots and its recovery; pure functions. The rest of the
protos is convert.py's.
"""

from __future__ import annotations

from atp.journal.report import JournalStatus, RecoveryReport, SnapshotInfo
from atp.server.convert import duration, timestamp
from atp.v1 import maintenance_service_pb2 as pb


def journal_status(words: JournalStatus, watch_count: int) -> pb.JournalStatus:
    """How what happened is remembered."""
    last = words.last_snapshot
    return pb.JournalStatus(
        directory=words.directory,
        durability=words.durability,
        durable_sequence=words.durable_sequence,
        waiting_record_count=words.waiting_record_count,
        waiting_bytes=words.waiting_bytes,
        sync_p50=duration(words.sync_p50_ns),
        sync_p99=duration(words.sync_p99_ns),
        sync_most=duration(words.sync_most_ns),
        sync_count=words.sync_count,
        segment_count=words.segment_count,
        journal_bytes=words.journal_bytes,
        first_sequence=words.first_sequence,
        free_bytes=words.free_bytes,
        refusing_reason=words.refusing_reason,
        last_snapshot=None if last is None else snapshot(last),
        snapshot_error=words.snapshot_error,
        last_recovery=recovery(words.last_recovery),
        watch_count=watch_count,
    )


def snapshot(words: SnapshotInfo) -> pb.Snapshot:
    """A snapshot of the whole state."""
    return pb.Snapshot(
        name=words.name,
        sequence=words.sequence,
        create_time=timestamp(words.create_time_ns),
        size_bytes=words.size_bytes,
        duration=duration(words.duration_ns),
        longest_stall=duration(words.longest_stall_ns),
    )


def recovery(words: RecoveryReport) -> pb.Recovery:
    """What a start found."""
    return pb.Recovery(
        snapshot=words.snapshot,
        damaged_snapshots=words.damaged_snapshots,
        replayed_record_count=words.replayed_record_count,
        expired_count=words.expired_count,
        torn_bytes=words.torn_bytes,
        torn_copy=words.torn_copy,
        duration=duration(words.duration_ns),
        digest=words.digest,
        sequence=words.sequence,
        passed_damage=words.passed_damage,
    )
