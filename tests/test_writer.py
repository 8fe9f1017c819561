"""The committer: what it called durable is in the segments, in order, whoever committed it."""

from __future__ import annotations

import gc
import os
import select
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from atp.journal._native import Writer
from conftest import native_engine
from crowd import Crowd
from journal_files import make_folder, read_journal, read_mark, read_segment, writer_of

NOW_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60 * 10**9
LONG_NS = 60 * 10**9


@pytest.fixture
def engine() -> Any:
    """A recording engine with many apples."""
    engine = native_engine(record_events=True, longest_life_ns=MINUTE_NS)
    engine.set_stock("apple", 10**9, now_ns=NOW_NS)
    return engine


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bare data directory."""
    return make_folder(tmp_path / "data")


@contextmanager
def running(writer: Writer) -> Iterator[Writer]:
    """The committer's threads, until the end of the block."""
    threads = [threading.Thread(target=job) for job in (writer.run, writer.run_ahead)]
    for thread in threads:
        thread.start()
    try:
        yield writer
    finally:
        writer.stop()
        for thread in threads:
            thread.join()


def reserve(engine: Any, request_id: str) -> int:
    """One more hold; returns its sequence."""
    reply = engine.reserve(request_id, [("apple", 1)], now_ns=NOW_NS, ttl_ns=MINUTE_NS)
    assert reply.reservation is not None
    return int(reply.sequence)


def writer_from_start(engine: Any, folder: Path, **more: Any) -> Writer:
    """A committer for all that the engine has done so far."""
    return writer_of(engine, folder, next_sequence=1, **more)


@pytest.mark.parametrize("inline_commits", [True, False])
def test_what_was_waited_for_is_in_the_segments(
    engine: Any, folder: Path, inline_commits: bool
) -> None:
    """With a thread that commits, and inline, the same records come to lie in order."""
    with running(writer_from_start(engine, folder, inline_commits=inline_commits)) as writer:
        for number in range(50):
            sequence = reserve(engine, f"r{number}")
            assert writer.wait(sequence, LONG_NS)
            assert writer.durable >= sequence
            assert len(read_journal(folder)) >= sequence
            assert read_mark(folder) <= writer.durable
    records = read_journal(folder)
    assert [record.event.reserved.request_id for record in records][1:] == [
        f"r{number}" for number in range(50)
    ]
    assert read_mark(folder) == 51
    assert writer.statistics().waiting_records == writer.statistics().waiting_bytes == 0


def test_without_a_thread_whoever_waits_commits(engine: Any, folder: Path) -> None:
    """Leader and follower: no committer's thread is needed for those who wait."""
    writer = writer_from_start(engine, folder)
    sequence = reserve(engine, "r")
    assert read_journal(folder) == []  # an append makes no system call
    assert writer.wait(sequence, LONG_NS)
    assert [record.behind for record in read_journal(folder)] == [1, 2]


def test_a_wait_ends_when_its_time_is_up(engine: Any, folder: Path) -> None:
    """With nobody who commits."""
    writer = writer_from_start(engine, folder, inline_commits=False)
    assert not writer.wait(reserve(engine, "r"), 1_000_000)
    assert writer.durable == 0


def test_who_kicks_is_told(engine: Any, folder: Path) -> None:
    """The eventfd is readable once what was kicked for is durable; at once if it was before."""
    with running(writer_from_start(engine, folder, sync_interval_ns=MINUTE_NS)) as writer:
        for number in range(20):
            sequence = reserve(engine, f"r{number}")
            writer.kick(sequence)
            while writer.durable < sequence:
                assert select.select([writer.notify_fd], [], [], 60)[0]
                os.eventfd_read(writer.notify_fd)
        writer.kick(1)
        assert select.select([writer.notify_fd], [], [], 60)[0]


