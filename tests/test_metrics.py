"""Metrics of a real server: every value is what was asked for, and there are never too many."""

from __future__ import annotations

import importlib.util
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp.server.metrics_table import METRICS
from atp.server.metrics_values import CapsAtWork
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import stock_service_pb2 as stock_pb
from command import Command
from scrape import Scrape, get, scrape, scraped_server
from server_process import ROOT, ServerProcess, run_atp, serving, wait_until
from server_stubs import Stubs, stubs_to
from stalled_disk import stalling

SECONDS = 20.0
FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with scraped_server() as process:
        yield process


@pytest.fixture
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    with stubs_to(server) as made:
        yield made


def stock(stubs: Stubs, sku: str, units: int) -> None:
    request = stock_pb.SetStockRequest(sku=sku, on_hand_quantity=units)
    stubs.stock.SetStock(request, timeout=SECONDS)


def reserve(request_id: str, sku: str, quantity: int = 1, **more: object) -> pb.ReserveRequest:
    lines = [pb.Line(sku=sku, quantity=quantity)]
    return pb.ReserveRequest(request_id=request_id, lines=lines, **more)  # type: ignore[arg-type]


def times(told: Scrape, method: str) -> float:
    return told.value("atp_call_duration_seconds_count", method=method)


def test_every_row_of_the_table_is_told_and_nothing_else(server: ServerProcess) -> None:
    text = scrape(server.metrics).text
    told = dict(re.findall(r"^# TYPE (atp_\w+) (\w+)$", text, re.MULTILINE))
    assert told == {name: metric.kind for name, metric in METRICS.items()}
    helps = dict(re.findall(r"^# HELP (atp_\w+) (.+)$", text, re.MULTILINE))
    assert helps == {name: metric.meaning for name, metric in METRICS.items()}
    for name in ("process_resident_memory_bytes", "process_open_fds", "process_cpu_seconds_total"):
        assert f"\n{name} " in text


def test_counts_are_what_was_asked_for(server: ServerProcess, stubs: Stubs) -> None:
    stock(stubs, "MUG", 100)
    stock(stubs, "POT", 5)
    call = stubs.reservations
    held = [
        call.Reserve(reserve(f"r{number}", "MUG", 2), timeout=SECONDS).reservation.reservation_id
        for number in range(7)
    ]
    for number in range(3):
        call.Reserve(reserve(f"s{number}", "POT", 6), timeout=SECONDS)  # never that many
    call.Commit(pb.CommitRequest(reservation_id=held[0]), timeout=SECONDS)
    call.Release(pb.ReleaseRequest(reservation_id=held[1]), timeout=SECONDS)
    call.Release(pb.ReleaseRequest(reservation_id=held[1]), timeout=SECONDS)
    call.GetAvailability(pb.GetAvailabilityRequest(skus=["MUG"]), timeout=SECONDS)
    with pytest.raises(grpc.RpcError):
        call.Reserve(pb.ReserveRequest(request_id="none"), timeout=SECONDS)
    batch = service_pb.ExecuteRequest(
        commands=[service_pb.Command(reserve=reserve(f"b{number}", "MUG")) for number in range(4)]
    )
    assert len(list(call.Execute(iter([batch, batch]), timeout=SECONDS))) == 2
    wait_until(lambda: times(scrape(server.metrics), "Execute") == 2, "the batches to be timed")

    told = scrape(server.metrics)
    for method, code, calls in (
        ("Reserve", "OK", 10),
        ("Reserve", "INVALID_ARGUMENT", 1),
        ("Commit", "OK", 1),
        ("Release", "OK", 2),
        ("Extend", "OK", 0),
        ("GetAvailability", "OK", 1),
        ("Execute", "OK", 1),
    ):
        assert told.value("atp_calls_total", plane="data", method=method, code=code) == calls
    assert told.value("atp_calls_total", plane="control", method="SetStock", code="OK") == 2
    for method, outcome, commands in (
        ("Reserve", "GRANTED", 7 + 8),
        ("Reserve", "STOCK_SHORT", 3),
        ("Commit", "DONE", 1),
        ("Release", "DONE", 2),  # again, and nothing more is given back
    ):
        assert told.value("atp_commands_total", method=method, outcome=outcome) == commands
    assert times(told, "Reserve") == 10
    assert times(told, "Release") == 2
    assert told.value("atp_call_duration_seconds_bucket", method="Reserve", le="+Inf") == 10
    assert told.value("atp_connections") == told.value("atp_connections_accepted_total") == 1
    assert told.value("atp_calls_open", plane="data") == 0
    assert told.value("atp_sent_bytes_total") > 10 * 50


