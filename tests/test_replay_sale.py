"""A sale over gRPC: its counts, its order, its retries, its pace, and when it will not begin."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from atp.client import ReplyUnknown, convert
from atp.replay.clock import Clock
from atp.replay.events import Correction, Order, Plan
from atp.replay.reader import Row
from atp.replay.run import CannotBegin, Result, Stopped
from atp.replay.score import Amount
from atp.server.status import Overloaded
from atp.v1.stock_service_pb2 import AdjustStockResponse
from atp.vocabulary import FieldInvalid, ReservationState, StockReason, StockReply
from model import ReferenceEngine
from replay_cases import SECOND_NS, sell, small_plan

Make = Callable[..., Any]
NOW_NS = 1_000


class Diary(ReferenceEngine):
    """Notes what it is asked, in the order in which it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[tuple[str, str]] = []
        self.names: dict[str, str] = {}

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        reply = super().reserve(request_id, lines, **how)
        self.notes.append(("reserve", request_id))
        if reply.reservation is not None:
            self.names[reply.reservation.reservation_id] = request_id
        return reply

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        self.notes.append(("commit", self.names[reservation_id]))
        return super().commit(reservation_id, lines, **how)

    def adjust_stock(
        self, request_id: str, sku: str, delta: int, reason: StockReason, *, now_ns: int
    ) -> StockReply:
        self.notes.append(("adjust", request_id))
        return super().adjust_stock(request_id, sku, delta, reason, now_ns=now_ns)


def added(*amounts: Amount) -> Amount:
    """The sum."""
    return Amount(*(sum(parts) for parts in zip(*amounts, strict=True)))


def check_sums(result: Result) -> None:
    """What was asked for is granted or refused; what was granted is sold or came back."""
    score = result.score
    assert score.events_done == score.events == len(result.plan.events)
    assert score.asked == added(score.granted, *score.refused.values())
    assert score.granted == added(score.sold, score.released, score.expired)
    for count in (score.returns, score.write_offs):
        done = count.done + count.clipped + count.skipped + sum(count.refused.values())
        assert count.lines == done


@pytest.mark.parametrize("in_flight", [1, 16])
def test_the_sums_of_a_sale(make_engine: Make, in_flight: int) -> None:
    result = sell(make_engine(), small_plan(), in_flight=in_flight)
    assert result.audit.findings == ()
    check_sums(result)
    orders = [event for event in result.plan.events if isinstance(event, Order)]
    assert result.score.asked.orders == len(orders) == 40
    assert result.score.asked.units == sum(result.plan.demand)
    assert sum(result.ledger.opening) == sum(result.plan.stock(0.8))


def test_one_in_flight_is_the_same_every_time(make_engine: Make) -> None:
    first, again = (
        sell(make_engine(), small_plan(abandon_share=0.0), in_flight=1) for _ in range(2)
    )
    assert first.score.refused == again.score.refused
    assert first.ledger.sold == again.ledger.sold
    digests = {first.audit.recount.digest, again.audit.recount.digest}
    assert len(digests) == 2, "the digest has the times, which differ"


def test_units_that_are_left_are_sold_with_partial_grants(make_engine: Make) -> None:
    plan = small_plan(abandon_share=0.0, release_share=0.0)
    result = sell(make_engine(), plan, allow_partial=True, in_flight=1)
    assert result.audit.findings == ()
    assert result.score.granted_partially.orders > 0
    score = result.score
    assert score.granted.units == score.sold.units < score.asked.units
    returned = score.returns.units_done - score.write_offs.units_done
    assert score.sold.units <= sum(plan.stock(0.8)) + returned


def test_the_order_of_the_data_is_kept_where_it_matters() -> None:
    """A customer's events never overtake; a nameless return waits for all nameless orders."""
    rows = [
        Row(number + 2, f"{1000 + number}", "mug", 1, number, ("ann", "bob", "")[number % 3])
        for number in range(60)
    ]
    rows += [
        Row(90, "C1", "mug", -20, 100, "ann"),
        Row(91, "C2", "mug", -20, 101, ""),
    ]
    diary = Diary()
    plan = small_plan(rows, 0.0, 0.0)
    result = sell(diary, plan, stock_share=1.0, in_flight=64)
    assert result.audit.findings == ()
    assert result.score.returns.done == 2, "both were sold twenty before they gave twenty back"
    places = {note: place for place, note in enumerate(diary.notes)}
    for customer in ("ann", "bob"):
        theirs = [
            places[kind, f"test-{event.invoice}"]
            for event in plan.events
            if isinstance(event, Order) and event.customer_id == customer
            for kind in ("reserve", "commit")
        ]
        assert theirs == sorted(theirs)
    for name, customer in (("test-C1-1", "ann"), ("test-C2-1", "")):
        before = [
            places["commit", f"test-{event.invoice}"]
            for event in plan.events
            if isinstance(event, Order) and event.customer_id == customer
        ]
        assert places["adjust", name] > max(before)


