"""The page on the format says what the code does: its example is read, and is what is written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from atp.journal.directory import Places, read_store
from atp.journal.segments import read_synced
from conftest import native_engine
from journal_files import STORE_ID, make_folder, read_segment, writer_of

PAGE = Path(__file__).resolve().parent.parent / "docs" / "journal-format.md"
START_NS = 1_764_000_000 * 10**9
SECOND = 10**9


def blocks() -> list[str]:
    """What stands between fences on the page."""
    return re.findall(r"^```text\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def dump_of(block: str) -> bytes:
    """The bytes of a block of hexadecimal lines, each of which names its offset."""
    data = b""
    for line in block.splitlines():
        offset, _, rest = line.partition("  ")
        assert int(offset, 16) == len(data)
        data += bytes.fromhex(rest)
    return data


def test_the_example_of_the_page_is_a_journal(tmp_path: Path) -> None:
    """STORE, segment and mark as printed are those of one store, and sound."""
    _, store, segment, mark = blocks()
    make_folder(tmp_path)
    (tmp_path / "STORE").write_text(store)
    path = tmp_path / "journal" / f"{1:020}.segment"
    path.write_bytes(dump_of(segment))
    (tmp_path / "journal" / "synced").write_bytes(dump_of(mark))
    assert read_store(Places(tmp_path)) == (STORE_ID, 1, START_NS)
    assert read_synced(tmp_path / "journal", STORE_ID) == 3
    stocked, reserved, committed = read_segment(path)
    assert [one.behind for one in (stocked, reserved, committed)] == [1, 1, 2]
    assert stocked.event.time_ns == START_NS
    assert stocked.event.stock_changed.on_hand_quantity == 5
    assert reserved.event.reserved.request_id == "order-1"
    assert reserved.event.reserved.expire_time_ns == START_NS + 601 * SECOND
    assert committed.event.committed.reservation_key == reserved.event.reserved.reservation_key
    assert path.read_bytes()[committed.end :] == bytes(5)


def test_the_example_of_the_page_is_what_is_written(tmp_path: Path) -> None:
    """The same changes come to the same bytes, but for the time in the header and its checksum."""
    engine = native_engine(record_events=True)
    writer = writer_of(engine, make_folder(tmp_path), next_sequence=1, now_ns=START_NS)
    engine.set_stock("TEA", 5, now_ns=START_NS)
    assert writer.wait(1, 60 * SECOND)
    who = {"customer_id": "ann", "client_ip": "10.0.0.1"}
    held = engine.reserve(
        "order-1", [("TEA", 2)], now_ns=START_NS + SECOND, ttl_ns=600 * SECOND, **who
    )
    engine.commit(held.reservation.reservation_id, now_ns=START_NS + 2 * SECOND)
    assert writer.wait(3, 60 * SECOND)
    printed = dump_of(blocks()[2])
    written = (tmp_path / "journal" / f"{1:020}.segment").read_bytes()
    assert written[:40] == printed[:40]
    assert written[64 : len(printed)] == printed[64:]
    assert (tmp_path / "journal" / "synced").read_bytes() == dump_of(blocks()[3])


@pytest.mark.parametrize(
    "row", re.findall(r"^\| ([0-9a-f]{4}) \| `([^`]+)`", PAGE.read_text(), re.M)
)
def test_each_row_of_the_example_is_at_its_offset(row: tuple[str, str]) -> None:
    """The first bytes of every row stand where it says."""
    offset, shown = row
    first, _, last = shown.partition(" …")
    data = dump_of(blocks()[2])[int(offset, 16) :]
    assert data.startswith(bytes.fromhex(first))
    assert not last.strip() or bytes.fromhex(last.strip()) in data