def test_units_and_holds_are_those_of_the_stock(server: ServerProcess, stubs: Stubs) -> None:
    stock(stubs, "MUG", 100)
    stock(stubs, "POT", 5)
    held = stubs.reservations.Reserve(reserve("a", "MUG", 10), timeout=SECONDS).reservation
    stubs.reservations.Reserve(reserve("b", "POT", 2), timeout=SECONDS)
    part = pb.CommitRequest(
        reservation_id=held.reservation_id,
        lines=[pb.Line(sku="MUG", quantity=4)],
        request_id="some",
    )
    stubs.reservations.Commit(part, timeout=SECONDS)
    told = scrape(server.metrics)
    units = {"on_hand": 101, "held": 8, "available": 93, "sold": 4}
    assert told.labelled("atp_units", "state") == units
    for sku, state, count in (("MUG", "held", 6), ("MUG", "on_hand", 96), ("POT", "available", 3)):
        assert told.value("atp_sku_units", sku=sku, state=state) == count
    assert told.value("atp_holds") == 2
    assert told.value("atp_skus") == 2
    assert told.value("atp_receipts_remembered") == 1
    assert told.value("atp_sequence") == told.value("atp_durable_sequence") == 5
    assert told.value("atp_durable_lag_changes") == 0
    assert told.value("atp_durable_lag_seconds") == 0
    assert told.value("atp_sync_duration_seconds_count") >= 3
    assert told.value("atp_limit_used", limit="live_holds_max") == 2
    assert told.value("atp_limit", limit="live_holds_max") == 1 << 24


def test_a_hold_that_expires_is_counted(server: ServerProcess, stubs: Stubs) -> None:
    stock(stubs, "MUG", 10)
    request = reserve("short", "MUG", 3)
    request.ttl.FromMilliseconds(50)
    stubs.reservations.Reserve(request, timeout=SECONDS)
    wait_until(lambda: scrape(server.metrics).value("atp_holds") == 0, "the hold to expire")
    told = scrape(server.metrics)
    assert told.value("atp_holds_expired_total") == 1
    assert told.value("atp_units", state="held") == 0


def test_there_are_never_more_skus_and_caps_than_the_settings_say() -> None:
    options = ("--set", "metrics.top_skus=3", "--set", "metrics.top_caps=2")
    with scraped_server(*options) as server, stubs_to(server) as stubs:
        for number in range(10):
            stock(stubs, f"S{number}", 10)
            cap = cap_pb.Cap(
                cap_id=f"cap{number}",
                subject=cap_pb.CAP_SUBJECT_EVERYONE,
                mode=cap_pb.CAP_MODE_ENFORCE if number % 2 else cap_pb.CAP_MODE_SHADOW,
                skus=[f"S{number}"],
                limit_quantity=0,
            )
            stubs.caps.SetCap(cap_pb.SetCapRequest(cap=cap), timeout=SECONDS)
            for ask in range(number):
                request = reserve(f"r{number}-{ask}", f"S{number}")
                stubs.reservations.Reserve(request, timeout=SECONDS)
        told = scrape(server.metrics)
        assert told.labelled("atp_sku_heat", "sku") == {"S9": 9, "S8": 8, "S7": 7}
        assert set(told.labelled("atp_sku_units", "sku")) == {"S9", "S8", "S7"}
        assert told.labelled("atp_cap_refused_total", "cap") == {"cap9": 9, "cap8": 0}
        assert told.labelled("atp_cap_shadow_refused_total", "cap") == {"cap9": 0, "cap8": 8}
        size = len(told)
        for number in range(10, 60):
            stock(stubs, f"S{number}", 10)
            stubs.reservations.Reserve(reserve(f"r{number}", f"S{number}"), timeout=SECONDS)
        assert len(scrape(server.metrics)) == size


def test_caps_at_work_of_late_come_first() -> None:
    caps = CapsAtWork()
    caps.look([("old", 1_000, 0), ("new", 0, 0), ("quiet", 0, 0)])
    assert [cap for cap, _, _ in caps.top(2)] == ["old", "new"]
    for round_ in range(12):
        caps.look([("old", 1_000, 0), ("new", 0, 5 * round_), ("quiet", 0, 0)])
    assert [cap for cap, _, _ in caps.top(2)] == ["new", "old"]
    caps.look([("quiet", 0, 0)])
    assert caps.top(5) == [("quiet", 0, 0)]


def test_a_disk_that_stands_still_is_told_of_while_it_does(tmp_path: Path) -> None:
    with stalling(tmp_path, "--set", "metrics.address=127.0.0.1:0") as disk:
        stock(disk.stubs, "MUG", 10)
        with disk.stalled():
            calls = [
                disk.stubs.reservations.Reserve.future(reserve(f"r{number}", "MUG"), timeout=60)
                for number in range(3)
            ]
            address = disk.server.metrics
            wait_until(
                lambda: scrape(address).value("atp_durable_lag_changes") == 3, "changes that wait"
            )
            first = scrape(address).value("atp_durable_lag_seconds")
            began = time.monotonic()
            wait_until(
                lambda: scrape(address).value("atp_durable_lag_seconds") > first + 0.3, "the lag"
            )
            assert time.monotonic() - began > 0.25  # it grew as time went by, and not by itself
            told = scrape(address)
            assert told.value("atp_answers_parked") == 3
            assert told.value("atp_calls_open", plane="data") == 3
            assert told.value("atp_scrape_duration_seconds") < 2
        for call in calls:
            call.result(timeout=SECONDS)
        told = scrape(address)
        assert told.value("atp_durable_lag_seconds") == 0
        assert told.value("atp_answers_parked") == 0


