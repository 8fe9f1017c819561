"""`atp demo` as a user runs it: a server of its own, killed in the middle of a sale, and audited.

Real processes. That the audit finds what a kill took is shown with a server that answers before
anything is on disk.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from atp.cli.demo import demo
from atp.cli.failed import NOT_JUDGED, Failed
from replay_cases import order_file
from server_process import COMMAND, clean_environment

FORGETFUL = f"import atp.cli.demo as demo; demo.DURABILITY = 'off'; {COMMAND}"
"""A demo whose server answers before anything is written."""


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return order_file(tmp_path)


def run_demo(
    folder: Path, *words: str, command: str = COMMAND, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `atp demo` in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-c", command, "demo", *words],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_demo_makes_orders_up_where_there_are_none(tmp_path: Path) -> None:
    ended = run_demo(tmp_path, "--invoices", "150", "--abandon-ttl", "100ms")
    assert ended.returncode == 0, ended.stderr
    assert "there are no real orders (../shared/data/online_retail.csv.gz)" in ended.stderr
    assert "orders: made-up orders, seed 1" in ended.stdout
    assert "Every law held." in ended.stdout
    report = json.loads((tmp_path / "demo-out" / "report.json").read_text())
    assert report["data"]["invoices"] == 150
    assert not (tmp_path / "demo-out" / "ready.json").exists()
    assert sorted(path.name for path in (tmp_path / "demo-out").iterdir()) == [
        "report.json",
        "server.log",
    ]
    for pid in pids_of(ended):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def pids_of(ended: subprocess.CompletedProcess[str]) -> list[int]:
    """The servers that a demo had, one after another."""
    return [int(pid) for pid in re.findall(r"^server: process (\d+),", ended.stderr, re.MULTILINE)]


def test_the_server_is_killed_in_the_middle_and_has_lost_nothing(tmp_path: Path) -> None:
    ended = run_demo(tmp_path, "--made-up", "--invoices", "600", "--abandon-ttl", "100ms")
    assert ended.returncode == 0, ended.stderr
    first, second = pids_of(ended)
    assert first != second
    report = json.loads((tmp_path / "demo-out" / "report.json").read_text())
    crash, audit = report["crash"], report["audit"]
    events = report["data"]["events"]
    assert events <= 2 * crash["events_done"] <= events + 2
    assert 0 < crash["after_s"] < report["speed"]["sale_s"]
    assert 0 < crash["recovery_s"] < crash["away_s"]
    assert crash["replayed_records"] == crash["recovered_sequence"] > crash["holds_answered"] > 100
    assert audit["lost_answers"] == audit["oversold_units"] == audit["unexplained_units"] == 0
    assert audit["holds_looked_up"] == crash["holds_answered"]
    assert audit["answers_looked_up"] > crash["recovered_sequence"] / 3
    assert audit["not_looked_up"] == ""
    assert report["speed"]["retries"] > 0, "calls were under way when it was killed"
    told = " ".join(ended.stdout.split())
    assert f"Killed with kill -9 after {crash['after_s']:.1f} s, at " in told
    assert f"{crash['replayed_records']:,} changes replayed in" in told
    assert "Lost answers: 0" in told
    log = (tmp_path / "demo-out" / "server.log").read_text()
    assert log.count("atp is ready") == 2


def test_answers_that_a_kill_took_are_found(tmp_path: Path) -> None:
    """The server answers at once and writes once a minute: what it had answered is gone."""
    ended = run_demo(
        tmp_path,
        *("--made-up", "--invoices", "200", "--abandon-ttl", "100ms"),
        command=FORGETFUL,
        ATP_JOURNAL_SYNC_INTERVAL="1m",
    )
    assert ended.returncode == 1, ended.stderr
    assert "A law was broken." in ended.stdout
    report = json.loads((tmp_path / "demo-out" / "report.json").read_text())
    assert report["audit"]["lost_answers"] >= report["crash"]["holds_answered"] > 0
    assert report["audit"]["by_law"]["7 durable before said"] > 0
    (kept,) = (tmp_path / "demo-out").glob("data-*")
    assert f"the server's data is kept in demo-out/{kept.name}" in ended.stderr


def test_the_server_can_be_left_alone(tmp_path: Path) -> None:
    ended = run_demo(tmp_path, "--made-up", "--invoices", "50", "--no-kill", "--json")
    assert ended.returncode == 0, ended.stderr
    assert len(pids_of(ended)) == 1
    report = json.loads(ended.stdout)
    assert report["crash"] is None
    assert report["audit"]["lost_answers"] == 0
    assert report["audit"]["answers_looked_up"] > 50


def test_the_demo_finds_the_real_orders(tmp_path: Path, orders: Path) -> None:
    data = tmp_path / "shared" / "data"
    data.mkdir(parents=True)
    shutil.copy(orders, data / "online_retail.csv.gz")  # Read by content, not by name.
    here = tmp_path / "project"
    here.mkdir()
    ended = run_demo(here, "--abandon-share", "0")
    assert ended.returncode == 0, ended.stderr
    assert "orders: ../shared/data/online_retail.csv.gz" in ended.stdout


@pytest.mark.parametrize(
    "example", re.findall(r"\$ atp demo(.*)", demo.help or ""), ids=lambda example: example.strip()
)
def test_every_example_of_the_demo_ends_well(tmp_path: Path, example: str) -> None:
    ended = run_demo(tmp_path, *example.split())
    assert ended.returncode == 0, ended.stderr
    assert ("--json" in example) == ended.stdout.startswith("{")


def test_a_server_that_does_not_start_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atp.cli.supervisor.SERVE", "raise SystemExit('no such luck')")
    before = signal.getsignal(signal.SIGTERM)
    try:
        told: Any = CliRunner().invoke(demo, ["--made-up", "--out", str(tmp_path)]).exception
    finally:
        signal.signal(signal.SIGTERM, before)
    assert isinstance(told, Failed)
    assert told.status == NOT_JUDGED
    assert told.message.startswith("the server did not start: ")
    assert told.message.endswith("no such luck")


def test_a_server_that_dies_in_the_sale_is_named(tmp_path: Path, orders: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "demo", str(orders), "--speed", "600"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process.stderr:
        pid = 0
        for line in process.stderr:
            if line.startswith("server: process "):
                pid = int(line.split()[2].rstrip(","))
            if " done, " in line:
                os.kill(pid, signal.SIGKILL)
                break
        told = [line for line in process.stderr if line.startswith("atp: ")]
    assert process.wait() == NOT_JUDGED
    assert len(told) == 2
    assert "was not judged: UNAVAILABLE" in told[0]
    assert told[1].startswith("atp: the server ended with status -9; demo-out/server.log ends: ")
