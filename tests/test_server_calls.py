"""Calls to a real server over a real channel: the data plane, health and reflection.

What the engine decides is tested with the engine; here is what the way there and back does to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, channel_to, serving
from server_stubs import SECONDS, Stubs, new_id, new_sku, reserve, stubs_to


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "hold.default_ttl=5m", "--set", "hold.longest_life=1h") as process:
        yield process


@pytest.fixture(scope="module")
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    with stubs_to(server) as stubs:
        yield stubs


@pytest.fixture
def sku(stubs: Stubs) -> str:
    return new_sku(stubs)


def test_a_hold_is_granted_and_answered_whole(stubs: Stubs, sku: str) -> None:
    request_id = new_id()
    reply = reserve(
        stubs, sku, 3, request_id=request_id, client_ip="2001:db8::1", customer_id="alice"
    )
    assert reply.outcome == pb.RESERVE_OUTCOME_GRANTED
    assert not reply.repeated
    hold = reply.reservation
    assert hold.state == pb.RESERVATION_STATE_HELD
    assert (hold.customer_id, hold.client_ip) == ("alice", "2001:db8::1")
    assert hold.lines[0] == pb.ReservationLine(sku=sku, quantity=3, held_quantity=3)
    assert hold.expire_time.ToNanoseconds() - hold.create_time.ToNanoseconds() == 300 * 10**9
    assert not hold.HasField("end_time")
    assert hold.sequence == reply.sequence > 0
    again = reserve(
        stubs, sku, 3, request_id=request_id, client_ip="2001:db8::1", customer_id="alice"
    )
    assert again.repeated
    assert again.reservation == hold
    assert again.sequence == reply.sequence


def test_a_refusal_is_an_answer_that_says_what_is_left(stubs: Stubs, sku: str) -> None:
    first = reserve(stubs, sku, 60)
    refused = reserve(stubs, sku, 50)
    assert refused.outcome == pb.RESERVE_OUTCOME_STOCK_SHORT
    assert refused.sequence == 0
    assert not refused.HasField("reservation")
    assert refused.line_results[0] == pb.LineResult(
        line_index=0,
        outcome=pb.LINE_OUTCOME_STOCK_SHORT,
        available_quantity=40,
        held_quantity=60,
        first_expire_time=first.reservation.expire_time,
    )
    partly = reserve(stubs, sku, 50, allow_partial=True)
    assert partly.outcome == pb.RESERVE_OUTCOME_GRANTED_PARTIALLY
    assert partly.line_results[0].granted_quantity == 40


def test_a_hold_is_committed_released_and_read_by_line(stubs: Stubs, sku: str) -> None:
    hold = reserve(stubs, sku, 5).reservation
    sold = stubs.reservations.Commit(
        pb.CommitRequest(
            reservation_id=hold.reservation_id,
            lines=[pb.Line(sku=sku, quantity=2)],
            request_id=new_id(),
        ),
        timeout=SECONDS,
    )
    assert sold.outcome == pb.CHANGE_OUTCOME_DONE
    assert sold.reservation.lines[0].committed_quantity == 2
    given_back = stubs.reservations.Release(
        pb.ReleaseRequest(reservation_id=hold.reservation_id), timeout=SECONDS
    )
    assert given_back.outcome == pb.CHANGE_OUTCOME_DONE
    assert given_back.reservation.state == pb.RESERVATION_STATE_RELEASED
    found = stubs.reservations.GetReservation(
        pb.GetReservationRequest(reservation_id=hold.reservation_id), timeout=SECONDS
    )
    assert found.reservation == given_back.reservation
    assert found.reservation.HasField("end_time")
    assert not found.reservation.HasField("expire_time")
    refused = stubs.reservations.Commit(
        pb.CommitRequest(
            reservation_id=hold.reservation_id,
            lines=[pb.Line(sku=sku, quantity=1)],
            request_id=new_id(),
        ),
        timeout=SECONDS,
    )
    assert refused.outcome == pb.CHANGE_OUTCOME_ALREADY_RELEASED


def test_a_refused_line_of_a_commit_is_named_by_its_index(stubs: Stubs, sku: str) -> None:
    hold = reserve(stubs, sku, 5).reservation
    refused = stubs.reservations.Commit(
        pb.CommitRequest(
            reservation_id=hold.reservation_id,
            lines=[pb.Line(sku=sku, quantity=1), pb.Line(sku="another", quantity=1)],
            request_id=new_id(),
        ),
        timeout=SECONDS,
    )
    assert refused.outcome == pb.CHANGE_OUTCOME_LINE_NOT_FOUND
    assert refused.line_index == 1


def test_a_hold_is_extended_to_a_time_or_by_a_time(stubs: Stubs, sku: str) -> None:
    hold = reserve(stubs, sku, 1).reservation
    request = pb.ExtendRequest(reservation_id=hold.reservation_id)
    request.ttl.FromSeconds(600)
    by_ttl = stubs.reservations.Extend(request, timeout=SECONDS)
    assert by_ttl.outcome == pb.CHANGE_OUTCOME_DONE
    longest = by_ttl.latest_expire_time.ToNanoseconds() - hold.create_time.ToNanoseconds()
    assert longest == 3600 * 10**9
    request = pb.ExtendRequest(reservation_id=hold.reservation_id)
    request.expire_time.CopyFrom(by_ttl.latest_expire_time)
    to_time = stubs.reservations.Extend(request, timeout=SECONDS)
    assert to_time.reservation.expire_time == by_ttl.latest_expire_time
    request.expire_time.seconds += 1
    refused = stubs.reservations.Extend(request, timeout=SECONDS)
    assert refused.outcome == pb.CHANGE_OUTCOME_EXPIRY_OUT_OF_RANGE
    assert refused.latest_expire_time == by_ttl.latest_expire_time


def test_a_hold_takes_the_place_of_another(stubs: Stubs, sku: str) -> None:
    old = reserve(stubs, sku, 80, customer_id="alice").reservation
    new = reserve(stubs, sku, 90, customer_id="alice", replaces_reservation_id=old.reservation_id)
    assert new.outcome == pb.RESERVE_OUTCOME_GRANTED
    replaced = stubs.reservations.GetReservation(
        pb.GetReservationRequest(reservation_id=old.reservation_id), timeout=SECONDS
    )
    assert replaced.reservation.state == pb.RESERVATION_STATE_RELEASED


def test_availability_is_read_for_many_skus_in_the_order_asked(stubs: Stubs, sku: str) -> None:
    hold = reserve(stubs, sku, 4).reservation
    reply = stubs.reservations.GetAvailability(
        pb.GetAvailabilityRequest(skus=["nothing-" + sku, sku]), timeout=SECONDS
    )
    assert reply.availabilities[0] == pb.Availability(sku="nothing-" + sku)
    assert reply.availabilities[1] == pb.Availability(
        sku=sku,
        known=True,
        available_quantity=96,
        on_hand_quantity=100,
        held_quantity=4,
        first_expire_time=hold.expire_time,
        sequence=hold.sequence,
    )


def test_both_planes_tell_their_health_and_list_their_services(stubs: Stubs) -> None:
    for channel, services in (
        (stubs.data_plane, {"atp.v1.ReservationService"}),
        (
            stubs.control_plane,
            {"atp.v1.StockService", "atp.v1.CapService", "atp.v1.MaintenanceService"},
        ),
    ):
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", *services):
            reply = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
            assert reply.status == health_pb2.HealthCheckResponse.SERVING
        if channel is stubs.data_plane:
            continue
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        replies = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([ask]), timeout=SECONDS
        )
        listed = {service.name for service in next(replies).list_services_response.service}
        assert listed == services | {
            "atp.v1.ReservationService",  # served by the other plane, and told here
            "grpc.health.v1.Health",
            "grpc.reflection.v1alpha.ServerReflection",
        }
        assert list(replies) == []


def test_a_service_is_on_its_own_plane_only(server: ServerProcess) -> None:
    with channel_to(server.data_plane) as channel:
        stub = stock_grpc.StockServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.GetStock(stock_pb.GetStockRequest(sku="A"), timeout=SECONDS)
    assert raised.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_connections_over_the_bound_are_closed_and_those_within_serve_on() -> None:
    with serving("--set", "server.connections_max=2") as process, contextlib.ExitStack() as open_:
        stubs = [
            pb_grpc.ReservationServiceStub(open_.enter_context(channel_to(process.data_plane)))
            for _ in range(3)
        ]
        ask = pb.GetAvailabilityRequest(skus=["A"])
        for stub in stubs[:2]:
            assert stub.GetAvailability(ask, timeout=SECONDS).availabilities
        with pytest.raises(grpc.RpcError) as raised:
            stubs[2].GetAvailability(ask, timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        for stub in stubs[:2]:
            assert stub.GetAvailability(ask, timeout=SECONDS).availabilities


def test_thousands_of_calls_at_once_are_all_answered(stubs: Stubs) -> None:
    # More than gRPC's own queue takes unless told: it would cut off what is over it.
    calls = [
        stubs.reservations.GetAvailability.future(
            pb.GetAvailabilityRequest(skus=["A"]), timeout=3 * SECONDS
        )
        for _ in range(5_000)
    ]
    assert all(call.result().availabilities for call in calls)
