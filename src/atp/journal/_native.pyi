"""Typed face of the journal's compiled unit."""

from typing import NamedTuple

from _typeshed import ReadableBuffer

from atp._core import Engine

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

def record_of(sequence: int, event: bytes, behind: int = 1) -> bytes:
    """A journal record of one event (an encoded atp.v1.Event), as it lies in a segment."""

def pack_records(data: bytes, next: int, first: int, last: int) -> tuple[bytes, int, int, int]:
    """Packs records as one atp.v1.WatchResponse: those from `first` up to `last`, in order.

    `data` begins with the record whose sequence is `next`. Returns the message (empty when no event
    is in it), the events in it, the sequence expected after the last record read, and the bytes
    read. Stops early where no whole and sound record of the expected sequence stands.
    """
