"""The server's log: what a line says, how many are written, and that no shopper is in it."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import logging
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

import test_server_errors
from atp.server import log_events, logs
from atp.server.log_events import EVENTS, LogEvent
from atp.settings import is_journal, load
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ROOT, channel_to, clean_environment, run_atp, serving, wait_until
from server_stubs import SECONDS, Stubs, stubs_to

RESERVED = {"time", "level", "event", "message", "action"}
MARK = "Mk42q"
ADDRESS = "203.0.113.242"


@pytest.fixture
def root_logging() -> Iterator[None]:
    """Puts the log of this process back as it was."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:], root.level = handlers, level
    root.setLevel(level)


def written_to(**changed: str) -> io.StringIO:
    """Where the log goes from here on, with these settings (log_level for log.level)."""
    overrides = [(name.replace("_", ".", 1), text, "--set") for name, text in changed.items()]
    stream = io.StringIO()
    logs.configure(load(environment={}, overrides=overrides), stream)
    return stream


def calls_of_tell() -> Iterator[tuple[str, str, set[str] | None]]:
    """Where the package tells an event: (place, name in log_events, fields, None: not readable)."""
    for path in sorted((ROOT / "src" / "atp").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr not in ("tell", "last_words", "change", "_say"):
                continue
            named = [
                (argument.attr, node)
                for argument in ast.walk(node)
                if isinstance(argument, ast.Attribute)
                and isinstance(argument.value, ast.Name)
                and argument.value.id == "log_events"
            ]
            given = {keyword.arg for keyword in node.keywords}
            whole = None if None in given or node.func.attr == "change" else given
            for name, _ in named:
                yield f"{path.name}:{node.lineno}", name, whole  # type: ignore[misc]


def test_the_page_of_events_is_fresh() -> None:
    script = ROOT / "tools" / "generate_events_doc.py"
    spec = importlib.util.spec_from_file_location("generate_events_doc", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "logs.md").read_text(encoding="utf-8")
    assert page == module.render(), "run python tools/generate_events_doc.py"


def test_every_event_is_told_somewhere_with_its_fields() -> None:
    told = list(calls_of_tell())
    assert len(told) > 20
    source = "".join(
        path.read_text(encoding="utf-8")
        for path in (ROOT / "src" / "atp").rglob("*.py")
        if path.name != "log_events.py"
    )
    for name, event in ((n, v) for n, v in vars(log_events).items() if isinstance(v, LogEvent)):
        assert re.search(rf"\b{name}\b", source), f"nobody tells {name}"
        assert event.name == name.lower()
    for place, name, given in told:
        event = vars(log_events)[name]
        assert given is None or event.fields() <= given, f"{place}: {name} lacks fields"


@pytest.mark.parametrize("event", EVENTS.values(), ids=lambda event: event.name)
def test_every_event_says_what_happened_and_what_to_do(event: LogEvent) -> None:
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", event.name)
    assert event.what
    assert event.action
    assert not event.fields() & RESERVED
    if event.level >= logging.WARNING and event is not log_events.STOP_HURRIED:
        assert event.action != log_events.NOTHING, "a warning that asks for nothing is none"


def test_a_line_of_text_has_time_level_event_what_and_action(root_logging: None) -> None:
    stream = written_to()
    logs.tell(log_events.CALLS_CUT_OFF, calls=3)
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING calls_cut_off: 3 calls were cut off"
        r" -> callers ask again .*\n",
        stream.getvalue(),
    )


def test_a_line_of_json_has_the_fields_as_they_are(root_logging: None) -> None:
    stream = written_to(log_format="json")
    logs.tell(log_events.SYNC_SLOW, slow=3, syncs=9, limit=100.0, most=900.4)
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "event": "sync_slow",
        "message": "syncs are slow: 3 of the last 9 took longer than 100 ms, the longest 900 ms so"
        " far, and answers wait for them",
        "action": log_events.SYNC_SLOW.action,
        "slow": 3,
        "syncs": 9,
        "limit": 100.0,
        "most": 900.4,
    }


def test_nothing_that_is_told_can_break_a_line(root_logging: None) -> None:
    stream = written_to()
    logs.tell(log_events.SETTINGS_REFUSED, reason="a\nb\x1b[31m {braces}")
    assert stream.getvalue().count("\n") == 1
    assert "a\\nb\\x1b[31m {braces}" in stream.getvalue()


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_under_the_journal_a_line_begins_with_its_priority(log_format: str) -> None:
    kind = logs.JsonFormatter if log_format == "json" else logs.TextFormatter
    levels = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
    for level, priority in levels.items():
        number = logging.getLevelName(level.upper())
        record = logging.LogRecord("x", number, "", 0, "said", None, None)
        line = kind(for_journal=True).format(record)
        assert line.startswith(f"<{priority}>")
        assert "said" in line


def test_the_journal_is_known_by_the_file_it_reads(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "stream").open("w") as stream:
        facts = (tmp_path / "stream").stat()
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        assert is_journal(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino + 1}")
        assert not is_journal(stream.fileno())
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not is_journal(stream.fileno())


def test_what_a_library_says_is_an_event_too(root_logging: None) -> None:
    stream = written_to(log_format="json")
    try:
        raise ValueError("the request id is secret")
    except ValueError:
        logging.getLogger("asyncio").exception("a task failed")
    line = json.loads(stream.getvalue())
    assert (line["event"], line["level"]) == ("other", "error")
    assert line["text"].startswith("asyncio: a task failed (ValueError at test_logs.py:")
    assert "secret" not in stream.getvalue()


