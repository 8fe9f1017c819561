"""A reader of snapshots in plain Python, written from docs/journal-format.md alone.

Owns the page's word for every byte of a snapshot, and what all of them must add up to. Shares
nothing with the project but the messages; whatever is not as the page says raises Unsound.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import xxhash

from atp.v1.cap_service_pb2 import Cap
from format_reader import NEWEST, Newer, Store, need, xxh3

HEAD = struct.Struct("<8sII16sqqqq56sQ")
CHUNK = struct.Struct("<QIIIIII")
CAP, SKU, LINE = struct.Struct("<IIqqqqI"), struct.Struct("<IqqqqqB"), struct.Struct("<Iiii")
RECORD, COUNTER, STEP = (
    struct.Struct("<16sQqqqqIHBB"),
    struct.Struct("<IIqHB"),
    struct.Struct("<qq"),
)
SUMS = struct.Struct("<12q")
CHUNK_BYTES_MAX = 1_048_576
CAPS, SKUS, RECORDS, COUNTERS, END = 1, 2, 3, 4, 5
HELD, COMMITTED, RELEASED, EXPIRED = 1, 2, 3, 4
ADDRESS_BYTES = {0: 0, 1: 4, 2: 16}


class Sku(NamedTuple):
    """One SKU."""

    name: str
    on_hand: int
    sold: int
    received: int
    adjusted: int
    sequence: int


class Line(NamedTuple):
    """One line of a reservation."""

    sku: int
    granted: int
    committed: int
    released: int


class Entry(NamedTuple):
    """A reservation or a receipt."""

    key: bytes
    fingerprint: int
    time_ns: int
    end_ns: int
    first_sequence: int
    last_sequence: int
    generation: int
    kind: int
    partial: bool
    address: bytes
    customer: str
    lines: tuple[Line, ...]

    @property
    def is_receipt(self) -> bool:
        """Whether it is the memory of a command other than a reserve."""
        return self.kind > EXPIRED


class Counter(NamedTuple):
    """What one cap counts of one subject."""

    cap: int
    sku: int
    units: int
    subject: bytes
    steps: tuple[tuple[int, int], ...]


class CapEntry(NamedTuple):
    """One cap."""

    uid: int
    since: int
    sequence: int
    time_ns: int
    refused: int
    shadow_refused: int
    cap: Cap


@dataclass
class Snapshot:
    """The whole state after one change."""

    path: Path
    sequence: int
    taken_ns: int
    time_ns: int
    next_uid: int
    generation: int
    caps: list[CapEntry] = field(default_factory=list)
    skus: dict[int, Sku] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    counters: list[Counter] = field(default_factory=list)
    seen_ns: int = 0


class Cursor:
    """Reads one thing after another from a chunk's entries."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def take(self, kind: struct.Struct) -> tuple[int, ...]:
        """The next structure."""
        need(self.at + kind.size <= len(self.data), self.path, "an entry ends beyond its chunk")
        found = kind.unpack_from(self.data, self.at)
        self.at += kind.size
        return found

    def text(self, size: int) -> bytes:
        """The next bytes."""
        need(self.at + size <= len(self.data), self.path, "a text ends beyond its chunk")
        self.at += size
        return self.data[self.at - size : self.at]


def read_snapshot(path: Path, store: Store) -> Snapshot:
    """A snapshot. Raises Unsound, Newer."""
    data = path.read_bytes()
    snapshot = read_head(path, data, store)
    for kind, shard, count, content in chunks(path, data):
        cursor = Cursor(path, content)
        if kind == END:
            check_sums(snapshot, cursor.take(SUMS))
        else:
            for _ in range(count):
                read_entry(snapshot, kind, shard, cursor)
        need(cursor.at == len(content), path, "a chunk has more than its entries")
    return snapshot


def read_head(path: Path, data: bytes, store: Store) -> Snapshot:
    """What the first 128 bytes say."""
    need(len(data) >= HEAD.size, path, "is shorter than a head")
    magic, version, uid, store_id, sequence, taken, time_ns, generation, gap, told = (
        HEAD.unpack_from(data)
    )
    need(magic == b"ATPSNAPS", path, "does not begin as a snapshot does")
    need(told == xxh3(data[:120]), path, "the checksum of its head")
    if version > NEWEST:
        raise Newer(f"{path}: version {version}")
    need((version, gap) == (1, bytes(56)), path, "its head")
    need(store_id == store.store_id, path, "is of another store")
    need(path.name == f"{sequence:020}.snapshot", path, f"is of change {sequence}")
    return Snapshot(path, sequence, taken, time_ns, uid, generation)