def test_goods_come_back_only_if_they_were_sold_here(make_engine: Make) -> None:
    rows = [
        Row(2, "1", "mug", 5, 0, "ann"),
        Row(3, "C2", "mug", -3, 60, "ann"),
        Row(4, "C3", "mug", -3, 120, "ann"),
        Row(5, "C4", "mug", -3, 180, "bob"),
        Row(6, "C5", "tea", -1, 240, "ann"),
    ]
    result = sell(make_engine(), small_plan(rows, 0.0, 0.0), stock_share=1.0, in_flight=1)
    count = result.score.returns
    assert (count.lines, count.done, count.clipped, count.skipped) == (4, 1, 1, 2)
    assert (count.units_asked, count.units_done) == (10, 5)
    assert result.ledger.adjusted == [5, 0]
    assert result.audit.findings == ()


def test_no_more_is_written_off_than_is_free(make_engine: Make) -> None:
    rows = [
        Row(2, "1", "mug", 10, 0, "ann"),
        Row(3, "2", "mug", -3, 60, ""),
        Row(4, "3", "mug", -8, 120, ""),
        Row(5, "4", "mug", -1, 180, ""),
        Row(6, "5", "mug", -2, 240, ""),
    ]
    plan = small_plan(rows, 0.0, 0.0)
    result = sell(make_engine(), plan, stock_share=1.6, in_flight=1)
    count = result.score.write_offs
    assert (count.lines, count.done, count.clipped) == (4, 1, 1)
    assert dict(count.refused) == {"BELOW_HELD": 2}
    assert (count.units_asked, count.units_done) == (14, 6)
    assert result.audit.findings == ()


