"""What is in the journal, as lines of JSON: one a change, in order.

Owns the way through the segments, past damage as well; the lines of caps, which are rare, are made
here, all others natively. Changes nothing, and may read beside the process that owns the directory.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message

from atp.journal import _native
from atp.journal.scan import Place, flaw_at, gap_before, headless, places_of
from atp.journal.segments import HEADER_BYTES, Segment
from atp.v1.event_pb2 import Event

PART_BYTES = 1 << 20
NS_IN_SECOND = 1_000_000_000
_HEAD = struct.Struct("<QqII")


class Dumping(NamedTuple):
    """What is wanted: changes from `first` to `last`. `fields_of` shows a message's fields.

    `is_owned`: another process writes on, so that the end of the last segment means nothing.
    """

    store_id: bytes
    first: int
    last: int
    fields_of: Callable[[Message], dict[str, Any]]
    is_owned: bool = False


def dump(segments: list[Segment], wanted: Dumping) -> Iterator[bytes | str]:
    """Lines of JSON, many at a time; and, as text, what is wrong, where it is.

    Raises FutureVersion, OSError.
    """
    begins = [one.first_sequence for one in segments]
    expected = begins[0] if begins else 0
    for place in places_of(segments):
        following = place.following
        if following is not None and following.first_sequence <= wanted.first:
            expected = following.first_sequence
            continue
        if place.segment.first_sequence > wanted.last:
            return
        gap = gap_before(place.segment, expected)
        if gap is not None:
            yield gap.text()
        fault = headless(place, wanted.store_id)
        if fault is not None:
            yield fault.text()
        expected = following.first_sequence if following is not None else 0
        yield from _dump_segment(place, place.segment.path.read_bytes(), wanted)


def _dump_segment(place: Place, data: bytes, wanted: Dumping) -> Iterator[bytes | str]:
    offset, sequence = min(HEADER_BYTES, len(data)), place.segment.first_sequence
    while sequence <= wanted.last:
        part = _native.dump_records(
            data,
            offset=offset,
            sequence=sequence,
            first=wanted.first,
            last=wanted.last,
            bytes_most=PART_BYTES,
        )
        if part.text:
            yield part.text
        offset, sequence = part.offset, part.sequence
        if part.end in ("cap", "event"):
            _, _, size, _ = _HEAD.unpack_from(data, offset)
            begin = offset + _HEAD.size
            yield _line(place.segment.path, offset, sequence, data[begin : begin + size], wanted)
            offset, sequence = begin + size, sequence + 1
        elif part.end == "all" and sequence <= wanted.last:
            if wanted.is_owned and place.is_last:
                return
            flaw = flaw_at(place, memoryview(data)[offset:], offset, sequence, synced=0)
            if flaw is None:
                return
            yield flaw.text()
            if flaw.resume is None:
                return
            offset, sequence = flaw.resume


def _line(path: Path, offset: int, sequence: int, event: bytes, wanted: Dumping) -> bytes | str:
    """A change that native code leaves to others."""
    try:
        message = Event.FromString(event)
    except DecodeError:
        return f"{path} at byte {offset:,}: change {sequence} is malformed: {event.hex()}"
    kind = message.WhichOneof("change")
    if kind is None:
        return f"{path} at byte {offset:,}: change {sequence} says nothing: {event.hex()}"
    fields = {
        "sequence": sequence,
        "time": _instant(message.time_ns),
        "kind": kind,
        **wanted.fields_of(getattr(message, kind)),
    }
    return json.dumps(fields, ensure_ascii=False).encode("utf-8", "replace") + b"\n"


def _instant(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, NS_IN_SECOND)
    day = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{day:%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
