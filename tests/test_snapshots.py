"""Snapshots of a data directory: when they are taken, what a start makes of them, what goes.

Owns the files beside the journal. What is in a snapshot is in test_snapshot.py, and what is damaged
in one is in test_snapshot_damage.py.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from atp.journal import _native, snapshots
from atp.journal.errors import FutureVersion, JournalDamaged, SnapshotFailed
from atp.journal.journal import Journal, Options, open_journal
from atp.journal.segments import HEADER_BYTES
from atp.journal.snapshots import AGAIN_NS, list_snapshots, snapshot_name
from remembered import (
    AT_NOW,
    BOUNDS,
    MINUTE_NS,
    NOW_NS,
    content,
    make_durable,
    make_store,
    opened,
    overwrite,
    segments_of,
    shop,
    state,
)


def names(path: Path) -> list[str]:
    """What lies in the folder of snapshots."""
    return sorted(file.name for file in (path / "snapshots").iterdir())


def grow(engine: Any, journal: Journal, rounds: range) -> int:
    """Some more changes, durable; returns the last sequence."""
    shop(engine, rounds)
    make_durable(engine, journal)
    return int(engine.status().sequence)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a past, and no snapshot."""
    make_store(tmp_path / "data", batches=4)
    return tmp_path / "data"


def test_a_start_goes_on_from_the_newest_snapshot(path: Path) -> None:
    """Only what came after it is replayed, and the state is the same."""
    engine, journal, report = opened(path)
    assert report.snapshot == ""
    info = journal.snapshot(NOW_NS + 5)
    sequence = grow(engine, journal, range(100, 103))
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    assert names(path) == [info.name] == [snapshot_name(info.sequence)]
    assert info.size_bytes == (path / "snapshots" / info.name).stat().st_size
    assert (info.create_time_ns, info.duration_ns > 0) == (NOW_NS + 5, True)
    found, same, report = state(path)
    assert (found, same, report.digest) == (sequence, digest, digest)
    assert report.snapshot == info.name
    assert report.replayed_record_count == sequence - info.sequence


def test_a_clean_stop_leaves_nothing_to_replay(path: Path) -> None:
    """The last snapshot has everything; a stop after nothing has changed takes none."""
    engine, journal, _ = opened(path)
    sequence = grow(engine, journal, range(100, 103))
    journal.close(NOW_NS)
    assert names(path) == [snapshot_name(sequence)]
    before = content(path)
    engine, journal, report = opened(path)
    assert report.replayed_record_count == 0
    assert (report.snapshot, report.sequence) == (snapshot_name(sequence), sequence)
    assert journal.status().last_snapshot is not None
    journal.close(NOW_NS)
    assert content(path) == before


