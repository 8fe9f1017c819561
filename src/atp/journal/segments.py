"""The segments of a journal as files: which there are, their headers, the mark of what was synced,
and which of them may go.

Owns names and headers as Python reads them; the committer writes them (files.h, segments.h). Reads
no record: scanning is for recovery.
"""

from __future__ import annotations

import itertools
import os
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from atp.journal._native import checksum
from atp.journal.directory import sync_folder
from atp.journal.errors import FutureVersion

SUFFIX = ".segment"
HEADER = struct.Struct("<8sII16sqqQQ")
HEADER_BYTES = HEADER.size
SEGMENT_MAGIC = b"ATPSEGMT"
SEGMENT_VERSION = 1
MARK = struct.Struct("<8s16sqQ")
MARK_MAGIC = b"ATPSYNCD"
MARK_NAME = "synced"


class Segment(NamedTuple):
    """One segment file, by its name."""

    path: Path
    first_sequence: int


class SegmentHeader(NamedTuple):
    """What a segment says of itself."""

    version: int
    store_id: bytes
    first_sequence: int
    create_time_ns: int


class HeaderDamaged(ValueError):
    """A segment's header is not what was written; the message says how."""


def list_segments(folder: Path) -> list[Segment]:
    """The segments of a folder, oldest first; other files are none."""
    names = (path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    return sorted(
        (Segment(path, int(path.stem)) for path in names if path.stem.isdigit()),
        key=lambda segment: segment.first_sequence,
    )


def segment_name(first_sequence: int) -> str:
    """The name of the segment that begins with this change."""
    return f"{first_sequence:020}{SUFFIX}"


def read_header(path: Path) -> SegmentHeader:
    """The header of a segment. Raises HeaderDamaged, FutureVersion, OSError."""
    with path.open("rb") as file:
        data = file.read(HEADER_BYTES)
    if len(data) < HEADER_BYTES:
        raise HeaderDamaged(f"is {len(data)} bytes long, less than a header")
    magic, version, _, store_id, first_sequence, create_time_ns, _, told = HEADER.unpack(data)
    if magic != SEGMENT_MAGIC:
        raise HeaderDamaged("does not begin as a segment does")
    if checksum(data[:-8]) != told:
        raise HeaderDamaged("has a header whose checksum is wrong")
    if version > SEGMENT_VERSION:
        raise FutureVersion(path, version, SEGMENT_VERSION)
    if path.name != segment_name(first_sequence):
        raise HeaderDamaged(f"begins with change {first_sequence}, not with the one of its name")
    return SegmentHeader(version, store_id, first_sequence, create_time_ns)


def read_synced(folder: Path, store_id: bytes) -> int:
    """The last change that is known to have been durable; 0 when the mark is missing or bad."""
    try:
        data = (folder / MARK_NAME).read_bytes()
    except FileNotFoundError:
        return 0
    if len(data) != MARK.size:
        return 0
    magic, marked_id, sequence, told = MARK.unpack(data)
    sound = magic == MARK_MAGIC and marked_id == store_id and checksum(data[:-8]) == told
    return int(sequence) if sound else 0


def write_synced(folder: Path, store_id: bytes, sequence: int) -> None:
    """Sets the mark, durably: for a repair, which knows what is left."""
    body = MARK.pack(MARK_MAGIC, store_id, sequence, 0)[:-8]
    file = os.open(folder / MARK_NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.pwrite(file, body + checksum(body).to_bytes(8, "little"), 0)
        os.ftruncate(file, MARK.size)
        os.fsync(file)
    finally:
        os.close(file)
    sync_folder(folder)


def unneeded(
    segments: Sequence[Segment], *, kept_sequence: int, now_ns: int, keep_ns: int
) -> list[Segment]:
    """Segments from the oldest on that may go: a snapshot has all their changes, and they are old.

    `kept_sequence` is that of the oldest snapshot kept, 0: none. A segment's age is that of the one
    after it, which began when it ended. The last segment always stays.
    """
    found = []
    for segment, following in itertools.pairwise(segments):
        if following.first_sequence > kept_sequence + 1:
            break
        if keep_ns and read_header(following.path).create_time_ns > now_ns - keep_ns:
            break
        found.append(segment)
    return found


def remove_segments(folder: Path, segments: Sequence[Segment]) -> None:
    """Removes segments, oldest first, so that what is left has no gap whenever it ends."""
    for segment in segments:
        segment.path.unlink(missing_ok=True)
    if segments:
        sync_folder(folder)
