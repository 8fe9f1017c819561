"""The data directory: one owner, one store, files that are told from others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from atp.journal.directory import Directory, Places, Store, read_store, store_text
from atp.journal.errors import DirectoryBusy, FutureVersion, StoreDamaged
from atp.journal.segments import (
    HeaderDamaged,
    Segment,
    list_segments,
    read_header,
    read_synced,
    remove_segments,
    unneeded,
    write_synced,
)
from conftest import native_engine
from journal_files import STORE_ID, make_folder, read_mark, writer_of

HOUR_NS = 3_600 * 10**9
DAY_NS = 24 * HOUR_NS
OWNER = "process 4711 on host shop since 2026-11-22"


def opened(path: Path) -> Directory:
    """The directory, taken."""
    return Directory(path, now_ns=5, owner_text=OWNER)


def test_a_directory_is_made_and_found_again(tmp_path: Path) -> None:
    """Folders, lock and store are there, and the store keeps its id."""
    first = opened(tmp_path / "a" / "data")
    assert {path.name for path in first.places.path.iterdir()} == {
        "LOCK",
        "STORE",
        "journal",
        "snapshots",
        "cut",
    }
    first.close()
    first.close()
    second = opened(tmp_path / "a" / "data")
    assert second.store == first.store == read_store(first.places)
    assert second.store.create_time_ns == 5
    assert opened(tmp_path / "b").store.store_id != first.store.store_id


def test_a_second_owner_is_refused_with_who_holds_it(tmp_path: Path) -> None:
    """In this process and in another; the lock goes with the process, however it ends."""
    program = (
        "import sys, pathlib; from atp.journal.directory import Directory\n"
        "kept = Directory(pathlib.Path(sys.argv[1]), now_ns=1, owner_text='the\\nother one')\n"
        "print('taken', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        with pytest.raises(DirectoryBusy, match="is in use by the other one: stop it, or name"):
            opened(tmp_path / "data")
        other.kill()
    mine = opened(tmp_path / "data")
    with pytest.raises(DirectoryBusy, match=OWNER) as refused:
        opened(tmp_path / "data")
    assert refused.value.holder == OWNER
    mine.tell_owner("short")
    with pytest.raises(DirectoryBusy, match="is in use by short:"):
        opened(tmp_path / "data")
    mine.close()
    opened(tmp_path / "data").close()


def test_a_store_of_a_newer_atp_is_refused(tmp_path: Path) -> None:
    """It is not guessed what a future version means."""
    opened(tmp_path).close()
    (tmp_path / "STORE").write_bytes(store_text(Store(STORE_ID, 2, 1)) + b"more 1\n")
    with pytest.raises(FutureVersion, match="written by a newer atp: its format is version 2"):
        opened(tmp_path)


def test_a_store_that_is_damaged_or_missing_stops_the_start(tmp_path: Path) -> None:
    """Every bit of it counts; without it segments belong to nobody."""
    opened(tmp_path).close()
    sound = (tmp_path / "STORE").read_bytes()
    for at in range(len(sound)):
        for bit in range(8):
            data = bytearray(sound)
            data[at] ^= 1 << bit
            (tmp_path / "STORE").write_bytes(data)
            with pytest.raises((StoreDamaged, FutureVersion)):
                read_store(Places(tmp_path))
    (tmp_path / "STORE").unlink()
    opened(tmp_path).close()  # nothing is lost yet
    (tmp_path / "STORE").unlink()
    (tmp_path / "journal" / "00000000000000000001.segment").touch()
    with pytest.raises(StoreDamaged, match="is missing beside"):
        opened(tmp_path)


def test_what_a_header_says(tmp_path: Path) -> None:
    """As the committer wrote it; each bit of it counts."""
    make_folder(tmp_path / "data")
    writer_of(native_engine(record_events=True), tmp_path / "data", next_sequence=12)
    (segment,) = list_segments(tmp_path / "data" / "journal")
    header = read_header(segment.path)
    assert header == (1, STORE_ID, 12, header.create_time_ns)
    assert 7 <= header.create_time_ns < 7 + 60 * 10**9
    sound = segment.path.read_bytes()[:64]
    for at in range(64 * 8):
        data = bytearray(sound)
        data[at // 8] ^= 1 << (at % 8)
        segment.path.write_bytes(data)
        with pytest.raises(HeaderDamaged):
            read_header(segment.path)
    segment.path.write_bytes(sound[:63])
    with pytest.raises(HeaderDamaged, match="is 63 bytes long"):
        read_header(segment.path)


def test_the_mark_is_a_floor(tmp_path: Path) -> None:
    """Missing, cut, of another store or with a wrong bit it says nothing."""
    assert read_synced(tmp_path, STORE_ID) == 0
    make_folder(tmp_path / "data")
    write_synced(tmp_path / "data" / "journal", STORE_ID, 77)
    assert read_mark(tmp_path / "data") == 77
    folder = tmp_path / "data" / "journal"
    assert read_synced(folder, STORE_ID) == 77
    assert read_synced(folder, bytes(16)) == 0
    sound = (folder / "synced").read_bytes()
    for at in range(len(sound) * 8):
        data = bytearray(sound)
        data[at // 8] ^= 1 << (at % 8)
        (folder / "synced").write_bytes(data)
        assert read_synced(folder, STORE_ID) == 0
    for size in range(len(sound)):
        (folder / "synced").write_bytes(sound[:size])
        assert read_synced(folder, STORE_ID) == 0


def test_which_segments_may_go(tmp_path: Path) -> None:
    """Those whose every change a kept snapshot has, and that are old enough; never the last."""
    folder = make_folder(tmp_path) / "journal"
    for number, first in enumerate((1, 11, 21), 1):
        now_ns = number * DAY_NS
        writer_of(native_engine(record_events=True), tmp_path, next_sequence=first, now_ns=now_ns)
    segments = list_segments(folder)
    times = [read_header(segment.path).create_time_ns for segment in segments]

    def firsts(kept_sequence: int, keep_ns: int = 0) -> list[int]:
        found = unneeded(
            segments, kept_sequence=kept_sequence, now_ns=times[1] + HOUR_NS, keep_ns=keep_ns
        )
        return [segment.first_sequence for segment in found]

    assert [firsts(kept) for kept in (0, 9, 10, 19, 20, 10**9)] == [
        [],
        [],
        [1],
        [1],
        [1, 11],
        [1, 11],
    ]
    assert firsts(10**9, keep_ns=HOUR_NS) == [1]
    assert firsts(10**9, keep_ns=HOUR_NS + 1) == []
    remove_segments(folder, segments[:2])
    assert list_segments(folder) == [Segment(segments[2].path, 21)]