@pytest.mark.parametrize("durability", ["interval", "off"])
def test_by_the_clock_changes_are_written(engine: Any, folder: Path, durability: str) -> None:
    """Nobody waits, and they come to lie in the segments; only `off` does not sync them."""
    with running(
        writer_from_start(engine, folder, durability=durability, sync_interval_ns=1_000_000)
    ) as writer:
        sequence = reserve(engine, "r")
        ended = threading.Event()
        for _ in range(60_000):
            if writer.written >= sequence and (durability == "off" or writer.durable >= sequence):
                break
            ended.wait(0.001)
        assert writer.written == sequence
        assert writer.durable == (0 if durability == "off" else sequence)
        assert writer.wait(sequence, LONG_NS)  # who insists gets a sync
    assert len(read_journal(folder)) == sequence


def test_a_stop_makes_everything_durable(engine: Any, folder: Path) -> None:
    """What waits when the end comes is written and synced."""
    with running(writer_from_start(engine, folder, sync_interval_ns=MINUTE_NS)) as writer:
        last = [reserve(engine, f"r{number}") for number in range(100)][-1]
    assert writer.durable == last == len(read_journal(folder)) == read_mark(folder)
    assert not writer.wait(last + 1, LONG_NS)


def test_a_stop_while_many_write(engine: Any, folder: Path, scaled: Callable[[int], int]) -> None:
    """Whoever was told that it is durable finds it in the segments, whatever came after."""
    crowd = Crowd(engine)
    writer = writer_from_start(engine, folder, segment_bytes=4096)
    told: list[int] = []

    def shop(thread: int) -> Callable[[], None]:
        def job() -> None:
            for number in range(scaled(2_000)):
                sequence = reserve(engine, f"{thread}-{number}")
                if not writer.wait(sequence, LONG_NS):
                    return
                told.append(sequence)

        return job

    def stop() -> None:
        while len(told) < 20:
            pass
        writer.stop()

    crowd.run(*(shop(thread) for thread in range(4)), writer.run, writer.run_ahead, stop)
    assert max(told) <= writer.durable == len(read_journal(folder)) == read_mark(folder)


@pytest.mark.parametrize("inline_commits", [True, False])
def test_one_sync_serves_many(
    engine: Any, folder: Path, scaled: Callable[[int], int], inline_commits: bool
) -> None:
    """Threads that wait at the same time share syncs, and each finds its record on its return."""
    crowd = Crowd(engine)
    writer = writer_from_start(engine, folder, inline_commits=inline_commits)
    each = scaled(200)

    def shop(thread: int) -> Callable[[], None]:
        def job() -> None:
            for number in range(each):
                assert writer.wait(reserve(engine, f"{thread}-{number}"), LONG_NS)

        return job

    with running(writer):
        crowd.run(*(shop(thread) for thread in range(8)))
    records = read_journal(folder)
    assert len(records) == 8 * each + 1
    assert writer.statistics().syncs < len(records)
    for thread in range(8):
        own = [r.event.reserved.request_id for r in records]
        mine = [request_id for request_id in own if request_id.startswith(f"{thread}-")]
        assert mine == [f"{thread}-{number}" for number in range(each)]


def test_a_segment_ends_at_every_boundary(folder: Path, tmp_path: Path) -> None:
    """Whatever the size of a segment, no record is cut, lost or written twice."""
    for size in range(128, 400, 11):
        engine = native_engine(record_events=True)
        engine.set_stock("apple", 100, now_ns=NOW_NS)
        place = make_folder(tmp_path / str(size))
        writer = writer_of(engine, place, next_sequence=1, segment_bytes=size)
        for number in range(12):
            sequence = reserve(engine, "r" * (number + 1))
            if number % 3 == 0:
                assert writer.wait(sequence, LONG_NS)
        writer.stop()
        assert len(read_journal(place)) == 13
        segments = sorted((place / "journal").glob("*.segment"))
        assert len(segments) > 2
        for segment in segments[:-1]:
            records = read_segment(segment)
            assert segment.stat().st_size == records[-1].end
            assert records[-1].end <= size or len(records) == 1