def chunks(path: Path, data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Every chunk: kind, shard, entries, content. The last one, and only that, is the end."""
    at, number, kind = HEAD.size, 0, 0
    while at < len(data):
        need(kind != END, path, "something follows the end")
        need(at + CHUNK.size <= len(data), path, f"the chunk at {at} is cut off")
        told, kind, size, told_number, shard, count, gap = CHUNK.unpack_from(data, at)
        end = at + CHUNK.size + size
        need(end <= len(data) and size <= CHUNK_BYTES_MAX, path, f"the size of the chunk at {at}")
        need(told == xxh3(data[at + 8 : end]), path, f"the checksum of the chunk at {at}")
        need(CAPS <= kind <= END and (told_number, gap) == (number, 0), path, f"the chunk at {at}")
        need(shard < 64 and (kind not in (CAPS, END) or shard == 0), path, f"the shard at {at}")
        need(kind != END or count == 0, path, "the end has entries")
        yield kind, shard, count, data[at + CHUNK.size : end]
        at, number = end, number + 1
    need(kind == END, path, "has no end")


def read_entry(snapshot: Snapshot, kind: int, shard: int, cursor: Cursor) -> None:
    """One entry of a chunk."""
    if kind == CAPS:
        *words, size = cursor.take(CAP)
        cap = Cap.FromString(cursor.text(size))
        snapshot.caps.append(CapEntry(*words, cap))  # type: ignore[call-arg]
    elif kind == SKUS:
        number, *figures, size = cursor.take(SKU)
        name = cursor.text(size).decode()
        need(1 <= size <= 64 and shard_of(xxh3(name.encode())) == shard, cursor.path, name)
        need(number not in snapshot.skus, cursor.path, f"two SKUs are number {number}")
        snapshot.skus[number] = Sku(name, *figures)
    elif kind == RECORDS:
        entry = read_record(cursor)
        low = int.from_bytes(entry.key[8:], "big")
        need(shard_of(low) == shard, cursor.path, "a record of another shard")
        snapshot.entries.append(entry)
    else:
        cap, sku, units, steps, size = cursor.take(COUNTER)
        subject = cursor.text(size)
        window = tuple((step, n) for step, n in (cursor.take(STEP) for _ in range(steps)))
        snapshot.counters.append(Counter(cap, sku, units, subject, window))


def read_record(cursor: Cursor) -> Entry:
    """A reservation or a receipt."""
    *words, lines, flags, customer_size = cursor.take(RECORD)
    key, fingerprint, *rest = words
    found = tuple(Line(*cursor.take(LINE)) for _ in range(lines))
    need(flags >> 5 in ADDRESS_BYTES, cursor.path, "the size of an address")
    address = cursor.text(ADDRESS_BYTES[flags >> 5])
    customer = cursor.text(customer_size).decode()
    kind = flags & 15
    need(1 <= kind <= 8 and customer_size <= 64, cursor.path, "a record of no kind")
    need(kind <= EXPIRED or not lines, cursor.path, "a receipt with lines")
    return Entry(key, fingerprint, *rest, kind, bool(flags & 16), address, customer, found)


def shard_of(hashed: int) -> int:
    """The number in the top six bits of a hash."""
    return hashed >> 58


def key_of(request_id: str) -> bytes:
    """The key of a record."""
    return xxhash.xxh3_128_digest(request_id.encode())


def held_of(snapshot: Snapshot) -> dict[str, int]:
    """Units held of each SKU: what the lines of HELD reservations hold of it."""
    held = dict.fromkeys((sku.name for sku in snapshot.skus.values()), 0)
    for entry in snapshot.entries:
        for line in entry.lines if entry.kind == HELD else ():
            name = snapshot.skus[line.sku].name
            held[name] += line.granted - line.committed - line.released
    return held


def check_sums(snapshot: Snapshot, told: tuple[int, ...]) -> None:
    """What all chunks add up to."""
    snapshot.seen_ns = told[0]
    skus, entries = snapshot.skus.values(), snapshot.entries
    need(all(s.on_hand == s.received + s.adjusted - s.sold for s in skus), snapshot.path, "law 2")
    numbers = {line.sku for entry in entries for line in entry.lines}
    need(numbers <= set(snapshot.skus), snapshot.path, "a line names no SKU")
    ids = [entry.cap.cap_id.encode() for entry in snapshot.caps]
    need(ids == sorted(ids), snapshot.path, "the order of caps")
    sums = (
        *(len(snapshot.caps), len(skus), len(entries)),
        sum(entry.kind == HELD for entry in entries),
        sum(entry.is_receipt for entry in entries),
        sum(len(entry.lines) for entry in entries),
        len(snapshot.counters),
        *(sum(sku.on_hand for sku in skus), sum(sku.sold for sku in skus)),
        sum(held_of(snapshot).values()),
        sum(counter.units for counter in snapshot.counters),
    )
    need(sums == told[1:], snapshot.path, f"adds up to {sums}, not to {told[1:]}")
