"""Starts on what a stop or a crash left: the same state, or a clear refusal that changes nothing.

Owns the ends of a journal that are whole or torn. What is damaged is in test_recovery_damage.py.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from atp.journal import recovery
from atp.journal.errors import JournalDamaged
from atp.journal.segments import MARK_NAME
from atp.vocabulary import StockReason
from remembered import (
    AT_NOW,
    MINUTE_NS,
    NOW_NS,
    content,
    copied,
    make_durable,
    make_store,
    opened,
    overwrite,
    records_in,
    segments_of,
    shop,
    state,
)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a past of several segments; nobody changes it."""
    path = tmp_path_factory.mktemp("past") / "data"
    make_store(path, batches=9, rounds=3)
    assert len(segments_of(path)) > 3
    return path


@pytest.fixture
def store(past: Path, tmp_path: Path) -> Path:
    """A copy of it to do with as one likes."""
    return copied(past, tmp_path / "data")


def test_a_stopped_store_starts_where_it_was(tmp_path: Path) -> None:
    """Start after start, each with some more changes: the same state, and the ids remembered."""
    path = tmp_path / "data"
    digests = make_store(path, batches=2)
    sequence, digest, report = state(path)
    assert digests[sequence] == digest == report.digest
    assert (report.sequence, report.replayed_record_count) == (sequence, sequence)
    assert (report.snapshot, report.torn_bytes, report.torn_copy) == ("", 0, "")
    assert report.duration_ns > 0
    for number in range(100, 120, 5):
        engine, journal, report = opened(path)
        assert engine.digest(**AT_NOW) == digest
        first = engine.reserve("r0", [("apple", 2)], **AT_NOW, ttl_ns=MINUTE_NS)
        assert first.outcome.name == "REQUEST_ID_REUSED"
        shop(engine, range(number, number + 5))
        make_durable(engine, journal)
        digest = engine.digest(**AT_NOW)
        journal.close(NOW_NS, snapshot=False)
    assert state(path)[1] == digest


def test_a_new_store_starts_empty(tmp_path: Path) -> None:
    """Nothing is found, and the next start finds just as little."""
    for _ in range(2):
        engine, journal, report = opened(tmp_path / "data")
        assert report._replace(duration_ns=0, digest="") == recovery.RecoveryReport()
        assert engine.status().sequence == 0
        journal.close(NOW_NS, snapshot=False)


def test_holds_whose_time_passed_meanwhile_have_expired(tmp_path: Path) -> None:
    """Their units are to sell again, and their ends are remembered like any other."""
    path = tmp_path / "data"
    engine, journal, _ = opened(path)
    engine.set_stock("apple", 10, **AT_NOW)
    for number in range(5):
        engine.reserve(f"r{number}", [("apple", 1)], **AT_NOW, ttl_ns=100 * (number + 1))
    make_durable(engine, journal)
    before = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    later = NOW_NS + 300
    engine, journal, report = opened(path, now_ns=later)
    assert (report.expired_count, report.sequence, report.digest) == (3, 6, before)
    assert engine.status().sequence == 9
    assert engine.get_availability(["apple"], now_ns=later)[0].available == 8
    make_durable(engine, journal)
    journal.close(NOW_NS, snapshot=False)
    _, journal, report = opened(path, now_ns=later)
    assert (report.expired_count, report.sequence) == (0, 9)
    journal.close(NOW_NS, snapshot=False)


def test_a_clock_set_back_ends_nothing_early(tmp_path: Path) -> None:
    """The engine's time is the latest that it knew, however early the start says it is."""
    path = tmp_path / "data"
    engine, journal, _ = opened(path)
    engine.set_stock("apple", 10, **AT_NOW)
    engine.reserve("r", [("apple", 1)], **AT_NOW, ttl_ns=100)
    make_durable(engine, journal)
    journal.close(NOW_NS, snapshot=False)
    engine, journal, report = opened(path, now_ns=NOW_NS - 10**15)
    assert report.expired_count == 0
    assert engine.status().time_ns == NOW_NS
    journal.close(NOW_NS, snapshot=False)


def last_batch(path: Path) -> tuple[Path, list[tuple[int, int, int]], int]:
    """The last segment, (sequence, offset, end) of the records of its last batch, and its size.

    As if the batch had been written and not synced: the mark is that of the batch before.
    """
    segment = segments_of(path)[-1]
    records = records_in(segment)
    batch = [records[-1]]
    while batch[0].behind > 1 and batch[0] is not records[0]:
        batch.insert(0, records[records.index(batch[0]) - 1])
    (path / "journal" / MARK_NAME).unlink()
    places = [(one.sequence, one.offset, one.end) for one in batch]
    return segment.path, places, segment.path.stat().st_size


