"""Law 7 over gRPC: no answer leaves before everything that it tells of, or lets see, is durable.

Real servers, whose disk stands still when a test says so. While it does, a call that reveals what
is not durable must get no answer, and every other call must get its answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from server_process import wait_until
from server_stubs import Stubs, new_id, new_sku, reserve
from stalled_disk import Stalling, stalling
from told import SECONDS

NO_ANSWER_SECONDS = 0.5
"""How long a call is given to answer although it must not."""
Calls = dict[str, tuple[Callable[..., Any], Any]]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalling]:
    with stalling(tmp_path_factory.mktemp("stalling")) as made:
        yield made


def line(sku: str, quantity: int = 1) -> list[pb.Line]:
    return [pb.Line(sku=sku, quantity=quantity)]


def cap(cap_id: str, sku: str, limit: int) -> cap_pb.SetCapRequest:
    return cap_pb.SetCapRequest(
        cap=cap_pb.Cap(
            cap_id=cap_id,
            subject=cap_pb.CAP_SUBJECT_EVERYONE,
            mode=cap_pb.CAP_MODE_ENFORCE,
            skus=[sku],
            limit_quantity=limit,
        )
    )


def reads_of(stubs: Stubs, sku: str, reservation_id: str) -> Calls:
    """Calls that let see the state of one SKU, and of one reservation of it."""
    data, stock = stubs.reservations, stubs.stock
    return {
        "availability": (data.GetAvailability, pb.GetAvailabilityRequest(skus=["nosuch", sku])),
        "reservation": (
            data.GetReservation,
            pb.GetReservationRequest(reservation_id=reservation_id),
        ),
        "refused": (data.Reserve, pb.ReserveRequest(request_id=new_id(), lines=line(sku, 10**6))),
        "stock": (stock.GetStock, stock_pb.GetStockRequest(sku=sku)),
        "not below held": (
            stock.SetStock,
            stock_pb.SetStockRequest(sku=sku, on_hand_quantity=0, expected_on_hand_quantity=10**9),
        ),
    }


def listings_of(stubs: Stubs) -> Calls:
    """Calls that let see everything."""
    return {
        "stock list": (stubs.stock.ListStock, stock_pb.ListStockRequest(page_size=4_096)),
        "recount": (
            stubs.maintenance.CheckInvariants,
            maintenance_pb.CheckInvariantsRequest(),
        ),
    }


def outcomes(calls: Calls, seconds: float = SECONDS) -> dict[str, str]:
    """For each call, made at once with the others: "answered", or the code of its status."""
    futures = {
        name: method.future(request, timeout=seconds) for name, (method, request) in calls.items()
    }
    told = {}
    for name, future in futures.items():
        code = future.code()  # waits for the end of the call
        told[name] = "answered" if code == grpc.StatusCode.OK else code.name
    return told


def answered(calls: Calls) -> set[str]:
    """Those calls that get an answer although the disk stands still."""
    told = outcomes(calls, NO_ANSWER_SECONDS)
    return {name for name, outcome in told.items() if outcome != "DEADLINE_EXCEEDED"}


def not_answered(calls: Calls) -> set[str]:
    """Those calls that get no answer, and should."""
    return {name for name, outcome in outcomes(calls).items() if outcome != "answered"}


class Sale:
    """Two SKUs with a hold each, and a cap on the first; all of it durable."""

    def __init__(self, stubs: Stubs) -> None:
        self.sku, self.other = new_sku(stubs), new_sku(stubs)
        self.hold = reserve(stubs, self.sku, 10).reservation.reservation_id
        self.other_hold = reserve(stubs, self.other, 10).reservation.reservation_id
        self.request_id = new_id()
        self.cap_id = f"cap-{self.sku}"
        stubs.caps.SetCap(cap(self.cap_id, self.sku, 1_000), timeout=SECONDS)

    def changes(self, stubs: Stubs) -> Calls:
        """One call for each way to change what is known of the first SKU."""
        data, stock = stubs.reservations, stubs.stock
        named = {"reservation_id": self.hold, "request_id": self.request_id}
        longer = pb.ExtendRequest(**named)
        longer.ttl.FromSeconds(3_600)
        some = stock_pb.SetStockRequest(sku=self.sku, on_hand_quantity=90)
        return {
            "reserve": (
                data.Reserve,
                pb.ReserveRequest(request_id=self.request_id, lines=line(self.sku)),
            ),
            "commit": (data.Commit, pb.CommitRequest(lines=line(self.sku), **named)),
            "release": (data.Release, pb.ReleaseRequest(**named)),
            "extend": (data.Extend, longer),
            "set": (stock.SetStock, some),
            "adjust": (
                stock.AdjustStock,
                stock_pb.AdjustStockRequest(
                    request_id=self.request_id,
                    sku=self.sku,
                    delta_quantity=-1,
                    reason=stock_pb.STOCK_REASON_COUNTED,
                ),
            ),
            "batch": (stock.BatchSetStock, stock_pb.BatchSetStockRequest(requests=[some])),
        }


@pytest.mark.parametrize(
    "change", ["reserve", "commit", "release", "extend", "set", "adjust", "batch"]
)
def test_nothing_reveals_a_change_that_is_not_durable(disk: Stalling, change: str) -> None:
    stubs = disk.stubs
    sale = Sale(stubs)
    method, request = sale.changes(stubs)[change]
    seeing = {"repeat": (method, request)}
    seeing |= reads_of(stubs, sale.sku, sale.hold) | listings_of(stubs)
    if change in ("reserve", "set", "adjust", "batch"):
        del seeing["reservation"]  # the hold is not what was changed
    seeing_nothing = reads_of(stubs, sale.other, sale.other_hold)
    with disk.stalled():
        assert not answered({change: (method, request)})
        assert not answered(seeing)
        assert not not_answered(seeing_nothing)
    # The deadline has passed, the effect has stayed: a repeat finds it done.
    again = method(request, timeout=SECONDS)
    assert getattr(again, "repeated", True)
    assert not not_answered(seeing)


def test_nothing_reveals_a_cap_that_is_not_durable(disk: Stalling) -> None:
    stubs = disk.stubs
    sale = Sale(stubs)
    closed = cap(sale.cap_id, sale.sku, 0)
    stale = cap(sale.cap_id, sale.sku, 5)
    stale.cap.etag = stubs.caps.GetCap(
        cap_pb.GetCapRequest(cap_id=sale.cap_id), timeout=SECONDS
    ).cap.etag
    seeing: Calls = {
        "again": (stubs.caps.SetCap, closed),
        "get": (stubs.caps.GetCap, cap_pb.GetCapRequest(cap_id=sale.cap_id)),
        "list": (stubs.caps.ListCaps, cap_pb.ListCapsRequest()),
        "stale": (stubs.caps.SetCap, stale),
        "refused": (
            stubs.reservations.Reserve,
            pb.ReserveRequest(request_id=new_id(), lines=line(sale.sku)),
        ),
    }
    with disk.stalled():
        assert not answered({"set": (stubs.caps.SetCap, closed)})
        assert not answered(seeing)
        unconcerned = reads_of(stubs, sale.other, sale.other_hold)
        assert not not_answered(unconcerned)
    assert outcomes(seeing) == dict.fromkeys(seeing, "answered") | {"stale": "ABORTED"}


def test_nothing_reveals_that_a_cap_is_gone_before_it_is_durable(disk: Stalling) -> None:
    stubs = disk.stubs
    sale = Sale(stubs)
    remove = cap_pb.RemoveCapRequest(cap_id=sale.cap_id)
    seeing: Calls = {
        "get": (stubs.caps.GetCap, cap_pb.GetCapRequest(cap_id=sale.cap_id)),
        "list": (stubs.caps.ListCaps, cap_pb.ListCapsRequest()),
        "again": (stubs.caps.RemoveCap, remove),
    }
    with disk.stalled():
        assert not answered({"remove": (stubs.caps.RemoveCap, remove)})
        assert not answered(seeing)
    assert outcomes(seeing) == {"get": "NOT_FOUND", "list": "answered", "again": "NOT_FOUND"}


def test_a_status_tells_of_a_disk_that_stands_still(disk: Stalling) -> None:
    """Operators hear of it, and of what is not durable, even then."""
    stubs = disk.stubs
    sku = new_sku(stubs)
    ask = maintenance_pb.GetStatusRequest()
    before = stubs.maintenance.GetStatus(ask, timeout=SECONDS)
    assert before.sequence == before.journal.durable_sequence
    assert (before.journal.waiting_record_count, before.journal.waiting_bytes) == (0, 0)
    with disk.stalled():
        call = stubs.reservations.Reserve.future(
            pb.ReserveRequest(request_id=new_id(), lines=line(sku)), timeout=SECONDS
        )
        wait_until(
            lambda: stubs.maintenance.GetStatus(ask, timeout=SECONDS).sequence > before.sequence,
            "the reserve to be judged",
        )
        status = stubs.maintenance.GetStatus(ask, timeout=SECONDS)
        assert status.journal.durable_sequence == before.sequence == status.sequence - 1
        assert status.journal.waiting_record_count == 1
        assert status.journal.waiting_bytes > 50
        assert not call.done()
    assert call.result().outcome == pb.RESERVE_OUTCOME_GRANTED


def test_a_deadline_while_waiting_costs_nobody_a_place(disk: Stalling) -> None:
    """Callers that give up and come again: the last one gets the first one's answer."""
    stubs = disk.stubs
    sku = new_sku(stubs)
    request = pb.ReserveRequest(request_id=new_id(), lines=line(sku))
    with disk.stalled():
        for _ in range(3):
            calls = [stubs.reservations.Reserve.future(request, timeout=0.2) for _ in range(100)]
            codes = {call.code() for call in calls}
            assert codes == {grpc.StatusCode.DEADLINE_EXCEEDED}
        last = stubs.reservations.Reserve.future(request, timeout=SECONDS)
        with pytest.raises(grpc.FutureTimeoutError):
            last.result(0.2)
    assert last.result().repeated
    stock = stubs.stock.GetStock(stock_pb.GetStockRequest(sku=sku), timeout=SECONDS).stock
    assert stock.held_quantity == 1


