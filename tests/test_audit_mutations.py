"""The audit can fail: every kind of violation, planted in a recorded sale, is named, and only it.

Each case (audit_plants.py) changes a copy of one real sale (audit_recorded.py) in history or
journal, written anew with right checksums. The untouched sale, and changes that break no promise,
must find nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from atp.audit import FAULTS, AuditFailed, Verdict, audit
from audit_plants import SALES, key_of
from audit_recorded import Recorded, record, take_apart
from server_process import serving


@pytest.fixture(scope="module")
def sale(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("sale")
    with serving("--set", "journal.segment_bytes=1MiB", folder=folder) as server:
        told = record(server, folder)
    return take_apart(told, folder / "atp-data")


def judged(sale: Recorded, folder: Path) -> Verdict:
    return audit(*sale.write(folder))


@pytest.mark.parametrize("name", SALES)
def test_what_is_planted_is_named_and_nothing_else(
    name: str, sale: Recorded, tmp_path: Path
) -> None:
    plant, expected = SALES[name]
    planted = sale.copy()
    plant(planted)
    verdict = judged(planted, tmp_path)
    assert set(verdict.counts) == expected, verdict.text()
    assert verdict.ok is (not expected)
    for finding in verdict.findings:
        assert finding.slice, finding
        assert dict(FAULTS)[finding.name] == finding.law
        assert finding.text in verdict.text()


def test_every_finding_is_planted() -> None:
    planted = set().union(*(expected for _, expected in SALES.values()))
    assert planted == {name for name, _ in FAULTS}


def test_every_law_was_checked(sale: Recorded, tmp_path: Path) -> None:
    verdict = judged(sale, tmp_path)
    assert verdict.ok, verdict.text()
    assert all(verdict.checks.values()), verdict.checks
    assert verdict.figures["commands"] > 300
    assert verdict.figures["changes"] == len(sale.events)
    assert verdict.as_json()["ok"] is True


@pytest.mark.parametrize("part", ["history", "journal", "gap", "snapshot", "store"])
def test_what_cannot_be_judged_is_told(part: str, sale: Recorded, tmp_path: Path) -> None:
    told, data = sale.write(tmp_path)
    segment = data / "journal" / f"{1:020}.segment"
    if part == "history":
        path = told / "script.history"
        path.write_bytes(path.read_bytes()[:-3] + b"\x00" * 9)
        expected = "script.history, byte"
    elif part == "journal":
        body = bytearray(segment.read_bytes())
        body[200] ^= 1
        segment.write_bytes(bytes(body))
        expected = "is missing and others follow it"
    elif part == "gap":
        segment.rename(segment.with_name(f"{2:020}.segment"))
        expected = "journal.keep"
    elif part == "snapshot":
        segment.write_bytes(b"ATPSNAPS" + segment.read_bytes()[8:])
        expected = "no segment"
    else:
        (data / "STORE").unlink()
        expected = "no data directory"
    with pytest.raises(AuditFailed, match=expected):
        audit(told, data)


def test_a_killed_recorder_is_told(sale: Recorded, tmp_path: Path) -> None:
    planted = sale.copy()
    planted.files["script"].pop()
    planted.add(planted.event("one"))
    event = planted.events[-1].reserved
    event.request_id, event.reservation_key = "lost", key_of("lost")
    verdict = judged(planted, tmp_path)
    assert verdict.ok, verdict.text()
    assert verdict.figures["unexplained"] == 1
    assert any("was not finished" in note for note in verdict.notes)


def test_what_another_load_did_afterwards_is_no_finding(sale: Recorded, tmp_path: Path) -> None:
    """Two loads one after the other on one server, of which the first was audited, once said that
    nobody had asked for the second's changes."""
    planted = sale.copy()
    begun = planted.files["script"][0].begun
    finished = planted.files["script"][-1].finished
    end_ns = begun.wall_time_ns + finished.time_ns - begun.time_ns
    for count in range(2):
        planted.add(planted.event("one"))
        event = planted.events[-1]
        event.time_ns = end_ns + 1 + count
        event.reserved.expire_time_ns = end_ns + 10**9
        event.reserved.request_id = f"later-{count}"
        event.reserved.reservation_key = key_of(f"later-{count}")
    verdict = judged(planted, tmp_path)
    assert verdict.ok, verdict.text()
    assert verdict.figures["after_changes"] == 2
    assert any("after the end of the history" in note for note in verdict.notes)


def test_many_findings_of_one_kind_are_counted(sale: Recorded, tmp_path: Path) -> None:
    planted = sale.copy()
    for count in range(8):
        event = planted.event("one")
        planted.add(event)
        planted.events[-1].reserved.request_id = f"n{count}"
        planted.events[-1].reserved.reservation_key = key_of(f"n{count}")
    verdict = judged(planted, tmp_path)
    assert verdict.counts["never_asked"] == 8
    assert "and 5 more" in verdict.text()


def test_a_journal_with_an_address_that_is_none_is_told(sale: Recorded, tmp_path: Path) -> None:
    planted = sale.copy()
    planted.event("one").reserved.client_ip = b"\x0a" * 300
    with pytest.raises(AuditFailed, match="an address that is none"):
        judged(planted, tmp_path)