class LosesAnswers(Diary):
    """Does what it is told, and every third time does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def _maybe_silent(self, reply: Any) -> Any:
        self.calls += 1
        if self.calls % 3 == 0:
            raise Overloaded(1)
        return reply

    def reserve(self, *args: Any, **how: Any) -> Any:
        return self._maybe_silent(super().reserve(*args, **how))

    def commit(self, *args: Any, **how: Any) -> Any:
        return self._maybe_silent(super().commit(*args, **how))

    def release(self, *args: Any, **how: Any) -> Any:
        return self._maybe_silent(super().release(*args, **how))

    def adjust_stock(self, *args: Any, **how: Any) -> StockReply:
        reply: StockReply = self._maybe_silent(super().adjust_stock(*args, **how))
        return reply


async def no_time(seconds: float) -> None:
    """Lets others run, and waits for nothing."""
    await asyncio.sleep(0)


def test_lost_answers_are_asked_for_again_with_the_same_id() -> None:
    engine = LosesAnswers()
    plan = small_plan(abandon_share=0.0)
    result = sell(engine, plan, Clock(sleep=no_time), tries_max=20)
    assert result.audit.findings == ()
    check_sums(result)
    assert result.score.retries > 20
    ids = {name for kind, name in engine.notes if kind == "reserve"}
    assert len(ids) == result.score.asked.orders, "no try had an id of its own"
    assert max(Counter(engine.notes).values()) > 1


def test_a_call_without_an_answer_ends_the_sale() -> None:
    class Silent(ReferenceEngine):
        def reserve(self, *args: Any, **how: Any) -> Any:
            raise Overloaded(1)

    with pytest.raises(Stopped, match=r"Reserve of test-1\d+, sent 3 times, .*: UNAVAILABLE: "):
        sell(Silent(), small_plan(), Clock(sleep=no_time), tries_max=3)


def test_a_call_that_cannot_be_judged_is_not_sent_again() -> None:
    class Strict(ReferenceEngine):
        def adjust_stock(self, *args: Any, **how: Any) -> StockReply:
            raise FieldInvalid("delta_quantity", "is never right")

    with pytest.raises(Stopped, match=r"AdjustStock of test-\S+, sent once, .*INVALID_ARGUMENT"):
        sell(Strict(), small_plan(), Clock(sleep=no_time))


def test_an_answer_from_the_future_ends_the_sale(monkeypatch: pytest.MonkeyPatch) -> None:
    known = convert.stock_reply

    def newer(message: Any) -> StockReply:
        if isinstance(message, AdjustStockResponse):
            raise ReplyUnknown.about("StockOutcome 99")
        return known(message)

    monkeypatch.setattr(convert, "stock_reply", newer)
    with pytest.raises(ReplyUnknown, match="StockOutcome 99"):
        sell(ReferenceEngine(), small_plan())


class Dial:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time_ns = 0
        self.naps: list[float] = []

    def elapsed_ns(self) -> int:
        return self.time_ns

    async def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.time_ns += round(seconds * SECOND_NS)
        await asyncio.sleep(0)


def test_a_paced_sale_keeps_the_clock_of_the_data() -> None:
    plan = small_plan(abandon_share=0.0)
    dial = Dial()
    clock = Clock(elapsed_ns=dial.elapsed_ns, sleep=dial.sleep)
    result = sell(ReferenceEngine(), plan, clock, speed=60.0, in_flight=1)
    span_s = (plan.events[-1].time_s - plan.events[0].time_s) / 60.0
    assert dial.time_ns == pytest.approx(span_s * SECOND_NS, abs=len(dial.naps))
    assert result.sale_s == pytest.approx(span_s, abs=1e-6)
    assert max(dial.naps) <= 0.25, "a sale that is told to stop must hear it"
    assert sell(ReferenceEngine(), plan).score.events_done == len(plan.events)


def test_shoppers_may_take_their_time_to_pay() -> None:
    dial = Dial()
    clock = Clock(elapsed_ns=dial.elapsed_ns, sleep=dial.sleep)
    plan = small_plan(abandon_share=0.0)
    result = sell(ReferenceEngine(), plan, clock, pay_after_ns=3 * SECOND_NS)
    assert dial.naps == [3.0] * result.score.granted.orders


def test_a_sale_that_is_told_to_stop_is_still_audited() -> None:
    class Interrupts(ReferenceEngine):
        asked = 0

        def reserve(self, *args: Any, **how: Any) -> Any:
            self.asked += 1
            if self.asked == 7:
                os.kill(os.getpid(), signal.SIGINT)
            return super().reserve(*args, **how)

    result = sell(Interrupts(), small_plan())
    assert result.interrupted
    assert 7 <= result.score.events_done < len(result.plan.events)
    assert result.audit.findings == ()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def load(engine: Any, plan: Plan, units: int = 3) -> None:
    """Give the engine stock of the plan's first SKU."""
    engine.set_stock(plan.skus[0], units, now_ns=NOW_NS)


def test_stock_that_is_there_is_not_overwritten_unasked(make_engine: Make) -> None:
    engine, plan = make_engine(), small_plan()
    load(engine, plan)
    before = engine.digest(now_ns=NOW_NS)
    with pytest.raises(CannotBegin, match=r"stock of 1 of the sale's 5 SKUs; .*--overwrite-stock"):
        sell(engine, plan)
    assert engine.digest(now_ns=NOW_NS) == before


def test_a_second_sale_on_the_same_server_is_audited_too(make_engine: Make) -> None:
    engine, plan = make_engine(), small_plan()
    sell(engine, plan, run_name="first")
    result = sell(engine, plan, run_name="second", overwrite_stock=True)
    assert result.audit.findings == ()
    assert result.audit.unexplained_units == 0
    check_sums(result)
    assert sum(result.ledger.sold) > result.score.sold.units, "the first sale's units are there"


def test_stock_that_others_hold_is_left_alone() -> None:
    engine, plan = ReferenceEngine(), small_plan()
    load(engine, plan)
    far_ns = 2_000_000_000 * SECOND_NS
    reply = engine.reserve("other", [(plan.skus[0], 2)], now_ns=far_ns, ttl_ns=SECOND_NS)
    assert reply.reservation.state is ReservationState.HELD
    with pytest.raises(CannotBegin, match="2 units of 1 SKUs of the sale are held by others"):
        sell(engine, plan, overwrite_stock=True)


def test_stock_that_is_refused_ends_the_sale_before_it_begins() -> None:
    with pytest.raises(Stopped, match="stock of 'sku-1' was refused: LIMIT_REACHED"):
        sell(ReferenceEngine(sku_max=1), small_plan())


def test_events_are_orders_and_corrections() -> None:
    kinds = Counter(type(event) for event in small_plan().events)
    assert kinds == {Order: 40, Correction: 7}