def syncs(stubs: Stubs) -> int:
    status = stubs.maintenance.GetStatus(maintenance_pb.GetStatusRequest(), timeout=SECONDS)
    assert status.journal.durable_sequence == status.sequence
    return status.journal.sync_count


def test_in_a_sold_out_sale_no_answer_waits_for_a_sync(disk: Stalling) -> None:
    stubs = disk.stubs
    sku, other = new_sku(stubs), new_sku(stubs)
    assert reserve(stubs, sku, 100).outcome == pb.RESERVE_OUTCOME_GRANTED
    before = syncs(stubs)
    for _ in range(200):
        refused = reserve(stubs, sku, 1, client_ip="192.0.2.1", customer_id=new_id())
        assert refused.outcome == pb.RESERVE_OUTCOME_STOCK_SHORT
        assert refused.line_results[0].held_quantity == 100
    assert syncs(stubs) == before
    # Not even while others' answers wait: the disk stands still, and refusals go on.
    with disk.stalled():
        waiting = stubs.reservations.Reserve.future(
            pb.ReserveRequest(request_id=new_id(), lines=line(other)), timeout=SECONDS
        )
        for _ in range(100):
            assert reserve(stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_STOCK_SHORT
        assert not waiting.done()
    assert waiting.result().outcome == pb.RESERVE_OUTCOME_GRANTED
    assert syncs(stubs) > before


@pytest.mark.parametrize("durability", ["interval", "off"])
def test_answers_do_not_wait_for_the_disk_where_the_setting_says_so(
    tmp_path: Path, durability: str
) -> None:
    with stalling(tmp_path, "--set", f"journal.durability={durability}") as disk, disk.stalled():
        sale = Sale(disk.stubs)
        reads = reads_of(disk.stubs, sale.sku, sale.hold) | listings_of(disk.stubs)
        assert not not_answered(reads)
