"""An audit of a journal whose first segments are gone: it starts from the oldest snapshot that is
left, finds what was wrong since, and calls nothing wrong that it can't know.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import xxhash

from atp.audit import AuditFailed, Verdict, audit
from atp.client import Client
from atp.history import HistoryWriter
from atp.load import Kind, LoadPlan, run
from atp.v1.reservation_pb2 import GetAvailabilityRequest
from atp.v1.stock_service_pb2 import SetStockRequest
from audit_plants import SALES
from audit_recorded import Recorded, Sale, basket, record, segment_bytes, take_apart
from server_process import serving

STEPS = ("stock TEA", "r1", "capped", "extend", "after due", "partly", "one")
"""Before each of these a snapshot is taken."""


@dataclass
class Kept:
    """The sale, and the snapshots before its steps: last change, and bytes."""

    sale: Recorded
    snapshots: dict[str, tuple[int, bytes]]

    def write(self, folder: Path, *steps: str, sale: Recorded | None = None) -> tuple[Path, Path]:
        """As it is left after the snapshots before those steps: nothing older is."""
        told, data = (sale or self.sale).write(folder)
        (data / "snapshots").mkdir()
        for step in steps:
            sequence, body = self.snapshots[step]
            (data / "snapshots" / f"{sequence:020}.snapshot").write_bytes(body)
        first = self.snapshots[steps[0]][0] + 1
        cut_journal(sale or self.sale, data, first)
        return told, data


def cut_journal(sale: Recorded, data: Path, first: int) -> None:
    """What came before that change is gone."""
    shutil.rmtree(data / "journal")
    (data / "journal").mkdir()
    body = segment_bytes(sale.store, sale.events[first - 1 :], first)
    (data / "journal" / f"{first:020}.segment").write_bytes(body + sale.torn)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    folder = tmp_path_factory.mktemp("sale")
    options = ("journal.segment_bytes=1MiB", "snapshot.keep=99")
    sets = [word for option in options for word in ("--set", option)]
    snapshots = {}
    with (
        serving(*sets, folder=folder) as server,
        Client(server.data_plane, server.control_plane) as client,
    ):

        def taking(step: str) -> Callable[[], None]:
            def take() -> None:
                sequence = client.take_snapshot().sequence
                path = folder / "atp-data" / "snapshots" / f"{sequence:020}.snapshot"
                snapshots[step] = (sequence, path.read_bytes())

            return take

        told = record(server, folder, {step: taking(step) for step in STEPS})
    return Kept(take_apart(told, folder / "atp-data"), snapshots)


def judged(kept: Kept, folder: Path, *steps: str, sale: Recorded | None = None) -> Verdict:
    return audit(*kept.write(folder, *steps, sale=sale))


@pytest.mark.parametrize("step", STEPS)
def test_a_sale_is_sound_from_any_snapshot_on(step: str, kept: Kept, tmp_path: Path) -> None:
    verdict = judged(kept, tmp_path, step)
    assert verdict.ok, verdict.text()
    sequence = kept.snapshots[step][0]
    assert verdict.figures["start"] == sequence
    assert verdict.figures["changes"] == len(kept.sale.events) - sequence
    assert 0 < verdict.figures["before_start"] < verdict.figures["commands"]
    assert any(f"judged from change {sequence + 1} on" in note for note in verdict.notes)
    assert verdict.text().endswith("sound: every answer that was judged was true")


@pytest.mark.parametrize("name", SALES)
def test_what_is_planted_later_is_named_and_nothing_else(
    name: str, kept: Kept, tmp_path: Path
) -> None:
    plant, expected = SALES[name]
    planted = kept.sale.copy()
    plant(planted)
    verdict = judged(kept, tmp_path, "stock TEA", sale=planted)
    assert set(verdict.counts) == expected, verdict.text()
    assert all(finding.slice for finding in verdict.findings)


def test_an_answer_that_may_be_older_than_the_start_says_nothing_of_later_ones(
    tmp_path: Path,
) -> None:
    """Two reads while a hold is granted, and the journal starts with that grant's snapshot: the
    first is true there too (of a SKU that nobody ever knew), the second only before it. The first
    was taken to prove that the grant had been seen, and the second was called untrue.
    """
    history = tmp_path / "recorded"
    with (
        serving(folder=tmp_path) as server,
        Client(server.data_plane, server.control_plane) as client,
        HistoryWriter(history, "script", recorder="test") as writer,
    ):
        sale = Sale(server, writer)
        look = sale.stub.GetAvailability
        sale.call("stock", sale.stock.SetStock, SetStockRequest(sku="TEA", on_hand_quantity=9))
        sale.call("look NO", look, GetAvailabilityRequest(skus=["NO"]))
        sale.call("look TEA", look, GetAvailabilityRequest(skus=["TEA"]))
        sale.call("r1", sale.stub.Reserve, basket("r1", ("TEA", 2)))
        sequence = client.take_snapshot().sequence
        path = tmp_path / "atp-data" / "snapshots" / f"{sequence:020}.snapshot"
        snapshot = (sequence, path.read_bytes())
        sale.call("r2", sale.stub.Reserve, basket("r2", ("TEA", 1)))
        sale.close()
    recorded = take_apart(history, tmp_path / "atp-data")
    recorded.call("r1").sent.time_ns = recorded.call("look NO").sent.time_ns
    verdict = judged(Kept(recorded, {"r1": snapshot}), tmp_path / "written", "r1")
    assert verdict.ok, verdict.text()


def test_the_oldest_snapshot_is_taken(kept: Kept, tmp_path: Path) -> None:
    verdict = judged(kept, tmp_path, "r1", "extend")
    assert verdict.figures["start"] == kept.snapshots["r1"][0]


def test_a_snapshot_that_is_damaged_is_passed_over_and_told(kept: Kept, tmp_path: Path) -> None:
    told, data = kept.write(tmp_path, "r1", "extend")
    path = data / "snapshots" / f"{kept.snapshots['r1'][0]:020}.snapshot"
    path.write_bytes(path.read_bytes()[:-1])
    verdict = audit(told, data)
    assert verdict.ok, verdict.text()
    assert verdict.figures["start"] == kept.snapshots["extend"][0]
    assert any("is damaged" in note and "the next one was taken" in note for note in verdict.notes)


def test_a_snapshot_that_is_changed_anywhere_is_damaged(kept: Kept, tmp_path: Path) -> None:
    told, data = kept.write(tmp_path, "extend")
    (path,) = (data / "snapshots").iterdir()
    body = path.read_bytes()
    for at in range(0, len(body), 41):
        path.write_bytes(body[:at] + bytes([body[at] ^ 4]) + body[at + 1 :])
        with pytest.raises(AuditFailed, match=r"damaged|newer atp"):
            audit(told, data)


@pytest.mark.parametrize("case", ["none", "gap", "older", "renamed", "over"])
def test_what_cannot_be_judged_is_told(case: str, kept: Kept, tmp_path: Path) -> None:
    told, data = kept.write(tmp_path, "extend")
    (path,) = (data / "snapshots").iterdir()
    sequence = kept.snapshots["extend"][0]
    if case == "none":
        path.unlink()
        expected = "has no snapshot that it continues from"
    elif case == "gap":
        cut_journal(kept.sale, data, sequence + 2)
        expected = "has no snapshot that it continues from"
    elif case == "older":
        (data / "journal" / f"{sequence + 1:020}.segment").write_bytes(
            segment_bytes(kept.sale.store, [], sequence + 1)
        )
        expected = "has nothing after change"
    elif case == "renamed":
        path.rename(path.with_name(f"{sequence + 1:020}.snapshot"))
        expected = "another change than its name says"
    else:
        early = kept.sale.copy()
        early.files = {"crowd": [*early.files["crowd"][:9], early.files["crowd"][-1]]}
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        told, data = kept.write(tmp_path, "extend", sale=early)
        expected = "nothing can be judged"
    with pytest.raises(AuditFailed, match=expected):
        audit(told, data)


def test_segments_before_the_snapshot_are_no_hindrance(kept: Kept, tmp_path: Path) -> None:
    """journal.keep may leave some that no snapshot needs."""
    told, data = kept.write(tmp_path, "extend")
    cut_journal(kept.sale, data, kept.snapshots["extend"][0] - 3)
    verdict = audit(told, data)
    assert verdict.ok, verdict.text()
    assert verdict.figures["first"] == kept.snapshots["extend"][0] + 1


def units_more(body: bytes, sku: bytes) -> bytes:
    """The snapshot with one more unit of a SKU on hand; its sums and checksums are right."""
    changed = bytearray(body)
    at = 128
    while at < len(changed):
        kind, size = (int.from_bytes(changed[at + i : at + i + 4], "little") for i in (8, 12))
        start, end = at + 32, at + 32 + size
        if kind == 2 and (name := changed.find(bytes([len(sku)]) + sku, start, end)) > 0:
            for field in (name - 40, name - 24):  # on hand, received
                add_one(changed, field)
        elif kind == 5:
            add_one(changed, start + 64)
        changed[at : at + 8] = xxhash.xxh3_64_intdigest(changed[at + 8 : end]).to_bytes(8, "little")
        at = end
    assert changed != body
    return bytes(changed)


def add_one(body: bytearray, at: int) -> None:
    body[at : at + 8] = (int.from_bytes(body[at : at + 8], "little") + 1).to_bytes(8, "little")


def test_a_snapshot_that_is_not_what_was_told_is_found(kept: Kept, tmp_path: Path) -> None:
    sequence, body = kept.snapshots["capped"]
    changed = Kept(kept.sale, {"capped": (sequence, units_more(body, b"TEA"))})
    verdict = judged(changed, tmp_path, "capped")
    assert {"untrue_refusal", "untrue_read", "other_change"} <= set(verdict.counts)


def test_a_server_that_let_go_of_its_first_segments_is_audited(tmp_path: Path) -> None:
    data, history = tmp_path / "data", tmp_path / "history"
    options = ("journal.segment_bytes=1MiB", "snapshot.keep=2")
    sets = [word for option in options for word in ("--set", option)]
    with (
        serving("--data", str(data), *sets) as server,
        Client(server.data_plane, server.control_plane) as client,
    ):
        client.batch_set_stock([(f"SKU-{number:08d}", 10**9) for number in range(50)])
        for number in range(3):
            plan = LoadPlan(
                address=server.data_plane, run_name=f"part{number}-", kind=Kind.PAIR, skus=50,
                connections=2, in_flight=16, calls=6_000, history=history,
            )  # fmt: skip
            run(plan)
            if number < 2:
                client.take_snapshot()
    assert not (data / "journal" / f"{1:020}.segment").exists()
    verdict = audit(history, data)
    assert verdict.ok, verdict.text()
    assert verdict.figures["start"] > 6_000
    assert verdict.checks["acknowledged"] > 6_000
