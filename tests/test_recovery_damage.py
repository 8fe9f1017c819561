"""Starts on a journal that is damaged: refused, with what is lost and what to do; nothing changes.

Each kind of damage that is no torn tail is made here once, in a copy of a sound store.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from atp.journal import _native
from atp.journal.directory import Store, store_text
from atp.journal.errors import FutureVersion, JournalDamaged, StoreDamaged
from atp.journal.segments import MARK_NAME, write_synced
from damaged import header
from journal_files import STORE_ID, Read
from remembered import (
    NOW_NS,
    content,
    copied,
    make_store,
    opened,
    overwrite,
    records_in,
    segments_of,
    state,
)


class Past(NamedTuple):
    """A store, and its records by segment."""

    path: Path
    records: list[list[Read]]

    @property
    def last(self) -> int:
        """The last change."""
        return self.records[-1][-1].sequence

    def file(self, number: int) -> Path:
        """A segment's file."""
        return segments_of(self.path)[number].path


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("past") / "data"
    make_store(path)
    return path


@pytest.fixture
def past(sound: Path, tmp_path: Path) -> Past:
    """A sound store of several segments to damage."""
    path = copied(sound, tmp_path / "data")
    return Past(path, [records_in(segment) for segment in segments_of(path)])


def refused(past: Past) -> JournalDamaged:
    """A start must end here, and leave every byte as it was."""
    before = content(past.path)
    with pytest.raises(JournalDamaged) as raised:
        opened(past.path)
    assert content(past.path) == before
    told = str(raised.value)
    assert "\n" not in told
    assert str(raised.value.path) in told
    assert told.endswith(f"atp journal repair {past.path}")
    return raised.value


def test_a_record_that_was_durable_and_is_not_sound(past: Past) -> None:
    """In the last segment: a later record proves that the missing one had been synced."""
    records = past.records[-1]
    victim = records[1]
    (past.path / "journal" / MARK_NAME).unlink()
    proofs = [one for one in records if one.sequence - one.behind >= victim.sequence]
    assert proofs, "the last segment has more than one batch"
    overwrite(past.file(-1), victim.offset + 30, b"\xff\xff")
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (victim.sequence, victim.sequence)
    assert (found.path, found.offset) == (past.file(-1), victim.offset)
    assert f"change {victim.sequence} is lost" in str(found)


def test_a_mark_ahead_of_the_records(past: Past) -> None:
    """The last records are gone, cleanly or torn, but the mark knows that they were durable."""
    for left in (b"", b"garbage"):
        cut = past.records[-1][-2].offset
        size = past.file(-1).stat().st_size
        overwrite(past.file(-1), cut, left + bytes(size - cut - len(left)))
        found = refused(past)
        assert (found.first_lost, found.last_lost) == (past.last - 1, past.last)
        assert f"changes {past.last - 1} to {past.last} are lost" in str(found)
    # With a mark that says no more than the records do, nothing is known to be missing.
    write_synced(past.path / "journal", STORE_ID, past.last - 2)
    assert state(past.path)[0] == past.last - 2


@pytest.mark.parametrize("mark", [b"", b"x" * 40, None])
def test_a_mark_that_is_missing_or_bad_says_nothing(past: Past, mark: bytes | None) -> None:
    """It is a floor, and the floor is 0 then."""
    file = past.path / "journal" / MARK_NAME
    if mark is None:
        file.unlink()
    else:
        file.write_bytes(mark)
    cut = past.records[-1][-1].offset
    overwrite(past.file(-1), cut, bytes(past.file(-1).stat().st_size - cut))
    assert state(past.path)[0] == past.last - 1


def test_anything_wrong_in_a_sealed_segment(past: Past) -> None:
    """Its records were synced before the next segment got its name."""
    (past.path / "journal" / MARK_NAME).unlink()
    first, victim = past.records[1][0], past.records[1][-1]
    data = past.file(1).read_bytes()
    with past.file(1).open("r+b") as file:
        file.truncate(victim.end - 1)
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (victim.sequence, victim.sequence)
    past.file(1).write_bytes(data[: first.offset] + bytes(len(data) - first.offset))
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (first.sequence, victim.sequence)
    past.file(1).write_bytes(data + b"more")
    found = refused(past)
    assert found.last_lost < found.first_lost
    assert "no change is known to be lost" in str(found)
    past.file(1).write_bytes(data)
    assert state(past.path)[0] == past.last


