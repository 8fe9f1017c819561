"""What a load records is what was asked and answered, and what the server's journal says happened.

A real server keeps the journal; a scripted one gives the answers that a sound server does not.
"""

from __future__ import annotations

import base64
import json
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2

import format_reader
import scripted_http2 as http2
from atp import Client, load
from atp.history import clock, read
from atp.load import Kind, LoadFailed, LoadPlan
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from command import Command
from load_histories import calls_of, commands_of
from scripted_http2 import END_HEADERS, END_STREAM, HEADERS, Asked, frame, granted, scripted, whole
from server_process import COMMAND, ServerProcess, clean_environment, serving, wait_until

SKUS = 20
CALLS = 150


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        with Client(process.data_plane, process.control_plane) as client:
            client.batch_set_stock([(f"SKU-{number:08d}", 10**6) for number in range(SKUS)])
        yield process


def plan(address: str, folder: Path, **other: object) -> LoadPlan:
    values: dict[str, object] = {"skus": SKUS, "connections": 3, "in_flight": 5, "calls": CALLS}
    values |= {"address": address, "run_name": "told-", "history": folder}
    return LoadPlan(**(values | other))  # type: ignore[arg-type]


def journal_of(server: ServerProcess) -> list[format_reader.Record]:
    (store,) = server.folder.rglob("STORE")
    return format_reader.read_journal(store.parent).records


@pytest.mark.parametrize("batch", [0, 7])
def test_what_was_recorded_is_what_the_journal_says(
    server: ServerProcess, tmp_path: Path, batch: int
) -> None:
    result = load.run(plan(server.data_plane, tmp_path, kind=Kind.PAIR, batch=batch))
    by_sequence = {}
    for asked, answer in commands_of(tmp_path):
        by_sequence[answer.sequence] = asked
    assert len(by_sequence) == result.commands
    seen: Counter[str] = Counter()
    for record in journal_of(server):
        kind = record.event.WhichOneof("change")
        if kind == "stock_changed":
            continue
        seen[kind] += 1
        asked = by_sequence.pop(record.sequence)
        if kind == "reserved":
            event = record.event.reserved
            assert (event.request_id, event.customer_id) == (asked.request_id, asked.customer_id)
            assert [line.sku for line in event.lines] == [line.sku for line in asked.lines]
        else:
            key = record.event.committed.reservation_key
            assert isinstance(asked, pb.CommitRequest)
            assert key.hex() == asked.reservation_id
    assert not by_sequence
    assert seen["reserved"] == seen["committed"] == CALLS * max(batch, 1)


def test_every_call_stands_there_with_its_times(server: ServerProcess, tmp_path: Path) -> None:
    before = clock.now_ns()
    result = load.run(plan(server.data_plane, tmp_path, kind=Kind.AVAILABILITY, rate=2_000.0))
    (path,) = tmp_path.iterdir()
    assert path.name == "told.history"
    entries = list(read(path))
    begun, finished = entries[0].begun, entries[-1].finished
    assert (begun.clock_name, begun.recorder) == (clock.clock_name(), "atp load-test")
    assert json.loads(begun.settings_json)["skus"] == SKUS
    assert abs(begun.wall_time_ns - clock.wall_ns()) < 60 * 10**9
    assert before <= begun.time_ns <= finished.time_ns <= clock.now_ns()
    assert finished.call_count == result.asked == CALLS
    calls = list(calls_of(tmp_path))
    for number, call in enumerate(calls, 1):
        assert call.sent.number == number
        assert call.sent.method == history.HISTORY_METHOD_GET_AVAILABILITY
        assert begun.time_ns <= call.sent.due_time_ns <= call.sent.time_ns
        assert call.sent.time_ns < call.ended.time_ns <= finished.time_ns
        assert call.response.availabilities[0].sku == call.request.skus[0]
    dues = [call.sent.due_time_ns for call in calls]
    assert {500_000 - 1 <= two - one <= 500_001 for one, two in pairwise(dues)} == {True}


def error_trailers(domain: str) -> bytes:
    info = AnyMessage()
    info.Pack(error_details_pb2.ErrorInfo(reason="OVERLOADED", domain=domain))
    status = status_pb2.Status(code=14, message="too much", details=[info])
    text = base64.b64encode(status.SerializeToString()).decode().rstrip("=")
    return http2.HEADS + http2.fields(
        ("grpc-status", "14"), ("grpc-message", "too much"), ("grpc-status-details-bin", text)
    )