def test_a_snapshot_has_no_name_before_the_journal_is_durable(path: Path) -> None:
    """Changes that a crash may still take back must not come back by a snapshot."""
    engine, journal, _ = opened(path)
    shop(engine, range(100, 103))
    seen: list[tuple[int, list[str]]] = []
    writer = journal.writer

    class Waiting:
        """The committer, with somebody who looks when it is waited for."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def wait(self, sequence: int, timeout_ns: int) -> bool:
            seen.append((sequence, names(path)))
            assert writer.durable < sequence
            return writer.wait(sequence, timeout_ns)

    journal.snapshots._writer = Waiting()  # type: ignore[assignment]
    info = journal.snapshot(NOW_NS)
    assert seen == [(info.sequence, ["next.snapshot.part"])]
    assert writer.durable >= info.sequence
    journal.close(NOW_NS, snapshot=False)


def test_a_damaged_snapshot_falls_back_to_the_one_before_it(path: Path) -> None:
    """It is told, and moved away: it does not count as one that is kept."""
    engine, journal, _ = opened(path)
    first = journal.snapshot(NOW_NS)
    grow(engine, journal, range(100, 103))
    second = journal.snapshot(NOW_NS)
    sequence = grow(engine, journal, range(103, 105))
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    damaged = path / "snapshots" / second.name
    overwrite(damaged, 300, bytes([damaged.read_bytes()[300] ^ 1]))
    was = damaged.read_bytes()
    found, same, report = state(path)
    assert (found, same, report.snapshot) == (sequence, digest, first.name)
    assert len(report.damaged_snapshots) == 1
    assert report.damaged_snapshots[0].startswith(f"{second.name}: at byte ")
    assert names(path) == [first.name]
    assert (path / "cut" / second.name).read_bytes() == was
    assert second.name in (path / "cut" / "README").read_text()
    assert state(path)[2].damaged_snapshots == ()


def test_without_a_sound_snapshot_the_whole_journal_is_replayed(path: Path) -> None:
    engine, journal, _ = opened(path)
    info = journal.snapshot(NOW_NS)
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    (path / "snapshots" / info.name).write_bytes(b"")
    found, same, report = state(path)
    assert (found, same, report.snapshot) == (info.sequence, digest, "")
    assert report.replayed_record_count == info.sequence


def test_a_snapshot_of_another_name_is_damaged(path: Path) -> None:
    """Its changes are others than its name says: nobody knows who renamed it, and why."""
    _, journal, _ = opened(path)
    info = journal.snapshot(NOW_NS)
    journal.close(NOW_NS, snapshot=False)
    (path / "snapshots" / info.name).rename(path / "snapshots" / snapshot_name(info.sequence + 1))
    assert "not of that of its name" in state(path)[2].damaged_snapshots[0]


def test_a_snapshot_of_a_newer_version_stops_the_start(path: Path) -> None:
    """It is not passed over: what is in it may be all there is."""
    _, journal, _ = opened(path)
    info = journal.snapshot(NOW_NS)
    journal.close(NOW_NS, snapshot=False)
    file = path / "snapshots" / info.name
    data = bytearray(file.read_bytes())
    data[8] = 2
    data[120:128] = _native.checksum(bytes(data[:120])).to_bytes(8, "little")
    file.write_bytes(data)
    before = content(path)
    with pytest.raises(FutureVersion, match="newer atp"):
        opened(path)
    assert content(path) == before


def test_what_nobody_finished_is_removed_at_a_start(path: Path) -> None:
    (path / "snapshots" / "next.snapshot.part").write_bytes(b"half")
    state(path)
    assert names(path) == []


def test_old_snapshots_go_and_the_segments_that_none_needs(path: Path) -> None:
    """Two are kept. While there is one alone, the journal from its beginning is kept beside it."""
    engine, journal, _ = opened(path)
    begin = len(segments_of(path))
    assert begin > 1
    taken = [journal.snapshot(NOW_NS).sequence]
    assert segments_of(path)[0].first_sequence == 1
    for number in range(100, 400, 100):
        grow(engine, journal, range(number, number + 8))
        taken.append(journal.snapshot(NOW_NS).sequence)
        assert names(path) == [snapshot_name(sequence) for sequence in taken[-2:]]
        firsts = [segment.first_sequence for segment in segments_of(path)]
        assert firsts[0] <= taken[-2] + 1 < firsts[1]
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    assert state(path)[1] == digest
    # Either of the two will do.
    (path / "snapshots" / snapshot_name(taken[-1])).unlink()
    assert state(path)[1] == digest
    # Without both the beginning is missing, and the start says so.
    (path / "snapshots" / snapshot_name(taken[-2])).unlink()
    with pytest.raises(JournalDamaged, match="atp journal repair"):
        opened(path)


def test_the_damage_of_a_snapshot_is_told_with_that_of_the_journal(path: Path) -> None:
    """The start stops, changes nothing, and says which snapshot would have helped."""
    engine, journal, _ = opened(path)
    for number in range(100, 400, 100):
        grow(engine, journal, range(number, number + 8))
        journal.snapshot(NOW_NS)
    journal.close(NOW_NS, snapshot=False)
    kept = list_snapshots(path / "snapshots")
    for snapshot in kept:
        overwrite(snapshot.path, 200, b"\xff\xff\xff\xff")
    before = content(path)
    with pytest.raises(JournalDamaged) as stopped:
        opened(path)
    told = str(stopped.value)
    places = [told.index(f"{snapshot.path} is damaged, too, at byte ") for snapshot in kept]
    assert places == sorted(places, reverse=True)
    assert content(path) == before


def journal_with(path: Path, **options: Any) -> tuple[Any, Journal]:
    engine, journal, _ = open_journal(
        Options(path, segment_bytes=1024, **options), BOUNDS, now_ns=NOW_NS, owner_text="a test"
    )
    return engine, journal


def finish(journal: Journal) -> None:
    """Wait for the snapshot that tend() began."""
    thread = journal.snapshots._thread
    if thread is not None:
        thread.join()


def test_a_snapshot_is_due_by_the_bytes_of_the_journal(path: Path) -> None:
    """And again after as many more; a start counts what it has replayed."""
    size = sum(one.path.stat().st_size for one in segments_of(path)[:-1])
    engine, journal = journal_with(path, snapshot_bytes=size + 2_000)
    journal.tend(NOW_NS)
    assert names(path) == []
    taken = []
    for number in range(100, 160):
        written = journal.writer.statistics().written_bytes
        grow(engine, journal, range(number, number + 1))
        journal.tend(NOW_NS)
        finish(journal)
        last = journal.status().last_snapshot
        if last is not None and last.sequence not in taken:
            taken.append(last.sequence)
            if len(taken) == 1:
                assert written + size <= size + 2_000
    assert len(taken) >= 2
    journal.close(NOW_NS, snapshot=False)


def test_a_snapshot_is_due_by_time_if_anything_has_changed(path: Path) -> None:
    engine, journal = journal_with(path, snapshot_interval_ns=MINUTE_NS)
    journal.tend(NOW_NS + MINUTE_NS - 1)
    assert names(path) == []
    journal.tend(NOW_NS + MINUTE_NS)
    finish(journal)
    first = names(path)
    assert len(first) == 1
    journal.tend(NOW_NS + 3 * MINUTE_NS)
    finish(journal)
    assert names(path) == first
    grow(engine, journal, range(100, 101))
    journal.tend(NOW_NS + 3 * MINUTE_NS)
    finish(journal)
    assert len(names(path)) == 2
    journal.close(NOW_NS, snapshot=False)


def test_a_snapshot_that_fails_is_told_and_tried_again_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without room it is not begun: what is left is the journal's."""
    _, journal = journal_with(path, snapshot_interval_ns=MINUTE_NS)
    disk = os.statvfs(path)
    none_free = os.statvfs_result((*disk[:4], 0, *disk[5:]))
    monkeypatch.setattr(snapshots.os, "statvfs", lambda _: none_free)
    later = NOW_NS + MINUTE_NS
    journal.tend(later)
    finish(journal)
    assert names(path) == []
    assert "0 MiB free" in journal.status().snapshot_error
    with pytest.raises(SnapshotFailed, match="MiB free"):
        journal.snapshot(later)
    monkeypatch.undo()
    journal.tend(later + AGAIN_NS - 1)
    finish(journal)
    assert names(path) == []
    journal.tend(later + AGAIN_NS)
    finish(journal)
    assert len(names(path)) == 1
    assert journal.status().snapshot_error == ""
    journal.close(NOW_NS, snapshot=False)