def test_a_torn_tail_is_cut_wherever_it_is_torn(past: Path, tmp_path: Path) -> None:
    """Within the head or the event of every record of the last batch, and between them: a prefix
    of the batch is there, a copy of the rest is kept."""
    whole = copied(past, tmp_path / "whole")
    segment, batch, size = last_batch(whole)
    data = segment.read_bytes()
    first, begin, _ = batch[0]
    offsets = {one[1] + more for one in batch for more in (0, 1, 9, 23, 24, 25, 40)}
    for offset in sorted(offsets):
        path = copied(whole, tmp_path / f"cut-{offset}")
        torn = path / "journal" / segment.name
        torn.write_bytes(data[:offset] + bytes(size - offset))
        kept = [one for one in batch if one[2] <= offset]
        sequence, digest, report = state(path)
        assert sequence == (kept[-1][0] if kept else first - 1)
        end = kept[-1][2] if kept else begin
        rest = data[end:offset].rstrip(b"\0")
        assert report.torn_bytes == len(rest)
        if rest:
            assert Path(report.torn_copy).read_bytes() == rest
            assert Path(report.torn_copy).name in (path / "cut" / "README").read_text()
        again = state(path)
        assert again[:2] == (sequence, digest)
        assert again[2].torn_bytes == 0


def test_later_records_of_a_torn_batch_are_cut_with_it(store: Path) -> None:
    """The system wrote the end of a batch and not its begin: nobody was told of any of it."""
    segment, batch, _ = last_batch(store)
    overwrite(segment, batch[1][1], bytes(batch[1][2] - batch[1][1]))
    sequence, _, report = state(store)
    assert sequence == batch[0][0]
    assert report.torn_bytes == batch[-1][2] - batch[1][1]
    assert state(store)[0] == sequence


def test_garbage_after_the_last_record_is_cut(store: Path) -> None:
    """Even when no change is missing at all."""
    segment = segments_of(store)[-1]
    end = records_in(segment)[-1].end
    digest = state(store)[1]
    overwrite(segment.path, end, b"garbage")
    _, found, report = state(store)
    assert found == digest
    assert (report.torn_bytes, Path(report.torn_copy).read_bytes()) == (7, b"garbage")


def test_a_start_that_was_killed_while_it_cut_does_it_again(store: Path) -> None:
    """The copy was there and the tail not cut yet: one copy stays, and the tail is cut."""
    segment = segments_of(store)[-1]
    end = records_in(segment)[-1].end
    (store / "cut" / f"{segment.path.name}.from-{end}").write_bytes(b"garbage")
    (store / "cut" / f"{segment.path.name}.from-{end}.2").write_bytes(b"older garbage")
    overwrite(segment.path, end, b"garbage")
    state(store)
    names = sorted(path.name for path in (store / "cut").iterdir())
    assert names == [
        f"{segment.path.name}.from-{end}",
        f"{segment.path.name}.from-{end}.2",
        "README",
    ]


def test_another_torn_tail_at_the_same_place_gets_a_copy_of_its_own(store: Path) -> None:
    segment = segments_of(store)[-1]
    end = records_in(segment)[-1].end
    for number in range(3):
        overwrite(segment.path, end, b"garbage %d" % number)
        _, _, report = state(store)
        assert Path(report.torn_copy).read_bytes() == b"garbage %d" % number
    assert len(list((store / "cut").iterdir())) == 4


def test_a_sealed_end_and_no_segment_after_it_is_a_clean_end(store: Path) -> None:
    """A crash between sealing one segment and naming the next."""
    digest = state(store)[1]
    segment = segments_of(store)[-1]
    end = records_in(segment)[-1].end
    with segment.path.open("r+b") as file:
        file.truncate(end)
    before = content(store)
    assert state(store)[1] == digest
    assert before.keys() == content(store).keys()


def test_a_proof_that_ends_in_zeros_is_seen(tmp_path: Path) -> None:
    """The last record of a journal may end in bytes that are zero, as what follows it is."""
    path = tmp_path / "data"
    engine, journal, _ = opened(path, segment_bytes=1 << 20)
    engine.set_stock("apple", 10, **AT_NOW)
    make_durable(engine, journal)
    (segment,) = segments_of(path)
    end, number = records_in(segment)[-1].end, 1
    while number < 3 or segment.path.read_bytes()[end - 1]:
        engine.adjust_stock(f"x{number}", "apple", number, StockReason.RECEIVED, **AT_NOW)
        make_durable(engine, journal)
        end, number = records_in(segment)[-1].end, number + 1
    journal.close(NOW_NS, snapshot=False)
    (path / "journal" / MARK_NAME).unlink()
    victim = records_in(segment)[-2]
    overwrite(segment.path, victim.offset, b"\xff")
    with pytest.raises(JournalDamaged, match=f"change {victim.sequence} is lost"):
        opened(path)
