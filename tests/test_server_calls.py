"""Calls to a real server over a real channel: every RPC once, and every error with its details.

What the engine decides is tested with the engine; here is what the way there and back does to it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from atp.settings import SETTINGS
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import maintenance_service_pb2_grpc as maintenance_grpc
from atp.v1 import reservation_service_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, channel_to, serving
from told import error_of

SECONDS = 20.0


class Stubs(NamedTuple):
    """One stub for each service, and the two channels."""

    reservations: pb_grpc.ReservationServiceStub
    stock: stock_grpc.StockServiceStub
    caps: cap_grpc.CapServiceStub
    maintenance: maintenance_grpc.MaintenanceServiceStub
    data_plane: grpc.Channel
    control_plane: grpc.Channel


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "hold.default_ttl=5m", "--set", "hold.longest_life=1h") as process:
        yield process


@pytest.fixture(scope="module")
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    with channel_to(server.data_plane) as data, channel_to(server.control_plane) as control:
        yield Stubs(
            pb_grpc.ReservationServiceStub(data),
            stock_grpc.StockServiceStub(control),
            cap_grpc.CapServiceStub(control),
            maintenance_grpc.MaintenanceServiceStub(control),
            data,
            control,
        )


@pytest.fixture
def sku(stubs: Stubs) -> str:
    """A SKU of the test's own with 100 units."""
    name = f"sku-{new_id()}"
    reply = stubs.stock.SetStock(
        stock_pb.SetStockRequest(sku=name, on_hand_quantity=100), timeout=SECONDS
    )
    assert reply.outcome == stock_pb.STOCK_OUTCOME_DONE
    return name


def new_id() -> str:
    return uuid.uuid4().hex


def reserve(stubs: Stubs, sku: str, quantity: int, **fields) -> pb.ReserveResponse:
    fields.setdefault("request_id", new_id())
    request = pb.ReserveRequest(lines=[pb.Line(sku=sku, quantity=quantity)], **fields)
    return stubs.reservations.Reserve(request, timeout=SECONDS)


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


def test_stock_is_set_adjusted_and_read(stubs: Stubs, sku: str) -> None:
    reply = stubs.stock.AdjustStock(
        stock_pb.AdjustStockRequest(
            request_id=new_id(),
            sku=sku,
            delta_quantity=-30,
            reason=stock_pb.STOCK_REASON_WRITTEN_OFF,
        ),
        timeout=SECONDS,
    )
    assert reply.outcome == stock_pb.STOCK_OUTCOME_DONE
    assert reply.stock == stock_pb.Stock(
        sku=sku,
        on_hand_quantity=70,
        available_quantity=70,
        received_quantity=100,
        adjusted_quantity=-30,
        sequence=reply.sequence,
    )
    found = stubs.stock.GetStock(stock_pb.GetStockRequest(sku=sku), timeout=SECONDS)
    assert found.stock == reply.stock
    expected_zero = stock_pb.SetStockRequest(
        sku=sku, on_hand_quantity=5, expected_on_hand_quantity=0
    )
    refused = stubs.stock.SetStock(expected_zero, timeout=SECONDS)
    assert refused.outcome == stock_pb.STOCK_OUTCOME_ON_HAND_CHANGED


def test_a_batch_of_stock_is_answered_in_order_and_refused_whole(stubs: Stubs, sku: str) -> None:
    other = f"other-{sku}"
    entries = [
        stock_pb.SetStockRequest(sku=other, on_hand_quantity=7, expected_on_hand_quantity=1),
        stock_pb.SetStockRequest(sku=sku, on_hand_quantity=7),
    ]
    reply = stubs.stock.BatchSetStock(
        stock_pb.BatchSetStockRequest(requests=entries), timeout=SECONDS
    )
    assert [response.outcome for response in reply.responses] == [
        stock_pb.STOCK_OUTCOME_SKU_UNKNOWN,
        stock_pb.STOCK_OUTCOME_DONE,
    ]
    for malformed, field in (
        (stock_pb.SetStockRequest(sku="", on_hand_quantity=1), "requests[1].sku"),
        (stock_pb.SetStockRequest(sku="é" * 33, on_hand_quantity=1), "requests[1].sku"),
        (stock_pb.SetStockRequest(sku="a", on_hand_quantity=-1), "requests[1].on_hand_quantity"),
        (
            stock_pb.SetStockRequest(sku="a", expected_on_hand_quantity=10**12 + 1),
            "requests[1].expected_on_hand_quantity",
        ),
    ):
        batch = stock_pb.BatchSetStockRequest(
            requests=[stock_pb.SetStockRequest(sku=sku, on_hand_quantity=99), malformed]
        )
        told = error_of(stubs.stock.BatchSetStock, batch)
        assert (told.code, told.info.metadata["field"]) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            field,
        )
    found = stubs.stock.GetStock(stock_pb.GetStockRequest(sku=sku), timeout=SECONDS)
    assert found.stock.on_hand_quantity == 7
    for count in (0, 4_097):
        batch = stock_pb.BatchSetStockRequest(requests=[entries[1]] * count)
        assert error_of(stubs.stock.BatchSetStock, batch).info.metadata["field"] == "requests"


