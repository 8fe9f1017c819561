"""What can go wrong while a server serves is logged once, and once more when it is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from atp._front import TIME_BOUNDS_NS
from atp.journal._native import WriterStatistics
from atp.journal.journal import Options
from atp.journal.report import SnapshotInfo
from atp.server.lookout import OVERLOADS, Load, Lookout
from atp.settings import load
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import Limit
from server_process import ROOT, serving, wait_until
from server_stubs import new_sku, reserve, stubs_to
from stalled_disk import stalling

SECOND = 1_000_000_000
CALM: dict[str, Any] = dict.fromkeys(WriterStatistics._fields, 0) | {
    "is_behind": False,
    "sync_counts": (0,) * (len(TIME_BOUNDS_NS) + 1),
}


class World:
    """All that a Lookout looks at, as the test has it; `look()` lets a second pass."""

    def __init__(self, caplog: pytest.LogCaptureFixture, folder: Path) -> None:
        caplog.set_level(logging.DEBUG)
        self.caplog = caplog
        self.writer = dict(CALM)
        self.refused: dict[str, int] = {}
        self.ended: dict[str, int] = {}
        self.bounds = [Limit("sku_max", 100, 1, "SKUs"), Limit("threads", 5, -1, "unknown")]
        self.free = 1 << 40
        self.now = 0
        self.snapshots = SimpleNamespace(last=None)
        journal: Any = SimpleNamespace(
            writer=SimpleNamespace(statistics=lambda: WriterStatistics(**self.writer)),
            snapshots=self.snapshots,
            options=Options(folder, room_kept_bytes=16 << 20),
            directory=SimpleNamespace(places=SimpleNamespace(path=folder)),
            free_bytes=lambda: self.free,
        )
        settings = load(environment={})
        self.lookout = Lookout(
            journal,
            lambda: Load(dict(self.refused), dict(self.ended)),
            lambda: self.bounds,
            lambda: settings,
        )
        self.look()

    def sync(self, *, fast: int, slow: int) -> None:
        """So many syncs of 1 ms, and of 150 ms, since the last look."""
        counts = list(self.writer["sync_counts"])
        counts[TIME_BOUNDS_NS.index(1_000_000)] += fast
        counts[TIME_BOUNDS_NS.index(200_000_000)] += slow
        self.writer["sync_counts"] = tuple(counts)

    def look(self, seconds: int = 1) -> list[str]:
        """The events that were told meanwhile."""
        self.caplog.clear()
        for _ in range(seconds):
            self.now += SECOND
            self.lookout.look(self.now)
        return [record.__dict__["event"].name for record in self.caplog.records]


@pytest.fixture
def world(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> World:
    return World(caplog, tmp_path)


def test_nothing_is_said_while_nothing_happens(world: World) -> None:
    assert world.look(100) == []


@pytest.mark.parametrize(
    ("change", "event"),
    [
        ({"space_level": 1}, "holds_refused"),
        ({"space_level": 2}, "changes_refused"),
        ({"is_behind": True, "waiting_bytes": 64 << 20}, "journal_behind"),
    ],
)
def test_a_journal_that_takes_no_changes_is_told_once_and_its_end(
    world: World, change: dict[str, Any], event: str
) -> None:
    world.writer.update(change)
    assert world.look(1) == [event]
    assert world.look(600) == []
    world.writer.update(CALM)
    assert world.look(5) == ["changes_taken_again"]
    assert "after 601 s" in world.caplog.text


def test_a_full_disk_that_gets_fuller_is_told_in_both_steps(world: World) -> None:
    world.writer["space_level"] = 1
    assert world.look(2) == ["holds_refused"]
    world.writer["space_level"] = 2
    assert world.look(2) == ["changes_refused"]
    world.writer["space_level"] = 0
    assert world.look(2) == ["changes_taken_again"]


def test_a_disk_that_will_be_full_is_told_before(world: World) -> None:
    world.free = 100 << 20
    assert world.look(10) == ["disk_low"]
    world.free = 1 << 40
    assert world.look(10) == []
    world.free = 100 << 20
    assert world.look(10) == ["disk_low"]


def test_a_disk_that_stands_still_is_told_once_and_its_end(world: World) -> None:
    world.writer.update(waiting_records=7, lag_ns=SECOND)
    assert world.look(60) == []
    world.writer.update(lag_ns=3 * SECOND)
    assert world.look(60) == ["disk_stands_still"]
    assert "7 changes wait for the disk, the oldest for 3 s" in world.caplog.text
    world.writer.update(lag_ns=0)
    assert world.look(2) == ["disk_moves_again"]


def test_slow_syncs_are_told_once_and_their_end(world: World) -> None:
    for second in range(5):
        world.sync(fast=98, slow=2)
        assert world.look(1) == ([] if second else ["sync_slow"])
    assert world.look(8) == []
    assert world.look(8) == ["sync_fast_again"]
    assert "after 14 s" in world.caplog.text


def test_what_was_slow_is_told_in_figures(world: World) -> None:
    world.writer["sync_most_ns"] = 900_000_000
    world.sync(fast=10, slow=3)
    world.look(1)
    assert "3 of the last 13 took longer than 100 ms, the longest 900 ms" in world.caplog.text


def test_one_slow_sync_among_hundreds_is_not_worth_a_line(world: World) -> None:
    for _ in range(20):
        world.sync(fast=990, slow=9)
        assert world.look(1) == []


@pytest.mark.parametrize("limit", OVERLOADS)
def test_an_overload_is_told_at_its_begin_each_minute_and_at_its_end(
    world: World, limit: str
) -> None:
    name = OVERLOADS[limit].name
    world.refused[limit] = 5
    assert world.look(1) == [name]
    assert "5 c" in world.caplog.text
    for _ in range(120):
        world.refused[limit] += 10
        assert set(world.look(1)) <= {name}
    world.refused[limit] += 3
    assert name not in world.look(1)
    assert world.look(60) == [name, "overload_over"], "what was not told yet is told with the end"
    assert world.look(60) == []


def test_an_overload_of_two_minutes_is_three_lines(world: World) -> None:
    told = []
    for _ in range(121):
        world.refused["wait_max"] = world.refused.get("wait_max", 0) + 10
        told += world.look(1)
    assert told == ["answers_late"] * 3


def test_ended_connections_are_told_together_once_a_minute(world: World) -> None:
    world.ended.update(resets=3, stalled=1)
    assert world.look(1) == ["connections_ended"]
    assert "resets 3, stalled 1" in world.caplog.text
    for _ in range(58):
        world.ended["resets"] += 1
        assert world.look(1) == []
    assert world.look(5) == ["connections_ended"]
    assert "resets 58" in world.caplog.text


def test_a_bound_that_is_nearly_reached_is_told_once(world: World) -> None:
    for used, told in ((89, []), (90, ["bound_near"]), (100, []), (86, []), (84, ["bound_far"])):
        world.bounds[0] = world.bounds[0]._replace(used=used)
        assert world.look(2) == told, used


def test_a_snapshot_that_was_taken_is_told(world: World) -> None:
    world.snapshots.last = SnapshotInfo("7.snapshot", 7, 0, 5 << 20, SECOND, 100_000)
    assert world.look(5) == ["snapshot_taken"]
    assert "7.snapshot: 5 MiB in 1.0 s, no call waited longer than 0.10 ms" in world.caplog.text


def test_a_real_disk_that_stands_still_is_in_the_log(tmp_path: Path) -> None:
    with stalling(tmp_path) as disk:
        sku = new_sku(disk.stubs)
        said: Callable[[], str] = disk.server.stderr
        with disk.stalled():
            asked = disk.stubs.reservations.Reserve.future(ask_for(sku))
            wait_until(
                lambda: "disk_stands_still: 1 changes wait" in said(), "the stall to be told"
            )
        asked.result(timeout=20)
        wait_until(lambda: "disk_moves_again" in said(), "its end to be told")
        assert said().count("disk_stands_still") == 1


def ask_for(sku: str) -> Any:
    return pb.ReserveRequest(request_id="r", lines=[pb.Line(sku=sku, quantity=1)])


def test_a_snapshot_and_the_end_of_a_torn_journal_are_in_the_log(tmp_path: Path) -> None:
    where = ("--data", str(tmp_path / "data"))
    with serving(*where) as server, stubs_to(server) as stubs:
        reserve(stubs, new_sku(stubs), 1)
        stubs.maintenance.TakeSnapshot(maintenance_pb.TakeSnapshotRequest(), timeout=20)
        wait_until(lambda: "snapshot_taken" in server.stderr(), "the snapshot to be told")
        reserve(stubs, new_sku(stubs), 1)
        server.process.kill()
        server.wait()
    (segment,) = sorted((tmp_path / "data" / "journal").glob("*.segment"))[-1:]
    data = segment.read_bytes()
    whole = data.rstrip(b"\0")
    segment.write_bytes((whole + b"torn").ljust(len(data), b"\0"))
    with serving(*where) as server:
        said = server.stderr()
        assert said.count("torn_tail_cut: the journal's end was torn by a crash") == 1
        assert "recovered to change" in said


def test_the_page_on_attacks_is_where_the_line_sends_its_reader() -> None:
    assert (ROOT / "docs" / "attacks.md").is_file()
