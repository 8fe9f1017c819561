"""A load by several processes is one load: divided without a rest, and added up again.

The processes are real ones, against a real server.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atp import Client
from atp.history import list_files, read
from atp.load import Kind, LoadFailed, LoadPlan, Want, of_wants, run_many
from atp.load.baskets import Shares
from atp.load.many import shares
from atp.vocabulary import ReserveOutcome
from command import Command
from load_histories import calls_of
from server_process import ServerProcess, serving

SKUS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        with Client(process.data_plane, process.control_plane) as client:
            client.batch_set_stock([(f"SKU-{number:08d}", 10**6) for number in range(SKUS)])
        yield process


def plan(address: str, **other: object) -> LoadPlan:
    values: dict[str, object] = {"skus": SKUS, "connections": 5, "in_flight": 4, "calls": 301}
    values |= {"address": address, "run_name": "many-"}
    return LoadPlan(**(values | other))  # type: ignore[arg-type]


def test_what_processes_did_is_added_up(server: ServerProcess, tmp_path: Path) -> None:
    steps: list[int] = []
    result = run_many(
        plan(server.data_plane, history=tmp_path, rate=1_000.0), 2,
        on_step=lambda so_far: steps.append(so_far.answered),
    )  # fmt: skip
    assert (result.asked, result.good, result.reserves) == (301, 301, {ReserveOutcome.GRANTED: 301})
    assert int(result.latency_counts.sum()) == 301
    assert steps == sorted(steps)
    assert steps[-1] == 301
    assert [path.name for path in list_files(tmp_path)] == ["many-0.history", "many-1.history"]
    ids = [call.request.request_id for call in calls_of(tmp_path)]
    assert len(set(ids)) == len(ids) == 301
    for path in list_files(tmp_path):
        entries = list(read(path))
        settings = json.loads(entries[0].begun.settings_json)
        assert settings["rate"] == 500
        assert entries[-1].finished.call_count in (150, 151)


def test_a_plan_is_divided_without_a_rest() -> None:
    baskets = of_wants(
        [Want("", "", [("A", n)]) for n in range(1, 11)], Shares(), think_s=1, seed=1
    )
    whole = plan(
        "a:1", calls=1_001, connections=7, curve=((0.0, 90.0), (1.0, 3.0)), kind=Kind.SALE,
        baskets=baskets,
    )  # fmt: skip
    parts = shares(whole, 3)
    assert sum(part.calls or 0 for part in parts) == 1_001
    assert sum(part.connections for part in parts) == 7
    assert [part.curve for part in parts] == [((0.0, 30.0), (1.0, 1.0))] * 3
    assert len({part.seed for part in parts}) == len({part.run_name for part in parts}) == 3
    begins = [int(part.wanted().rows[0, 0]) for part in parts]
    assert begins == [0, 3, 6]
    assert all(np.array_equal(np.sort(part.wanted().rows[:, 0]), np.arange(10)) for part in parts)


def test_one_that_dies_is_told(server: ServerProcess) -> None:
    def kill_one(_: object) -> None:
        for child in multiprocessing.active_children():
            child.kill()
            return

    with pytest.raises(LoadFailed, match=r"process [01] of the load ended before it was done"):
        run_many(
            plan(server.data_plane, calls=None, duration_s=1.0, rate=100.0), 2, on_step=kill_one
        )
    assert not multiprocessing.active_children()


def test_where_nobody_listens_all_say_so_once() -> None:
    with pytest.raises(LoadFailed, match=r"^can't connect to 127\.0\.0\.1:1: [^;]*$"):
        run_many(plan("127.0.0.1:1"), 2)
    assert not multiprocessing.active_children()


def test_the_command_divides_its_load(server: ServerProcess) -> None:
    told = Command(server)("load-test", "--processes", 2, "--calls", 41, "--json")
    assert told.status == 0, told.err
    assert (told.json["processes"], told.json["calls_good"]) == (2, 41)
