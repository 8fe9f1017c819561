"""Bugs that users of other systems met, each a named test: none of them may happen here.

Every docstring says what happened, and to whose users. All run over the native engine; those that
need concurrency use real threads.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from atp.vocabulary import (
    Cap,
    CapSubject,
    ChangeOutcome,
    LineOutcome,
    ReservationState,
    ReserveOutcome,
)
from conftest import native_engine
from crowd import Crowd

NOW_NS = 1_700_000_000_000_000_000
MINUTE_NS = 60 * 10**9
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
TTL: dict[str, Any] = {"now_ns": NOW_NS, "ttl_ns": 10 * MINUTE_NS}
THREADS = 8


@pytest.fixture
def engine() -> Any:
    """A native engine with ten apples."""
    engine = native_engine(longest_life_ns=60 * MINUTE_NS, remember_ns=60 * MINUTE_NS)
    engine.set_stock("apple", 10, **AT_NOW)
    return engine


def hold(engine: Any, request_id: str, units: int, **keywords: Any) -> str:
    """The id of a hold that must be granted."""
    reply = engine.reserve(request_id, [("apple", units)], **TTL, **keywords)
    assert reply.outcome == ReserveOutcome.GRANTED
    reservation_id: str = reply.reservation.reservation_id
    return reservation_id


def apples(engine: Any, now_ns: int = NOW_NS) -> Any:
    """The counters of the apples."""
    return engine.get_availability(["apple"], now_ns=now_ns)[0]


def test_medusa_16502_same_sku_twice_in_one_basket_oversells(engine: Any) -> None:
    """Medusa 16502: two entries of one call for the same item were each checked against the same
    available quantity, so that both passed, the sum was reserved, and available went below 0. An
    ordinary cart with two lines that share an item was enough."""
    reply = engine.reserve("r1", [("apple", 6), ("apple", 6)], **TTL)
    assert reply.outcome == ReserveOutcome.STOCK_SHORT
    assert apples(engine).held == 0
    reply = engine.reserve("r2", [("apple", 6), ("apple", 6)], **TTL, allow_partial=True)
    assert [line.quantity for line in reply.reservation.lines] == [10]
    assert apples(engine).held == 10


def test_medusa_16569_concurrent_reserves_lose_updates(engine: Any, scaled: Any) -> None:
    """Medusa 16569: reserves called at once, without the lock that its workflows take, both got the
    last unit, and the reserved quantity got out of step with the reservations: an update was
    lost."""
    count = scaled(200)
    engine.set_stock("apple", THREADS * count, **AT_NOW)
    crowd = Crowd(engine)

    def reserve(thread: int) -> Any:
        return lambda number: crowd.ask("reserve", f"{thread}-{number}", [("apple", 1)], **TTL)

    crowd.run_rounds(count, *(reserve(thread) for thread in range(THREADS)))
    outcomes = Counter(said.answer.outcome for said in crowd.said)
    assert outcomes == {ReserveOutcome.GRANTED: THREADS * count}
    assert apples(engine).held == THREADS * count
    assert apples(engine).available == 0
    assert engine.check(**AT_NOW).violations == ()


def test_woocommerce_67354_a_shopper_is_blocked_by_his_own_hold(engine: Any) -> None:
    """WooCommerce 67354: a shopper whose session had moved on to a new draft order was told that
    the stock was gone: his own earlier order held it."""
    first = hold(engine, "first", 10, customer_id="ann")
    second = engine.reserve("second", [("apple", 10)], **TTL, customer_id="ann", replaces=first)
    assert second.outcome == ReserveOutcome.GRANTED
    assert apples(engine).held == 10
    assert engine.get_reservation(first, **AT_NOW).state == ReservationState.RELEASED
    # Refused, the first hold stands: the shopper does not lose what he has by asking for more.
    key = second.reservation.reservation_id
    third = engine.reserve("third", [("apple", 11)], **TTL, customer_id="ann", replaces=key)
    assert third.outcome == ReserveOutcome.STOCK_SHORT
    assert engine.get_reservation(key, **AT_NOW).state == ReservationState.HELD


def test_midaz_2279_a_retry_holds_twice(engine: Any) -> None:
    """Midaz 2279: a request that was sent again, as clients do after a timeout, held a second
    time."""
    engine.set_cap(Cap("each", CapSubject.CUSTOMER, 4), **AT_NOW)
    replies = [
        engine.reserve("order-1", [("apple", 4)], **TTL, customer_id="ann") for _ in range(5)
    ]
    assert len({reply.reservation.reservation_id for reply in replies}) == 1
    assert [reply.repeated for reply in replies] == [False, True, True, True, True]
    assert apples(engine).held == 4
    # Nor does a retry long after: the hold was sold, and is not held again.
    engine.commit(replies[0].reservation.reservation_id, **AT_NOW)
    late = engine.reserve(
        "order-1",
        [("apple", 4)],
        ttl_ns=10 * MINUTE_NS,
        now_ns=NOW_NS + 59 * MINUTE_NS,
        customer_id="ann",
    )
    assert late.repeated
    assert late.reservation.state == ReservationState.COMMITTED
    assert apples(engine, NOW_NS + 59 * MINUTE_NS).held == 0


def test_saleor_8405_a_customer_limit_that_is_per_line(engine: Any) -> None:
    """Saleor 8405: quantity_limit_per_customer limits each line of a checkout, so a customer who
    comes twice gets more than the limit."""
    engine.set_cap(Cap("each", CapSubject.CUSTOMER, 3, skus=("apple",)), **AT_NOW)
    two_lines = engine.reserve("r1", [("apple", 2), ("apple", 2)], **TTL, customer_id="ann")
    assert two_lines.outcome == ReserveOutcome.CAP_REACHED
    key = hold(engine, "r2", 2, customer_id="ann")
    engine.commit(key, **AT_NOW)
    again = engine.reserve("r3", [("apple", 2)], **TTL, customer_id="ann")
    assert again.outcome == ReserveOutcome.CAP_REACHED
    assert [(c.limit, c.in_force, c.asked) for c in again.cap_refusals] == [(3, 2, 2)]
    hold(engine, "r4", 1, customer_id="ann")


def test_tigerbeetle_id_already_failed_sold_out_sticks_to_an_id(engine: Any) -> None:
    """TigerBeetle, by design: an id whose transfer failed for a passing reason fails with
    id_already_failed ever after; Midaz 709 was the same: the key of a denied transaction was kept.
    A shopper whose checkout retries with its id would stay sold out after units came back."""
    key = hold(engine, "somebody", 10)
    for _ in range(3):
        refused = engine.reserve("order-1", [("apple", 1)], **TTL)
        assert refused.outcome == ReserveOutcome.STOCK_SHORT
    engine.release(key, **AT_NOW)
    assert engine.reserve("order-1", [("apple", 1)], **TTL).outcome == ReserveOutcome.GRANTED


def test_midaz_other_content_under_a_used_key_is_ignored(engine: Any) -> None:
    """Midaz, as its Go client documents: a key used again with another body gets the first answer,
    and the new body is ignored. The caller's mistake stays hidden; here it is refused, by its
    name."""
    hold(engine, "order-1", 1)
    other = engine.reserve("order-1", [("apple", 2)], **TTL)
    assert other.outcome == ReserveOutcome.REQUEST_ID_REUSED
    assert other.reservation is None
    assert apples(engine).held == 1


def test_commercetools_expiry_takes_a_few_minutes(engine: Any) -> None:
    """commercetools documents that a reservation may outlive its end by a few minutes; Event
    Espresso cleared them hourly. Units that nobody held could not be bought. Here it is the
    instant, and no sweep has to run."""
    hold(engine, "r1", 10)
    end_ns = NOW_NS + 10 * MINUTE_NS
    early = engine.reserve("r2", [("apple", 10)], now_ns=end_ns - 1, ttl_ns=MINUTE_NS)
    assert early.outcome == ReserveOutcome.STOCK_SHORT
    assert early.line_results[0].first_expire_time_ns == end_ns
    exact = engine.reserve("r2", [("apple", 10)], now_ns=end_ns, ttl_ns=MINUTE_NS)
    assert exact.outcome == ReserveOutcome.GRANTED


def test_pretix_1575_a_hold_is_kept_for_ever(engine: Any) -> None:
    """pretix 1575: the countdown of a cart began anew whenever "+" was pressed, also when no ticket
    was left to add, so that a cart could be kept for ever. Here an extension that is refused
    changes nothing, and none passes the longest life."""
    key = hold(engine, "r1", 10)
    latest_ns = NOW_NS + 60 * MINUTE_NS
    now_ns = NOW_NS
    while now_ns < latest_ns:
        reply = engine.extend(key, ttl_ns=10 * MINUTE_NS, now_ns=now_ns)
        assert reply.latest_expire_time_ns == latest_ns
        end_ns = reply.reservation.expire_time_ns
        assert end_ns <= latest_ns
        refused = reply.outcome == ChangeOutcome.EXPIRY_OUT_OF_RANGE
        assert refused == (now_ns + 10 * MINUTE_NS > latest_ns)
        now_ns += 9 * MINUTE_NS
    assert engine.get_reservation(key, now_ns=latest_ns).state == ReservationState.EXPIRED


def test_woocommerce_a_refused_basket_is_half_reserved(engine: Any) -> None:
    """WooCommerce reserves line by line and takes back after a failure: in between, units are held
    for a basket that is then refused."""
    engine.set_stock("pear", 1, **AT_NOW)
    reply = engine.reserve("r1", [("apple", 5), ("pear", 2)], **TTL)
    assert reply.outcome == ReserveOutcome.STOCK_SHORT
    outcomes = [line.outcome for line in reply.line_results]
    assert outcomes == [LineOutcome.NOT_ATTEMPTED, LineOutcome.STOCK_SHORT]
    assert engine.status().sequence == 2
    assert apples(engine).held == 0


def test_spree_12965_a_limit_over_several_products(engine: Any) -> None:
    """Spree 12965: shops asked for a limit over a basket, three toothpastes and not three of the
    mint: with a limit on each product alone a customer takes the limit of each."""
    engine.set_stock("pear", 10, **AT_NOW)
    engine.set_cap(Cap("fruit", CapSubject.CUSTOMER, 3, skus=("apple", "pear")), **AT_NOW)
    reply = engine.reserve("r1", [("apple", 2), ("pear", 2)], **TTL, customer_id="ann")
    assert reply.outcome == ReserveOutcome.CAP_REACHED
    assert reply.cap_refusals[0].asked == 4


def test_envoy_a_rate_limit_never_gives_back(engine: Any) -> None:
    """Envoy's rate limits count what was asked for and never give back: used as caps on quantity
    they leave a shopper whose hold expired with nothing in hand and no limit left. Here what is
    given back counts no more; refusals and repeats cost nothing."""
    engine.set_cap(Cap("each", CapSubject.IP, 3, window_ns=1_440 * MINUTE_NS), **AT_NOW)
    who = {"client_ip": "10.0.0.1"}
    for number in range(5):
        assert engine.reserve(f"big-{number}", [("apple", 4)], **TTL, **who).sequence == 0
    hold(engine, "r1", 3, **who)
    assert engine.reserve("r1", [("apple", 3)], **TTL, **who).repeated
    end_ns = NOW_NS + 10 * MINUTE_NS
    again = engine.reserve("r2", [("apple", 3)], now_ns=end_ns, ttl_ns=MINUTE_NS, **who)
    assert again.outcome == ReserveOutcome.GRANTED


def test_magento_6363_the_last_units_are_sold_to_two(engine: Any, scaled: Any) -> None:
    """Magento 6363 and magento/inventory 2722: of two customers who placed their orders at the same
    time, each within stock and together above it, both succeeded, and stock went below 0."""
    count = scaled(200)
    crowd = Crowd(engine)
    for number in range(count):
        engine.set_stock(f"sku-{number}", 5, **AT_NOW)

    def buy(thread: int) -> Any:
        def buy_one(number: int) -> None:
            lines = [(f"sku-{number}", 3)]
            reply = crowd.ask("reserve", f"{thread}-{number}", lines, **TTL)
            if reply.reservation is not None:
                crowd.ask("commit", reply.reservation.reservation_id, **AT_NOW)

        return buy_one

    crowd.run_rounds(count, buy(0), buy(1))
    sold = [stock.sold for stock in engine.list_stock(**AT_NOW)[0] if stock.sku != "apple"]
    assert sold == [3] * count
    assert engine.check(**AT_NOW).violations == ()


def test_midaz_1519_two_commits_at_once_sell_twice(engine: Any, scaled: Any) -> None:
    """Midaz 1519: a pending transaction could be committed twice by requests at the same time."""
    count = scaled(200)
    engine.set_stock("apple", 10 * count, **AT_NOW)
    crowd = Crowd(engine)
    keys = [hold(engine, f"r{number}", 1) for number in range(count)]

    def commit(number: int) -> None:
        crowd.ask("commit", keys[number], **AT_NOW)

    crowd.run_rounds(count, *[commit] * THREADS)
    assert apples(engine).sold == count
    first = [said for said in crowd.said if not said.answer.repeated]
    assert len(first) == count
    assert {said.answer.outcome for said in crowd.said} == {ChangeOutcome.DONE}
