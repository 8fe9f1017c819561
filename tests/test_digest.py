"""The digest tells states apart by every part of them, and by nothing else.

Each case makes two engines that differ in one thing alone; that equal states have equal digests,
however they came about, is held beside it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from atp.vocabulary import Cap, CapMode, CapSubject, StockReason
from conftest import native_engine

NOW_NS = 1_700_000_000_000_000_000
AT_NOW = {"now_ns": NOW_NS}
WHO = {"customer_id": "ann", "client_ip": "10.0.0.1"}
CAP = Cap("c", CapSubject.CUSTOMER, 9, window_ns=256_000)

Steps = Callable[[Any], None]


def reserve(engine: Any, request_id: str = "r", units: int = 2, **keywords: Any) -> str:
    """A hold of apples; returns its reservation."""
    keywords = {"ttl_ns": 1_000, **AT_NOW, **WHO, **keywords}
    reply = engine.reserve(request_id, [("apple", units)], **keywords)
    reservation_id: str = reply.reservation.reservation_id
    return reservation_id


def set_caps(engine: Any, *caps: Cap) -> None:
    for cap in caps:
        engine.set_cap(cap, **AT_NOW)


def counted_anew(engine: Any) -> None:
    """The cap ends as it began, its counts gone."""
    reserve(engine)
    set_caps(engine, CAP._replace(window_ns=None), CAP)


def counted_on(engine: Any) -> None:
    """The cap ends as it began, its counts kept."""
    reserve(engine)
    set_caps(engine, CAP._replace(limit=8), CAP)


DIFFERENT: dict[str, tuple[Steps, Steps]] = {
    "units on hand": (
        lambda e: e.set_stock("pear", 5, **AT_NOW),
        lambda e: e.set_stock("pear", 6, **AT_NOW),
    ),
    "received or adjusted": (
        lambda e: e.adjust_stock("a", "apple", 1, StockReason.RECEIVED, **AT_NOW),
        lambda e: e.adjust_stock("a", "apple", 1, StockReason.COUNTED, **AT_NOW),
    ),
    "units held": (lambda e: reserve(e, units=1), lambda e: reserve(e, units=2)),
    "the customer": (reserve, lambda e: reserve(e, customer_id="bob")),
    "the address": (reserve, lambda e: reserve(e, client_ip="10.0.0.2")),
    "the end": (reserve, lambda e: reserve(e, ttl_ns=999)),
    "the request id": (reserve, lambda e: reserve(e, "other")),
    "sold or given back": (
        lambda e: e.commit(reserve(e), **AT_NOW),
        lambda e: e.release(reserve(e), **AT_NOW),
    ),
    "a receipt": (
        lambda e: e.commit(reserve(e), **AT_NOW),
        lambda e: e.commit(reserve(e), request_id="x", **AT_NOW),
    ),
    "a cap": (
        lambda e: set_caps(e, CAP._replace(mode=CapMode.SHADOW)),
        lambda e: set_caps(e, CAP._replace(mode=CapMode.OFF)),
    ),
    "what a cap counts": (counted_anew, counted_on),
}


def engine_after(steps: Steps) -> Any:
    """A new engine with ten apples and a cap, after these steps."""
    engine = native_engine(remember_ns=10_000, longest_life_ns=10_000)
    engine.set_stock("apple", 10, **AT_NOW)
    set_caps(engine, CAP)
    steps(engine)
    return engine


@pytest.mark.parametrize("difference", DIFFERENT)
def test_a_difference_is_told(difference: str) -> None:
    one, two = (engine_after(steps) for steps in DIFFERENT[difference])
    same = engine_after(DIFFERENT[difference][0])
    assert one.digest(**AT_NOW) == same.digest(**AT_NOW)
    assert one.status().sequence == two.status().sequence, "or the sequence alone tells them apart"
    assert one.digest(**AT_NOW) != two.digest(**AT_NOW)


def test_when_a_cap_counted_is_told() -> None:
    """Of 4 units sold, 1 or 3 are passed over by the window first; all else is forgotten."""
    forgotten = {"now_ns": NOW_NS + 20_000}
    digests = []
    for first, second in ((1, 3), (3, 1)):
        engine = engine_after(lambda e: None)
        engine.commit(reserve(engine, "r", first), **AT_NOW)
        engine.commit(reserve(engine, "s", second, now_ns=NOW_NS + 1_000), now_ns=NOW_NS + 1_000)
        engine.sweep(**forgotten)
        assert engine.dump(**forgotten)["reservations"] == {}
        assert engine.dump(**forgotten)["cap_counts"] == {("c", "ann", ""): 4}
        digests.append(engine.digest(**forgotten))
    assert digests[0] != digests[1]


def test_what_is_over_is_no_part_of_it() -> None:
    """A hold that has expired unseen, and one that has been seen to."""
    one, two = engine_after(reserve), engine_after(reserve)
    later = NOW_NS + 5_000
    two.sweep(now_ns=later)
    assert one.digest(now_ns=later) == two.digest(now_ns=later)
    forgotten = later + 20_000
    one.sweep(now_ns=forgotten)
    assert one.digest(now_ns=forgotten) == two.digest(now_ns=forgotten)
