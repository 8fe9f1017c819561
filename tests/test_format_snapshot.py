"""The page of the format is enough to read a snapshot: it has the state that the journal comes to.

The reader (format_snapshot.py) was written from docs/journal-format.md alone; the journal is
replayed by plain Python up to the snapshot's change.
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from random import Random

import pytest

import format_reader
import format_snapshot
from atp.journal.errors import SnapshotDamaged
from atp.vocabulary import Reservation, ReservationLine, ReservationState
from crash.every_byte import all_flips, check_snapshot_flip, flipped
from events_replay import Replayer
from format_reader import Unsound
from format_snapshot import EXPIRED, HELD, Entry, Snapshot
from specimen import Specimen, make, start, take_snapshots


@pytest.fixture(scope="module", params=[5, 6])
def specimen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    folder = tmp_path_factory.mktemp("made") / "data"
    return make(folder, commands=400, seed=request.param, between=take_snapshots)


@pytest.fixture
def folder(specimen: Specimen, tmp_path: Path) -> Path:
    return specimen.lay(tmp_path / "data")


def read_all(folder: Path) -> list[tuple[Snapshot, Replayer]]:
    """Every snapshot, and what the journal comes to at its change."""
    store = format_reader.read_store(folder)
    found = []
    for path in sorted((folder / "snapshots").glob("*.snapshot")):
        snapshot = format_snapshot.read_snapshot(path, store)
        replay = Replayer()
        for record in format_reader.records(folder):
            if record.sequence <= snapshot.sequence:
                replay.apply(record.sequence, record.event)
        found.append((snapshot, replay))
    assert len(found) >= 3
    return found


def test_skus(folder: Path) -> None:
    for snapshot, replay in read_all(folder):
        held = format_snapshot.held_of(snapshot)
        told = {
            s.name: (s.on_hand, held[s.name], s.sold, s.received, s.adjusted, s.sequence)
            for s in snapshot.skus.values()
        }
        assert told == {
            name: (s.on_hand, s.held, s.sold, s.received, s.adjusted, s.sequence)
            for name, s in replay.stock_at_end().items()
        }


def reservation(snapshot: Snapshot, entry: Entry) -> Reservation:
    """A reservation as a caller sees it."""
    live, expired = entry.kind == HELD, entry.kind == EXPIRED
    lines = []
    for sku, granted, committed, released in entry.lines:
        left = granted - committed - released
        parts = (left * live, committed, released, left * expired)
        lines.append(ReservationLine(snapshot.skus[sku].name, granted, *parts))
    return Reservation(
        entry.key.hex(),
        ReservationState(entry.kind),
        tuple(lines),
        entry.time_ns,
        entry.end_ns if live else None,
        None if live else entry.end_ns,
        entry.last_sequence,
        entry.customer,
        str(ipaddress.ip_address(entry.address)) if entry.address else "",
    )


def test_reservations_and_receipts(folder: Path) -> None:
    kinds = set()
    for snapshot, replay in read_all(folder):
        holds = {e.key.hex(): e for e in snapshot.entries if not e.is_receipt}
        assert set(holds) == set(replay.entries)
        for key, entry in holds.items():
            expected = replay.entries[key]
            assert reservation(snapshot, entry) == replay.reservation(key, expected)
            told = (entry.fingerprint, entry.partial, entry.first_sequence)
            assert told == (expected.fingerprint, expected.partial, expected.grant_sequence)
        receipts = {e.key.hex(): e.first_sequence for e in snapshot.entries if e.is_receipt}
        assert receipts == {key: sequence for key, (sequence, _) in replay.receipts.items()}
        kinds |= {entry.kind for entry in snapshot.entries}
    assert kinds >= {1, 2, 3, 4, 5, 6, 8}, "nearly every kind of record is there"


def test_caps_and_what_they_count(folder: Path) -> None:
    counted = 0
    for snapshot, replay in read_all(folder):
        assert {entry.cap.cap_id for entry in snapshot.caps} == set(replay.caps)
        by_uid = {}
        for entry in snapshot.caps:
            cap, _ = replay.caps[entry.cap.cap_id]
            assert entry.cap == cap
            assert 1 <= entry.uid < snapshot.next_uid
            by_uid[entry.uid] = entry.cap
        told = {}
        for counter in snapshot.counters:
            cap = by_uid[counter.cap]
            assert sum(units for _, units in counter.steps) == counter.units * bool(counter.steps)
            sku = snapshot.skus[counter.sku].name if cap.per_sku else ""
            told[cap.cap_id, subject_text(cap, counter.subject), sku] = counter.units
        expected = replay.cap_counts(snapshot.seen_ns)
        windows = {cap_id for cap_id, (cap, _) in replay.caps.items() if cap.HasField("window")}
        for key, units in expected.items():
            assert told[key] >= units if key[0] in windows else told[key] == units
        assert {key for key in told if key[0] not in windows} <= set(expected)
        counted += len(told)
    assert counted > 10


def subject_text(cap: format_snapshot.Cap, subject: bytes) -> str:
    """Whom a counter counts, as replies say it."""
    if cap.subject == 3 or not subject:
        return subject.decode()
    address = ipaddress.ip_address(subject)
    if cap.subject == 1:
        return str(address)
    length = cap.ipv4_prefix_length if address.version == 4 else cap.ipv6_prefix_length
    return f"{address}/{length}"


def test_a_start_goes_on_from_the_newest(specimen: Specimen, folder: Path) -> None:
    names = sorted(name for name in specimen.files if name.endswith(".snapshot"))
    outcome = start(folder)
    assert (outcome.sequence, outcome.digest) == (specimen.end, specimen.digests[-1])
    assert f"snapshots/{outcome.report.snapshot}" == names[-1]
    assert outcome.report.replayed_record_count == specimen.end - int(Path(names[-1]).stem)


def test_a_flipped_bit_of_a_snapshot_is_noticed(specimen: Specimen, tmp_path: Path) -> None:
    flips = list(all_flips(specimen, "*.snapshot"))
    for flip in Random(7).sample(flips, 60):
        laid = flipped(specimen, flip).lay(tmp_path / "data")
        with pytest.raises((Unsound, format_reader.Newer)):
            format_snapshot.read_snapshot(laid / flip.file, format_reader.read_store(laid))
        assert check_snapshot_flip(specimen, tmp_path / "data", flip) == []


def test_with_every_snapshot_damaged_the_journal_alone_is_enough(
    specimen: Specimen, tmp_path: Path
) -> None:
    names = [name for name in specimen.files if name.endswith(".snapshot")]
    spoilt = {name: specimen.files[name][:-1] + b"?" for name in names}
    files = {**specimen.files, **spoilt}
    outcome = start(specimen._replace(files=files).lay(tmp_path / "data"))
    assert (outcome.sequence, outcome.digest) == (specimen.end, specimen.digests[-1])
    assert len(outcome.report.damaged_snapshots) == len(names)
    assert outcome.report.snapshot == ""


def test_without_its_segments_a_damaged_snapshot_stops_the_start(
    specimen: Specimen, tmp_path: Path
) -> None:
    """Nothing is made up of what is left."""
    names = [name for name in specimen.files if name.endswith(".snapshot")]
    spoilt = {name: specimen.files[name][:-1] + b"?" for name in names}
    files = {**specimen.files, **spoilt}
    del files[specimen.segments[0]]
    outcome = start(specimen._replace(files=files).lay(tmp_path / "data"))
    assert outcome.refused is not None
    assert "atp journal repair" in str(outcome.refused)
    assert not isinstance(outcome.refused, SnapshotDamaged)
