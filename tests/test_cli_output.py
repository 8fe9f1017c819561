"""What commands print: JSON with the names of the protos, tables for terminals and for pipes.

A terminal is a real pseudo-terminal; what a pipe gets is what the other tests of commands read.
"""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from atp import Client
from atp.cli import status_journal, tables
from atp.cli.as_json import as_line, as_object
from atp.client import convert
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import CapMode
from server_process import COMMAND, ServerProcess, clean_environment, serving

RESERVATION = pb.Reservation(
    reservation_id="r",
    state=pb.RESERVATION_STATE_HELD,
    lines=[pb.ReservationLine(sku="A", quantity=10**12, held_quantity=3)],
    sequence=2**53 - 1,
)
RESERVATION.create_time.FromNanoseconds(1_700_000_000_000_000_001)
CAP = cap_pb.Cap(cap_id="c", subject=cap_pb.CAP_SUBJECT_IP, limit_quantity=0, skus=["A"])
CAP.window.FromSeconds(90)
MESSAGES: list[Message] = [
    pb.ReserveResponse(outcome=pb.RESERVE_OUTCOME_GRANTED, reservation=RESERVATION),
    pb.CommitResponse(),
    pb.ExtendResponse(outcome=pb.CHANGE_OUTCOME_NOT_FOUND),
    stock_pb.AdjustStockResponse(stock=stock_pb.Stock(sku="é\u2028", adjusted_quantity=-5)),
    CAP,
    cap_pb.Cap(overrides=[cap_pb.CapOverride(subject="x")]),
    maintenance_pb.GetStatusResponse(limits=[maintenance_pb.Limit(name="n", used=-1)]),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_json_is_protobufs_but_for_numbers_and_null(message: Message) -> None:
    theirs = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    assert as_theirs(as_object(message), message) == theirs
    assert json.loads(as_line(message)) == as_object(message)
    assert "\n" not in as_line(message)


def as_theirs(ours: dict[str, Any], message: Message) -> dict[str, Any]:
    """Our JSON with 64-bit numbers as text and without what is null: protobuf's own."""
    theirs: dict[str, Any] = {}
    fields: Any = message.DESCRIPTOR.fields
    assert list(ours) == [field.name for field in fields]
    for field in fields:
        value, there = ours[field.name], getattr(message, field.name)
        if value is None:
            continue
        if field.cpp_type == field.CPPTYPE_INT64:
            value = [str(each) for each in value] if field.is_repeated else str(value)
        elif isinstance(value, dict):
            value = as_theirs(value, there)
        elif field.is_repeated and value and isinstance(value[0], dict):
            value = [as_theirs(*pair) for pair in zip(value, there, strict=True)]
        theirs[field.name] = value
    return theirs


def test_a_number_that_an_enum_of_a_newer_server_has() -> None:
    assert as_object(pb.ReserveResponse(outcome=99))["outcome"] == 99  # type: ignore[arg-type]


def test_a_plain_table(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_table(("sku", "units"), [("A", 1), ("LONG", 1234567), ("N", None)], title="Title")
    assert capsys.readouterr().out == "\nTitle\nSKU     UNITS\nA           1\nLONG  1234567\nN\n"
    tables.show_table(("sku", "units"), [], header=False)
    assert capsys.readouterr().out == ""


def test_facts_leave_out_what_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show_facts((("a", 1), ("long name", "x"), ("gone", None)))
    assert capsys.readouterr().out == "a          1\nlong name  x\n"
    tables.show_facts(())
    assert capsys.readouterr().out == ""


def test_nothing_unprintable_gets_out(capsys: pytest.CaptureFixture[str]) -> None:
    nasty = "\x1b[31mA\n\t\x07\u202e\x9bB é"
    tables.show_table(("sku",), [(nasty,)])
    tables.show_facts([("sku", nasty)])
    out = capsys.readouterr().out
    assert out.count("\\x1b[31mA\\n\\t\\x07\\u202e\\x9bB é") == 2
    assert not set(out) & set("\x1b\t\x07\u202e\x9b")


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0.000 ms"),
        (3_400, "0.003 ms"),
        (392_000, "0.392 ms"),
        (1_470_000, "1.47 ms"),
        (12_300_000, "12 ms"),
        (3_400_000_000, "3.4 s"),
        (61_000_000_000, "61 s"),
    ],
)
def test_short_times_for_people(nanoseconds: int, text: str) -> None:
    assert status_journal.length(nanoseconds) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(0, "0 B"), (10_239, "10,239 B"), (10_240, "10 KiB"), (1 << 34, "16 GiB")],
)
def test_sizes_for_people(size_bytes: int, text: str) -> None:
    assert status_journal.size(size_bytes) == text


