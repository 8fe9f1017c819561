"""A start: the newest sound snapshot, then the journal, into an engine; and what was found.

Owns what a start may pass over and what stops it. What a crash broke off is cut, after a copy was
kept; a missing change that no snapshot has stops the start, and says which, where, and what to do.
Records nothing: what expires in the end is for the journal that goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from atp._core import Engine
from atp.journal import _native
from atp.journal.cutting import cut_tail, take_out
from atp.journal.directory import Places
from atp.journal.errors import EventRefused, JournalDamaged
from atp.journal.report import RecoveryReport, SnapshotInfo
from atp.journal.scan import (
    FOREIGN,
    Flaw,
    Place,
    Run,
    flaw_at,
    gap_before,
    headless,
    places_of,
    read_rest,
    scan_segment,
)
from atp.journal.segments import HEADER_BYTES, Segment, list_segments, read_synced
from atp.journal.snapshots import load_newest, remove_parts


class Found(NamedTuple):
    """What following the journal came upon."""

    records: int
    torn_bytes: int
    torn_copy: str
    passed: tuple[str, ...]


class Recovered(NamedTuple):
    """What a start goes on from; the snapshot is None when there was no sound one."""

    engine: Engine
    report: RecoveryReport
    snapshot: SnapshotInfo | None


def recover(
    places: Places, store_id: bytes, make_engine: Callable[[], Engine], *, now_ns: int
) -> Recovered:
    """The state of a data directory that this process owns, in a new engine.

    `make_engine` makes one that records events; those of holds that expired until now are left in
    it. Raises JournalDamaged, FutureVersion, OSError; nothing was changed then.
    """
    begin = _native.monotonic_ns()
    engine, snapshot = load_newest(places.snapshots, store_id, make_engine)
    try:
        found = Follower(places, store_id, engine).follow()
    except JournalDamaged as stopped:
        told = [f"{file.path} is damaged, too, {reason}" for file, reason in snapshot.damaged]
        raise stopped.beside(told) from None
    sequence = engine.status().sequence
    digest = _native.state_digest(engine)
    expired = engine.sweep(now_ns=now_ns)
    for file, reason in snapshot.damaged:
        take_out(places, file.path, reason)
    remove_parts(places.snapshots)
    report = RecoveryReport(
        snapshot=snapshot.info.name if snapshot.info else "",
        damaged_snapshots=tuple(f"{file.path.name}: {why}" for file, why in snapshot.damaged),
        replayed_record_count=found.records,
        expired_count=expired,
        torn_bytes=found.torn_bytes,
        torn_copy=found.torn_copy,
        passed_damage=found.passed,
        duration_ns=_native.monotonic_ns() - begin,
        digest=digest,
        sequence=sequence,
    )
    return Recovered(engine, report, snapshot.info)


def needed(segments: list[Segment], sequence: int) -> list[Segment]:
    """The segments that may have changes after this one."""
    begins = [number for number, one in enumerate(segments) if one.first_sequence <= sequence + 1]
    return segments[begins[-1] :] if begins else segments


class Follower:
    """Applies the journal to an engine that has what a snapshot had, or nothing.

    With `mends` false nothing in the directory is changed, whatever is found.
    """

    def __init__(
        self, places: Places, store_id: bytes, engine: Engine, *, mends: bool = True
    ) -> None:
        self.places = places
        self.store_id = store_id
        self.engine = engine
        self.mends = mends
        self.synced = read_synced(places.journal, store_id)
        self.records = 0
        self.torn_bytes = 0
        self.torn_copy = ""
        self.passed: list[str] = []

    @property
    def sequence(self) -> int:
        """The last change that the engine has."""
        return self.engine.status().sequence

    def follow(self) -> Found:
        """To the end of the journal. Raises JournalDamaged, FutureVersion, OSError."""
        segments = needed(list_segments(self.places.journal), self.sequence)
        if not segments:
            self.follow_nothing()
        elif segments[0].first_sequence > self.sequence + 1:
            self.pass_over(gap_before(segments[0], self.sequence + 1))
        expected = segments[0].first_sequence if segments else 0
        for place in places_of(segments):
            self.pass_over(gap_before(place.segment, expected))
            fault = headless(place, self.store_id)
            if fault is not None:
                self.drop(place, fault)
                continue
            if place.following is not None:
                fetch(place.following)
            expected = self.follow_segment(place) + 1
        return Found(self.records, self.torn_bytes, self.torn_copy, tuple(self.passed))

    def follow_nothing(self) -> None:
        """There is no segment: usual for a new store only, because one is always in use."""
        known = max(self.synced, self.sequence)
        flaw = Flaw(self.places.journal, 0, 0, self.sequence + 1, known, "there is no segment")
        if known > self.sequence or (self.sequence and not self.synced):
            raise self.damaged(flaw)
        if known:
            self.passed.append(f"{flaw.text()}; the snapshot has all that is known to have been")

    def follow_segment(self, place: Place) -> int:
        """Applies one segment. Returns the last change in it, or that is to be there."""
        path, sequence = place.segment.path, place.segment.first_sequence
        offset = HEADER_BYTES
        while True:
            done = self.replay(path, offset, sequence)
            rest = read_rest(path, done.offset)
            flaw = flaw_at(place, rest, done.offset, done.sequence + 1, self.synced)
            if flaw is None:
                return done.sequence
            if flaw.is_torn:
                self.cut(flaw)
                return done.sequence
            self.pass_over(flaw)
            if flaw.resume is None:
                if place.is_last:
                    self.cut(flaw)
                return flaw.last_lost
            offset, sequence = flaw.resume

    def replay(self, path: Path, offset: int, sequence: int) -> _native.ReplayResult:
        """Applies records as far as they go."""
        try:
            done = _native.replay_file(self.engine, path, offset=offset, first_sequence=sequence)
        except EventRefused as refused:
            flaw = Flaw(
                path,
                refused.offset,
                path.stat().st_size,
                refused.sequence,
                refused.sequence,
                f"{refused}",
            )
            raise self.damaged(flaw) from refused
        self.records += done.records
        return done

    def pass_over(self, flaw: Flaw | None) -> None:
        """What the engine has already does not matter. Raises JournalDamaged for anything else."""
        if flaw is None:
            return
        if max(flaw.last_lost, flaw.expected) > self.sequence:
            raise self.damaged(flaw)
        self.passed.append(f"{flaw.text()}, but for the snapshot, which has them")

    def drop(self, place: Place, fault: Flaw) -> None:
        """A segment without a sound header; the last one is not missed if all in it is known."""
        last = fault.last_lost
        if place.is_last:
            data = place.segment.path.read_bytes()
            found = [] if fault.what == FOREIGN else scan_segment(place, data, self.synced)
            last = max([last, self.synced, *(one.last for one in found if isinstance(one, Run))])
        if last > self.sequence or not place.is_last:
            raise self.damaged(fault)
        self.passed.append(f"{fault.text()}; the snapshot has all that was in it")
        if self.mends:
            take_out(self.places, place.segment.path, fault.what)

    def cut(self, flaw: Flaw) -> None:
        """Cuts the end of the last segment, after a copy was kept."""
        self.torn_bytes = flaw.end - flaw.offset
        if self.mends and self.torn_bytes:
            copy = cut_tail(self.places, flaw.path, flaw.offset, flaw.end, flaw.what)
            self.torn_copy = str(copy)

    def damaged(self, flaw: Flaw) -> JournalDamaged:
        """Why the start ends here."""
        return JournalDamaged(
            self.places.path,
            flaw.text(),
            path=flaw.path,
            offset=flaw.offset,
            first_lost=flaw.expected,
            last_lost=flaw.last_lost,
        )


def fetch(segment: Segment) -> None:
    """Has the system read a segment into memory meanwhile."""
    file = os.open(segment.path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_WILLNEED)
    finally:
        os.close(file)
