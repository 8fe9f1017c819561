"""The snapshots of a data directory: their names, when one is due, and how long they are kept.

Owns taking one so that it gets its name only when it and all the changes in it are durable; reading
the newest sound one at a start; and which snapshots and segments may go. What is in one is native
(engine/cut.pxd, journal/copying.pxd, journal/restoring.pxd).
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from atp._core import Engine
from atp.journal import _native
from atp.journal.directory import Places, sync_folder
from atp.journal.errors import SnapshotDamaged, SnapshotFailed
from atp.journal.report import SnapshotInfo
from atp.journal.segments import list_segments, remove_segments, unneeded

SUFFIX = ".snapshot"
PART = "next.snapshot.part"
AGAIN_NS = 60 * 10**9  # after one that failed
LET_GO_NS = 60 * 10**9  # from one look for what may go to the next
DURABLE_NS = 60 * 10**9  # how long the journal may take to become durable up to a snapshot


class SnapshotFile(NamedTuple):
    """One snapshot, by its name."""

    path: Path
    sequence: int


class SnapshotFound(NamedTuple):
    """What a start found: the newest sound snapshot, and the newer ones that are not sound."""

    info: SnapshotInfo | None
    damaged: tuple[tuple[SnapshotFile, str], ...]


def snapshot_name(sequence: int) -> str:
    """The name of the snapshot of the state after this change."""
    return f"{sequence:020}{SUFFIX}"


def list_snapshots(folder: Path) -> list[SnapshotFile]:
    """The snapshots of a folder, oldest first; other files are none."""
    names = (path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    return sorted(
        (SnapshotFile(path, int(path.stem)) for path in names if path.stem.isdigit()),
        key=lambda snapshot: snapshot.sequence,
    )


def remove_parts(folder: Path) -> None:
    """Removes what somebody who is gone began to write."""
    for path in folder.glob("*.part"):
        path.unlink(missing_ok=True)


def load_newest(
    folder: Path, store_id: bytes, make_engine: Callable[[], Engine]
) -> tuple[Engine, SnapshotFound]:
    """An engine with the state of the newest sound snapshot, or without any.

    Changes nothing. Raises FutureVersion, MemoryError, OSError (the folder).
    """
    damaged: list[tuple[SnapshotFile, str]] = []
    for snapshot in reversed(list_snapshots(folder)):
        engine = make_engine()
        try:
            return engine, SnapshotFound(load_file(engine, snapshot, store_id), tuple(damaged))
        except SnapshotDamaged as error:
            damaged.append((snapshot, str(error)))
        except OSError as error:
            damaged.append((snapshot, f"it can't be read: {error.strerror or error}"))
    return make_engine(), SnapshotFound(None, tuple(damaged))


def load_file(engine: Engine, snapshot: SnapshotFile, store_id: bytes) -> SnapshotInfo:
    """Loads one into a fresh engine, which is of no use any more when that fails.

    Raises SnapshotDamaged, FutureVersion, MemoryError, OSError.
    """
    with snapshot.path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
        told = _native.load_snapshot(engine, file.fileno(), store_id=store_id, path=snapshot.path)
    if told.sequence != snapshot.sequence:
        raise SnapshotDamaged(32, f"it is of change {told.sequence}, not of that of its name")
    return SnapshotInfo(
        snapshot.path.name, told.sequence, told.create_time_ns, size, duration_ns=0,
        longest_stall_ns=0,
    )  # fmt: skip


class Keeping(NamedTuple):
    """When a snapshot is due, and what is kept; the settings of the same meaning."""

    every_bytes: int
    every_ns: int
    kept: int
    segments_ns: int
    room_bytes: int


class Snapshots:
    """Takes the snapshots of one engine that a journal remembers."""

    def __init__(
        self,
        places: Places,
        store_id: bytes,
        engine: Engine,
        writer: _native.Writer,
        keeping: Keeping,
        *,
        last: SnapshotInfo | None,
        now_ns: int,
    ) -> None:
        """`last` is the snapshot that the start went on from."""
        self.last = last
        self.error = ""
        self.taken = 0
        """Since the start; so is `failed`."""
        self.failed = 0
        self._places = places
        self._store_id = store_id
        self._engine = engine
        self._writer = writer
        self._keeping = keeping
        self._one = threading.Lock()
        self._begin_ns = last.create_time_ns if last else now_ns
        self._not_before_ns = 0
        self._let_go_ns = 0
        self._thread: threading.Thread | None = None
        # What the journal has beyond the last snapshot: not counted from a segment's middle.
        since = last.sequence if last else 0
        segments = list_segments(places.journal)
        past = unneeded(segments, kept_sequence=since, now_ns=now_ns, keep_ns=0)
        self._bytes_before = sum(one.path.stat().st_size for one in segments[len(past) : -1])

    @property
    def is_running(self) -> bool:
        """Is one written right now?"""
        return self._one.locked()

    def is_due(self, now_ns: int) -> bool:
        """Is it time for one? Not when nothing has changed since the last one."""
        if self._one.locked() or now_ns < self._not_before_ns:
            return False
        if self._engine.status().sequence == (self.last.sequence if self.last else 0):
            return False
        if now_ns - self._begin_ns >= self._keeping.every_ns:
            return True
        written = self._bytes_before + self._writer.statistics().written_bytes
        return written >= self._keeping.every_bytes

    def take(self, now_ns: int) -> SnapshotInfo:
        """Takes one now; whoever comes meanwhile takes the next. Blocks; calls go on.

        Raises OSError, SnapshotFailed; then there is one snapshot less, and all else is as before.
        """
        with self._one:
            try:
                self._check_room()
                info = self._take(now_ns)
            except BaseException as error:
                self.error = str(error) or type(error).__name__
                self.failed += 1
                self._not_before_ns = now_ns + AGAIN_NS
                (self._places.snapshots / PART).unlink(missing_ok=True)
                raise
            self.error = ""
            self.taken += 1
            self._not_before_ns = 0
            self.last = info
            self._begin_ns = now_ns
            self.let_go(now_ns)
            return info

    def tend(self, now_ns: int) -> None:
        """Begins a snapshot when one is due, in a thread of its own; lets go of what is too old."""
        if self.is_due(now_ns):
            self._thread = threading.Thread(
                target=self._try, args=(now_ns,), name="journal-snapshot", daemon=True
            )
            self._thread.start()
        elif now_ns - self._let_go_ns >= LET_GO_NS and not self._one.locked():
            self.let_go(now_ns)

    def close(self, now_ns: int, *, last: bool) -> None:
        """Waits for what is under way; takes a last one if wanted and anything is new."""
        if self._thread is not None:
            self._thread.join()
        if last and self._engine.status().sequence != (self.last.sequence if self.last else 0):
            self._try(now_ns)

    def _try(self, now_ns: int) -> None:
        """For those who cannot be told; the status tells what was in the way."""
        with contextlib.suppress(OSError, SnapshotFailed):
            self.take(now_ns)

    def _check_room(self) -> None:
        """The journal's room is not for snapshots."""
        disk = os.statvfs(self._places.path)
        free = disk.f_bavail * disk.f_frsize
        needed = self._engine.status().bytes + self._keeping.room_bytes
        if free < needed:
            raise SnapshotFailed(
                f"{self._places.path} has {free >> 20} MiB free, and a snapshot may need"
                f" {needed >> 20} MiB with what is left for the journal"
            )

    def _take(self, now_ns: int) -> SnapshotInfo:
        begin = _native.monotonic_ns()
        part = self._places.snapshots / PART
        before = self._writer.statistics().written_bytes
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            told = _native.write_snapshot(
                self._engine, file, store_id=self._store_id, now_ns=now_ns
            )
            os.fsync(file)
        finally:
            os.close(file)
        # A snapshot with changes that the journal may still lose would make them come back.
        if not self._writer.wait(told.sequence, DURABLE_NS):
            raise SnapshotFailed(
                f"the journal did not become durable up to change {told.sequence} in time"
            )
        name = snapshot_name(told.sequence)
        part.rename(self._places.snapshots / name)
        sync_folder(self._places.snapshots)
        self._bytes_before = -before
        took = _native.monotonic_ns() - begin
        return SnapshotInfo(name, told.sequence, now_ns, told.size, took, told.held_most_ns)

    def let_go(self, now_ns: int) -> None:
        """Removes the snapshots that are not to be kept, then the segments that none needs.

        Until there are as many snapshots as are to be kept, all segments stay: the first one alone
        may be damaged, and then the journal from its beginning is what there is.
        """
        self._let_go_ns = now_ns
        kept = self._keeping.kept
        snapshots = list_snapshots(self._places.snapshots)
        for snapshot in snapshots[:-kept]:
            snapshot.path.unlink(missing_ok=True)
        if len(snapshots) > kept:
            sync_folder(self._places.snapshots)
        if len(snapshots) < kept:
            return
        oldest = snapshots[-kept].sequence
        segments = list_segments(self._places.journal)
        keep_ns = self._keeping.segments_ns
        going = unneeded(segments, kept_sequence=oldest, now_ns=now_ns, keep_ns=keep_ns)
        if going:
            # Whoever gave the snapshot its name may have been killed before that was durable.
            sync_folder(self._places.snapshots)
        with contextlib.suppress(FileNotFoundError):
            remove_segments(self._places.journal, going)