def test_what_is_not_as_it_should_be_stands_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Why new holds are refused, snapshots that failed or were passed over, a torn tail."""
    recovery = maintenance_pb.Recovery(
        damaged_snapshots=["7.snapshot: a bit"],
        passed_damage=["3.segment: a byte"],
        torn_bytes=20_000,
        torn_copy="/data/cut/1",
        digest="0" * 32,
    )
    status_journal.show(
        convert.journal_status(
            maintenance_pb.JournalStatus(
                refusing_reason="the disk is full",
                snapshot_error="no room",
                last_recovery=recovery,
            )
        )
    )
    lines = [line.split("  ", 1) for line in capsys.readouterr().out.splitlines()]
    shown = {words[0]: words[1].strip() for words in lines if len(words) == 2}
    assert shown["refuses new holds"] == "the disk is full"
    assert shown["last snapshot failed"] == "no room"
    assert shown["last snapshot"] == "none yet"
    assert shown["snapshot passed over"] == "7.snapshot: a bit"
    assert shown["damage passed over"] == "3.segment: a byte"
    assert shown["torn tail cut"] == "19 KiB, kept in /data/cut/1"
    assert "syncs" not in shown


def test_times_and_words_for_people() -> None:
    assert tables.instant(None) is None
    assert re.fullmatch(r"1970-01-01 00:00:01 UTC \(\d+d.* ago\)", str(tables.instant(10**9)))
    assert str(tables.instant(2**63 - 1)).startswith("2262-04-11 23:47:16 UTC (in ")
    assert tables.distance(None) is None
    assert tables.word(CapMode.ENFORCE) == "enforce"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def on_a_terminal(*words: str, columns: int = 100) -> str:
    """What `atp` prints on a terminal of this width."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words],
        stdout=its,
        stderr=its,
        env=clean_environment({"COLUMNS": str(columns), "TERM": "xterm"}),
    )
    os.close(its)
    printed = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux tells the end of a terminal so
            break
        if not chunk:
            break
        printed += chunk
    os.close(ours)
    assert process.wait(timeout=30) == 0
    return printed.decode()


def test_a_table_on_a_terminal(server: ServerProcess) -> None:
    with Client(server.data_plane, server.control_plane) as client:
        client.set_stock("[red]MUG[/red]\x1b", 1_234_567)
    shown = on_a_terminal("stock", "list", "--control-address", server.control_plane)
    assert "\x1b[1m" in shown  # the header is bold
    assert "1,234,567" in shown
    assert "[red]MUG[/red]\\x1b" in shown  # not rich's markup, not the terminal's
    assert "──" in shown


def test_a_narrow_terminal_cuts_no_name(server: ServerProcess) -> None:
    name = "A" * 64
    with Client(server.data_plane, server.control_plane) as client:
        client.set_stock(name, 1)
    shown = on_a_terminal(
        "stock", "show", name, "--control-address", server.control_plane, columns=60
    )
    assert shown.count("A") >= len(name)
    assert "…" not in shown


def test_a_load_on_a_terminal_shows_its_progress(server: ServerProcess, tmp_path: Any) -> None:
    file = tmp_path / "stock.csv"
    file.write_text("".join(f"progress-{number},1\n" for number in range(9_000)))
    shown = on_a_terminal("load", str(file), "--control-address", server.control_plane)
    assert "loading" in shown
    assert "9,000 lines: 9,000 created" in shown