def test_a_flood_of_one_event_is_bounded_and_counted(root_logging: None) -> None:
    stream = written_to(log_lines_per_minute="3")
    for calls in range(10):
        logs.tell(log_events.CALLS_CUT_OFF, calls=calls)
    logs.tell(log_events.SETTINGS_RELOADED, changed="none")
    lines = stream.getvalue().splitlines()
    assert [line.split()[2] for line in lines] == ["calls_cut_off:"] * 3 + ["settings_reloaded:"]
    logs.tell_left_out()  # the minute is not over
    assert len(stream.getvalue().splitlines()) == 4
    logs.tell_left_out(at_once=True)
    logs.tell_left_out(at_once=True)
    last = stream.getvalue().splitlines()[4:]
    assert len(last) == 1
    assert "lines_left_out: 7 more lines of calls_cut_off were left out" in last[0]


def test_each_minute_has_its_own_lines(root_logging: None) -> None:
    stream = written_to(log_lines_per_minute="1")
    handler = logging.getLogger().handlers[0]

    def at(seconds: float) -> None:
        record = logging.LogRecord("x", logging.ERROR, "", 0, f"at {seconds:g}", None, None)
        record.created = 1e9 + seconds
        handler.handle(record)

    for seconds in (0, 1, 59.9, 60, 61, -3600, -3599):
        at(seconds)
    said = re.findall(r"at (-?[\d.]+) ->|(\d+) more lines of other", stream.getvalue())
    assert said == [("0", ""), ("", "2"), ("60", ""), ("", "1"), ("-3600", "")]


def test_the_last_words_are_always_written(root_logging: None) -> None:
    stream = written_to(log_lines_per_minute="1")
    for _ in range(3):
        logging.getLogger("x").critical("the end")
    assert stream.getvalue().count("the end") == 3


def traffic(stubs: Stubs) -> None:
    """Commands with marked ids: granted, repeated, refused in each way, malformed, forgotten."""
    stock = stock_pb.SetStockRequest(sku="MUG", on_hand_quantity=5)
    stubs.stock.SetStock(stock, timeout=SECONDS)
    override = cap_pb.CapOverride(subject=f"customer-{MARK}", limit_quantity=2)
    cap = cap_pb.Cap(
        cap_id="each", subject=cap_pb.CAP_SUBJECT_CUSTOMER, limit_quantity=1,
        mode=cap_pb.CAP_MODE_ENFORCE, overrides=[override],
    )  # fmt: skip
    stubs.caps.SetCap(cap_pb.SetCapRequest(cap=cap), timeout=SECONDS)
    for number in range(20):
        request = pb.ReserveRequest(
            request_id=f"request-{MARK}-{number % 15}",
            lines=[pb.Line(sku="MUG" if number % 3 else "CUP", quantity=1 + number % 2)],
            client_ip=ADDRESS if number % 7 else f"no address {MARK}",
            customer_id=f"customer-{MARK}-{number % 4}",
        )
        attempt(stubs.reservations.Reserve, request)
    attempt(stubs.reservations.Release, pb.ReleaseRequest(reservation_id="feedbeef" * 4))
    attempt(stubs.reservations.Release, pb.ReleaseRequest(reservation_id=f"{MARK}?"))
    stubs.caps.RemoveCap(cap_pb.RemoveCapRequest(cap_id="each"), timeout=SECONDS)


def attempt(call: Any, request: Any) -> None:
    try:
        call(request, timeout=SECONDS)
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            raise


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_no_shopper_is_in_the_log(log_format: str) -> None:
    with serving("--set", f"log.format={log_format}") as server, stubs_to(server) as stubs:
        traffic(stubs)
        server.signal(signal.SIGHUP)
        wait_until(lambda: "settings_reloaded" in server.stderr(), "the reload")
        server.signal(signal.SIGTERM)
        assert server.wait() == 0
        said = server.stderr()
    assert "cap_set" in said
    assert "cap_removed" in said
    for mark in (MARK, ADDRESS, "feedbeef"):
        assert mark not in said


def test_the_level_and_the_form_change_live(tmp_path: Path) -> None:
    config = tmp_path / "atp.toml"
    config.write_text("[log]\nlevel = 'warning'\n")
    with serving("--config", str(config)) as server:
        assert server.stderr() == ""
        config.write_text("[log]\nlevel = 'info'\nformat = 'json'\n")
        server.signal(signal.SIGHUP)
        wait_until(lambda: server.stderr().endswith("\n"), "the reload")
        line = json.loads(server.stderr())
        assert line["event"] == "settings_reloaded"
        assert line["changed"] == "log.level, log.format"


def test_a_refused_start_is_an_event_where_programs_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    where = ("serve", "--data", str(tmp_path / "file"), "--data-address", "127.0.0.1:0",
             "--control-address", "127.0.0.1:0")  # fmt: skip
    ended = run_atp(*where, "--set", "log.format=json", environment=clean_environment())
    assert ended.returncode == 2
    assert ended.stdout == ""
    line = json.loads(ended.stderr.splitlines()[-1])
    assert (line["event"], line["level"]) == ("start_refused", "error")
    assert "not a directory" in line["message"]
    ended = run_atp(*where)
    assert ended.returncode == 2
    assert ended.stderr.startswith("atp: data.directory ")
    assert ended.stderr.count("\n") == 1


def test_at_level_debug_a_fault_is_logged_with_its_details() -> None:
    level = ("--set", "log.level=debug")
    with (
        serving(*level, command=test_server_errors.FAILING) as process,
        channel_to(process.control_plane) as channel,
    ):
        stub = stock_grpc.StockServiceStub(channel)
        with pytest.raises(grpc.RpcError):
            stub.SetStock(stock_pb.SetStockRequest(sku="A", on_hand_quantity=1), timeout=SECONDS)
        assert "secret of the engine" in process.stderr()