def test_snapshots_and_the_last_start_are_told(tmp_path: Path) -> None:
    with scraped_server(folder=tmp_path) as server, stubs_to(server) as stubs:
        stock(stubs, "MUG", 10)
        told = scrape(server.metrics)
        assert "atp_snapshot_timestamp_seconds" not in told.names()
        assert told.value("atp_snapshots_total", result="ok") == 0
        stubs.maintenance.TakeSnapshot(maintenance_pb.TakeSnapshotRequest(), timeout=SECONDS)
        stock(stubs, "MUG", 11)
        told = scrape(server.metrics)
        assert told.value("atp_snapshots_total", result="ok") == 1
        assert told.value("atp_snapshot_sequence") == 1
        assert 0 <= time.time() - told.value("atp_snapshot_timestamp_seconds") < 60
        server.signal(signal.SIGKILL)
        server.wait()
    with scraped_server(folder=tmp_path) as server:
        told = scrape(server.metrics)
        assert told.value("atp_recovery_replayed_changes") == 1
        assert told.value("atp_snapshot_sequence") == 1
        assert told.value("atp_snapshot_failing") == 0


def test_scrapes_go_on_while_a_snapshot_is_written_and_the_law_is_kept(tmp_path: Path) -> None:
    with scraped_server(folder=tmp_path) as server, stubs_to(server) as stubs:
        stubs.stock.BatchSetStock(
            stock_pb.BatchSetStockRequest(
                requests=[
                    stock_pb.SetStockRequest(sku=f"S{number}", on_hand_quantity=3)
                    for number in range(4_000)
                ]
            ),
            timeout=SECONDS,
        )
        snapshots = [
            stubs.maintenance.TakeSnapshot.future(
                maintenance_pb.TakeSnapshotRequest(), timeout=SECONDS
            )
            for _ in range(5)
        ]
        scrapes = 0
        while not all(one.done() for one in snapshots) or scrapes < 5:
            told = scrape(server.metrics)
            assert told.value("atp_units", state="on_hand") == 12_000
            assert told.value("atp_sequence") <= told.value("atp_durable_sequence")
            scrapes += 1
        assert scrape(server.metrics).value("atp_snapshots_total", result="ok") == 5


def test_a_port_in_use_is_told_in_one_line_and_nothing_is_served(server: ServerProcess) -> None:
    done = run_atp("serve", *FREE, "--set", f"metrics.address={server.metrics}")
    assert done.returncode == 2
    assert done.stderr == (
        f"atp: metrics.address {server.metrics} can't be opened: address already in use; choose"
        " another port, or end the process that has it\n"
    )


def test_metrics_in_the_clear_beyond_loopback_must_be_meant() -> None:
    done = run_atp("serve", *FREE, "--set", "metrics.address=0.0.0.0:0")
    assert done.returncode == 2
    assert "metrics.insecure=true if everyone on that network may read metrics" in done.stderr
    options = ("--set", "metrics.address=0.0.0.0:0", "--set", "metrics.insecure=true")
    with serving(*options) as server:
        assert get(f"127.0.0.1:{server.metrics.rpartition(':')[2]}")[0] == 200


def test_two_addresses_that_are_one_are_refused() -> None:
    same = ("--data-address", "127.0.0.1:7999", "--set", "metrics.address=127.0.0.1:7999")
    done = run_atp("serve", *same)
    assert done.stderr == "atp: data_plane.address and metrics.address are both 127.0.0.1:7999\n"


def test_off_is_no_port_and_the_status_says_where_they_are(server: ServerProcess) -> None:
    shown = Command()("status", "--control-address", server.control_plane)
    assert re.search(rf"^metrics +{re.escape(server.metrics)}$", shown.out, re.MULTILINE)
    with serving("--set", "metrics.address=off") as silent:
        assert silent.metrics == ""
        shown = Command()("status", "--control-address", silent.control_plane)
        assert re.search(r"^metrics +off$", shown.out, re.MULTILINE)


def test_the_page_is_the_table_and_the_rules() -> None:
    script = ROOT / "tools" / "generate_metrics_doc.py"
    spec = importlib.util.spec_from_file_location("generate_metrics_doc", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert page == module.render(), "run python tools/generate_metrics_doc.py"
