"""A reader of a data directory in plain Python, written from docs/journal-format.md alone.

Owns the page's word for every byte: whatever is not as the page says is told with its place. Shares
nothing with the project but the event messages; the checksums come from the xxhash package.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import xxhash

from atp.v1.event_pb2 import Event

HEADER, RECORD = struct.Struct("<8sI4s16sqq8sQ"), struct.Struct("<QqII")
MARK = struct.Struct("<8s16sqQ")
EVENT_BYTES_MAX = 1_048_576
BEHIND_MAX = 4_294_967_295
NEWEST = 1


class Unsound(Exception):
    """Something is not as the page says; the message says what and where."""


class Newer(Exception):
    """A file of a future version: to be refused, not guessed."""


class Store(NamedTuple):
    """What STORE says."""

    store_id: bytes
    created_ns: int


class Record(NamedTuple):
    """One change, and where its record lies."""

    sequence: int
    behind: int
    event: Event
    path: Path
    offset: int
    end: int
    checksum: int

    @property
    def durable(self) -> int:
        """The change that was durable when this was written."""
        return self.sequence - self.behind


class Journal(NamedTuple):
    """All records that are to be believed, and how they end.

    `ending` is "clean", "torn" or "damaged"; `lost` are the first and the last change that are
    known to be lost by damage.
    """

    records: list[Record]
    ending: str = "clean"
    path: Path = Path()
    offset: int = 0
    lost: tuple[int, int] = (0, -1)


def xxh3(data: bytes) -> int:
    """The checksum of the page."""
    return xxhash.xxh3_64_intdigest(data)


def need(condition: bool, path: Path, what: str) -> None:
    """Raises Unsound unless the condition holds."""
    if not condition:
        raise Unsound(f"{path}: {what}")


def read_store(directory: Path) -> Store:
    """Which store it is. Raises Unsound, Newer."""
    path = directory / "STORE"
    lines = path.read_text("ascii").splitlines(keepends=True)
    need(len(lines) >= 2 and lines[0] == "atp store\n", path, "does not begin as a store does")
    need(lines[1].startswith("version "), path, "has no version")
    if int(lines[1].removeprefix("version ")) > NEWEST:
        raise Newer(f"{path}: version {lines[1]!r}")
    need(len(lines) == 5 and all(line.endswith("\n") for line in lines), path, "not five lines")
    need(lines[4] == f"checksum {xxh3(''.join(lines[:4]).encode()):016x}\n", path, "its checksum")
    need(lines[2].startswith("id ") and len(lines[2]) == 36, path, "its id")
    need(lines[3].startswith("created "), path, "when it was created")
    store_id = bytes.fromhex(lines[2].removeprefix("id "))
    return Store(store_id, int(lines[3].removeprefix("created ")))


def read_mark(directory: Path, store: Store) -> int:
    """The last change known to be durable; 0 when the mark is missing or not sound."""
    try:
        data = (directory / "journal" / "synced").read_bytes()
    except FileNotFoundError:
        return 0
    if len(data) != MARK.size:
        return 0
    magic, store_id, sequence, told = MARK.unpack(data)
    sound = (magic, store_id, told) == (b"ATPSYNCD", store.store_id, xxh3(data[:32]))
    return int(sequence) if sound else 0


def check_header(path: Path, data: bytes, store: Store) -> int:
    """The first sequence of a segment. Raises Unsound, Newer."""
    need(len(data) >= HEADER.size, path, "is shorter than a header")
    magic, version, gap, store_id, first, _, more, told = HEADER.unpack_from(data)
    need(magic == b"ATPSEGMT", path, "does not begin as a segment does")
    need(told == xxh3(data[:56]), path, "the checksum of its header")
    if version > NEWEST:
        raise Newer(f"{path}: version {version}")
    need((version, gap, more) == (1, bytes(4), bytes(8)), path, "its header")
    need(store_id == store.store_id, path, "is of another store")
    need(path.name == f"{first:020}.segment", path, f"begins with change {first}")
    return int(first)


def record_at(path: Path, data: bytes, offset: int) -> Record | None:
    """The sound record that begins here, None: there is none."""
    if offset + RECORD.size > len(data):
        return None
    told, sequence, size, behind = RECORD.unpack_from(data, offset)
    end = offset + RECORD.size + size
    if not 1 <= size <= EVENT_BYTES_MAX or end > len(data) or sequence < 1:
        return None
    if told != xxh3(data[offset + 8 : end]):
        return None
    event = Event.FromString(data[offset + RECORD.size : end])
    need(behind >= 1, path, f"behind is 0 at {offset}")
    return Record(sequence, behind, event, path, offset, end, told)


def walk(path: Path, data: bytes, expected: int) -> Iterator[Record]:
    """The records of a segment up to their end."""
    offset = HEADER.size
    while (record := record_at(path, data, offset)) and record.sequence == expected:
        yield record
        offset, expected = record.end, expected + 1


def later_records(path: Path, data: bytes, offset: int) -> Iterator[Record]:
    """Every sound record that begins at any later byte."""
    for at in range(offset, len(data)):
        record = record_at(path, data, at)
        if record is not None:
            yield record


def segments_of(directory: Path) -> list[Path]:
    """The segments, oldest first."""
    return sorted((directory / "journal").glob("*.segment"))


def read_journal(directory: Path) -> Journal:
    """The whole journal, as the page says how to read it. Raises Unsound, Newer."""
    store = read_store(directory)
    mark = read_mark(directory, store)
    found: list[Record] = []
    paths = segments_of(directory)
    expected = 0
    for path in paths:
        data = path.read_bytes()
        first = check_header(path, data, store)
        need(expected in (0, first), path, f"begins with {first}, and {expected} is expected")
        found += walk(path, data, first)
        here = found and found[-1].path == path
        offset = found[-1].end if here else HEADER.size
        expected = found[-1].sequence + 1 if here else first
        if path != paths[-1]:
            need(not any(data[offset:]), path, f"no sound record at {offset}")
        elif any(data[offset:]) or mark >= expected:
            return how_it_ends(Journal(found, "", path, offset), data, expected, mark)
    return Journal(found)


def how_it_ends(journal: Journal, data: bytes, expected: int, mark: int) -> Journal:
    """Torn or damaged, where the last segment does not end in zeros alone."""
    later = list(later_records(journal.path, data, journal.offset))
    proven = max([mark, *(record.durable for record in later)])
    if proven < expected:
        return journal._replace(ending="torn")
    following = [record.sequence for record in later if record.sequence >= expected]
    last = following[0] - 1 if following else proven
    return journal._replace(ending="damaged", lost=(expected, max(last, expected)))


def records(directory: Path) -> Iterator[Record]:
    """The records up to where they end, of a journal that somebody may be writing meanwhile."""
    store = read_store(directory)
    expected = 0
    for path in segments_of(directory):
        data = path.read_bytes()
        first = check_header(path, data, store)
        need(expected in (0, first), path, f"begins with {first}, and {expected} is expected")
        expected = first
        for record in walk(path, data, first):
            yield record
            expected = record.sequence + 1
