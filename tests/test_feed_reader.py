"""Reading changes from segments: positions, ends of segments, retention, damage, bounded memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atp.journal import feed
from atp.journal.feed import Feed, PositionGone
from atp.v1 import maintenance_service_pb2 as pb
from segment_files import HEADER_BYTES, event, record, segment_path, write_segment

LARGEST_EVENT = 1 << 20


def read_all(reader: Feed, last: int) -> list[int]:
    """The sequences of all changes up to `last`; checks that each batch is what it says."""
    sequences = []
    while True:
        batch = reader.read(last)
        response = pb.WatchResponse.FromString(batch.message)
        assert len(response.events) == batch.changes
        if not batch.changes:
            assert batch.message == b""
            assert batch.resume_sequence == reader.position == last + 1
            return sequences
        assert response.resume_sequence == batch.resume_sequence == reader.position
        for watched in response.events:
            assert watched.event.stock_changed.on_hand_quantity == watched.sequence
            sequences.append(watched.sequence)
        assert sequences[-1] + 1 == batch.resume_sequence


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three segments: changes 1 to 5, 6 to 9, 10 to 12; the last one has room left."""
    write_segment(tmp_path, 1, 5)
    write_segment(tmp_path, 6, 4)
    write_segment(tmp_path, 10, 3, room=4096)
    (tmp_path / "synced").write_bytes(b"beside them, and none of them")
    return tmp_path


@pytest.mark.parametrize("position", range(1, 14))
@pytest.mark.parametrize("last", [1, 5, 6, 12])
def test_from_every_position_up_to_every_end(folder: Path, position: int, last: int) -> None:
    with Feed(folder, position) as reader:
        if position > last + 1:
            assert reader.read(last).changes == 0
        else:
            assert read_all(reader, last) == list(range(position, last + 1))


def test_what_is_not_durable_is_not_read(folder: Path) -> None:
    with Feed(folder, 10) as reader:
        assert read_all(reader, 9) == []
        assert read_all(reader, 11) == [10, 11]
        assert read_all(reader, 12) == [12]


def test_the_present_follows_the_past_into_the_next_segment(folder: Path) -> None:
    with Feed(folder, 11) as reader:
        assert read_all(reader, 12) == [11, 12]
        with segment_path(folder, 10).open("r+b") as last_one:
            last_one.seek(-4096, os.SEEK_END)
            last_one.write(record(13, event(13)))
        assert read_all(reader, 13) == [13]
        write_segment(folder, 14, 2, room=64)
        assert read_all(reader, 15) == [14, 15]


def test_a_long_segment_comes_in_bounded_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_segment(tmp_path, 1, 2_000, padding=50)
    monkeypatch.setattr(feed, "READ_BYTES", 1000)
    with Feed(tmp_path, 1_500) as reader:
        assert len(reader.read(2_000).message) <= 1000
        assert read_all(reader, 2_000)[-1] == 2_000


def test_a_change_larger_than_a_batch_comes_alone(tmp_path: Path) -> None:
    largest = event(2, padding=LARGEST_EVENT - len(event(2)) - 20)
    largest = event(2, padding=LARGEST_EVENT - len(event(2)) - 20 + LARGEST_EVENT - len(largest))
    assert len(largest) == LARGEST_EVENT
    content = bytes(HEADER_BYTES)
    for sequence, made in ((1, event(1)), (2, largest), (3, event(3))):
        content += record(sequence, made)
    segment_path(tmp_path, 1).write_bytes(content)
    with Feed(tmp_path, 1) as reader:
        assert [reader.read(3).changes for _ in range(4)] == [1, 1, 1, 0]
    with Feed(tmp_path, 3) as reader:  # passing over it, too
        assert read_all(reader, 3) == [3]


def test_the_past_that_retention_took_is_gone(folder: Path) -> None:
    segment_path(folder, 1).unlink()
    with Feed(folder, 3) as reader, pytest.raises(PositionGone) as gone:
        reader.read(12)
    assert (gone.value.position, gone.value.first_sequence) == (3, 6)
    with Feed(folder, 6) as reader:
        assert read_all(reader, 12) == list(range(6, 13))


