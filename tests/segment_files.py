"""Segments made by a test: bytes in the form of docs/journal-format.md, put together here.

Owns writing records, whole or damaged, without the project's own writer, so that readers can be
shown what no writer would leave.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from atp.journal._native import checksum
from atp.v1 import event_pb2

HEADER_BYTES = 64
START_NS = 1_800_000_000_000_000_000


def record(sequence: int, event: bytes, behind: int = 1) -> bytes:
    """One record: checksum, sequence, size, behind, event."""
    rest = struct.pack("<qII", sequence, len(event), behind) + event
    return struct.pack("<Q", checksum(rest)) + rest


def event(sequence: int, padding: int = 0) -> bytes:
    """A change that tells its own sequence: so many units of a SKU."""
    changed = event_pb2.StockChangedEvent(sku="M" * (1 + padding), on_hand_quantity=sequence)
    return event_pb2.Event(time_ns=START_NS + sequence, stock_changed=changed).SerializeToString()


def records(sequences: Iterable[int], padding: int = 0) -> Iterator[bytes]:
    """A record for each sequence."""
    for sequence in sequences:
        yield record(sequence, event(sequence, padding))


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment with this first sequence lies."""
    return folder / f"{first:020}.segment"


def write_segment(
    folder: Path, first: int, count: int, *, padding: int = 0, room: int = 0
) -> list[int]:
    """Writes a segment of so many changes, and `room` bytes of zeros; gives each record's place."""
    content = bytearray(HEADER_BYTES)
    places = []
    for made in records(range(first, first + count), padding):
        places.append(len(content))
        content += made
    segment_path(folder, first).write_bytes(bytes(content) + bytes(room))
    return places
