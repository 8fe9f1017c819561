"""The journal as the server knows it: opened with the engine that it remembers for, and closed.

Owns the order of opening and closing, the committer's threads, and what is told of it all. Decides
nothing about stock; the committer itself is native (writer.h).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from atp._core import Engine
from atp.journal._native import Writer
from atp.journal.directory import Directory
from atp.journal.recovery import Recovered, recover
from atp.journal.report import JournalStatus, RecoveryReport, SnapshotInfo
from atp.journal.segments import HEADER_BYTES, Segment, list_segments
from atp.journal.snapshots import Keeping, Snapshots

_REASONS = (
    "",
    "the disk has no room for another segment: new holds are refused",
    "the disk is full: every change is refused",
)
_BEHIND = "more changes wait to be written than journal.backlog_bytes_max allows"


class Options(NamedTuple):
    """Where the journal is and how it remembers; the settings of the same names."""

    directory: Path
    durability: str = "sync"
    sync_interval_ns: int = 50_000_000
    segment_bytes: int = 64 << 20
    backlog_bytes_max: int = 64 << 20
    room_kept_bytes: int = 0
    keep_segments_ns: int = 0
    snapshot_bytes: int = 256 << 20
    snapshot_interval_ns: int = 3_600_000_000_000
    snapshots_kept: int = 2


class Journal:
    """Remembers what one engine does, in one data directory."""

    def __init__(
        self,
        options: Options,
        directory: Directory,
        recovered: Recovered,
        now_ns: int,
    ) -> None:
        """Goes on after what was recovered; use open_journal()."""
        engine, recovery, last = recovered
        self.options = options
        self.directory = directory
        self.engine = engine
        self.recovery = recovery
        self.writer = Writer(
            engine,
            directory.places.path,
            directory.store.store_id,
            next_sequence=recovery.sequence + 1,
            now_ns=now_ns,
            segment_bytes=options.segment_bytes,
            durability=options.durability,
            sync_interval_ns=options.sync_interval_ns,
            backlog_bytes_max=options.backlog_bytes_max,
            room_kept_bytes=options.room_kept_bytes,
        )
        self.snapshots = Snapshots(
            directory.places,
            directory.store.store_id,
            engine,
            self.writer,
            Keeping(
                options.snapshot_bytes,
                options.snapshot_interval_ns,
                options.snapshots_kept,
                options.keep_segments_ns,
                options.room_kept_bytes + 2 * options.segment_bytes,
            ),
            last=last,
            now_ns=now_ns,
        )
        self._threads: list[threading.Thread] = []

    @property
    def durable(self) -> int:
        """The last change that is durable."""
        return self.writer.durable

    @property
    def tellable(self) -> int:
        """The last change that may be told to those who follow what happens.

        It is durable; where nothing is promised (durability off), it is in its segment.
        """
        off = self.options.durability == "off"
        return self.writer.written if off else self.writer.durable

    def start(self, on_failure: Callable[[OSError], None]) -> None:
        """Starts the committer.

        `on_failure` is called, in the committer's thread, when a write or a sync failed: the
        process must end, because memory is ahead of the disk and stays so.
        """

        def commit() -> None:
            try:
                self.writer.run()
            except OSError as error:
                on_failure(error)

        for name, target in (("commit", commit), ("run-ahead", self.writer.run_ahead)):
            thread = threading.Thread(target=target, name=f"journal-{name}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def wait_for(self, sequence: int) -> bool:
        """Must an answer wait that tells of this change, or lets it be seen?

        False when it is durable, and always when answers don't wait for the disk.
        """
        return self.options.durability == "sync" and sequence > self.writer.durable

    def status(self) -> JournalStatus:
        """How what happened is remembered, and what it costs."""
        told = self.writer.statistics()
        places = self.directory.places
        segments = list_segments(places.journal)
        sealed = sum(map(_bytes_of_records, segments[:-1]))
        return JournalStatus(
            directory=str(places.path),
            durability=self.options.durability,
            durable_sequence=told.durable,
            waiting_record_count=told.waiting_records,
            waiting_bytes=told.waiting_bytes,
            sync_p50_ns=told.sync_p50_ns,
            sync_p99_ns=told.sync_p99_ns,
            sync_most_ns=told.sync_most_ns,
            sync_count=told.syncs,
            segment_count=len(segments),
            journal_bytes=sealed + told.segment_bytes - HEADER_BYTES,
            first_sequence=segments[0].first_sequence,
            free_bytes=self.free_bytes(),
            refusing_reason=_BEHIND if told.is_behind else _REASONS[told.space_level],
            last_snapshot=self.snapshots.last,
            snapshot_error=self.snapshots.error,
            last_recovery=self.recovery,
        )

    def free_bytes(self) -> int:
        """Bytes free on the file system of the data directory. Raises OSError."""
        disk = os.statvfs(self.directory.places.path)
        return disk.f_bavail * disk.f_frsize

    def tend(self, now_ns: int) -> None:
        """Looks after room and what is due, once. For a thread, about every second.

        Blocks on the disk, but not for a snapshot: that has a thread of its own.
        """
        self.writer.tend()
        self.snapshots.tend(now_ns)

    def snapshot(self, now_ns: int) -> SnapshotInfo:
        """Takes a snapshot and answers when it is in place. Blocks; calls go on meanwhile.

        Raises OSError, SnapshotFailed; the journal is none the worse for it.
        """
        return self.snapshots.take(now_ns)

    def close(self, now_ns: int, snapshot: bool = True) -> None:
        """Makes everything durable, and gives the directory back. Nothing may change any more.

        A snapshot that cannot be taken is one less. Raises OSError when the last changes could not
        be written.
        """
        self.writer.stop()
        for thread in self._threads:
            thread.join()
        self.snapshots.close(now_ns, last=snapshot)
        self.directory.close()
        self.writer.run()  # ends at once, and raises what was in the way


def _bytes_of_records(segment: Segment) -> int:
    """Of a sealed segment; 0 when it was removed meanwhile."""
    try:
        return segment.path.stat().st_size - HEADER_BYTES
    except FileNotFoundError:
        return 0


def open_journal(
    options: Options, engine_bounds: Mapping[str, int], *, now_ns: int, owner_text: str
) -> tuple[Engine, Journal, RecoveryReport]:
    """Takes the data directory, recovers its state into a new engine, and goes on remembering.

    `engine_bounds` are keywords of Engine. Raises DirectoryBusy, FutureVersion, StoreDamaged,
    JournalDamaged, OSError: each with one line that says what to do.
    """
    directory = Directory(options.directory, now_ns=now_ns, owner_text=owner_text)
    try:
        recovered = recover(
            directory.places,
            directory.store.store_id,
            lambda: Engine(**engine_bounds, record_events=True),
            now_ns=now_ns,
        )
        return recovered.engine, Journal(options, directory, recovered, now_ns), recovered.report
    except BaseException:
        directory.close()
        raise