def test_a_segment_that_goes_while_it_is_read_is_read_to_its_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "READ_BYTES", len(record(1, event(1))))
    with Feed(folder, 1) as reader:
        assert reader.read(12).resume_sequence == 2
        for first in (1, 6):
            segment_path(folder, first).unlink()
        assert [reader.read(12).resume_sequence for _ in range(4)] == [3, 4, 5, 6]
        with pytest.raises(PositionGone) as gone:
            reader.read(12)
    assert (gone.value.position, gone.value.first_sequence) == (6, 10)


def test_no_segment_at_all(tmp_path: Path) -> None:
    with Feed(tmp_path, 1) as reader:
        assert reader.read(0).changes == 0
        with pytest.raises(PositionGone, match="the first one that is there to be read is 5"):
            reader.read(4)


@pytest.mark.parametrize("offset", [0, 8, 16, 20, 24, 30])
def test_a_flipped_bit_is_never_told_as_a_change(folder: Path, offset: int) -> None:
    at = write_segment(folder, 6, 4)[1] + offset
    damaged = bytearray(segment_path(folder, 6).read_bytes())
    damaged[at] ^= 1
    segment_path(folder, 6).write_bytes(damaged)
    with Feed(folder, 5) as reader:
        sequences = [watched.sequence for watched in told(reader.read(12))]
        sequences += [watched.sequence for watched in told(reader.read(12))]
        assert sequences == [5, 6]
        with pytest.raises(PositionGone) as gone:
            reader.read(12)
    assert (gone.value.position, gone.value.first_sequence) == (7, 10)


def told(batch: feed.Batch) -> Iterator[pb.WatchedEvent]:
    yield from pb.WatchResponse.FromString(batch.message).events


def test_a_record_in_another_ones_place_is_no_change(folder: Path) -> None:
    content = bytes(HEADER_BYTES) + record(6, event(6)) + record(8, event(8))
    segment_path(folder, 6).write_bytes(content)
    with Feed(folder, 6) as reader:
        assert reader.read(12).resume_sequence == 7
        with pytest.raises(PositionGone):
            reader.read(12)


def test_a_segment_whose_first_record_is_damaged_ends_nothing_but_the_feed(folder: Path) -> None:
    segment_path(folder, 6).write_bytes(bytes(HEADER_BYTES + 100))
    with Feed(folder, 5) as reader:
        assert reader.read(12).resume_sequence == 6
        for _ in range(2):
            with pytest.raises(PositionGone) as gone:
                reader.read(12)
            assert gone.value.first_sequence == 10


def test_a_closed_reader_reads_on_from_its_position(folder: Path) -> None:
    reader = Feed(folder, 7)
    assert reader.read(8).resume_sequence == 9
    reader.close()
    reader.close()
    assert read_all(reader, 12) == [9, 10, 11, 12]
    reader.close()


def test_a_reader_that_waits_holds_one_open_file(folder: Path) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    readers = [Feed(folder, 1) for _ in range(10)]
    for reader in readers:
        read_all(reader, 12)
    assert open_files() == before + 10
    for reader in readers:
        reader.close()
    assert open_files() == before


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=6),
    ends=st.lists(st.integers(0, 80), max_size=8),
    batch=st.integers(64, 400),
    data=st.data(),
)
def test_any_way_of_reading_gives_every_change_once(
    tmp_path_factory: pytest.TempPathFactory,
    sizes: list[int],
    ends: list[int],
    batch: int,
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("segments")
    first = 1
    for size in sizes:
        write_segment(folder, first, size, room=data.draw(st.sampled_from([0, 8, 500])))
        first += size
    last = first - 1
    position = data.draw(st.integers(1, last))
    got = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feed, "READ_BYTES", batch)
        with Feed(folder, position) as reader:
            for end in [*sorted(min(end, last) for end in ends), last]:
                while (one := reader.read(end)).changes:
                    got += [watched.sequence for watched in told(one)]
                if data.draw(st.booleans()):
                    reader.close()
    assert got == list(range(position, last + 1))
