"""Starts with a snapshot and a journal that is not whole: what the snapshot makes up for.

Which snapshot a start takes is in test_snapshots.py.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from atp.journal.directory import Places
from atp.journal.errors import JournalDamaged
from atp.journal.segments import MARK_NAME
from atp.journal.snapshots import list_snapshots
from journal_files import Read
from remembered import (
    AT_NOW,
    NOW_NS,
    copied,
    make_durable,
    make_store,
    opened,
    overwrite,
    records_in,
    segments_of,
    shop,
    snapshot,
    state,
)

BATCHES, OLD, NEW = 20, 8, 14


class Past(NamedTuple):
    """A store with two snapshots, the digest after each batch, and the records by segment."""

    path: Path
    digests: dict[int, str]
    records: list[list[Read]]

    @property
    def snapshots(self) -> list[Path]:
        """Their files, the older first."""
        return [file.path for file in list_snapshots(self.path / "snapshots")]

    def of(self, sequence: int) -> tuple[Path, Read]:
        """Where a change is."""
        for segment, records in zip(segments_of(self.path), self.records, strict=True):
            for record in records:
                if record.sequence == sequence:
                    return segment.path, record
        raise LookupError(sequence)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Past:
    path = tmp_path_factory.mktemp("past") / "data"
    digests = make_store(path, BATCHES, snapshots_after=(OLD, NEW))
    return Past(path, digests, [records_in(segment) for segment in segments_of(path)])


@pytest.fixture
def past(sound: Past, tmp_path: Path) -> Past:
    return sound._replace(path=copied(sound.path, tmp_path / "data"))


def snapshot_sequences(past: Past) -> list[int]:
    return [file.sequence for file in list_snapshots(past.path / "snapshots")]


def test_segments_that_a_snapshot_covers_may_be_gone(past: Past) -> None:
    """Those wholly before it, as retention leaves them."""
    _, new = snapshot_sequences(past)
    last = max(past.digests)
    for segment, following in zip(segments_of(past.path), segments_of(past.path)[1:], strict=False):
        if following.first_sequence <= new + 1:
            segment.path.unlink()
    assert segments_of(past.path)[0].first_sequence > 1
    sequence, digest, report = state(past.path)
    assert (sequence, digest) == (last, past.digests[last])
    assert report.passed_damage == ()
    # Without that snapshot the gap matters, and the refusal tells of it, too.
    overwrite(past.snapshots[1], 100, b"\xff\xff\xff")
    with pytest.raises(JournalDamaged) as raised:
        opened(past.path)
    old, _ = snapshot_sequences(past)
    assert raised.value.first_lost == old + 1
    assert f"{past.snapshots[1]} is damaged, too, at byte" in str(raised.value)


def test_damage_that_a_snapshot_covers_is_passed_over(past: Past) -> None:
    """In the segment in which the journal goes on after the snapshot; and told."""
    _, new = snapshot_sequences(past)
    path, victim = past.of(new - 1)
    assert path == past.of(new + 1)[0], "the snapshot is in the middle of a segment"
    overwrite(path, victim.offset + 25, b"\xff\xff")
    last = max(past.digests)
    sequence, digest, report = state(past.path)
    assert (sequence, digest) == (last, past.digests[last])
    (told,) = report.passed_damage
    assert f"change {new - 1} is lost, but for the snapshot" in told
    # What comes after the snapshot is not covered.
    path, victim = past.of(new + 1)
    overwrite(path, victim.offset + 25, b"\xff\xff")
    with pytest.raises(JournalDamaged) as raised:
        opened(past.path)
    assert raised.value.first_lost == new + 1


def test_a_journal_that_ends_before_the_snapshot(past: Past) -> None:
    """All that is missing is in the snapshot: the state is that of the snapshot, and goes on."""
    _, new = snapshot_sequences(past)
    end_path, record = past.of(new - 2)
    for segment in segments_of(past.path):
        if segment.first_sequence > record.sequence:
            segment.path.unlink()
    overwrite(
        end_path, record.offset, b"garbage".ljust(end_path.stat().st_size - record.offset, b"\0")
    )
    (past.path / "journal" / MARK_NAME).unlink()
    sequence, digest, report = state(past.path)
    assert (sequence, digest) == (new, past.digests[new])
    assert report.torn_bytes == 7
    for number in range(3):
        engine, journal, report = opened(past.path)
        assert engine.digest(**AT_NOW) == digest
        shop(engine, range(1000 + number, 1001 + number))
        make_durable(engine, journal)
        digest = engine.digest(**AT_NOW)
        journal.close(NOW_NS, snapshot=False)
    assert state(past.path)[1] == digest


def test_a_last_segment_without_a_header_that_a_snapshot_covers(past: Path) -> None:
    """It is moved out of the way, whole, and the journal goes on in another."""
    engine, journal, _ = opened(past.path)
    snapshot(past.path, engine)
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    last = segments_of(past.path)[-1].path
    overwrite(last, 3, b"xyz")
    data = last.read_bytes()
    _, found, report = state(past.path)
    assert found == digest
    assert "the snapshot has all that was in it" in report.passed_damage[0]
    assert (past.path / "cut" / last.name).read_bytes() == data
    _, found, report = state(past.path)
    assert (found, report.passed_damage) == (digest, ())


def test_no_segment_but_a_snapshot(past: Past) -> None:
    """Refused when the mark knows of more, or nothing is known; taken when the snapshot has all."""
    for segment in segments_of(past.path):
        segment.path.unlink()
    _, new = snapshot_sequences(past)
    with pytest.raises(JournalDamaged) as raised:
        opened(past.path)
    assert (raised.value.first_lost, raised.value.last_lost) == (new + 1, max(past.digests))
    (Places(past.path).journal / MARK_NAME).unlink()
    with pytest.raises(JournalDamaged, match="there is no segment; no change is known to be lost"):
        opened(past.path)