def test_stock_is_listed_page_by_page(stubs: Stubs) -> None:
    names = {f"page-{index:02}-{new_id()}" for index in range(25)}
    batch = [stock_pb.SetStockRequest(sku=name, on_hand_quantity=1) for name in names]
    stubs.stock.BatchSetStock(stock_pb.BatchSetStockRequest(requests=batch), timeout=SECONDS)
    listed, token, pages = set(), "", 0
    while True:
        page = stubs.stock.ListStock(
            stock_pb.ListStockRequest(page_size=10, page_token=token), timeout=SECONDS
        )
        assert len(page.stocks) <= 10
        listed |= {stock.sku for stock in page.stocks}
        pages, token = pages + 1, page.next_page_token
        if not token:
            break
    assert names <= listed
    assert pages >= 3
    negative = stock_pb.ListStockRequest(page_size=-1)
    assert error_of(stubs.stock.ListStock, negative).info.metadata["field"] == "page_size"
    foreign = stock_pb.ListStockRequest(page_token="no token")
    assert error_of(stubs.stock.ListStock, foreign).info.metadata["field"] == "page_token"


def full_cap(cap_id: str) -> cap_pb.Cap:
    cap = cap_pb.Cap(
        cap_id=cap_id,
        subject=cap_pb.CAP_SUBJECT_SUBNET,
        ipv4_prefix_length=24,
        ipv6_prefix_length=64,
        skus=["nothing-of-the-kind"],
        per_sku=True,
        limit_quantity=0,
        mode=cap_pb.CAP_MODE_SHADOW,
        overrides=[
            cap_pb.CapOverride(subject="192.0.2.0/24", limit_quantity=0),
            cap_pb.CapOverride(subject="2001:db8::/32"),
        ],
    )
    cap.window.FromSeconds(3600)
    return cap


def test_a_cap_is_set_read_and_removed_as_it_was_given(stubs: Stubs) -> None:
    cap_id = f"cap-{new_id()}"
    reply = stubs.caps.SetCap(cap_pb.SetCapRequest(cap=full_cap(cap_id)), timeout=SECONDS)
    assert reply.sequence > 0
    assert reply.cap.etag
    found = stubs.caps.GetCap(cap_pb.GetCapRequest(cap_id=cap_id), timeout=SECONDS).cap
    assert found == reply.cap
    bare = cap_pb.Cap()
    bare.CopyFrom(found)
    bare.ClearField("etag")
    bare.ClearField("update_time")
    assert bare == full_cap(cap_id)
    assert found.HasField("limit_quantity")
    assert not found.overrides[1].HasField("limit_quantity")
    stale = full_cap(cap_id)
    stale.etag = "stale"
    told = error_of(stubs.caps.SetCap, cap_pb.SetCapRequest(cap=stale))
    assert (told.code, told.info.reason) == (grpc.StatusCode.ABORTED, "CAP_CHANGED")
    assert told.info.metadata["cap_id"] == cap_id
    stubs.caps.RemoveCap(cap_pb.RemoveCapRequest(cap_id=cap_id, etag=found.etag), timeout=SECONDS)
    for call, request in (
        (stubs.caps.GetCap, cap_pb.GetCapRequest(cap_id=cap_id)),
        (stubs.caps.RemoveCap, cap_pb.RemoveCapRequest(cap_id=cap_id)),
    ):
        told = error_of(call, request)
        assert (told.code, told.info.reason) == (grpc.StatusCode.NOT_FOUND, "CAP_NOT_FOUND")
        assert told.info.metadata["cap_id"] == cap_id


def test_a_cap_stands_in_the_way_and_says_so(stubs: Stubs, sku: str) -> None:
    cap = cap_pb.Cap(
        cap_id=f"cap-{new_id()}",
        subject=cap_pb.CAP_SUBJECT_CUSTOMER,
        skus=[sku],
        limit_quantity=2,
        mode=cap_pb.CAP_MODE_ENFORCE,
    )
    stubs.caps.SetCap(cap_pb.SetCapRequest(cap=cap), timeout=SECONDS)
    assert reserve(stubs, sku, 2, customer_id="bob").outcome == pb.RESERVE_OUTCOME_GRANTED
    refused = reserve(stubs, sku, 1, customer_id="bob")
    assert refused.outcome == pb.RESERVE_OUTCOME_CAP_REACHED
    assert refused.cap_refusals[0] == pb.CapRefusal(
        cap_id=cap.cap_id, subject="bob", limit_quantity=2, in_force_quantity=2, asked_quantity=1
    )
    found = stubs.caps.GetCap(cap_pb.GetCapRequest(cap_id=cap.cap_id), timeout=SECONDS).cap
    assert found.refused_count == 1


