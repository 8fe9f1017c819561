"""Errors of the edge: what can't be judged is told with code, reason and details.

Runs real servers; where the engine has to fail or to be slow, one is put in its place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import maintenance_service_pb2_grpc as maintenance_grpc
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, channel_to, serving, wait_until
from told import SECONDS, error_of

UNKNOWN_ID = "0" * 32
LINE = pb.Line(sku="A", quantity=1)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture(scope="module")
def data_plane(server: ServerProcess) -> Iterator[grpc.Channel]:
    with channel_to(server.data_plane) as channel:
        yield channel


@pytest.fixture(scope="module")
def control_plane(server: ServerProcess) -> Iterator[grpc.Channel]:
    with channel_to(server.control_plane) as channel:
        yield channel


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ReserveRequest(lines=[LINE]), "request_id"),
        (pb.ReserveRequest(request_id="r"), "lines"),
        (pb.ReserveRequest(request_id="r", lines=[LINE, pb.Line(sku="A")]), "lines[1].quantity"),
        (pb.ReserveRequest(request_id="r", lines=[pb.Line(quantity=1)]), "lines[0].sku"),
        (pb.ReserveRequest(request_id="r", lines=[LINE] * 4_097), "lines"),
        (pb.ReserveRequest(request_id="r", lines=[LINE], client_ip="localhost"), "client_ip"),
        (pb.ReserveRequest(request_id="r", lines=[LINE], customer_id="c" * 65), "customer_id"),
        (
            pb.ReserveRequest(request_id="r", lines=[LINE], replaces_reservation_id="x"),
            "replaces_reservation_id",
        ),
        (pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration()), "ttl"),
        (pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration(seconds=-1)), "ttl"),
        (
            pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration(seconds=2, nanos=-1)),
            "ttl",
        ),
        (
            pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration(nanos=1_000_000_000)),
            "ttl",
        ),
        (pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration(seconds=2**40)), "ttl"),
        (
            pb.ReserveRequest(request_id="r", lines=[LINE], expire_time=Timestamp(nanos=-1)),
            "expire_time",
        ),
        (
            pb.ReserveRequest(request_id="r", lines=[LINE], expire_time=Timestamp(seconds=2**40)),
            "expire_time",
        ),
    ],
)
def test_a_malformed_reserve_names_its_field(
    data_plane: grpc.Channel, request_: pb.ReserveRequest, field: str
) -> None:
    told = error_of(pb_grpc.ReservationServiceStub(data_plane).Reserve, request_)
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT
    assert told.info.reason == "FIELD_INVALID"
    assert dict(told.info.metadata) == {"field": field}
    violation = told.details["BadRequest"].field_violations[0]
    assert violation.field == field
    assert violation.description
    assert told.message == f"{field}: {violation.description}"


@pytest.mark.parametrize("expire_time", [Timestamp(), Timestamp(seconds=-1), Timestamp(seconds=1)])
def test_a_time_long_past_is_well_formed_and_refused(
    data_plane: grpc.Channel, expire_time: Timestamp
) -> None:
    reply = pb_grpc.ReservationServiceStub(data_plane).Reserve(
        pb.ReserveRequest(request_id="r", lines=[LINE], expire_time=expire_time), timeout=SECONDS
    )
    assert reply.outcome == pb.RESERVE_OUTCOME_EXPIRY_OUT_OF_RANGE


def test_malformed_changes_name_their_field(data_plane: grpc.Channel) -> None:
    stub = pb_grpc.ReservationServiceStub(data_plane)
    twice = [LINE, LINE]
    for call, request, field in (
        (stub.Commit, pb.CommitRequest(), "reservation_id"),
        (stub.Commit, pb.CommitRequest(reservation_id=UNKNOWN_ID, lines=[LINE]), "request_id"),
        (
            stub.Release,
            pb.ReleaseRequest(reservation_id=UNKNOWN_ID, lines=twice, request_id="r"),
            "lines[1].sku",
        ),
        (stub.Extend, pb.ExtendRequest(reservation_id=UNKNOWN_ID, ttl=Duration()), "ttl"),
        (stub.GetReservation, pb.GetReservationRequest(reservation_id="X"), "reservation_id"),
        (stub.GetAvailability, pb.GetAvailabilityRequest(), "skus"),
        (stub.GetAvailability, pb.GetAvailabilityRequest(skus=["A", ""]), "skus[1]"),
    ):
        told = error_of(call, request)
        assert (told.code, told.info.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            field,
        )


def test_malformed_stock_and_caps_name_their_field(control_plane: grpc.Channel) -> None:
    stock = stock_grpc.StockServiceStub(control_plane)
    caps = cap_grpc.CapServiceStub(control_plane)
    good = cap_pb.Cap(cap_id="c", subject=cap_pb.CAP_SUBJECT_CUSTOMER, mode=cap_pb.CAP_MODE_ENFORCE)

    def cap(**fields) -> cap_pb.SetCapRequest:
        changed = cap_pb.Cap()
        changed.CopyFrom(good)
        changed.MergeFrom(cap_pb.Cap(**fields))
        return cap_pb.SetCapRequest(cap=changed)

    adjust = stock_pb.AdjustStockRequest(request_id="r", sku="A", delta_quantity=1)
    for call, request, field in (
        (stock.SetStock, stock_pb.SetStockRequest(), "sku"),
        (
            stock.SetStock,
            stock_pb.SetStockRequest(sku="A", on_hand_quantity=-1),
            "on_hand_quantity",
        ),
        (stock.AdjustStock, adjust, "reason"),
        (stock.GetStock, stock_pb.GetStockRequest(), "sku"),
        (caps.SetCap, cap_pb.SetCapRequest(), "cap"),
        (caps.SetCap, cap(subject=99), "cap.subject"),
        (caps.SetCap, cap_pb.SetCapRequest(cap=cap_pb.Cap(cap_id="c", mode=1)), "cap.subject"),
        (caps.SetCap, cap_pb.SetCapRequest(cap=cap_pb.Cap(cap_id="c", subject=1)), "cap.mode"),
        (caps.SetCap, cap(window=Duration()), "cap.window"),
        (caps.SetCap, cap(window=Duration(seconds=367 * 86_400)), "cap.window"),
        (caps.SetCap, cap(limit_quantity=-1), "cap.limit_quantity"),
        (caps.SetCap, cap(ipv4_prefix_length=24), "cap.ipv4_prefix_length"),
        (caps.SetCap, cap(cap_id="c" * 65), "cap.cap_id"),
        (
            caps.SetCap,
            cap(overrides=[cap_pb.CapOverride(subject="x"), cap_pb.CapOverride()]),
            "cap.overrides[1].subject",
        ),
    ):
        told = error_of(call, request)
        assert (told.code, told.info.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            field,
        )


def test_what_is_not_there_is_named(data_plane: grpc.Channel, control_plane: grpc.Channel) -> None:
    for call, request, reason, name, value in (
        (
            pb_grpc.ReservationServiceStub(data_plane).GetReservation,
            pb.GetReservationRequest(reservation_id=UNKNOWN_ID),
            "RESERVATION_NOT_FOUND",
            "reservation_id",
            UNKNOWN_ID,
        ),
        (
            stock_grpc.StockServiceStub(control_plane).GetStock,
            stock_pb.GetStockRequest(sku="näh"),
            "SKU_NOT_FOUND",
            "sku",
            "näh",
        ),
    ):
        told = error_of(call, request)
        assert (told.code, told.info.reason) == (grpc.StatusCode.NOT_FOUND, reason)
        assert told.info.metadata[name] == value
        assert value in told.message


def test_bytes_that_are_no_request_are_refused_as_such(data_plane: grpc.Channel) -> None:
    call = data_plane.unary_unary("/atp.v1.ReservationService/Reserve")
    told = error_of(call, b"\xff\xff\xff")
    assert told.code == grpc.StatusCode.INVALID_ARGUMENT
    assert told.info.metadata["field"] == "request"
    assert told.message == "request: is no atp.v1.ReserveRequest in protobuf's wire format"
    not_utf8 = b"\x0a\x01\xff"  # request_id
    assert error_of(call, not_utf8).info.metadata["field"] == "request"


def test_a_long_field_is_told_in_short(data_plane: grpc.Channel) -> None:
    request = pb.ReserveRequest(request_id="r", lines=[LINE], client_ip="9" * 500_000)
    told = error_of(pb_grpc.ReservationServiceStub(data_plane).Reserve, request)
    assert told.info.metadata["field"] == "client_ip"
    assert len(told.message) < 400


def test_a_request_over_the_size_bound_is_refused_unread(data_plane: grpc.Channel) -> None:
    stub = pb_grpc.ReservationServiceStub(data_plane)
    largest = pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="s" * 64, quantity=1)] * 4_096)
    assert stub.Reserve(largest, timeout=SECONDS).outcome == pb.RESERVE_OUTCOME_SKU_UNKNOWN
    with pytest.raises(grpc.RpcError) as raised:
        stub.Reserve(pb.ReserveRequest(client_ip="9" * (4 << 20)), timeout=SECONDS)
    assert raised.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "4194304" in raised.value.details()


FAILING = """
from atp.cli import main
from atp.server import journaling

