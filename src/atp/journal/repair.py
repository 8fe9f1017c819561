"""Making a damaged directory one that a start takes: what is kept, what is cut, and what is lost.

Owns the plan and the doing of it. Destroys nothing: whatever leaves the journal is copied to
DIR/cut first. Done again after an interruption, it comes to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from atp.journal import _native
from atp.journal.cutting import copy_whole, cut_tail, take_out
from atp.journal.directory import STORE_VERSION, Store, store_text, sync_folder, write_durably
from atp.journal.scan import Run
from atp.journal.segments import (
    HEADER,
    HEADER_BYTES,
    MARK_NAME,
    SEGMENT_MAGIC,
    SEGMENT_VERSION,
    HeaderDamaged,
    Segment,
    read_header,
    segment_name,
    write_synced,
)
from atp.journal.survey import Survey, chain_from


class Step(NamedTuple):
    """One thing to do, in words, and how."""

    text: str
    do: Callable[[], object]


class Plan(NamedTuple):
    """What a repair does.

    After it `last` is the last change; `last_lost` is the last one that is known to have been made
    (no more than `last`: none is lost).
    """

    steps: tuple[Step, ...]
    last: int
    last_lost: int

    def lost(self) -> str:
        """Which changes are gone, in words."""
        first = self.last + 1
        if self.last_lost < first:
            return "no change is lost"
        if self.last_lost == first:
            return f"change {first} is lost"
        return f"the changes {first} to {self.last_lost} are lost"


def plan(found: Survey, *, now_ns: int) -> Plan:
    """What to do about what a survey found. Changes nothing."""
    kept = _kept(found)
    end = kept[-1].last if kept else 0
    last = max(end, found.base)
    known = [found.synced, *(run.last for run in found.runs)]
    known += [flaw.last_lost for flaw in found.flaws if not flaw.is_torn]
    steps: list[Step] = []
    steps += _store_steps(found, now_ns)
    for segment in found.segments:
        steps += _segment_steps(found, segment, [run for run in kept if run.path == segment.path])
    steps += _snapshot_steps(found, kept)
    if found.synced > last or (last and not found.synced and not kept):
        text = f"{found.places.journal / MARK_NAME}: says {last}, what is left"
        steps.append(Step(text, partial(write_synced, found.places.journal, found.store_id, last)))
    return Plan(tuple(steps), last, max([last, *known]))


def carry_out(made: Plan) -> Iterator[str]:
    """Does it, step by step; yields what each was."""
    for step in made.steps:
        step.do()
        yield step.text


def _kept(found: Survey) -> list[Run]:
    """The runs that stay: those that go on from the newest sound snapshot, or from the first
    change, and those that lead there without a gap."""
    runs = list(found.runs)
    if found.refused is not None:
        runs = list(_before(runs, found.refused.expected, found.refused.offset))
    kept = chain_from(runs, found.base)
    latest = {run.last: run for run in runs}
    while kept and kept[0].first - 1 in latest:
        kept.insert(0, latest[kept[0].first - 1])
    return kept


def _before(runs: list[Run], sequence: int, offset: int) -> Iterator[Run]:
    """The runs up to a change, which is at this offset of its segment, without it."""
    for run in runs:
        if run.first <= sequence <= run.last:
            if run.first < sequence:
                yield run._replace(last=sequence - 1, end=offset)
            return
        yield run


def _segment_steps(found: Survey, segment: Segment, kept: list[Run]) -> Iterator[Step]:
    """What becomes of one segment."""
    path = segment.path
    flaws = [flaw for flaw in found.flaws if flaw.path == path]
    cut_runs = [run for run in found.runs if run.path == path and run not in kept]
    if not kept:
        is_waiting = not flaws and not cut_runs and segment is found.segments[-1]
        if not is_waiting:
            yield _take_out(found, path, "its changes do not go on from what is there")
    elif _begins_right(found, segment, kept[0]) and len(kept) == 1:
        ends = [kept[0].end, *(flaw.end for flaw in flaws), *(run.end for run in cut_runs)]
        end = max(ends)
        if end > kept[0].end:
            text = f"{path}: cut at byte {kept[0].end:,}, after change {kept[0].last}"
            cut = partial(cut_tail, found.places, path, kept[0].end, end, "cut by a repair")
            yield Step(text, cut)
    elif flaws or cut_runs:
        yield from _rewrite(found, segment, kept)


def _begins_right(found: Survey, segment: Segment, run: Run) -> bool:
    """Does the segment begin with this run, under a sound header?"""
    if run.offset != HEADER_BYTES or run.first != segment.first_sequence:
        return False
    try:
        return read_header(segment.path).store_id == found.store_id
    except HeaderDamaged:
        return False


def _rewrite(found: Survey, segment: Segment, kept: list[Run]) -> Iterator[Step]:
    """Segments of their own for the runs that are kept of one, and the old one out of the way.

    New files come first, so that nothing is missing whenever this is interrupted.
    """
    path = segment.path
    names = [segment_name(run.first) for run in kept]
    if path.name in names:
        yield Step(
            f"{path}: copied to {found.places.cut}",
            partial(copy_whole, found.places, path, "rewritten by a repair"),
        )
    for run, name in sorted(zip(kept, names, strict=True), reverse=True):
        yield Step(
            f"{path.with_name(name)}: written anew with the changes {run.first} to {run.last}",
            partial(_write_segment, found, run, path.with_name(name)),
        )
    if path.name not in names:
        yield _take_out(found, path, "its sound changes are in segments of their own")


def _write_segment(found: Survey, run: Run, path: Path) -> None:
    data = run.path.read_bytes()[run.offset : run.end]
    head = HEADER.pack(
        SEGMENT_MAGIC, SEGMENT_VERSION, 0, found.store_id, run.first, _create_time(run.path), 0, 0
    )[:-8]
    write_durably(path, head + _native.checksum(head).to_bytes(8, "little") + data)


def _create_time(path: Path) -> int:
    """As the header says, whatever else is wrong with it; 0 when it can't be read."""
    try:
        return read_header(path).create_time_ns
    except HeaderDamaged:
        return 0


def _take_out(found: Survey, path: Path, why: str) -> Step:
    return Step(f"{path}: moved to {found.places.cut}", partial(take_out, found.places, path, why))


def _snapshot_steps(found: Survey, kept: list[Run]) -> Iterator[Step]:
    """Snapshots that are damaged, and those from which the journal no longer goes on."""
    first = kept[0].first if kept else found.base + 1
    for one in found.snapshots:
        path, sequence = one.file.path, one.file.sequence
        if one.fault:
            yield _take_out(found, path, one.fault)
        elif sequence + 1 < first and sequence != found.base:
            yield _take_out(found, path, "the changes after it are not there")


def _store_steps(found: Survey, now_ns: int) -> Iterator[Step]:
    """STORE made again from what the segments say."""
    if not found.store_fault or not any(found.store_id):
        return
    path = found.places.store
    if path.exists():
        yield _take_out(found, path, "damaged")
    store = Store(found.store_id, STORE_VERSION, now_ns)
    yield Step(
        f"{path}: made again, from what the segments say",
        partial(write_durably, path, store_text(store)),
    )


def finish(found: Survey) -> None:
    """Makes the names in the folders durable."""
    for folder in (found.places.journal, found.places.snapshots, found.places.cut):
        if folder.is_dir():
            sync_folder(folder)
