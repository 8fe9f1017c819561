"""The native engine's bounds, and the names it gives: what the reference engine leaves out.

Owns the tests of the number of ended things (shared out by hash), cap counters, caps, subnet
prefixes, and the known answers of the hash that names reservations.
"""

from __future__ import annotations

from typing import Any

import pytest

from atp._core import LIMITS, Engine
from atp.vocabulary import Cap, CapSubject, LimitReached, ReserveOutcome, StockReason

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
TTL: dict[str, Any] = {"now_ns": NOW_NS, "ttl_ns": 10**9}
SHARDS = 64


# XXH3-128, seed 0, canonical byte order, as `xxhsum -H2` prints them.
@pytest.mark.parametrize(
    ("request_id", "reservation_id"),
    [
        ("a", "a96faf705af16834e6c632b61e964e1f"),
        ("order-1", "5a8a409613f90ad0af63a0f835ca6746"),
        ("0123456789abcdef0", "4d011b9cf16c97fc259d04103128b07b"),
        ("123e4567-e89b-12d3-a456-426614174000", "83bd2215a031ca6e062fea8536c33ede"),
        ("x" * 64, "445cabaf9820e986ac7d730b79ae9428"),
        ("é", "90326970ab18793af7940a006cf10cb3"),
    ],
)
def test_a_reservation_is_named_by_its_request(request_id: str, reservation_id: str) -> None:
    """A client that knows its request id knows its reservation, in every version."""
    engine = Engine()
    engine.set_stock("a", 1, **AT_NOW)
    reply = engine.reserve(request_id, [("a", 1)], **TTL)
    assert reply.reservation is not None
    assert reply.reservation.reservation_id == reservation_id


def test_ended_reservations_are_bounded_in_number_oldest_first() -> None:
    """Each share of the memory forgets its own oldest; nothing young goes, nothing is kept over."""
    each, count = 4, 2_000
    engine = Engine(ended_max=each * SHARDS, remember_ns=10**15)
    engine.set_stock("a", count, **AT_NOW)
    keys = []
    for number in range(count):
        reply = engine.reserve(f"r{number}", [("a", 1)], now_ns=NOW_NS + number, ttl_ns=10**9)
        assert reply.reservation is not None
        keys.append(reply.reservation.reservation_id)
        engine.release(keys[-1], now_ns=NOW_NS + number)
    later: dict[str, Any] = {"now_ns": NOW_NS + count}
    status = engine.status()
    assert status.ended_reservations == each * SHARDS
    kept = [engine.get_reservation(key, **later) is not None for key in keys]
    assert sum(kept) == each * SHARDS
    # Of 2,000 over 64 shares of 4, all of the last 20 are kept and none of the first 500.
    assert not any(kept[:500])
    assert sum(kept[-20:]) >= 19
    assert engine.check(**later).violations == ()
    # A forgotten id grants anew.
    assert not engine.reserve("r0", [("a", 1)], **later, ttl_ns=9).repeated


def test_receipts_are_bounded_in_number() -> None:
    """The memory of other commands is bounded too, and the newest is there."""
    engine = Engine(ended_max=SHARDS, remember_ns=10**15)
    engine.set_stock("a", 10, **AT_NOW)
    for number in range(2_000):
        engine.adjust_stock(f"a{number}", "a", 1, StockReason.COUNTED, **AT_NOW)
    assert engine.status().receipts <= SHARDS
    repeat = engine.adjust_stock("a1999", "a", 1, StockReason.COUNTED, **AT_NOW)
    assert repeat.repeated
    assert engine.dump(**AT_NOW)["stock"]["a"].on_hand == 2_010


def test_live_holds_are_never_forgotten() -> None:
    """The bound on ended things takes nothing that lives."""
    engine = Engine(ended_max=SHARDS)
    engine.set_stock("a", 10_000, **AT_NOW)
    for number in range(3_000):
        engine.reserve(f"r{number}", [("a", 1)], **TTL)
    assert engine.status().live_holds == 3_000
    for number in range(3_000):
        assert engine.reserve(f"r{number}", [("a", 1)], **TTL).repeated


def test_cap_counters_are_bounded() -> None:
    """Over the bound a reserve is refused by its name, changes nothing, and room is made again."""
    engine = Engine(cap_counters_max=256)
    engine.set_stock("a", 10_000, **AT_NOW)
    engine.set_cap(Cap("c", CapSubject.CUSTOMER, 5), **AT_NOW)
    granted, refused = [], None
    for number in range(2_000):
        reply = engine.reserve(f"r{number}", [("a", 1)], **TTL, customer_id=f"c{number}")
        if reply.outcome == ReserveOutcome.LIMIT_REACHED:
            refused = reply
            break
        assert reply.reservation is not None
        granted.append(reply.reservation.reservation_id)
    assert refused is not None
    assert refused.limit_name == "cap_counters_max"
    assert engine.status().cap_counters <= 256
    assert engine.dump(**AT_NOW)["stock"]["a"].held == len(granted)
    assert engine.check(**AT_NOW).violations == ()
    # Who is counted already may go on, and what is given back makes room.
    more = engine.reserve("more", [("a", 1)], **TTL, customer_id="c0")
    assert more.outcome == ReserveOutcome.GRANTED
    for key in granted:
        engine.release(key, **AT_NOW)
    again = engine.reserve("again", [("a", 1)], **TTL, customer_id="c1999")
    assert again.outcome == ReserveOutcome.GRANTED
    assert engine.check(**AT_NOW).violations == ()


