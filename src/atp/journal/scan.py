"""What the segments of a journal hold: runs of sound records, and what is wrong between them.

Owns reading whole segments and putting into words what native code found in them (scan.h judges).
Changes nothing, and decides nothing about what a start may pass over.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from atp.journal import _native
from atp.journal.segments import HEADER_BYTES, HeaderDamaged, Segment, read_header

FOREIGN = "is of another store"
ZEROS = bytes(1 << 20)


def read_rest(path: Path, offset: int) -> bytes:
    """What stands in a segment from an offset on; nothing if it is zeros only. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        file.seek(offset)
        part = file.read(len(ZEROS))
        while part and part == ZEROS[: len(part)]:
            part = file.read(len(ZEROS))
        if not part:
            return b""
        file.seek(offset)
        return file.readall()


class Run(NamedTuple):
    """Sound records without a gap, from the change `first` to `last`, in [offset, end)."""

    path: Path
    first: int
    last: int
    offset: int
    end: int


class Flaw(NamedTuple):
    """A place in a segment where the next change does not stand.

    `expected` is that change, and `last_lost` the last one that is known to be lost with it
    (`expected` - 1: none is). `is_torn`: a crash alone explains it, and nobody was told of what is
    missing. Where records go on in the segment, `resume` has the offset and the change. `end` is
    after the last byte that is not zero.
    """

    path: Path
    offset: int
    end: int
    expected: int
    last_lost: int
    what: str
    is_torn: bool = False
    resume: tuple[int, int] | None = None

    def text(self) -> str:
        """One line: where, what, and what is lost."""
        return f"{self.path} at byte {self.offset:,}: {self.what}; {self.lost()}"

    def lost(self) -> str:
        """Which changes are known to be lost."""
        if self.is_torn:
            return "no change that was durable is lost"
        if self.last_lost < self.expected:
            return "no change is known to be lost"
        if self.last_lost == self.expected:
            return f"change {self.expected} is lost"
        return f"changes {self.expected} to {self.last_lost} are lost"


class Place(NamedTuple):
    """One segment among the others."""

    segment: Segment
    following: Segment | None

    @property
    def is_last(self) -> bool:
        """Is it the one that was in use?"""
        return self.following is None


def places_of(segments: Sequence[Segment]) -> list[Place]:
    """Segments, oldest first, each with the one after it."""
    following = [*segments[1:], None]
    return [Place(segment, following[number]) for number, segment in enumerate(segments)]


def headless(place: Place, store_id: bytes) -> Flaw | None:
    """What is wrong with a segment's header, if anything. Raises FutureVersion, OSError.

    A segment of another store holds no change of this one.
    """
    path, first = place.segment
    try:
        what = "" if read_header(path).store_id == store_id else FOREIGN
    except HeaderDamaged as damaged:
        what = str(damaged)
    if not what:
        return None
    last_lost = first - 1
    if what == FOREIGN and place.following is not None:
        last_lost = place.following.first_sequence - 1
    return Flaw(path, 0, HEADER_BYTES, first, last_lost, what)


def gap_before(segment: Segment, expected: int) -> Flaw | None:
    """What is missing, or there twice, between a segment and the change that should begin it."""
    first = segment.first_sequence
    if first == expected:
        return None
    what = f"it begins with change {first}, and {expected} should come next"
    return Flaw(segment.path, 0, 0, expected, first - 1, what)


def flaw_at(
    place: Place, rest: bytes | memoryview, offset: int, expected: int, synced: int
) -> Flaw | None:
    """What is wrong where the record of a change does not stand; None: there the records end.

    `rest` is what stands in the segment from that offset on.
    """
    path = place.segment.path
    ending = _native.judge_end(
        rest, offset=0, expected=expected, synced=synced, is_last=place.is_last
    )
    rest_end = offset + ending.rest_end
    if ending.verdict == "clean":
        return None
    if ending.verdict == "torn":
        what = "a crash broke off what was being written"
        return Flaw(path, offset, rest_end, expected, expected - 1, what, is_torn=True)
    resume = (offset + ending.next_offset, ending.next_sequence) if ending.next_sequence else None
    if resume is not None:
        last_lost = ending.next_sequence - 1
    elif place.following is not None:
        last_lost = place.following.first_sequence - 1
    else:
        last_lost = ending.durable_sequence
    what = f"there is no sound record of change {expected}"
    if rest_end == offset:
        what = f"the journal ends before change {expected}"
    return Flaw(path, offset, rest_end, expected, max(last_lost, expected - 1), what, resume=resume)


def scan_segment(place: Place, data: bytes, synced: int) -> Iterator[Run | Flaw]:
    """Runs and flaws of one segment, in order, whatever its header says."""
    offset, expected = HEADER_BYTES, place.segment.first_sequence
    while True:
        offset = min(offset, len(data))
        end, last = _native.walk_records(data, offset=offset, sequence=expected)
        if last >= expected:
            yield Run(place.segment.path, expected, last, offset, end)
        flaw = flaw_at(place, memoryview(data)[end:], end, last + 1, synced)
        if flaw is not None:
            yield flaw
        if flaw is None or flaw.resume is None:
            return
        offset, expected = flaw.resume


def scan_journal(segments: Sequence[Segment], store_id: bytes, synced: int) -> Iterator[Run | Flaw]:
    """Runs and flaws of all segments, from end to end. Raises FutureVersion, OSError."""
    expected = segments[0].first_sequence if segments else 1
    for place in places_of(segments):
        gap = gap_before(place.segment, expected)
        if gap is not None:
            yield gap
        expected = place.segment.first_sequence
        fault = headless(place, store_id)
        if fault is not None:
            yield fault
        if fault is not None and fault.what == FOREIGN:
            expected = fault.last_lost + 1
            continue
        for found in scan_segment(place, place.segment.path.read_bytes(), synced):
            yield found
            expected = (found.last if isinstance(found, Run) else found.last_lost) + 1
