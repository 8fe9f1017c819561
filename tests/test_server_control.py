"""Calls to a real server over a real channel: the control plane's stock, caps and maintenance.

What the engine decides is tested with the engine; here is what the way there and back does to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from atp.settings import SETTINGS
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from server_process import ServerProcess, serving
from server_stubs import SECONDS, Stubs, new_id, new_sku, reserve, stubs_to
from told import error_of


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
