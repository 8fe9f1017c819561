"""`atp replay` and `atp demo` as a user runs them: output, files, exit statuses, mistakes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from atp.cli.demo import demo
from atp.cli.failed import BAD_INPUT, NOT_JUDGED, Failed
from atp.cli.replay import replay
from atp.replay.events import Plan
from atp.replay.render import render
from atp.replay.report import report_of
from atp.replay.score import Score
from atp.replay.watch import BarWatcher, LineWatcher, figures, watcher_for
from model import ReferenceEngine
from replay_cases import order_file, sell, small_plan, small_rows
from server_process import ServerProcess, serving
from test_replay_audit import CountsAReturnTwice

CAP_FILE = '[[cap]]\ncap_id = "one"\nsubject = "customer"\nlimit_quantity = 5\nper_sku = true\n'


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as running:
        yield running


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    return order_file(tmp_path)


def ask(server: ServerProcess | None, *words: str | Path) -> Result:
    """Run `atp replay` against a server."""
    told = [str(word) for word in words]
    if server is not None:
        told += ["--data-address", server.data_plane, "--control-address", server.control_plane]
    return CliRunner().invoke(replay, told)


def test_a_sale_that_holds_ends_with_status_0(server: ServerProcess, orders: Path) -> None:
    result = ask(server, orders, "--abandon-ttl", "50ms", "--abandon-share", "0.2")
    assert result.exit_code == 0, result.output
    for text in ("asked for", "sold", "returned", "p99.9", "Every law held."):
        assert text in result.stdout
    assert "Oversold units:    0\n" in result.stdout
    assert "Unexplained units: 0\n" in result.stdout
    assert "\x1b" not in result.stdout, "no colour outside a terminal"
    progress = [line for line in result.stderr.splitlines() if " done, " in line]
    assert progress, result.stderr
    for word in ("47 of 47 done", "granted", "refused", "per second", "left"):
        assert word in progress[-1]


def test_the_report_as_json_and_in_a_file(server: ServerProcess, orders: Path) -> None:
    written = orders.parent / "report.json"
    result = ask(server, orders, "--json", "--report", written, "--no-caps", "--abandon-share", "0")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report == json.loads(written.read_text())
    assert report["laws_held"] is True
    assert report["audit"]["oversold_units"] == report["audit"]["unexplained_units"] == 0
    assert report["orders"]["asked"]["orders"] == 40
    assert set(report["latency"]) >= {"Reserve", "Commit", "Release", "AdjustStock"}
    for figures_of_method in report["latency"].values():
        p50, p99, p999 = (figures_of_method[name] for name in ("p50_ms", "p99_ms", "p999_ms"))
        assert 0 < p50 <= p99 <= p999 <= figures_of_method["max_ms"]


def test_caps_from_a_file(server: ServerProcess, orders: Path) -> None:
    caps = orders.parent / "caps.toml"
    caps.write_text(CAP_FILE)
    result = ask(server, orders, "--caps", caps, "--json", "--abandon-share", "0")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["options"]["caps"] == ["one"]
    assert report["orders"]["refused_by_cap"]["one"] > 0
    assert report["audit"]["caps_recounted"] == 1


def test_a_second_sale_needs_leave_to_overwrite(server: ServerProcess, orders: Path) -> None:
    assert ask(server, orders, "--abandon-share", "0").exit_code == 0
    again = ask(server, orders, "--abandon-share", "0")
    assert isinstance(again.exception, Failed)
    assert again.exception.status == BAD_INPUT
    assert "--overwrite-stock" in again.exception.message
    assert ask(server, orders, "--overwrite-stock", "--abandon-share", "0").exit_code == 0


def test_no_server_is_one_clear_line(orders: Path) -> None:
    nowhere = ["--data-address", "127.0.0.1:1", "--control-address", "127.0.0.1:1"]
    result = ask(None, orders, *nowhere)
    assert isinstance(result.exception, Failed)
    assert result.exception.status == NOT_JUDGED
    assert result.exception.message.startswith("no server answers at 127.0.0.1:1 (--control")
    assert "\n" not in result.exception.message
    assert result.exception.details is None
    told = ask(None, orders, *nowhere, "--json").exception
    assert isinstance(told, Failed)
    assert json.loads(told.text())["error"]["message"] == told.message


MISTAKES: dict[str, tuple[list[str], str]] = {
    "no file": ([], "name a FILE of orders, or give --made-up"),
    "both": (["{orders}", "--made-up"], "give a FILE or --made-up, not both"),
    "caps twice": (["{orders}", "--caps", "{caps}", "--no-caps"], "--caps or --no-caps, not both"),
    "speed": (["{orders}", "--speed", "fast"], "'fast' is not a speed; write max, or a factor"),
    "no speed": (["{orders}", "--speed", "0"], "'0' is not a speed"),
    "shares": (
        ["{orders}", "--abandon-share", "0.6", "--release-share", "0.6"],
        "--abandon-share and release_share must not add up to more than 1",
    ),
    "late": (["{orders}", "--pay-after", "3m"], "--pay-after must be shorter than ttl"),
    "no file there": (["nowhere.csv"], "'nowhere.csv' does not exist"),
    "run": (["{orders}", "--run", "x" * 17], "--run-name must be 1 to 16 bytes"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_a_usage_error(orders: Path, name: str) -> None:
    words, expected = MISTAKES[name]
    caps = orders.parent / "caps.toml"
    caps.write_text(CAP_FILE)
    result = ask(None, *(word.format(orders=orders, caps=caps) for word in words))
    assert result.exit_code == BAD_INPUT
    assert expected in result.stderr


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("invoice,quantity\n", "line 1: the column stock_code (or StockCode) is missing"),
        ("InvoiceNo,StockCode,Quantity,InvoiceDate,CustomerID\n", "has no order that could be"),
    ],
)
def test_a_bad_file_is_bad_input(tmp_path: Path, content: str, expected: str) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(content)
    result = ask(None, path)
    assert isinstance(result.exception, Failed)
    assert result.exception.status == BAD_INPUT
    assert expected in result.exception.message


def test_a_bad_file_of_caps_is_bad_input(orders: Path) -> None:
    caps = orders.parent / "caps.toml"
    caps.write_text(CAP_FILE.replace("customer", "crowd"))
    result = ask(None, orders, "--caps", caps)
    assert isinstance(result.exception, Failed)
    assert result.exception.status == BAD_INPUT
    assert "caps.toml:3: " in result.exception.message


def test_a_broken_law_ends_with_status_1(monkeypatch: pytest.MonkeyPatch, orders: Path) -> None:
    """A lying server, all the way to the exit status."""
    broken = sell(CountsAReturnTwice(), small_plan())
    monkeypatch.setattr("atp.cli.replay.run_sale", lambda *_, **__: (broken, report_of(broken)))
    result = ask(None, orders)
    assert result.exit_code == 1
    assert "A law was broken." in result.stdout
    assert "[2 conservation] sku-0: on hand" in result.stdout


def test_what_is_printed_cannot_move_the_cursor() -> None:
    rows = [row._replace(stock_code=f"[red]\x1b[2J{row.stock_code}") for row in small_rows()]
    result = sell(ReferenceEngine(), small_plan(rows, 0.0, 0.0), allow_partial=True)
    console = Console(width=120, no_color=True, record=True, file=io.StringIO())
    render(report_of(result), console)
    text = console.export_text()
    assert "\x1b" not in text
    assert "[red]\\x1b[2Jsku-" in text


def score_of(done: int) -> Score:
    """A score of so many events of a hundred."""
    score = Score()
    score.events, score.events_done = 100, done
    return score


def test_live_figures() -> None:
    assert figures(score_of(25), 2.0) == {
        "done": "25 of 100",
        "granted": "0",
        "refused": "0",
        "rate": "12",
        "left": "0:06",
    }
    assert figures(score_of(0), 0.0)["left"] == "-"
    assert figures(score_of(1), 3_600.0)["left"] == "99:00:00"


def test_the_watcher_fits_where_it_writes() -> None:
    terminal = Console(force_terminal=True, record=True, width=100, stderr=True)
    assert isinstance(watcher_for(terminal), BarWatcher)
    with watcher_for(terminal) as watcher:
        watcher.stage("a [stage]")
        watcher.progress(score_of(25), 2.0)
    shown = terminal.export_text()
    assert "a [stage]" in shown
    assert "25 of 100 done" in shown
    assert isinstance(watcher_for(Console(force_terminal=False, stderr=True)), LineWatcher)


def test_lines_come_every_two_seconds_and_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    with LineWatcher(Console(stderr=True, force_terminal=False)) as watcher:
        for tick in range(1, 11):
            watcher.progress(score_of(tick * 10), tick * 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" s ")[0].strip() for line in lines] == ["2.0", "4.0", "5.0"]


def test_help_says_how() -> None:
    for command in (replay, demo):
        assert isinstance(command, click.Command)
        result = CliRunner().invoke(command, ["--help"])
        assert result.exit_code == 0
        for word in ("Exit status: 0", "Examples:", "--stock-share", "--speed", "--caps"):
            assert word in result.stdout


def test_a_plan_knows_its_stock() -> None:
    assert Plan("", demand=[3]).stock(0.5) == [2]
