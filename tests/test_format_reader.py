"""The page of the format is enough to read a journal: a reader of its own gets what `atp` has.

The reader (format_reader.py) was written from docs/journal-format.md alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import format_reader
from atp.journal.directory import Places, read_store
from atp.journal.errors import JournalDamaged
from atp.journal.segments import read_header, read_synced
from events_replay import Replayer
from format_reader import Journal, Newer, Unsound
from specimen import Specimen, make, start

PAGE = Path(__file__).resolve().parent.parent / "docs" / "journal-format.md"


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    return make(tmp_path_factory.mktemp("made") / "data", commands=400, seed=11)


def test_store_headers_and_mark_say_what_atp_reads(specimen: Specimen, tmp_path: Path) -> None:
    folder = specimen.lay(tmp_path / "data")
    store, told = format_reader.read_store(folder), read_store(Places(folder))
    assert (store.store_id, store.created_ns) == (told.store_id, told.create_time_ns)
    assert format_reader.read_mark(folder, store) == specimen.end
    assert read_synced(folder / "journal", store.store_id) == specimen.end
    paths = format_reader.segments_of(folder)
    assert len(paths) > 3
    for path in paths:
        first = format_reader.check_header(path, path.read_bytes(), store)
        assert first == read_header(path).first_sequence


def test_the_records_come_to_the_state_that_a_start_comes_to(
    specimen: Specimen, tmp_path: Path
) -> None:
    folder = specimen.lay(tmp_path / "data")
    journal = format_reader.read_journal(folder)
    assert (journal.ending, len(journal.records)) == ("clean", specimen.end)
    replay = Replayer()
    for record in journal.records:
        replay.apply(record.sequence, record.event)
    dumps: list[dict[str, Any]] = []
    outcome = start(folder, lambda engine: dumps.append(engine.dump(now_ns=replay.latest_ns)))
    assert outcome.sequence == journal.records[-1].sequence
    assert all(
        entry.end_time_ns or entry.expire_time_ns > replay.latest_ns
        for entry in replay.entries.values()
    ), "nothing is due, or the dump lets it expire"
    replay.compare(dumps[0], replay.latest_ns, 24 * 3_600 * 10**9)


def test_each_record_says_what_was_durable_when_it_was_written(
    specimen: Specimen, tmp_path: Path
) -> None:
    journal = format_reader.read_journal(specimen.lay(tmp_path / "data"))
    durable = {0, *(one.durable for one in specimen.syncs)}
    firsts = {int(Path(name).stem) - 1 for name in specimen.segments}
    for record in journal.records:
        assert record.durable in durable | firsts
        newest = max(sequence for sequence in durable if sequence < record.sequence)
        assert record.durable >= newest


def torn_and_damaged(specimen: Specimen, folder: Path) -> list[tuple[Journal, Any]]:
    """The last segment spoilt at many places: what the page says of it, and what a start does."""
    name = specimen.segments[-1]
    content = specimen.files[name]
    size = max(one.size for one in specimen.syncs if one.segment == name)
    found = []
    for at in range(64, size, 5):
        spoilt = content[:at] + bytes(13) + content[at + 13 :]
        for mark in (0, specimen.end // 2, specimen.end):
            files = {**specimen.files, name: spoilt}
            laid = specimen._replace(files=files).lay(folder, mark=mark)
            found.append((format_reader.read_journal(laid), start(laid)))
    return found


def test_torn_and_damaged_are_told_apart_as_the_page_says(
    specimen: Specimen, tmp_path: Path
) -> None:
    endings = set()
    for journal, outcome in torn_and_damaged(specimen, tmp_path / "data"):
        endings.add(journal.ending)
        if isinstance(outcome.refused, JournalDamaged):
            assert journal.ending == "damaged"
            assert journal.lost == (outcome.refused.first_lost, outcome.refused.last_lost)
            assert (journal.path, journal.offset) == (
                outcome.refused.path,
                outcome.refused.offset,
            )
        else:
            assert outcome.refused is None
            assert journal.ending in ("torn", "clean")
            assert outcome.sequence == (journal.records[-1].sequence if journal.records else 0)
    assert {"torn", "damaged"} <= endings


def test_a_newer_version_is_refused_and_an_unsound_file_is_told(
    specimen: Specimen, tmp_path: Path
) -> None:
    folder = specimen.lay(tmp_path / "data")
    path = format_reader.segments_of(folder)[0]
    store = format_reader.read_store(folder)
    data = bytearray(path.read_bytes())
    data[8] = 2
    with pytest.raises(Unsound, match="checksum"):
        format_reader.check_header(path, bytes(data), store)
    data[56:64] = format_reader.xxh3(bytes(data[:56])).to_bytes(8, "little")
    with pytest.raises(Newer):
        format_reader.check_header(path, bytes(data), store)
    text = (folder / "STORE").read_text().replace("version 1", "version 2")
    (folder / "STORE").write_text(text)
    with pytest.raises(Newer):
        format_reader.read_store(folder)


def test_the_example_of_the_page_is_read(tmp_path: Path) -> None:
    """The bytes on the page itself: a segment of three changes, its store and its mark."""
    page = PAGE.read_text(encoding="utf-8")
    blocks = page.split("```text\n")[1:]
    dumps = [block.partition("```")[0] for block in blocks]
    store_text = next(text for text in dumps if text.startswith("atp store"))
    segment, mark = [hex_bytes(text) for text in dumps if text.startswith("0000  ")][:2]
    (tmp_path / "journal").mkdir()
    (tmp_path / "STORE").write_text(store_text)
    (tmp_path / "journal" / f"{1:020}.segment").write_bytes(segment)
    (tmp_path / "journal" / "synced").write_bytes(mark)
    journal = format_reader.read_journal(tmp_path)
    assert journal.ending == "clean"
    kinds = [record.event.WhichOneof("change") for record in journal.records]
    assert kinds == ["stock_changed", "reserved", "committed"]
    assert [record.behind for record in journal.records] == [1, 1, 2]
    assert format_reader.read_mark(tmp_path, format_reader.read_store(tmp_path)) == 3


def hex_bytes(dump: str) -> bytes:
    """The bytes of a hexadecimal dump with offsets."""
    return b"".join(bytes.fromhex(line.split("  ", 1)[1]) for line in dump.splitlines())
