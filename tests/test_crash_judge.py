"""The judge of the crash tests finds what is lost, invented or told wrong, and nothing else.

The server lives in this process and never crashes; its events stand for the journal. Each fault
that the judge is there to find is then planted in them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from atp.v1.event_pb2 import Event
from conftest import native_engine
from crash.asked_for import Asked
from crash.asks import Shopper, ask, opening
from crash.clients import ask_all, connected, shop
from crash.history import History
from crash.judge import INVENTED, LOST, WRONG, Finding, Judge
from crash.ledger import Ledger
from replay_server import serving

Events = list[tuple[int, Event]]
ANSWERS = 2_500


class Told:
    """What clients were told by a sound server, and what happened there."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        engine = native_engine(record_events=True)
        asyncio.run(self.run(engine))
        taken = engine.take_events()
        self.events = [(sequence, Event.FromString(data)) for sequence, data in taken]

    async def run(self, engine: Any) -> None:
        async with (
            serving(engine) as target,
            connected(self.ledger, target.data_address, target.control_address) as connection,
        ):
            await ask_all(connection, list(opening(Random(1), 1)))
            shoppers = [Shopper(Random(seed), f"c{seed}") for seed in range(6)]
            await shop(
                connection,
                shoppers,
                until=lambda: self.ledger.answered >= ANSWERS,
            )
            await ask_all(connection, [ask("ListStock"), ask("ListCaps")])

    def findings(self, events: Events) -> list[Finding]:
        """What the judge says when this is what was remembered."""
        history, asked = History(), Asked(self.ledger)
        asked.take_in()
        found = []
        for sequence, event in events:
            history.apply(sequence, event)
            found += asked.check(sequence, event)
        judge = Judge(history)
        for said in self.ledger.said:
            found += judge.check(said)
        return found + [Finding(WRONG, text) for text in history.early]


@pytest.fixture(scope="module")
def told() -> Told:
    return Told()


def test_a_sound_server_has_lost_and_invented_nothing(told: Told) -> None:
    kinds = {event.WhichOneof("change") for _, event in told.events}
    assert len(kinds) == 8, f"every kind of change is there: {kinds}"
    assert told.findings(told.events) == []


def test_refusals_and_reads_are_among_what_is_judged(told: Told) -> None:
    outcomes = {
        (said.ask.method, getattr(said.answer, "outcome", None)) for said in told.ledger.said
    }
    methods = {method for method, _ in outcomes}
    assert {"GetReservation", "GetAvailability", "GetStock", "ListCaps"} <= methods
    assert {("Reserve", number) for number in (1, 2, 9, 10)} <= outcomes


def without_last(events: Events) -> Events:
    return events[:-1]


def changed(kind: str, change: Callable[[Any], None]) -> Callable[[Events], Events]:
    """The last event of a kind is another."""

    def plant(events: Events) -> Events:
        copies = [(sequence, Event.FromString(e.SerializeToString())) for sequence, e in events]
        last = next(e for _, e in reversed(copies) if e.WhichOneof("change") == kind)
        change(getattr(last, kind))
        return copies

    return plant


def added(event: Event) -> Callable[[Events], Events]:
    """One more event at the end."""

    def plant(events: Events) -> Events:
        sequence, last = events[-1]
        event.time_ns = last.time_ns
        return [*events, (sequence + 1, event)]

    return plant


def done_twice(events: Events) -> Events:
    """A cap was set twice that was to be set once."""
    found = next(e for _, e in reversed(events) if e.WhichOneof("change") == "cap_set")
    again = Event.FromString(found.SerializeToString())
    return added(again)(events)


def set_lines(change: Any) -> None:
    change.lines[0].quantity += 1


def add_line(change: Any) -> None:
    """One more line, of a SKU that the basket doesn't name: an engine never tells one twice."""
    named = {line.sku for line in change.lines}
    sku = next(sku for sku in (f"sku-{number:02}" for number in range(99)) if sku not in named)
    change.lines.add(sku=sku, quantity=1)


def set_partial(change: Any) -> None:
    change.partial = not change.partial


def set_limit(change: Any) -> None:
    change.cap.limit_quantity += 1


UNASKED = Event()
UNASKED.reserved.request_id = "nobody"
UNASKED.reserved.reservation_key = b"n" * 16


@pytest.mark.parametrize(
    ("plant", "kind"),
    [
        (without_last, LOST),
        (changed("cap_set", set_limit), LOST),
        (changed("reserved", set_partial), INVENTED),
        (changed("reserved", add_line), INVENTED),
        (changed("extended", lambda change: change.ClearField("receipt")), INVENTED),
        (added(UNASKED), INVENTED),
        (done_twice, INVENTED),
    ],
)
def test_a_planted_fault_is_found(told: Told, plant: Callable[[Events], Events], kind: str) -> None:
    found = told.findings(plant(told.events))
    assert kind in {finding.kind for finding in found}, found[:3]


def test_an_old_story_is_found(told: Told) -> None:
    """A read that shows less than somebody had been told of already."""
    reads = [s for s in told.ledger.said if s.ask.method == "GetStock" and s.is_answered]
    history = History()
    for sequence, event in told.events:
        history.apply(sequence, event)
    read = next(r for r in reads if len(history.stock[r.answer.stock.sku].sequences) > 3)
    before = read.floor
    read.floor = history.end
    try:
        found = Judge(history).check(read)
    finally:
        read.floor = before
    assert [finding.kind for finding in found] == [WRONG]
    assert "stale" in found[0].text