def test_caps_are_bounded() -> None:
    """One more cap is refused by the bound's name; one in place of another is not."""
    engine = Engine()
    for number in range(LIMITS["caps_max"]):
        engine.set_cap(Cap(f"c{number}", CapSubject.CUSTOMER, 1), **AT_NOW)
    with pytest.raises(LimitReached) as caught:
        engine.set_cap(Cap("one more", CapSubject.CUSTOMER, 1), **AT_NOW)
    assert caught.value.limit_name == "caps_max"
    engine.set_cap(Cap("c0", CapSubject.CUSTOMER, 2), **AT_NOW)
    engine.remove_cap("c1", **AT_NOW)
    engine.set_cap(Cap("one more", CapSubject.CUSTOMER, 1), **AT_NOW)


def test_subnet_prefixes_are_bounded() -> None:
    """So many pairs of lengths, and each as often as wanted."""
    engine = Engine()

    def subnet(number: int, cap_id: str) -> Cap:
        lengths: dict[str, Any] = {
            "ipv4_prefix_length": 8 + number,
            "ipv6_prefix_length": 32 + number,
        }
        return Cap(cap_id, CapSubject.SUBNET, 1, **lengths)

    most = LIMITS["subnet_prefixes_max"]
    for number in range(most):
        engine.set_cap(subnet(number, f"c{number}"), **AT_NOW)
        engine.set_cap(subnet(number, f"d{number}"), **AT_NOW)
    with pytest.raises(LimitReached) as caught:
        engine.set_cap(subnet(most, "one more"), **AT_NOW)
    assert caught.value.limit_name == "subnet_prefixes_max"
    engine.remove_cap("c0", **AT_NOW)
    engine.remove_cap("d0", **AT_NOW)
    engine.set_cap(subnet(most, "one more"), **AT_NOW)


def test_a_refusal_reports_so_many_caps_and_no_more() -> None:
    """All that failed are counted, the first in order are reported."""
    engine = Engine()
    engine.set_stock("a", 9, **AT_NOW)
    for number in range(20):
        engine.set_cap(Cap(f"c{number:02}", CapSubject.EVERYONE, 0), **AT_NOW)
    reply = engine.reserve("r", [("a", 1)], **TTL)
    most = LIMITS["cap_refusals_max"]
    assert [one.cap_id for one in reply.cap_refusals] == [f"c{n:02}" for n in range(most)]
    assert [status.refused for status in engine.list_caps()] == [1] * 20


def test_the_digest_is_of_the_state_alone() -> None:
    """Equal states have equal digests, by whatever way they came about; others have not."""

    def engine_with(*orders: str) -> Engine:
        engine = Engine()
        for sku in orders:
            engine.set_stock(sku, 9, **AT_NOW)
        return engine

    one, two = engine_with("a", "b", "c"), engine_with("c", "b", "a")
    stocks = [e.dump(**AT_NOW)["stock"]["b"] for e in (one, two)]
    assert stocks[0] == stocks[1]
    same = engine_with("a", "b", "c")
    assert one.digest(**AT_NOW) == same.digest(**AT_NOW)
    before = one.digest(**AT_NOW)
    reply = one.reserve("r", [("a", 1)], **TTL)
    assert one.digest(**AT_NOW) != before
    assert one.digest(**AT_NOW) != same.digest(**AT_NOW)
    same.reserve("r", [("a", 1)], **TTL)
    assert one.digest(**AT_NOW) == same.digest(**AT_NOW)
    assert reply.reservation is not None
    one.commit(reply.reservation.reservation_id, **AT_NOW)
    same.release(reply.reservation.reservation_id, **AT_NOW)
    assert one.digest(**AT_NOW) != same.digest(**AT_NOW)


def test_listing_pages_through_every_sku_once() -> None:
    """Each SKU is on one page, whatever the size of a page."""
    engine = Engine()
    skus = {f"s{number}" for number in range(1_000)}
    for sku in skus:
        engine.set_stock(sku, 1, **AT_NOW)
    for page_size in (1, 7, 333, 1_000, 10_000, 0):
        seen, token, pages = [], "", 0
        while pages == 0 or token:
            page, token = engine.list_stock(**AT_NOW, page_size=page_size, page_token=token)
            assert page_size == 0 or len(page) <= page_size
            seen += [stock.sku for stock in page]
            pages += 1
        assert sorted(seen) == sorted(skus)
