"""Typed face of the journal's compiled unit."""

import os
from pathlib import Path
from typing import NamedTuple, final

from _typeshed import ReadableBuffer

from atp._core import Engine
from atp.journal.snapshot_facts import SnapshotLoaded, SnapshotWritten

def checksum(data: ReadableBuffer) -> int:
    """XXH3-64 of bytes: the checksum of every record, header and mark."""

class WriterStatistics(NamedTuple):
    """What the committer has done, and what waits."""

    durable: int
    """The last sequence that a sync has covered."""
    written: int
    """The last sequence that was given to the system."""
    waiting_records: int
    """Changes made and not yet durable."""
    waiting_bytes: int
    """Bytes of those."""
    syncs: int
    """Syncs since the start."""
    sync_p50_ns: int
    """Time that a sync took, over the last 4,096: median."""
    sync_p99_ns: int
    """The same: 99 of 100 took less."""
    sync_most_ns: int
    """The longest since the start."""
    written_bytes: int
    """Bytes of records written since the start."""
    segment_bytes: int
    """Bytes of the segment in use: its header and records."""
    space_level: int
    """What room on the disk lets pass: 0 all, 1 no new holds, 2 no change."""
    is_behind: bool
    """More waits to be written than is allowed: no change passes."""
    sync_counts: tuple[int, ...]
    """How many syncs took how long since the start, by the bounds of atp._front.TIME_BOUNDS_NS."""
    sync_sum_ns: int
    lag_ns: int
    """How long the oldest change that is not durable has been waited for."""

@final
class Writer:
    """The committer of one engine: all its changes into the segments of one directory."""

    def __init__(
        self,
        engine: Engine,
        directory: str | os.PathLike[str],
        store_id: bytes,
        *,
        next_sequence: int,
        now_ns: int,
        segment_bytes: int,
        durability: str,
        sync_interval_ns: int,
        backlog_bytes_max: int,
        room_kept_bytes: int = 0,
        inline_commits: bool = True,
    ) -> None:
        """Go on after the last record of DIRECTORY/journal, or begin its first segment.

        `next_sequence` is the engine's sequence + 1. `durability` is sync, interval or off. Below
        `room_kept_bytes` free on the disk new holds are refused. `inline_commits`: a thread in
        wait() may commit itself. Raises OSError, and ValueError when the last segment has
        something other than the records before `next_sequence`, and zeros: it is to be recovered
        first.
        """

    def run(self) -> None:
        """Commit for those who kick, and by the clock, without the GIL, until stop().

        Raises OSError when a write, a sync or a rename failed; nothing is called durable then, and
        the process must end.
        """

    def run_ahead(self) -> None:
        """Keep a spare segment beside the one in use, without the GIL, until stop(). In a thread of
        its own, which gives way to others from then on."""

    def tend(self) -> None:
        """Look after the spare segment and the room on the disk once, now."""

    def stop(self) -> None:
        """Write and sync what waits; run() and run_ahead() return."""

    def wait(self, sequence: int, timeout_ns: int, *, may_commit: bool = True) -> bool:
        """Wait, without the GIL, until a sequence is durable; False if it isn't in time.

        With `may_commit` this thread may go to the disk itself, and then the time is no bound.
        """

    def kick(self, sequence: int) -> None:
        """Say that somebody waits for a sequence; notify_fd will tell."""

    @property
    def durable(self) -> int:
        """The last sequence that a sync has covered."""

    @property
    def written(self) -> int:
        """The last sequence that was given to the system."""

    @property
    def notify_fd(self) -> int:
        """An eventfd: readable once `durable` moved on for someone who kicked."""

    def statistics(self) -> WriterStatistics:
        """What was done, and what waits."""

class ReplayResult(NamedTuple):
    """How far a replay came: `offset` is where the next record begins or would begin, `sequence`
    the last one applied or passed over, `records` how many were applied."""

    offset: int
    sequence: int
    records: int

def replay(
    engine: Engine,
    data: ReadableBuffer,
    *,
    offset: int,
    first_sequence: int,
    until: int | None = None,
) -> ReplayResult:
    """Apply the records that stand in `data` from `offset` on, the first of which has the sequence
    `first_sequence`, up to `until`; without the GIL.

    What the engine has already is passed over. Ends where no whole and sound record of the next
    sequence stands, and does not ask why. Records nothing, lets nothing expire. Raises EventRefused
    for an event that does not fit the state; what came before it is applied.
    """

