"""A snapshot that is not what was written is told, with where; hostile bytes crash nothing.

Every bit is flipped and every cut made of a small snapshot that has something of everything. Beyond
accidents, bytes are changed and the checksums made to fit: what still loads must keep every law.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
import xxhash

from atp.journal import _native
from atp.journal.errors import FutureVersion, SnapshotDamaged
from atp.vocabulary import Cap, CapOverride, CapSubject, StockReason
from conftest import native_engine
from snapshot_files import PATH, STORE, assert_same, load, loaded, written

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
HEAD, CHUNK_HEAD = 128, 32

Scaled = Callable[[int], int]


def an_engine() -> Any:
    """Something of everything: caps of each kind, holds, ended ones, receipts, windows."""
    engine = native_engine()
    for sku in ("apple", "pear", "plum"):
        engine.set_stock(sku, 50, **AT_NOW)
    engine.set_cap(Cap("c", CapSubject.CUSTOMER, 40, window_ns=10**12), **AT_NOW)
    engine.set_cap(Cap("e", CapSubject.EVERYONE, 40, per_sku=True), **AT_NOW)
    engine.set_cap(
        Cap("i", CapSubject.IP, None, overrides=(CapOverride("10.0.0.0/8", 9),)), **AT_NOW
    )
    ids = []
    for number in range(5):
        reply = engine.reserve(
            f"r{number}",
            [("apple", 2), ("pear", 1)][: 1 + number % 2],
            ttl_ns=10**9 * (1 + number),
            customer_id=("ann", "bob", "")[number % 3],
            client_ip=("10.0.0.1", "2001:db8::1", "")[number % 3],
            now_ns=NOW_NS + number * 5 * 10**9,
        )
        ids.append(reply.reservation.reservation_id)
        if number < 2:
            engine.commit(ids[-1], request_id=f"x{number}", now_ns=NOW_NS + number)
    engine.adjust_stock("a", "plum", 3, StockReason.RECEIVED, **AT_NOW)
    return engine


@pytest.fixture(scope="module")
def sound() -> bytes:
    return written(an_engine())[1]


def chunks(data: bytes) -> list[tuple[int, int, int]]:
    """(offset, kind, size of the payload) of each chunk."""
    found, at = [], HEAD
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at + 8)
        found.append((at, kind, size))
        at += CHUNK_HEAD + size
    return found


def sealed(data: bytearray) -> bytes:
    """The snapshot with checksums that fit what is in it."""
    struct.pack_into("<Q", data, HEAD - 8, xxhash.xxh3_64_intdigest(bytes(data[: HEAD - 8])))
    for at, _, size in chunks(bytes(data)):
        checked = bytes(data[at + 8 : at + CHUNK_HEAD + size])
        struct.pack_into("<Q", data, at, xxhash.xxh3_64_intdigest(checked))
    return bytes(data)


def test_what_is_sound_loads(sound: bytes) -> None:
    """The canary: the snapshot has something of everything, and sealing it changes nothing."""
    assert sealed(bytearray(sound)) == sound
    assert {kind for _, kind, _ in chunks(sound)} == {1, 2, 3, 4, 5}
    copy = loaded(sound)
    assert_same(an_engine(), copy)
    status = copy.status()
    assert min(status.live_holds, status.ended_reservations, status.receipts, status.caps) > 0


def test_every_bit_counts(sound: bytes, scaled: Scaled) -> None:
    """Whichever bit is another one: it is told, at an offset no later than the bit's chunk ends."""
    ends = [HEAD, *(at + CHUNK_HEAD + size for at, _, size in chunks(sound))]
    bits = range(8 * len(sound))
    for bit in bits[:: len(bits) // scaled(len(bits))]:
        data = bytearray(sound)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(SnapshotDamaged) as found:
            loaded(bytes(data))
        end = next(end for end in ends if bit // 8 < end)
        assert found.value.offset <= max(end, len(sound))


def test_every_cut_is_told(sound: bytes) -> None:
    """A snapshot that ends early is damaged, and so is one that something follows."""
    for size in range(len(sound)):
        with pytest.raises(SnapshotDamaged):
            loaded(sound[:size])
    with pytest.raises(SnapshotDamaged, match="follows its last chunk"):
        loaded(sound + b"\0")


def test_a_chunk_left_out_twice_or_elsewhere_is_told(sound: bytes) -> None:
    parts = [sound[at : at + CHUNK_HEAD + size] for at, _, size in chunks(sound)]
    for number in range(len(parts)):
        out = b"".join(parts[:number] + parts[number + 1 :])
        twice = b"".join(parts[:number] + parts[number : number + 1] + parts[number:])
        for body in (out, twice):
            with pytest.raises(SnapshotDamaged):
                loaded(sound[:HEAD] + body)


def test_a_newer_version_is_refused(sound: bytes) -> None:
    """It is not damaged: a newer atp can read it."""
    data = bytearray(sound)
    struct.pack_into("<I", data, 8, 2)
    with pytest.raises(FutureVersion, match="newer atp"):
        loaded(sealed(data))


def test_the_snapshot_of_another_store_is_refused(sound: bytes) -> None:
    with pytest.raises(SnapshotDamaged, match="another store"):
        _native.load_snapshot(native_engine(), sound, store_id=STORE[::-1], path=PATH)


def test_hostile_bytes_crash_nothing(sound: bytes, scaled: Scaled) -> None:
    """Changed at random and sealed again: told, or loaded and lawful."""
    random = Random(3)
    told = lawful = 0
    for _ in range(scaled(4_000)):
        data = bytearray(sound)
        for _ in range(random.choice([1, 1, 2, 5])):
            at, _, size = random.choice(chunks(sound))
            where = random.randrange(at + CHUNK_HEAD, at + CHUNK_HEAD + size)
            value = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
            data[where] = value
            if random.random() < 0.3:
                width = random.choice([2, 4, 8])
                data[where : where + width] = bytes([value]) * len(data[where : where + width])
        try:
            engine = native_engine()
            load(engine, sealed(data))
        except SnapshotDamaged:
            told += 1
        else:
            lawful += 1
            assert engine.check(now_ns=0).violations == ()
            engine.sweep(now_ns=2 * 10**18)
            assert engine.check(now_ns=0).violations == ()
    assert told
    assert lawful


def test_hostile_heads_crash_nothing(sound: bytes, scaled: Scaled) -> None:
    """Kinds, sizes, shards and counts of chunks changed, and sealed where that can be."""
    random = Random(4)
    for _ in range(scaled(2_000)):
        data = bytearray(sound)
        at, _, _ = random.choice(chunks(sound))
        field = at + random.choice([8, 12, 16, 20, 24, 28])
        struct.pack_into("<I", data, field, random.choice([0, 1, 2, 3, 4, 5, 63, 64, 2**32 - 1]))
        try:
            changed = sealed(data)
        except struct.error:
            changed = bytes(data)
        if changed != sound:
            with pytest.raises(SnapshotDamaged):
                loaded(changed)
