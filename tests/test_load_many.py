"""A load by several processes is one load: divided without a rest, and added up again.

The processes are real ones, against a real server.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from atp import Client
from atp.history import list_files, read
from atp.load import Kind, LoadFailed, LoadPlan, LoadResult, Want, of_wants, run_many
from atp.load.baskets import Shares
from atp.load.many import shares
from atp.vocabulary import ReserveOutcome
from command import Command
from load_histories import calls_of
from server_process import COMMAND, ServerProcess, clean_environment, serving, wait_until

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


@pytest.mark.parametrize("processes", [1, 2])
def test_ctrl_c_ends_a_load_in_order(server: ServerProcess, tmp_path: Path, processes: int) -> None:
    """Nothing more is due, who came is served, the report is told and the history is whole."""
    command = [sys.executable, "-c", COMMAND, "load-test", "--duration", "1m", "--kind", "pair"]
    command += ["--data-address", server.data_plane, "--control-address", server.control_plane]
    command += ["--processes", str(processes), "--history", str(tmp_path), "--run", "c-", "--json"]
    process = subprocess.Popen(
        command, env=clean_environment(), cwd=tmp_path, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip

    def have_begun() -> bool:
        files = [path for path in tmp_path.glob("c*.history") if "setup" not in path.name]
        return len(files) == processes and all(path.stat().st_size > 50_000 for path in files)

    try:
        wait_until(have_begun, "histories")
        os.killpg(process.pid, signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0
    told = json.loads(out)
    assert told["calls_sent"] == told["calls_answered"]
    assert told["reserves"]["GRANTED"] == told["commits"]["DONE"] > 0
    for path in list_files(tmp_path):
        reader = read(path)
        list(reader)
        assert reader.is_finished


def test_a_step_may_end_the_load(server: ServerProcess) -> None:
    def enough(result: LoadResult) -> bool:
        return result.answered > 100

    for processes in (1, 2):
        result = run_many(
            plan(server.data_plane, calls=None, duration_s=60.0, run_name=f"e{processes}-"),
            processes,
            on_step=enough,
        )
        assert result.good == result.asked > 100
        assert result.seconds < 30
