"""Calls that cannot be judged: one row each, with the path of the field that is at fault.

Runs over both engines. After every row the whole state is as it was. Paths are those of the request
messages in `proto/atp/v1`, so that a server hands them on as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject, FieldInvalid, StockReason

NOW_NS = 1_700_000_000_000_000_000
TTL_NS = 60_000_000_000
QUANTITY_MAX = 1_000_000_000
STOCK_MAX = 1_000_000_000_000
DAY_NS = 24 * 3600 * 1_000_000_000
UNKNOWN_ID = "0" * 32
LONG = "x" * 65
LONG_BY_BYTES = "é" * 33  # 33 characters, 66 bytes

Call = Callable[[Any], object]


def reserve(request_id: str = "new", lines: Any = (("apple", 1),), **keywords: Any) -> Call:
    """A reserve that is well-formed but for what is given."""
    keywords = {"now_ns": NOW_NS, "ttl_ns": TTL_NS} | keywords
    return lambda engine: engine.reserve(request_id, lines, **keywords)


def commit(reservation_id: str = UNKNOWN_ID, lines: Any = (), **keywords: Any) -> Call:
    """A commit that is well-formed but for what is given."""
    return lambda engine: engine.commit(reservation_id, lines, now_ns=NOW_NS, **keywords)


def release(reservation_id: str = UNKNOWN_ID, lines: Any = (), **keywords: Any) -> Call:
    """A release that is well-formed but for what is given."""
    return lambda engine: engine.release(reservation_id, lines, now_ns=NOW_NS, **keywords)


def extend(reservation_id: str = UNKNOWN_ID, **keywords: Any) -> Call:
    """An extension that is well-formed but for what is given."""
    return lambda engine: engine.extend(reservation_id, now_ns=NOW_NS, **keywords)


def adjust(
    request_id: str = "new", sku: str = "apple", delta: int = 1, reason: Any = StockReason.COUNTED
) -> Call:
    """An adjustment that is well-formed but for what is given."""
    return lambda engine: engine.adjust_stock(request_id, sku, delta, reason, now_ns=NOW_NS)


def stock(sku: str = "apple", on_hand: int = 1, expected: int | None = None) -> Call:
    """A set of stock that is well-formed but for what is given."""
    return lambda engine: engine.set_stock(sku, on_hand, now_ns=NOW_NS, expected=expected)


def cap(subject: Any = CapSubject.CUSTOMER, cap_id: str = "new", **fields: Any) -> Call:
    """A cap that is well-formed but for what is given."""
    return lambda engine: engine.set_cap(Cap(cap_id, subject, **fields), now_ns=NOW_NS)


def overrides(subject: CapSubject, *named: str, **prefixes: Any) -> Call:
    """A cap with overrides for these subjects."""
    return cap(subject, overrides=tuple(CapOverride(name, 1) for name in named), **prefixes)


def availability(*skus: str) -> Call:
    """A read of these SKUs."""
    return lambda engine: engine.get_availability(list(skus), now_ns=NOW_NS)


IP, SUBNET, CUSTOMER = CapSubject.IP, CapSubject.SUBNET, CapSubject.CUSTOMER
EVERYONE, RESERVATION = CapSubject.EVERYONE, CapSubject.RESERVATION
MANY = [("apple", 1)] * 4_097
BOTH_ENDS: dict[str, Any] = {"ttl_ns": TTL_NS, "expire_time_ns": NOW_NS + TTL_NS}
PREFIXES = {"ipv4_prefix_length": 24, "ipv6_prefix_length": 64}

ROWS: list[tuple[str, Call, str]] = [
    ("reserve without an id", reserve(""), "request_id"),
    ("reserve, id of 65 bytes", reserve(LONG), "request_id"),
    ("reserve, id of 66 bytes in 33 characters", reserve(LONG_BY_BYTES), "request_id"),
    ("reserve without lines", reserve(lines=[]), "lines"),
    ("reserve of 4,097 lines", reserve(lines=MANY), "lines"),
    ("empty SKU", reserve(lines=[("apple", 1), ("", 1)]), "lines[1].sku"),
    ("SKU of 65 bytes", reserve(lines=[("apple", 1), ("pear", 1), (LONG, 1)]), "lines[2].sku"),
    ("SKU of 66 bytes", reserve(lines=[(LONG_BY_BYTES, 1)]), "lines[0].sku"),
    ("quantity 0", reserve(lines=[("apple", 1), ("pear", 0)]), "lines[1].quantity"),
    ("quantity below 0", reserve(lines=[("apple", -1)]), "lines[0].quantity"),
    ("quantity too big", reserve(lines=[("apple", QUANTITY_MAX + 1)]), "lines[0].quantity"),
    ("quantity of 64 bits", reserve(lines=[("apple", 2**63 - 1)]), "lines[0].quantity"),
    ("quantity beyond 64 bits", reserve(lines=[("apple", 2**64 + 1)]), "lines[0].quantity"),
    (
        "sum of one SKU too big",
        reserve(lines=[("apple", QUANTITY_MAX), ("pear", 1), ("apple", 1)]),
        "lines[2].quantity",
    ),
    ("address in words", reserve(client_ip="localhost"), "client_ip"),
    ("address with a part too big", reserve(client_ip="10.0.0.256"), "client_ip"),
    ("address with three parts", reserve(client_ip="10.0.0"), "client_ip"),
    ("address with leading zeros", reserve(client_ip="10.0.0.01"), "client_ip"),
    ("address with a port", reserve(client_ip="10.0.0.1:80"), "client_ip"),
    ("address with a range", reserve(client_ip="10.0.0.0/24"), "client_ip"),
    ("address with a blank", reserve(client_ip=" 10.0.0.1"), "client_ip"),
    ("address with a zone", reserve(client_ip="fe80::1%eth0"), "client_ip"),
    ("address with two gaps", reserve(client_ip="1::2::3"), "client_ip"),
    ("address that goes on", reserve(client_ip="10.0.0.1" + "0" * 100), "client_ip"),
    ("customer of 65 bytes", reserve(customer_id=LONG), "customer_id"),
    ("ttl 0", reserve(ttl_ns=0), "ttl"),
    ("ttl below 0", reserve(ttl_ns=-1), "ttl"),
    ("ttl beyond 64 bits", reserve(ttl_ns=2**63), "ttl"),
    ("end beyond 64 bits", reserve(ttl_ns=None, expire_time_ns=2**63), "expire_time"),
    ("no end at all", reserve(ttl_ns=None), "ttl"),
    ("both ends", reserve(**BOTH_ENDS), "ttl"),
    ("replaces 31 digits", reserve(replaces="0" * 31), "replaces_reservation_id"),
    ("replaces upper-case digits", reserve(replaces="A" * 32), "replaces_reservation_id"),
    ("commit of no id", commit(""), "reservation_id"),
    ("commit of 31 digits", commit("0" * 31), "reservation_id"),
    ("commit of 33 digits", commit("0" * 33), "reservation_id"),
    ("commit of upper-case digits", commit("A" * 32), "reservation_id"),
    ("commit of no digits", commit("g" * 32), "reservation_id"),
    ("commit of digits with a line end", commit("0" * 31 + "\n"), "reservation_id"),
    ("commit, id of 65 bytes", commit(request_id=LONG), "request_id"),
    ("commit of lines without an id", commit(lines=[("apple", 1)]), "request_id"),
    ("commit of 4,097 lines", commit(lines=MANY, request_id="x"), "lines"),
    ("commit of an empty SKU", commit(lines=[("", 1)], request_id="x"), "lines[0].sku"),
    ("commit of 0", commit(lines=[("a", 1), ("b", 0)], request_id="x"), "lines[1].quantity"),
    (
        "commit of too many",
        commit(lines=[("a", QUANTITY_MAX + 1)], request_id="x"),
        "lines[0].quantity",
    ),
    (
        "commit of a SKU named twice",
        commit(lines=[("a", 1), ("b", 1), ("a", 1)], request_id="x"),
        "lines[2].sku",
    ),
    ("release of 31 digits", release("0" * 31), "reservation_id"),
    ("release of lines without an id", release(lines=[("apple", 1)]), "request_id"),
    (
        "release of a SKU named twice",
        release(lines=[("a", 1), ("a", 1)], request_id="x"),
        "lines[1].sku",
    ),
    ("extend 31 digits", extend("0" * 31, ttl_ns=1), "reservation_id"),
    ("extend by 0", extend(ttl_ns=0), "ttl"),
    ("extend by nothing", extend(), "ttl"),
    ("extend to both ends", extend(**BOTH_ENDS), "ttl"),
    ("extend, id of 65 bytes", extend(ttl_ns=1, request_id=LONG), "request_id"),
    ("show 31 digits", lambda e: e.get_reservation("0" * 31, now_ns=NOW_NS), "reservation_id"),
    ("availability of nothing", availability(), "skus"),
    ("availability of 4,097 SKUs", availability(*["apple"] * 4_097), "skus"),
    ("availability of an empty SKU", availability("apple", ""), "skus[1]"),
    ("availability of 65 bytes", availability(LONG), "skus[0]"),
    ("stock of an empty SKU", stock(""), "sku"),
    ("stock of 65 bytes", stock(LONG), "sku"),
    ("stock below 0", stock(on_hand=-1), "on_hand_quantity"),
    ("stock too big", stock(on_hand=STOCK_MAX + 1), "on_hand_quantity"),
    ("stock expected below 0", stock(expected=-1), "expected_on_hand_quantity"),
    ("adjust without an id", adjust(""), "request_id"),
    ("adjust, id of 65 bytes", adjust(LONG), "request_id"),
    ("adjust an empty SKU", adjust(sku=""), "sku"),
    ("adjust by 0", adjust(delta=0), "delta_quantity"),
    ("adjust by more than 64 bits", adjust(delta=2**63), "delta_quantity"),
    ("adjust for no reason", adjust(reason=0), "reason"),
    ("adjust for an unknown reason", adjust(reason=5), "reason"),
    ("list, page below 0", lambda e: e.list_stock(now_ns=NOW_NS, page_size=-1), "page_size"),
    (
        "list, a token of one's own",
        lambda e: e.list_stock(now_ns=NOW_NS, page_token="?!"),
        "page_token",
    ),
    ("cap without an id", cap(cap_id=""), "cap.cap_id"),
    ("cap id of 65 bytes", cap(cap_id=LONG), "cap.cap_id"),
    ("cap on nobody", cap(0), "cap.subject"),
    ("cap on an unknown subject", cap(6), "cap.subject"),
    ("cap in no mode", cap(mode=0), "cap.mode"),
    ("cap in an unknown mode", cap(mode=4), "cap.mode"),
    ("cap below 0", cap(limit=-1), "cap.limit_quantity"),
    ("cap on 1,025 SKUs", cap(skus=tuple(f"s{i}" for i in range(1_025))), "cap.skus"),
    ("cap on an empty SKU", cap(skus=("apple", "")), "cap.skus[1]"),
    ("cap on a SKU of 65 bytes", cap(skus=(LONG,)), "cap.skus[0]"),
    ("cap with a window of 0", cap(window_ns=0), "cap.window"),
    ("cap with a window below 0", cap(window_ns=-1), "cap.window"),
    ("cap with a window of 366 days and more", cap(window_ns=366 * DAY_NS + 1), "cap.window"),
    ("subnet without a length", cap(SUBNET, ipv6_prefix_length=64), "cap.ipv4_prefix_length"),
    ("subnet without a length", cap(SUBNET, ipv4_prefix_length=24), "cap.ipv6_prefix_length"),
    (
        "subnet of 33 bits",
        cap(SUBNET, ipv4_prefix_length=33, ipv6_prefix_length=64),
        "cap.ipv4_prefix_length",
    ),
    (
        "subnet of 129 bits",
        cap(SUBNET, ipv4_prefix_length=24, ipv6_prefix_length=129),
        "cap.ipv6_prefix_length",
    ),
    ("a length without a subnet", cap(IP, ipv4_prefix_length=24), "cap.ipv4_prefix_length"),
    ("a length without a subnet", cap(CUSTOMER, ipv6_prefix_length=4), "cap.ipv6_prefix_length"),
    ("overrides for everyone", overrides(EVERYONE, "ann"), "cap.overrides"),
    ("overrides for reservations", overrides(RESERVATION, "ann"), "cap.overrides"),
    (
        "4,097 overrides",
        overrides(CUSTOMER, *(f"c{i}" for i in range(4_097))),
        "cap.overrides",
    ),
    ("override of nobody", overrides(CUSTOMER, "ann", ""), "cap.overrides[1].subject"),
    ("override of 65 bytes", overrides(CUSTOMER, LONG), "cap.overrides[0].subject"),
    ("override named twice", overrides(CUSTOMER, "ann", "ann"), "cap.overrides[1].subject"),
    ("override of a customer by address", overrides(IP, "ann"), "cap.overrides[0].subject"),
    ("override of 33 bits", overrides(IP, "10.0.0.0/33"), "cap.overrides[0].subject"),
    (
        "override of no subnet",
        overrides(SUBNET, "10.0.0.0/8", "10/8", **PREFIXES),
        "cap.overrides[1].subject",
    ),
    (
        "override below 0",
        cap(overrides=(CapOverride("ann", -1),)),
        "cap.overrides[0].limit_quantity",
    ),
    ("get no cap", lambda e: e.get_cap(""), "cap_id"),
    ("remove no cap", lambda e: e.remove_cap("", now_ns=NOW_NS), "cap_id"),
]


@pytest.mark.parametrize(("call", "field"), [pytest.param(c, f, id=n) for n, c, f in ROWS])
def test_malformed(make_engine: Callable[..., Any], call: Call, field: str) -> None:
    """The field is named, a reason is given, and nothing is changed."""
    engine = make_engine()
    engine.set_stock("apple", 10, now_ns=NOW_NS - 1)
    before = engine.dump(now_ns=NOW_NS)
    with pytest.raises(FieldInvalid) as caught:
        call(engine)
    assert caught.value.field == field
    assert caught.value.reason
    assert "\n" not in str(caught.value)
    assert engine.dump(now_ns=NOW_NS) == before
    assert engine.status().sequence == 1
    assert engine.list_caps() == []


WELL_FORMED: list[tuple[str, Call]] = [
    ("id of 64 bytes", reserve("x" * 64)),
    ("id of 64 bytes in 32 characters", reserve("é" * 32)),
    ("SKU of 64 bytes", reserve(lines=[("x" * 64, 1)])),
    ("SKU of one byte that is none of a letter", reserve(lines=[("\x00", 1)])),
    ("customer of 64 bytes", reserve(customer_id="x" * 64)),
    ("4,096 lines", reserve(lines=[("apple", 1)] * 4_096)),
    ("4,096 SKUs", reserve(lines=[(f"s{i}", QUANTITY_MAX) for i in range(4_096)])),
    ("greatest quantity", reserve(lines=[("apple", QUANTITY_MAX)])),
    ("greatest quantity as a sum", reserve(lines=[("apple", QUANTITY_MAX - 1), ("apple", 1)])),
    ("greatest stock", stock(on_hand=STOCK_MAX)),
    ("an end before the epoch", reserve(ttl_ns=None, expire_time_ns=-1)),
    ("commit of an unknown hold", commit()),
    ("commit of 4,096 lines", commit(lines=[(f"s{i}", 1) for i in range(4_096)], request_id="x")),
    ("availability of 4,096 SKUs", availability(*["apple"] * 4_096)),
    ("cap of 1,024 SKUs", cap(skus=tuple(f"s{i}" for i in range(1_024)))),
    ("cap of 4,096 overrides", overrides(CUSTOMER, *(f"c{i}" for i in range(4_096)))),
    ("cap with the longest window", cap(window_ns=366 * DAY_NS)),
    ("cap with the shortest window", cap(window_ns=1)),
    ("longest prefixes", cap(SUBNET, ipv4_prefix_length=32, ipv6_prefix_length=128)),
    ("shortest prefixes", cap(SUBNET, ipv4_prefix_length=1, ipv6_prefix_length=1)),
    ("override of all addresses", overrides(IP, "0.0.0.0/0", "::/0")),
    ("cap in shadow mode", cap(mode=CapMode.SHADOW)),
]


@pytest.mark.parametrize("call", [pytest.param(call, id=name) for name, call in WELL_FORMED])
def test_well_formed(make_engine: Callable[..., Any], call: Call) -> None:
    """Just within the bounds a call is judged."""
    engine = make_engine()
    engine.set_stock("apple", 10, now_ns=NOW_NS)
    assert call(engine) is not None
    assert engine.check(now_ns=NOW_NS).violations == ()


def test_zero_bytes_tell_skus_apart(make_engine: Callable[..., Any]) -> None:
    """A SKU is compared byte by byte, also where a table pads with zero bytes."""
    engine = make_engine()
    for units, sku in enumerate(("a", "a\x00", "\x00a", "\x00"), start=1):
        engine.set_stock(sku, units, now_ns=NOW_NS)
    seen = engine.get_availability(["\x00", "a", "a\x00", "\x00a"], now_ns=NOW_NS)
    assert [(entry.sku, entry.on_hand) for entry in seen] == [
        ("\x00", 4),
        ("a", 1),
        ("a\x00", 2),
        ("\x00a", 3),
    ]