def failing(settings, clock):
    opened = open_data(settings, clock)
    engine = opened.engine
    class Failing:
        def __getattr__(self, name):
            return getattr(engine, name)
        def set_stock(self, *arguments, **keywords):
            raise RuntimeError("secret of the engine")
    return opened._replace(engine=Failing())

open_data, journaling.open_data = journaling.open_data, failing
main()
"""


def test_a_fault_of_the_server_is_told_without_its_details_and_logged() -> None:
    with serving(command=FAILING) as process, channel_to(process.control_plane) as channel:
        stub = stock_grpc.StockServiceStub(channel)
        told = error_of(stub.SetStock, stock_pb.SetStockRequest(sku="A", on_hand_quantity=1))
        assert (told.code, told.info.reason) == (grpc.StatusCode.INTERNAL, "SERVER_FAULT")
        assert "secret" not in told.message
        assert stub.ListStock(stock_pb.ListStockRequest(), timeout=SECONDS) is not None
        assert "call_failed: atp.v1.StockService.SetStock failed: RuntimeError" in process.stderr()
        assert "stock_servicer.py:" in process.stderr()
        assert "secret" not in process.stderr()


NOT_SWEEPING = """
from atp.cli import main
from atp.server import journaling

def broken(settings, clock):
    opened = open_data(settings, clock)
    engine = opened.engine
    class Broken:
        def __getattr__(self, name):
            return getattr(engine, name)
        def sweep(self, *, now_ns):
            raise RuntimeError("the sweep is broken")
    return opened._replace(engine=Broken())