def test_a_disk_that_fails_leaves_no_part(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, journal, _ = opened(path)

    def fail(_file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots.os, "fsync", fail)
    with pytest.raises(OSError, match="No space"):
        journal.snapshot(NOW_NS)
    monkeypatch.undo()
    assert names(path) == []
    assert journal.snapshot(NOW_NS).name in names(path)
    journal.close(NOW_NS, snapshot=False)


def test_who_asks_meanwhile_gets_the_next_one(path: Path) -> None:
    """Both are in place in the end, and neither is refused."""
    engine, journal, _ = opened(path)
    taken: list[int] = []

    def remember() -> None:
        taken.append(journal.snapshot(NOW_NS).sequence)

    threads = [threading.Thread(target=remember) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == [engine.status().sequence] * 4
    journal.close(NOW_NS, snapshot=False)


def test_the_sequence_goes_on_after_a_snapshot_of_everything(path: Path) -> None:
    """Snapshot, stop, start, change, start: no sequence is given twice, no segment has a gap."""
    for number in range(100, 500, 100):
        engine, journal, _ = opened(path)
        before = engine.status().sequence
        assert grow(engine, journal, range(number, number + 2)) > before
        digest = engine.digest(**AT_NOW)
        journal.close(NOW_NS)
        assert state(path)[:2] == (engine.status().sequence, digest)
    assert all(one.path.stat().st_size >= HEADER_BYTES for one in segments_of(path))
