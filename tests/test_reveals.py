"""What an answer tells of or lets see: the sequence that must be durable before it leaves.

Each case says in its name whose change is seen. Law 7 rests on these: the server waits for what
`reveals` says and for nothing else.
"""

from __future__ import annotations

import pytest

from atp._core import Engine
from atp.vocabulary import Cap, CapMode, CapSubject, ChangeOutcome, ReserveOutcome, StockOutcome

MINUTE = 60_000_000_000
ADDRESS = "192.0.2.1"


@pytest.fixture
def engine() -> Engine:
    made = Engine()
    made.set_stock("a", 5, now_ns=0)  # sequence 1
    made.set_stock("b", 5, now_ns=0)  # sequence 2
    return made


def reserve(engine: Engine, request_id: str, *lines: tuple[str, int], **more: object) -> object:
    return engine.reserve(request_id, lines, now_ns=1, ttl_ns=MINUTE, **more)


def sequence(engine: Engine) -> int:
    return engine.status().sequence


def test_a_grant_reveals_itself(engine):
    assert reserve(engine, "one", ("a", 1)).reveals == 3


def test_a_sold_out_sku_reveals_its_last_unit_however_much_goes_on_elsewhere(engine):
    last = reserve(engine, "one", ("a", 5)).sequence
    for number in range(5):
        reserve(engine, f"other-{number}", ("b", 1))
        refused = reserve(engine, f"late-{number}", ("a", 1))
        assert (refused.outcome, refused.reveals) == (ReserveOutcome.STOCK_SHORT, last)


def test_a_refusal_reveals_the_newest_change_of_all_its_skus(engine):
    reserve(engine, "one", ("a", 5))
    newest = reserve(engine, "two", ("b", 1)).sequence
    assert reserve(engine, "late", ("a", 1), ("b", 1)).reveals == newest


def test_a_repeat_reveals_what_became_of_the_hold(engine):
    granted = reserve(engine, "one", ("a", 1))
    sold = engine.commit(granted.reservation.reservation_id, now_ns=2).sequence
    again = reserve(engine, "one", ("a", 1))
    assert (again.repeated, again.sequence, again.reveals) == (True, granted.sequence, sold)


def test_other_content_under_a_known_id_reveals_the_hold(engine):
    granted = reserve(engine, "one", ("a", 1))
    refused = reserve(engine, "one", ("a", 2))
    assert refused.outcome == ReserveOutcome.REQUEST_ID_REUSED
    assert refused.reveals == granted.sequence


def test_a_cap_in_the_way_reveals_what_it_counted_and_when_it_was_set(engine):
    cap = Cap("two-each", CapSubject.IP, limit=2)
    _, was_set = engine.set_cap(cap, now_ns=0)
    early = reserve(engine, "none", ("b", 3), client_ip=ADDRESS)
    assert (early.outcome, early.reveals) == (ReserveOutcome.CAP_REACHED, was_set)
    counted = reserve(engine, "one", ("a", 2), client_ip=ADDRESS).sequence
    refused = reserve(engine, "two", ("b", 1), client_ip=ADDRESS)
    assert (refused.outcome, refused.reveals) == (ReserveOutcome.CAP_REACHED, counted)


def test_a_cap_that_is_not_in_the_way_reveals_nothing(engine):
    engine.set_cap(Cap("many", CapSubject.EVERYONE, limit=100), now_ns=0)
    last = reserve(engine, "one", ("a", 5)).sequence
    reserve(engine, "two", ("b", 1))  # counts under the same cap, later
    assert reserve(engine, "late", ("a", 1)).reveals == last


def test_a_shadow_cap_that_would_refuse_reveals_nothing(engine):
    engine.set_cap(Cap("s", CapSubject.EVERYONE, limit=0, mode=CapMode.SHADOW), now_ns=0)
    last = reserve(engine, "one", ("a", 5)).sequence
    reserve(engine, "two", ("b", 1))  # counts under the same cap, later
    assert reserve(engine, "late", ("a", 1)).reveals == last


def test_an_extension_is_seen_by_who_is_told_when_units_come_back(engine):
    granted = reserve(engine, "one", ("a", 5))
    extended = engine.extend(granted.reservation.reservation_id, now_ns=2, ttl_ns=2 * MINUTE)
    refused = reserve(engine, "late", ("a", 1))
    assert refused.line_results[0].first_expire_time_ns == 2 + 2 * MINUTE
    assert refused.reveals == extended.sequence
    assert engine.get_availability(["a"], now_ns=2)[0].sequence == extended.sequence


def test_an_expiry_is_seen_by_who_finds_the_hold_ended(engine):
    granted = reserve(engine, "one", ("a", 5))
    late = engine.commit(granted.reservation.reservation_id, now_ns=2 * MINUTE)
    assert late.outcome == ChangeOutcome.ALREADY_EXPIRED
    assert late.reveals == sequence(engine) == granted.sequence + 1


def test_a_change_of_nothing_known_reveals_nothing(engine):
    assert engine.commit("0" * 32, now_ns=1).reveals == 0
    assert reserve(engine, "one", ("unknown", 1)).reveals == 0
    assert engine.adjust_stock("id", "unknown", 1, 1, now_ns=1).reveals == 0


def test_a_refused_change_of_stock_reveals_the_sku(engine):
    held = reserve(engine, "one", ("a", 5)).sequence
    refused = engine.set_stock("a", 1, now_ns=2)
    assert (refused.outcome, refused.reveals) == (StockOutcome.BELOW_HELD, held)


def test_a_repeated_adjustment_reveals_what_came_after_it(engine):
    first = engine.adjust_stock("id", "a", 1, 1, now_ns=1)
    held = reserve(engine, "one", ("a", 1)).sequence
    again = engine.adjust_stock("id", "a", 1, 1, now_ns=2)
    assert (again.sequence, again.reveals) == (first.sequence, held)
