"""A journal is read ahead by a thread: what it meets is told when its turn comes, not before.

Owns the seams: between batches, between what is read and what is applied, and the thread's end. The
same bytes read piece by piece, each too short for a thread, are what it must come to.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from pathlib import Path
from time import monotonic_ns
from typing import Any, NamedTuple

import pytest

from atp.journal import _native
from atp.journal.errors import EventRefused, JournalDamaged
from atp.vocabulary import Cap, CapSubject
from conftest import native_engine
from records import records_of
from remembered import (
    AT_NOW,
    MINUTE_NS,
    content,
    copied,
    make_store,
    opened,
    overwrite,
    records_in,
    segments_of,
    shop,
)

ROUNDS = 3_000
"""About 1.3 MB of records, several times what the reading thread may be ahead."""
BATCH_BYTES = 32 << 10


class Past(NamedTuple):
    """Records in memory, where each begins, and the sequence of the first."""

    data: bytes
    begins: list[int]
    engine: Any

    def engine_before(self, sequence: int) -> Any:
        """An engine that has what was before a change, applied in short pieces."""
        engine = native_engine(longest_life_ns=MINUTE_NS)
        at, step = 0, 100
        while at < sequence - 1:
            until = min(at + step, sequence - 1)
            end = self.begins[until] if until < len(self.begins) else len(self.data)
            piece = self.data[self.begins[at] : end]
            done = _native.replay(engine, piece, offset=0, first_sequence=at + 1)
            assert done.sequence == until
            at = until
        return engine


def digest(engine: Any) -> str:
    """Of the state, in which nothing expires meanwhile."""
    return str(_native.state_digest(engine))


def readers() -> int:
    """How many threads of this process read ahead."""
    count = 0
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            count += (task / "comm").read_text() == "atp-read-ahead\n"
    return count


def assert_nobody_reads() -> None:
    """The system takes a moment to forget a thread that was waited for."""
    deadline = monotonic_ns() + 10 * 10**9
    while readers():
        assert monotonic_ns() < deadline, "a thread stays behind"
        os.sched_yield()


@pytest.fixture(scope="module")
def past() -> Past:
    """Holds, their ends, and caps now and then, which are applied in Python."""
    engine = native_engine(longest_life_ns=MINUTE_NS, record_events=True)
    engine.set_stock("apple", 10**6, **AT_NOW)
    for begin in range(0, ROUNDS, 500):
        cap = Cap("c", CapSubject.CUSTOMER, 10**6 + begin)
        engine.set_cap(cap, **AT_NOW)
        shop(engine, range(begin, begin + 500))
    many = [(f"{number:064}", 1) for number in range(2_000)]
    for sku, _ in many:
        engine.set_stock(sku, 10, **AT_NOW)
    for number in range(3):  # each longer than a batch
        reply = engine.reserve(f"long{number}", many, **AT_NOW, ttl_ns=MINUTE_NS)
        engine.commit(reply.reservation.reservation_id, **AT_NOW)
    shop(engine, range(ROUNDS, ROUNDS + 50))
    events = engine.take_events()
    begins, at = [], 0
    for _, event in events:
        begins.append(at)
        at += 24 + len(event)
    longest = max(len(event) for _, event in events)
    assert longest > 3 * BATCH_BYTES
    return Past(records_of(events), begins, engine)


def applied(path: Path, offset: int = 0) -> tuple[Any, _native.ReplayResult]:
    """A new engine, after the records of a file."""
    engine = native_engine(longest_life_ns=MINUTE_NS)
    done = _native.replay_file(engine, path, offset=offset, first_sequence=1)
    assert_nobody_reads()
    return engine, done


def test_all_is_applied_in_order(past: Past, tmp_path: Path) -> None:
    """From a file and from memory, beyond caps and records that are longer than a batch."""
    path = tmp_path / "records"
    path.write_bytes(b"head" + past.data + bytes(1000))
    engine, done = applied(path, offset=4)
    last = len(past.begins)
    assert done == (4 + len(past.data), last, last)
    assert digest(engine) == digest(past.engine)
    engine = native_engine(longest_life_ns=MINUTE_NS)
    done = _native.replay(engine, past.data, offset=0, first_sequence=1)
    assert done == (len(past.data), last, last)
    assert digest(engine) == digest(past.engine)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 1.0])
def test_a_damaged_record_that_was_found_ahead_is_told_in_its_turn(
    past: Past, tmp_path: Path, share: float
) -> None:
    """All before it is applied, nothing after it, and nobody reads on."""
    number = round(share * (len(past.begins) - 1))
    data = bytearray(past.data)
    data[past.begins[number] + 30] ^= 16
    path = tmp_path / "records"
    path.write_bytes(data)
    engine, done = applied(path)
    assert done == (past.begins[number], number, number)
    assert digest(engine) == digest(past.engine_before(number + 1))
    again = native_engine(longest_life_ns=MINUTE_NS)
    assert _native.replay(again, bytes(data), offset=0, first_sequence=1) == done
    assert digest(again) == digest(engine)


def test_an_end_anywhere_around_the_seam_of_batches(past: Past, tmp_path: Path) -> None:
    """A file that is cut within a head, within an event and between records."""
    path = tmp_path / "records"
    batch = past.data[: 10 * BATCH_BYTES]
    for seam in (BATCH_BYTES, 9 * BATCH_BYTES):
        for size in range(seam - 90, seam + 90):
            path.write_bytes(batch[:size])
            whole = sum(1 for one in past.begins if one <= size) - 1
            _, done = applied(path)
            assert done == (past.begins[whole], whole, whole), size


def test_until(past: Past) -> None:
    """Nothing beyond the last change that is wanted, though it was read."""
    for until in (0, 1, 511, 512, 513, 5_000):
        engine = native_engine(longest_life_ns=MINUTE_NS)
        done = _native.replay(engine, past.data, offset=0, first_sequence=1, until=until)
        assert done == (past.begins[until], until, until)


def test_a_change_that_does_not_fit_leaves_no_thread(past: Past, tmp_path: Path) -> None:
    """It is told with its place; the thread was ahead by then, and is gone."""
    number = 2_000
    path = tmp_path / "records"
    wrong = _native.record_of(number + 1, b"\x08\x01\x22\x00")  # a release of nothing
    path.write_bytes(
        past.data[: past.begins[number]] + wrong + past.data[past.begins[number + 1] :]
    )
    engine = native_engine(longest_life_ns=MINUTE_NS)
    with pytest.raises(EventRefused, match=f"^change {number + 1} ") as refused:
        _native.replay_file(engine, path, offset=0, first_sequence=1)
    assert (refused.value.sequence, refused.value.offset) == (number + 1, past.begins[number])
    assert_nobody_reads()
    assert digest(engine) == digest(past.engine_before(number + 1))


def test_a_cap_that_cannot_be_applied_leaves_no_thread(past: Past, tmp_path: Path) -> None:
    """Python is asked about a cap, and its exception ends the replay."""
    number = 2_000
    path = tmp_path / "records"
    wrong = _native.record_of(number + 1, b"\x08\x01\x4a\x03\x0a\x01z")  # removes a cap: none
    path.write_bytes(
        past.data[: past.begins[number]] + wrong + past.data[past.begins[number + 1] :]
    )
    engine = native_engine(longest_life_ns=MINUTE_NS)
    with pytest.raises(EventRefused, match=f"^change {number + 1} is a cap") as refused:
        _native.replay_file(engine, path, offset=0, first_sequence=1)
    assert refused.value.offset == past.begins[number]
    assert_nobody_reads()


def test_what_cannot_be_read_is_told_by_its_name(tmp_path: Path) -> None:
    """A file that is none; and one that is not there."""
    engine = native_engine()
    for path, number in ((tmp_path, errno.EISDIR), (tmp_path / "none", errno.ENOENT)):
        with pytest.raises(OSError, match=re.escape(str(path))) as told:
            _native.replay_file(engine, path, offset=0, first_sequence=1)
        assert told.value.errno == number
    assert_nobody_reads()
    assert engine.status().sequence == 0


def test_a_start_on_a_long_damaged_segment_says_what_it_said(tmp_path: Path) -> None:
    """The same place and the same changes as where every segment is too short for a thread."""
    told = []
    for name, segment_bytes in (("long", 1 << 23), ("short", 1 << 14)):
        path = tmp_path / name
        make_store(path, 20, 200, segment_bytes=segment_bytes)
        files = segments_of(path)
        assert (len(files) == 1) == (name == "long")
        found = [one for file in files for one in records_in(file)]
        victim = found[len(found) // 2]
        file = next(one.path for one in files if one.path.name == victim.segment)
        overwrite(file, victim.offset + 40, b"\xff\x00\xff")
        kept = content(path)
        with pytest.raises(JournalDamaged) as damaged:
            opened(copied(path, tmp_path / f"{name}-copy"))
        assert_nobody_reads()
        assert content(path) == kept
        assert damaged.value.offset == victim.offset
        told.append((damaged.value.first_lost, damaged.value.last_lost, victim.sequence))
    assert told[0] == told[1]
    assert told[0][0] == told[0][1] == told[0][2]