def test_it_goes_on_where_it_ended(engine: Any, folder: Path) -> None:
    """Opened again and again, with other sizes, the records stay in one row."""
    writer = writer_from_start(engine, folder)
    for number in range(30):
        reserve(engine, f"r{number}")
        writer.stop()
        assert read_mark(folder) == engine.status().sequence
        del writer
        writer = writer_of(engine, folder, segment_bytes=600 + 50 * (number % 7))
        assert writer.durable == engine.status().sequence
    assert len(read_journal(folder)) == 31
    assert not list((folder / "journal").glob("*.part")) or writer.durable


def test_a_newer_snapshot_leaves_a_gap(engine: Any, folder: Path) -> None:
    """A state that is ahead of the journal begins a segment of its own."""
    writer_from_start(engine, folder).stop()
    for number in range(5):
        reserve(engine, f"r{number}")
    engine_ahead = native_engine(record_events=True)
    writer = writer_of(engine_ahead, folder, next_sequence=7)
    names = sorted(path.name for path in (folder / "journal").glob("*.segment"))
    assert names == [f"{1:020}.segment", f"{7:020}.segment"]
    assert (folder / "journal" / names[0]).stat().st_size < 300
    assert writer.durable == read_mark(folder) == 6


def test_damage_that_does_not_matter_is_left_as_it_is(engine: Any, folder: Path) -> None:
    """A start passed over it because a snapshot has the change: a segment of its own begins."""
    writer = writer_from_start(engine, folder)
    for number in range(9):
        reserve(engine, f"r{number}")
    writer.stop()
    del writer
    path = folder / "journal" / f"{1:020}.segment"
    third = read_segment(path)[2]
    data = bytearray(path.read_bytes())
    data[third.offset + 30] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match=f"has no zeros after its last record, at {third.offset}"):
        writer_of(native_engine(record_events=True), folder, next_sequence=3)
    writer = writer_of(engine, folder)
    sequence = reserve(engine, "more")
    assert writer.wait(sequence, LONG_NS)
    assert path.read_bytes() == data
    assert [one.sequence for one in read_segment(path.with_name(f"{11:020}.segment"))] == [11]


def test_what_was_not_recovered_is_not_written_over(engine: Any, folder: Path) -> None:
    """A tail that recovery would cut, a foreign store, records ahead of the state."""
    writer = writer_from_start(engine, folder)
    writer.stop()
    del writer
    with pytest.raises(ValueError, match="has records after sequence 0"):
        writer_of(native_engine(record_events=True), folder)
    path = folder / "journal" / f"{1:020}.segment"
    data = bytearray(path.read_bytes())
    data[-1] = 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="has no zeros after its last record, at"):
        writer_of(engine, folder)
    data[-1] = 0
    data[20] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="has a header that is damaged, or of another store"):
        writer_of(engine, folder)
    path.write_bytes(data[:40])
    with pytest.raises(ValueError, match="is too short for a segment"):
        writer_of(engine, folder)


def test_a_writer_in_a_cycle_is_gone_before_its_engine(engine: Any, folder: Path) -> None:
    """The collector cleared its engine first, and the end of the writer wrote to freed memory."""
    for number in range(20):
        place = make_folder(folder / str(number))
        recorded = native_engine(record_events=True)
        cycle: list[Any] = [recorded, writer_of(recorded, place)]
        cycle.append(cycle)
        del recorded, cycle
    gc.collect()


def test_one_writer_for_one_engine(engine: Any, folder: Path, tmp_path: Path) -> None:
    """Events are taken by one; an engine that records none has nothing to write."""
    writer = writer_from_start(engine, folder)
    with pytest.raises(ValueError, match="has another writer"):
        writer_of(engine, make_folder(tmp_path / "other"), next_sequence=1)
    with pytest.raises(RuntimeError, match="a writer takes"):
        engine.take_events()
    del writer
    with pytest.raises(ValueError, match="records no events"):
        writer_of(native_engine(), make_folder(tmp_path / "third"))
