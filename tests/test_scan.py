"""Where records end and what that means, on bytes made for it: every verdict, and hostile bytes.

What is read here may be anything that a disk gives back: whatever it is, something is said of it,
and the process lives.
"""

from __future__ import annotations

import contextlib
from random import Random

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp.journal import _native
from atp.journal.errors import EventRefused
from conftest import native_engine
from segment_files import event, record, records

ZEROS = bytes(64)


def judged(data: bytes, at: int, expected: int, *, synced: int = 0, is_last: bool = True) -> str:
    """The verdict."""
    ending = _native.judge_end(data, offset=at, expected=expected, synced=synced, is_last=is_last)
    return ending.verdict


def batch(first: int, last: int, durable: int) -> bytes:
    """Records that were written together when everything up to `durable` was durable."""
    return b"".join(record(n, event(n), n - durable) for n in range(first, last + 1))


def test_records_are_walked_to_where_they_end() -> None:
    data = b"".join(records(range(5, 9)))
    assert _native.walk_records(data, offset=0, sequence=5) == (len(data), 8)
    assert _native.walk_records(data, offset=0, sequence=6) == (0, 5)
    assert _native.walk_records(data[:-1], offset=0, sequence=5)[1] == 7
    one = len(record(5, event(5)))
    assert _native.walk_records(data, offset=one, sequence=6) == (len(data), 8)
    assert _native.walk_records(b"", offset=0, sequence=1) == (0, 0)
    with pytest.raises(ValueError, match="offset is 7"):
        _native.walk_records(b"123", offset=7, sequence=1)


def test_a_record_is_found_at_any_byte() -> None:
    junk = bytes(range(1, 8))
    for shift in range(17):
        data = bytes(shift) + junk + record(5, event(5)) + junk + record(9, event(9)) + ZEROS
        at, sequence = _native.find_record(data, offset=0, sequence=4)
        assert (at, sequence) == (shift + 7, 5)
        assert data[at:].startswith(record(5, event(5)))
        assert _native.find_record(data, offset=at + 1, sequence=1)[1] == 9
        assert _native.find_record(data, offset=0, sequence=6)[1] == 9
        assert _native.find_record(data, offset=0, sequence=10) is None


@pytest.mark.parametrize("is_last", [True, False])
def test_nothing_or_zeros_is_a_clean_end(is_last: bool) -> None:
    for data in (b"", ZEROS, bytes(7)):
        assert judged(data, 0, 5, is_last=is_last) == "clean"
        assert judged(data, 0, 5, synced=4, is_last=is_last) == "clean"
    assert judged(ZEROS, 0, 5, synced=5) == "damaged"


def test_what_nobody_was_told_of_is_torn() -> None:
    """Parts, and later records of the same batch, in any order."""
    whole = batch(5, 9, durable=4)
    for data in (b"\1", whole[:30], bytes(300) + b"\1", whole[7:]):
        assert judged(data + ZEROS, 0, 5, synced=4) == "torn"
    later = bytes(len(record(5, event(5)))) + batch(6, 9, durable=4)
    ending = _native.judge_end(later, offset=0, expected=5, synced=4, is_last=True)
    assert ending.verdict == "torn"
    assert (ending.next_sequence, ending.last_sequence) == (6, 9)
    assert ending.rest_end == len(later)


def test_what_was_durable_is_damaged() -> None:
    """By the mark, by a later record, and anything at all in a sealed segment."""
    broken = b"\xff" * 40
    assert judged(broken, 0, 5, synced=5) == "damaged"
    proven = broken + batch(6, 8, durable=4) + batch(9, 9, durable=8)
    ending = _native.judge_end(proven, offset=0, expected=5, synced=0, is_last=True)
    assert ending.verdict == "damaged"
    assert (ending.next_offset, ending.next_sequence, ending.durable_sequence) == (40, 6, 8)
    assert judged(broken, 0, 5, is_last=False) == "damaged"
    # A record that is too far behind to count saturates, and proves nothing.
    assert judged(broken + record(9, event(9), 2**32 - 1), 0, 5) == "torn"
    # Records from before the place prove nothing of it.
    assert judged(broken + batch(3, 4, durable=2), 0, 5) == "torn"


def random_bytes(random: Random) -> bytes:
    """Records and pieces of records among zeros, with bits flipped, and heads that lie."""
    pieces = []
    for _ in range(random.randrange(12)):
        kind = random.randrange(6)
        sequence = random.choice([1, 2, 3, random.randrange(1, 40), 2**62, 2**63 - 1])
        if kind == 0:
            pieces.append(bytes(random.randrange(40)))
        elif kind == 1:
            pieces.append(random.randbytes(random.randrange(60)))
        elif kind == 2:
            made = record(sequence, event(sequence % 1000), random.choice([0, 1, 5, 2**32 - 1]))
            pieces.append(made[: random.randrange(len(made) + 1)])
        elif kind == 3:
            size = random.choice([0, 1, 2**20, 2**20 + 1, 2**31, 2**32 - 1])
            head = sequence.to_bytes(8, "little") + size.to_bytes(4, "little") + bytes(4)
            pieces.append(random.randbytes(8) + head + random.randbytes(20))
        elif kind == 4:
            pieces.append(record(sequence, random.randbytes(random.randrange(1, 60))))
        else:
            pieces.append(record(sequence, event(sequence % 1000)))
    data = bytearray(b"".join(pieces))
    for _ in range(random.choice([0, 0, 1, 3]) if data else 0):
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(data)


@given(seed=st.integers(0, 2**32))
@settings(phases=[Phase.generate])
def test_hostile_bytes_end_no_process(seed: int) -> None:
    """Everything that reads segments, on anything: answers are within the bytes given."""
    random = Random(seed)
    data = random_bytes(random)
    at = random.randrange(len(data) + 1)
    sequence = random.choice([1, 2, 3, random.randrange(1, 40), 2**62, 2**63 - 2])
    end, last = _native.walk_records(data, offset=at, sequence=sequence)
    assert at <= end <= len(data)
    assert last >= sequence - 1
    found = _native.find_record(data, offset=at, sequence=sequence)
    assert found is None or (at <= found[0] < len(data) and found[1] >= sequence)
    for is_last in (True, False):
        ending = _native.judge_end(
            data, offset=at, expected=sequence, synced=sequence - 1, is_last=is_last
        )
        assert at <= ending.rest_end <= len(data)
        assert at <= ending.next_offset <= len(data)
        assert (ending.verdict == "clean") == (not any(data[at:]))
    part = _native.dump_records(
        data, offset=at, sequence=sequence, first=1, last=2**63 - 1, bytes_most=1 << 20
    )
    assert at <= part.offset <= len(data)
    engine = native_engine()
    with contextlib.suppress(EventRefused):
        done = _native.replay(engine, data, offset=at, first_sequence=sequence)
        assert at <= done.offset <= len(data)
    assert engine.check(now_ns=2**61).violations == ()