def test_every_bit_of_a_sealed_segment(past: Past) -> None:
    """Each bit is either told or, in the header's time of making, told as well: none is passed."""
    data = past.file(1).read_bytes()
    for bit in range(0, len(data) * 8, 61):
        bent = bytearray(data)
        bent[bit // 8] ^= 1 << bit % 8
        past.file(1).write_bytes(bent)
        with pytest.raises((JournalDamaged, FutureVersion)):
            opened(past.path)


def test_a_segment_that_is_gone(past: Past) -> None:
    """In the middle, and the first."""
    first, last = past.records[2][0].sequence, past.records[2][-1].sequence
    past.file(2).unlink()
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (first, last)
    assert found.path == past.file(2), "the one that does not go on where it should"
    past.file(0).unlink()
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (1, past.records[0][-1].sequence)


def test_all_segments_gone(past: Past) -> None:
    """The mark knows how much there was."""
    for segment in segments_of(past.path):
        segment.path.unlink()
    found = refused(past)
    assert (found.first_lost, found.last_lost) == (1, past.last)
    assert found.path == past.path / "journal"


def test_segments_that_overlap(past: Past) -> None:
    """The same changes twice: nobody can say which are right."""
    data = past.file(1).read_bytes()
    record = past.records[1][1]
    head = header(first_sequence=record.sequence)
    path = past.file(1).with_name(f"{record.sequence:020}.segment")
    path.write_bytes(head + data[record.offset :])
    found = refused(past)
    assert found.path == path
    assert "begins with change" in str(found)


def test_a_header_that_is_not_sound(past: Past) -> None:
    """Damaged, cut off, of another store, of another place: no change is lost by it, but no start
    guesses. In any segment."""
    for number in (0, 1, -1):
        first = past.records[number][0].sequence
        data = past.file(number).read_bytes()
        for head, reason in (
            (b"x" + data[1:64], "does not begin as a segment does"),
            (data[:40] + bytes([data[40] ^ 1]) + data[41:64], "checksum is wrong"),
            (header(first_sequence=first + 1), "not with the one of its name"),
            (header(first_sequence=first, store_id=b"x" * 16), "is of another store"),
        ):
            overwrite(past.file(number), 0, head)
            assert reason in str(refused(past))
        past.file(number).write_bytes(data[:10])
        assert "less than a header" in str(refused(past))
        past.file(number).write_bytes(data)
    assert state(past.path)[0] == past.last


def test_a_segment_of_a_future_version(past: Past) -> None:
    """Is not guessed at, and is not called damaged."""
    before = content(past.path)
    head = header(first_sequence=past.records[-1][0].sequence, version=2)
    data = past.file(-1).read_bytes()
    overwrite(past.file(-1), 0, head)
    with pytest.raises(FutureVersion, match="was written by a newer atp"):
        opened(past.path)
    past.file(-1).write_bytes(data)
    assert content(past.path) == before


def test_a_change_that_does_not_fit(past: Past) -> None:
    """Sound records whose changes cannot have been: told with the change and the place."""
    records = past.records[-1]
    stranger = b"\x2a\x12\x0a\x10" + b"k" * 16  # the end of a hold that there is not
    victim = records[1]
    made = _native.record_of(victim.sequence, stranger, victim.behind)
    tail = past.file(-1).read_bytes()[victim.end :]
    overwrite(past.file(-1), victim.offset, made + tail)
    found = refused(past)
    assert found.first_lost == victim.sequence
    assert f"change {victim.sequence} is about a hold that there is not" in str(found)


def test_a_store_that_cannot_say_which_it_is(past: Past) -> None:
    """STORE damaged, missing, or of a newer atp."""
    good = (past.path / "STORE").read_bytes()
    (past.path / "STORE").write_bytes(good[:-5] + b"0000\n")
    with pytest.raises(StoreDamaged):
        opened(past.path)
    (past.path / "STORE").unlink()
    with pytest.raises(StoreDamaged):
        opened(past.path)
    (past.path / "STORE").write_bytes(store_text(Store(STORE_ID, 99, NOW_NS)))
    with pytest.raises(FutureVersion):
        opened(past.path)
    (past.path / "STORE").write_bytes(good)
    assert state(past.path)[0] == past.last
