"""Everything in a data directory looked at, from end to end: what a check tells and a repair needs.

Owns what a finding is. Changes nothing. What it says may be read beside the process that owns the
directory, if `is_owned` says so: then nothing is said of the end that is being written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from atp._core import Engine
from atp.journal import _native
from atp.journal.directory import Places, read_store
from atp.journal.errors import EventRefused, FutureVersion, SnapshotDamaged, StoreDamaged
from atp.journal.scan import Flaw, Run, scan_journal
from atp.journal.segments import (
    HeaderDamaged,
    Segment,
    list_segments,
    read_header,
    read_synced,
)
from atp.journal.snapshots import SnapshotFile, list_snapshots, load_file


class SurveyedSnapshot(NamedTuple):
    """A snapshot, and what is wrong with it; empty: nothing."""

    file: SnapshotFile
    fault: str


class Survey(NamedTuple):
    """What there is. `refused` is the first change that does not fit the state before it."""

    places: Places
    store_id: bytes
    store_fault: str
    segments: tuple[Segment, ...]
    runs: tuple[Run, ...]
    flaws: tuple[Flaw, ...]
    snapshots: tuple[SurveyedSnapshot, ...]
    synced: int
    refused: Flaw | None

    @property
    def base(self) -> int:
        """The last change that the newest sound snapshot has; 0: there is none."""
        return max((one.file.sequence for one in self.snapshots if not one.fault), default=0)

    def notes(self) -> Iterator[str]:
        """What a start mends by itself."""
        return (flaw.text() for flaw in self.flaws if flaw.is_torn)

    def findings(self) -> Iterator[str]:
        """All that is wrong, one line each."""
        if self.store_fault:
            yield self.store_fault
        for flaw in self.flaws:
            if not flaw.is_torn:
                yield flaw.text() + self._covered(flaw)
        if self.refused is not None:
            yield self.refused.text()
        for one in self.snapshots:
            if one.fault:
                yield f"{one.file.path}: {one.fault}"
        yield from self._ends()

    def _covered(self, flaw: Flaw) -> str:
        known = max(flaw.last_lost, flaw.expected)
        return ", but for a snapshot, which has them" if known <= self.base else ""

    def _ends(self) -> Iterator[str]:
        """What is missing before the first segment, or when there is none."""
        oldest = min((one.file.sequence for one in self.snapshots if not one.fault), default=0)
        if not self.segments:
            if self.synced > self.base or (self.base and not self.synced):
                yield f"{self.places.journal}: there is no segment"
            return
        first = self.segments[0].first_sequence
        if first > oldest + 1:
            begin = f"the snapshot of change {oldest}" if oldest else "the first change"
            yield (
                f"{self.segments[0].path}: begins with change {first}; the changes from {begin} on"
                " are not there"
            )


def survey(places: Places, *, is_owned: bool = False) -> Survey:
    """Looks at everything. Raises FutureVersion, OSError."""
    synced_before = 0
    store_id, store_fault = _store(places)
    if is_owned:
        synced_before = read_synced(places.journal, store_id)
    segments = list_segments(places.journal) if places.journal.is_dir() else []
    synced = synced_before if is_owned else _mark(places, store_id)
    found = list(scan_journal(segments, store_id, synced))
    runs = [one for one in found if isinstance(one, Run)]
    flaws = [one for one in found if isinstance(one, Flaw)]
    if is_owned:
        flaws = [one for one in flaws if not one.is_torn]
    snapshots, engine = _snapshots(places, store_id)
    return Survey(
        places=places,
        store_id=store_id,
        store_fault=store_fault,
        segments=tuple(segments),
        runs=tuple(runs),
        flaws=tuple(flaws),
        snapshots=tuple(snapshots),
        synced=synced,
        refused=_refused(engine, runs),
    )


def _mark(places: Places, store_id: bytes) -> int:
    return read_synced(places.journal, store_id) if places.journal.is_dir() else 0


def _store(places: Places) -> tuple[bytes, str]:
    """Which store it is: by STORE or, without it, by what most segments say."""
    try:
        return read_store(places).store_id, ""
    except StoreDamaged as damaged:
        fault = str(damaged)
    except FileNotFoundError:
        fault = f"{places.store} is missing"
    said: Counter[bytes] = Counter()
    for segment in list_segments(places.journal) if places.journal.is_dir() else []:
        try:
            said[read_header(segment.path).store_id] += 1
        except (HeaderDamaged, FutureVersion):
            continue
    return (said.most_common(1)[0][0] if said else b"\0" * 16), fault


def _snapshots(places: Places, store_id: bytes) -> tuple[list[SurveyedSnapshot], Engine]:
    """Every snapshot, oldest first, and an engine that has the newest sound one."""
    newest = Engine()
    found = []
    for file in list_snapshots(places.snapshots) if places.snapshots.is_dir() else []:
        engine = Engine()
        try:
            load_file(engine, file, store_id)
        except SnapshotDamaged as damaged:
            found.append(SurveyedSnapshot(file, str(damaged)))
        except FileNotFoundError:
            continue  # its owner has let it go
        else:
            found.append(SurveyedSnapshot(file, ""))
            newest = engine
    return found, newest


def chain_from(runs: list[Run], sequence: int) -> list[Run]:
    """The runs that go on from a change without a gap, as far as they do.

    Where there are two of the same changes, as an interrupted repair leaves them, it is the later.
    """
    latest = {run.first: run for run in runs}
    begins = [run for run in runs if run.first <= sequence + 1 <= run.last + 1]
    chain = begins[-1:]
    while chain and chain[-1].last + 1 in latest:
        chain.append(latest[chain[-1].last + 1])
    return chain


def _refused(engine: Engine, runs: list[Run]) -> Flaw | None:
    """The first change that can't be applied, though its record is sound."""
    held: Path | None = None
    data = b""
    for run in chain_from(runs, engine.status().sequence):
        if run.path != held:
            held, data = run.path, run.path.read_bytes()
        try:
            _native.replay(engine, data, offset=run.offset, first_sequence=run.first)
        except EventRefused as refused:
            sequence = refused.sequence
            return Flaw(run.path, refused.offset, run.end, sequence, sequence, str(refused))
    return None
