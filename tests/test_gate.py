"""What may change while the journal is short of room: the gate, from outside the engine."""

from __future__ import annotations

import pytest

from atp._core import Engine
from atp.vocabulary import (
    Cap,
    CapSubject,
    ChangeOutcome,
    LimitReached,
    ReserveOutcome,
    StockOutcome,
    StockReason,
)

MINUTE = 60_000_000_000
OPEN, NEW_HOLDS, ALL, BEHIND = range(4)


@pytest.fixture
def engine() -> Engine:
    made = Engine(record_events=True)
    made.set_stock("a", 5, now_ns=0)
    return made


def hold(engine: Engine, request_id: str = "one", **more: object) -> object:
    return engine.reserve(request_id, [("a", 1)], now_ns=1, ttl_ns=MINUTE, **more)


@pytest.mark.parametrize(
    ("level", "name"),
    [(NEW_HOLDS, "journal_space"), (ALL, "journal_space"), (BEHIND, "journal_backlog")],
)
def test_a_closed_gate_refuses_what_is_new_and_changes_nothing(engine, level, name):
    first = hold(engine)
    before = engine.digest(now_ns=1)
    engine.set_gate(level)
    refused = hold(engine, "two")
    assert (refused.outcome, refused.limit_name) == (ReserveOutcome.LIMIT_REACHED, name)
    replacing = hold(engine, "three", replaces=first.reservation.reservation_id, customer_id="x")
    assert replacing.outcome == ReserveOutcome.REPLACED_NOT_OWNED  # refusals come in their order
    longer = engine.extend(first.reservation.reservation_id, now_ns=2, ttl_ns=MINUTE)
    assert (longer.outcome, longer.limit_name) == (ChangeOutcome.LIMIT_REACHED, name)
    for stock in (
        engine.set_stock("a", 9, now_ns=2),
        engine.set_stock("new", 9, now_ns=2),
        engine.adjust_stock("id", "a", 1, StockReason.RECEIVED, now_ns=2),
    ):
        assert (stock.outcome, stock.limit_name) == (StockOutcome.LIMIT_REACHED, name)
    with pytest.raises(LimitReached, match=name):
        engine.set_cap(Cap("c", CapSubject.IP, limit=1), now_ns=2)
    assert engine.digest(now_ns=1) == before
    assert engine.status().skus == 1
    engine.set_gate(OPEN)
    assert hold(engine, "two").outcome == ReserveOutcome.GRANTED
    assert engine.check(now_ns=2).violations == ()


@pytest.mark.parametrize("level", [NEW_HOLDS, ALL, BEHIND])
def test_repeats_reads_and_expiries_pass(engine, level):
    first = hold(engine)
    engine.set_gate(level)
    assert hold(engine).repeated
    assert engine.get_availability(["a"], now_ns=2)[0].held == 1
    assert engine.sweep(now_ns=2 * MINUTE) == 1
    assert engine.get_reservation(first.reservation.reservation_id, now_ns=2 * MINUTE).end_time_ns


def test_holds_end_while_only_new_ones_are_refused(engine):
    ids = [hold(engine, name).reservation.reservation_id for name in ("one", "two")]
    engine.set_gate(NEW_HOLDS)
    assert engine.commit(ids[0], now_ns=2).outcome == ChangeOutcome.DONE
    assert engine.release(ids[1], now_ns=2).outcome == ChangeOutcome.DONE


@pytest.mark.parametrize("level", [ALL, BEHIND])
def test_nothing_ends_by_request_when_there_is_room_for_nothing(engine, level):
    kept = hold(engine).reservation.reservation_id
    engine.set_gate(level)
    for refused in (engine.commit(kept, now_ns=2), engine.release(kept, now_ns=2)):
        assert refused.outcome == ChangeOutcome.LIMIT_REACHED
        assert refused.limit_name.startswith("journal_")
        assert refused.reservation.lines[0].held == 1


def test_there_is_no_other_level(engine):
    with pytest.raises(ValueError, match="no level of the gate: 4"):
        engine.set_gate(4)