def replay_file(engine: Engine, path: Path, *, offset: int, first_sequence: int) -> ReplayResult:
    """The same for the records of a file, which is read piece by piece. Raises EventRefused and,
    where it can't be read on, OSError; what came before that is applied.
    """

def record_of(sequence: int, event: bytes, behind: int = 1) -> bytes:
    """A journal record of one event (an encoded atp.v1.Event), as it lies in a segment."""

class Ending(NamedTuple):
    """What stands where the next record does not, in bytes of one segment."""

    verdict: str
    """clean: only zeros; torn: what a crash broke off; damaged: a change that was durable, or may
    have been, is missing."""
    rest_end: int
    """The offset after the last byte that is not zero."""
    next_offset: int
    """Where the next sound record is of the sequence expected or a later one."""
    next_sequence: int
    """Its sequence; 0: there is none."""
    last_sequence: int
    """The latest sound record there is after the place; 0: none."""
    durable_sequence: int
    """The latest change that is known to have been durable: by the mark, or by a later record."""

def walk_records(data: ReadableBuffer, *, offset: int, sequence: int) -> tuple[int, int]:
    """Where the records end that stand one after another from `offset` on, the first with this
    sequence; and the sequence of the last of them."""

def find_record(data: ReadableBuffer, *, offset: int, sequence: int) -> tuple[int, int] | None:
    """Offset and sequence of the first sound record at any byte from `offset` on that has this
    sequence or a later one."""

def judge_end(
    data: ReadableBuffer, *, offset: int, expected: int, synced: int, is_last: bool
) -> Ending:
    """Judge what stands at `offset`, where the record `expected` does not. `synced` is the mark."""

class DumpedPart(NamedTuple):
    """Lines of JSON, and where and why they end: at the record of `sequence`, at `offset`."""

    text: bytes
    offset: int
    sequence: int
    end: str
    """all: no further record, or none wanted; some: bytes_most; cap: the next is a change of a cap;
    event: the next record is sound, but its event is malformed."""

def dump_records(
    data: ReadableBuffer, *, offset: int, sequence: int, first: int, last: int, bytes_most: int
) -> DumpedPart:
    """One line of JSON for each record from `offset` on, the first of which has `sequence`, as far
    as their sequences are from `first` to `last`; without the GIL."""

def monotonic_ns() -> int:
    """Nanoseconds of a clock that only tells how long something takes."""

def write_snapshot(engine: Engine, fd: int, *, store_id: bytes, now_ns: int) -> SnapshotWritten:
    """Write the state after exactly one sequence to a file, from its first byte on, while others go
    on changing the engine; without the GIL. Does not sync.

    `store_id` has 16 bytes, `now_ns` is by the clock on the wall. Raises SnapshotBusy, OSError (the
    disk), SnapshotFailed (no memory for what changes meanwhile); then the file is worth nothing.
    """

def load_snapshot(
    engine: Engine, source: ReadableBuffer | int, *, store_id: bytes, path: Path
) -> SnapshotLoaded:
    """Load a snapshot into a fresh engine; without the GIL, with all cores.

    `source` is its bytes, or a file open for reading; `path` is only told.

    Raises SnapshotDamaged, FutureVersion, MemoryError, and then the engine is of no use any more;
    ValueError for an engine that is not fresh.
    """

def state_digest(engine: Engine, now_ns: int | None = None) -> str:
    """The digest of the state as it is: nothing expires for being asked. At the engine's own time,
    or at `now_ns`, which is no earlier. With all cores; every shard is locked. Raises MemoryError.
    """

def pack_records(data: bytes, next: int, first: int, last: int) -> tuple[bytes, int, int, int]:
    """Packs records as one atp.v1.WatchResponse: those from `first` up to `last`, in order.

    `data` begins with the record whose sequence is `next`. Returns the message (empty when no event
    is in it), the events in it, the sequence expected after the last record read, and the bytes
    read. Stops early where no whole and sound record of the expected sequence stands.
    """