def test_caps_are_listed_page_by_page_in_order(stubs: Stubs) -> None:
    prefix = f"list-{new_id()}"
    cap_ids = [f"{prefix}-{letter}" for letter in ("é", "a", "B", "z", "b")]
    for cap_id in cap_ids:
        stubs.caps.SetCap(cap_pb.SetCapRequest(cap=full_cap(cap_id)), timeout=SECONDS)
    listed, token = [], ""
    while True:
        page = stubs.caps.ListCaps(
            cap_pb.ListCapsRequest(page_size=2, page_token=token), timeout=SECONDS
        )
        listed += [cap.cap_id for cap in page.caps]
        token = page.next_page_token
        if not token:
            break
    ours = [cap_id for cap_id in listed if cap_id.startswith(prefix)]
    assert ours == sorted(cap_ids, key=str.encode)
    assert listed == sorted(listed, key=str.encode)
    for request, field in (
        (cap_pb.ListCapsRequest(page_size=-1), "page_size"),
        (cap_pb.ListCapsRequest(page_token="!"), "page_token"),
    ):
        assert error_of(stubs.caps.ListCaps, request).info.metadata["field"] == field


def test_large_caps_are_listed_in_pages_that_a_client_can_take(stubs: Stubs) -> None:
    prefix = f"large-{new_id()}"
    for index in range(14):  # about 0.37 MiB each: more than 4 MiB together
        cap = cap_pb.Cap(
            cap_id=f"{prefix}-{index:02}",
            subject=cap_pb.CAP_SUBJECT_CUSTOMER,
            mode=cap_pb.CAP_MODE_OFF,
            skus=[f"{number:064}" for number in range(1_024)],
            overrides=[
                cap_pb.CapOverride(subject=f"{number:064}", limit_quantity=1)
                for number in range(4_096)
            ],
        )
        stubs.caps.SetCap(cap_pb.SetCapRequest(cap=cap), timeout=SECONDS)
    listed, token = [], ""
    while True:
        page = stubs.caps.ListCaps(
            cap_pb.ListCapsRequest(page_size=1_024, page_token=token), timeout=SECONDS
        )
        listed += [cap.cap_id for cap in page.caps]
        token = page.next_page_token
        if not token:
            break
    assert sum(cap_id.startswith(prefix) for cap_id in listed) == 14
    for index in range(14):
        stubs.caps.RemoveCap(
            cap_pb.RemoveCapRequest(cap_id=f"{prefix}-{index:02}"), timeout=SECONDS
        )


def test_status_tells_counters_limits_and_settings(stubs: Stubs, sku: str) -> None:
    before = stubs.maintenance.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
    reserve(stubs, sku, 1)
    after = stubs.maintenance.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
    assert after.version
    assert after.start_time == before.start_time
    assert after.sequence == before.sequence + 1
    assert after.live_hold_count == before.live_hold_count + 1
    assert after.sku_count > 0

    def granted(status: maintenance_pb.GetStatusResponse) -> int:
        return sum(
            count.call_count
            for count in status.outcome_counts
            if (count.method, count.outcome) == ("Reserve", "GRANTED")
        )

    assert granted(after) == granted(before) + 1
    values = {setting.name: setting for setting in after.settings}
    assert list(values) == list(SETTINGS)
    assert values["hold.default_ttl"].value == "5m"
    assert values["hold.default_ttl"].changed
    assert not values["memory.remember"].changed
    limits = {limit.name: limit.value for limit in after.limits}
    assert limits["live_holds_max"] == SETTINGS["memory.live_holds_max"].default
    assert abs(after.clock_drift.ToNanoseconds()) < 60 * 10**9


def test_the_laws_are_recounted(stubs: Stubs, sku: str) -> None:
    reserve(stubs, sku, 1)
    report = stubs.maintenance.CheckInvariants(
        maintenance_pb.CheckInvariantsRequest(), timeout=SECONDS
    )
    assert list(report.violations) == []
    assert len(report.digest) == 32
    assert report.sku_count > 0
    assert report.reservation_count > 0


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
        ask = reflection_pb2.ServerReflectionRequest(list_services="")
        replies = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo(
            iter([ask]), timeout=SECONDS
        )
        listed = {service.name for service in next(replies).list_services_response.service}
        assert listed == services | {
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