@pytest.mark.parametrize(("domain", "refused"), [("atp", True), ("proxy.example", False)])
def test_only_the_servers_own_word_is_a_refusal(tmp_path: Path, domain: str, refused: bool) -> None:
    def answer(call: Asked) -> bytes:
        block = error_trailers(domain)
        return frame(HEADERS, END_HEADERS | END_STREAM, call.stream, block)

    with scripted(answer) as address:
        load.run(plan(address, tmp_path, connections=1, allow_refused_calls=True))
    ends = [call.ended for call in calls_of(tmp_path)]
    assert len(ends) == CALLS
    assert {(end.status, end.status_message, end.refused_by_server) for end in ends} == {
        (14, "too much", refused)
    }


def test_a_call_that_was_never_answered_has_no_end(tmp_path: Path) -> None:
    asked = []

    def answer(call: Asked) -> bytes | None:
        asked.append(call.message)
        return whole(call.stream, granted()) if len(asked) < 10 else None

    with scripted(answer) as address, pytest.raises(LoadFailed, match="closed the connection"):
        load.run(plan(address, tmp_path, connections=1))
    calls = list(calls_of(tmp_path))
    assert [call.sent.request for call in calls[:10]] == asked
    assert [call.ended is not None for call in calls[:10]] == [True] * 9 + [False]
    assert all(call.ended is None for call in calls[9:])
    (path,) = tmp_path.iterdir()
    reader = read(path)
    list(reader)
    assert reader.is_finished


def test_calls_given_up_are_counted(tmp_path: Path) -> None:
    def answer(call: Asked) -> bytes:
        time.sleep(0.02)  # each call takes this long
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(
            plan(address, tmp_path, connections=1, in_flight=1, rate=1e3, patience_s=0.05)
        )
    (path,) = tmp_path.iterdir()
    unsent = sum(entry.unsent.call_count for entry in read(path))
    assert unsent == result.expired > 10
    assert unsent + len(list(calls_of(tmp_path))) == CALLS


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_ends_the_load_and_says_so(server: ServerProcess, tmp_path: Path) -> None:
    with files_of_at_most(50_000), pytest.raises(LoadFailed) as failed:
        load.run(plan(server.data_plane, tmp_path, calls=None, duration_s=30.0))
    path = tmp_path / "told.history"
    assert str(failed.value) == f"{path}: the history can't be written: File too large"
    assert failed.value.result is not None
    reader = read(path)
    assert len(list(reader)) > 10
    assert not reader.is_finished


def test_a_history_is_never_written_over(server: ServerProcess, tmp_path: Path) -> None:
    load.run(plan(server.data_plane, tmp_path))
    before = (tmp_path / "told.history").read_bytes()
    with pytest.raises(LoadFailed, match="there is a history already"):
        load.run(plan(server.data_plane, tmp_path))
    assert (tmp_path / "told.history").read_bytes() == before
    with pytest.raises(ValueError, match="run_name names the history's file"):
        plan(server.data_plane, tmp_path, run_name="../up")


def test_the_command_records_the_stock_too(server: ServerProcess, tmp_path: Path) -> None:
    atp, folder = Command(server), tmp_path / "sale"
    arguments = ("load-test", "--calls", 50, "--skus", 3, "--history", folder, "--run", "first-")
    told = atp(*arguments)
    assert told.status == 0, told.err
    assert sorted(path.name for path in folder.iterdir()) == [
        "first-setup.history", "first.history",
    ]  # fmt: skip
    methods = Counter(call.sent.method for call in calls_of(folder))
    assert methods == {
        history.HISTORY_METHOD_BATCH_SET_STOCK: 1, history.HISTORY_METHOD_RESERVE: 50,
    }  # fmt: skip
    again = atp(*arguments)
    assert (again.status, again.err.count("\n")) == (2, 1)
    assert "there is a history already" in again.err
    (folder / "file").touch()
    wrong = atp("load-test", "--calls", 5, "--history", folder / "file" / "below")
    assert wrong.status == 2
    assert "the history can't be written: Not a directory" in wrong.err


def test_a_killed_recorder_leaves_what_can_be_read(server: ServerProcess, tmp_path: Path) -> None:
    path = tmp_path / "killed.history"
    command = [sys.executable, "-c", COMMAND, "load-test", "--duration", "1m", "--run", "killed-"]
    command += ["--data-address", server.data_plane, "--control-address", server.control_plane]
    process = subprocess.Popen(
        [*command, "--history", str(tmp_path)], env=clean_environment(), cwd=tmp_path
    )
    try:
        wait_until(lambda: path.exists() and path.stat().st_size > 100_000, "a history")
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    reader = read(path)
    entries = list(reader)
    assert not reader.is_finished
    assert sum(entry.HasField("sent") for entry in entries) > 100
    granted_ids = {asked.request_id for asked, _ in commands_of(tmp_path)}
    in_journal = {record.event.reserved.request_id for record in journal_of(server)}
    assert granted_ids <= in_journal