open_data, journaling.open_data = journaling.open_data, broken
main()
"""


def test_a_server_whose_sweep_fails_does_not_serve_on() -> None:
    with serving(command=NOT_SWEEPING) as process:
        assert process.wait() == 1
        assert "RuntimeError: the sweep is broken" in process.stderr()


WAITING = """
import os, pathlib, sys, time
from atp.cli import main
from atp.server import journaling
from atp.vocabulary import CheckReport

def waiting(settings, clock):
    opened = open_data(settings, clock)
    engine = opened.engine
    class Waiting:
        def __getattr__(self, name):
            return getattr(engine, name)
        def check(self, *, now_ns):
            folder = pathlib.Path(os.environ["TEST_FOLDER"])
            (folder / "begun").touch()
            while not (folder / "go on").exists():
                time.sleep(0.005)
            return CheckReport((), "0" * 32, 0, 0, 0)
    return opened._replace(engine=Waiting())

open_data, journaling.open_data = journaling.open_data, waiting
main()
"""
"""A server whose CheckInvariants waits until the test lets it go on."""


def test_calls_over_the_bound_are_told_to_come_again(tmp_path: Path) -> None:
    with (
        serving(
            "--set",
            "server.calls_max=2",
            command=WAITING,
            environment={"TEST_FOLDER": str(tmp_path)},
        ) as process,
        channel_to(process.control_plane) as channel,
        ThreadPoolExecutor(2) as callers,
    ):
        stub = maintenance_grpc.MaintenanceServiceStub(channel)
        request = maintenance_pb.CheckInvariantsRequest()
        waiting = [callers.submit(stub.CheckInvariants, request, timeout=SECONDS) for _ in range(2)]
        wait_until((tmp_path / "begun").exists, "the first call to be under way")
        stock = stock_grpc.StockServiceStub(channel)
        told = []

        def refused() -> bool:
            # The second call may not have arrived yet; then this one is judged.
            try:
                stock.ListStock(stock_pb.ListStockRequest(), timeout=SECONDS)
            except grpc.RpcError:
                told.append(error_of(stock.ListStock, stock_pb.ListStockRequest()))
            return bool(told)

        # Asked again and again without a pause, grpc.aio may not get round to a call in line.
        wait_until(refused, "a call to be refused", pause_s=0.1)
        assert told[0].code == grpc.StatusCode.UNAVAILABLE
        assert told[0].info.reason == "OVERLOADED"
        assert dict(told[0].info.metadata) == {
            "limit_name": "server.calls_max",
            "limit_value": "2",
        }
        assert told[0].details["RetryInfo"].retry_delay.ToMilliseconds() == 200
        # Health still answers, and so does the other plane, which has a bound of its own.
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status
        with channel_to(process.data_plane) as data:
            pb_grpc.ReservationServiceStub(data).GetAvailability(
                pb.GetAvailabilityRequest(skus=["A"]), timeout=SECONDS
            )
        (tmp_path / "go on").touch()
        assert all(call.result().digest for call in waiting)

        def accepted() -> bool:
            try:
                stock.ListStock(stock_pb.ListStockRequest(), timeout=SECONDS)
            except grpc.RpcError:
                return False
            return True

        wait_until(accepted, "room for calls again")


def test_calls_that_their_clients_gave_up_leave_room(tmp_path: Path) -> None:
    with (
        serving("--set", "server.calls_max=3") as process,
        channel_to(process.data_plane) as channel,
    ):
        stub = pb_grpc.ReservationServiceStub(channel)
        ask = pb.GetAvailabilityRequest(skus=["A"])
        # A stream that never sends its one message: open, and with nothing to judge.
        open_call = channel.stream_unary("/atp.v1.ReservationService/Reserve")
        stop = threading.Event()

        def nothing() -> Iterator[bytes]:
            stop.wait(SECONDS)
            yield from ()

        calls = []

        def is_filled() -> bool:
            # One after another: of calls that come at once, gRPC's own queue may refuse the last.
            if sum(not call.done() for call in calls) < 3:
                calls.append(open_call.future(nothing(), timeout=SECONDS))
            return is_full()

        def is_full() -> bool:
            try:
                stub.GetAvailability(ask, timeout=SECONDS)
            except grpc.RpcError as error:
                return error.code() == grpc.StatusCode.UNAVAILABLE
            return False

        wait_until(is_filled, "three open calls to fill the plane", pause_s=0.1)
        for call in calls:
            call.cancel()
        stop.set()
        wait_until(lambda: not is_full(), "room after the clients went away")
