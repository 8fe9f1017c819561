"""Law 8: the events of a live engine, applied to an empty one, come to the same state.

Random histories and crowds of threads run with their events recorded; a second engine, given the
events alone, must have the same digest after every one of them, the same dump, and every law
recounted. What an engine does by itself between two events, such as forgetting, is looked at one by
one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp.journal import _native
from atp.vocabulary import Cap, CapMode, CapSubject, ReserveOutcome, StockReason
from conftest import native_engine
from crowd import Crowd
from histories import LIFE_NS, History
from pair import attempt, key_teller
from records import Events, records_of, replay, replayed

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
MINUTE_NS = 60 * 10**9


def assert_same(live: Any, copy: Any, now_ns: int) -> None:
    """Both engines hold the same, and every law."""
    assert copy.dump(now_ns=now_ns) == live.dump(now_ns=now_ns)
    assert copy.digest(now_ns=now_ns) == live.digest(now_ns=now_ns)
    report = copy.check(now_ns=now_ns)
    assert report.violations == ()
    assert report.sequence == live.status().sequence
    assert [cap._replace(refused=0, shadow_refused=0) for cap in live.list_caps()] == (
        copy.list_caps()
    )
    assert copy.status().live_holds == live.status().live_holds
    assert copy.take_events() == [], "applying records nothing"


@given(
    seed=st.integers(0, 2**32),
    remember_ns=st.sampled_from([1, 300, 10**6]),
    ended_max=st.sampled_from([64, 192, 10**6]),
)
@settings(phases=[Phase.generate])  # a seed does not shrink
def test_the_same_digest_after_every_event(seed: int, remember_ns: int, ended_max: int) -> None:
    """Event by event beside the live engine; then the whole, and the rest after some prefixes."""
    bounds = {"longest_life_ns": LIFE_NS, "remember_ns": remember_ns, "ended_max": ended_max}
    live = native_engine(**bounds, record_events=True)
    copy = native_engine(**bounds, record_events=True)
    history = History(Random(seed), key_teller(native_engine))
    events: Events = []
    now_ns = 0
    for command in history.commands(150):
        history.note(command, attempt(getattr(live, command.name), command.words, command.keywords))
        fresh = live.take_events()
        events += fresh
        for each in fresh:
            replay(copy, [each])
        now_ns = live.status().time_ns
        assert copy.digest(now_ns=now_ns) == live.digest(now_ns=now_ns), command
    assert_same(live, copy, now_ns)
    assert_same(live, replayed(events, **bounds, record_events=True), now_ns)
    for _ in range(3):
        cut = history.random.randrange(len(events) + 1)
        engine = replayed(events[:cut], **bounds)
        replay(engine, events[cut:])
        assert_same(live, engine, now_ns)


def test_the_events_of_many_threads(scaled: Callable[[int], int]) -> None:
    """A crowd's events, in the order of their sequences, come to what the crowd left."""
    live = native_engine(longest_life_ns=MINUTE_NS, remember_ns=50, record_events=True)
    crowd = Crowd(live)
    skus = [f"s{number}" for number in range(20)]
    for sku in skus:
        crowd.ask("set_stock", sku, scaled(500), **AT_NOW)
    crowd.ask("set_cap", Cap("c", CapSubject.CUSTOMER, 200, window_ns=300), **AT_NOW)
    crowd.ask("set_cap", Cap("d", CapSubject.EVERYONE, 200, per_sku=True), **AT_NOW)

    def shop(thread: int) -> Callable[[], None]:
        def job() -> None:
            random = Random(thread)
            for number in range(scaled(200)):
                now_ns = NOW_NS + number
                reply = crowd.ask(
                    "reserve",
                    f"{thread}-{random.randrange(150)}",
                    [(sku, 1) for sku in random.sample(skus, 3)],
                    now_ns=now_ns,
                    ttl_ns=random.choice([3, 50, MINUTE_NS]),
                    customer_id=random.choice(["ann", "bob"]),
                )
                if reply.reservation is not None and random.random() < 0.7:
                    key = reply.reservation.reservation_id
                    crowd.ask(random.choice(["commit", "release"]), key, now_ns=now_ns)

        return job

    crowd.run(*(shop(thread) for thread in range(8)))
    now_ns = NOW_NS + scaled(200)
    live.sweep(now_ns=now_ns)
    bounds = {"longest_life_ns": MINUTE_NS, "remember_ns": 50, "record_events": True}
    assert_same(live, replayed(live.take_events(), **bounds), now_ns)


def sold_out_engine(**bounds: Any) -> Any:
    """A recording engine with ten apples."""
    engine = native_engine(record_events=True, **bounds)
    engine.set_stock("apple", 10, **AT_NOW)
    return engine


def test_a_remembered_id_still_answers_with_its_first_hold() -> None:
    """Receipts and reservations are found again, and no id is granted twice."""
    live = sold_out_engine()
    first = live.reserve("r", [("apple", 4)], **AT_NOW, ttl_ns=1_000, allow_partial=True)
    key = first.reservation.reservation_id
    live.release(key, [("apple", 1)], **AT_NOW, request_id="x")
    live.adjust_stock("y", "apple", 5, StockReason.RECEIVED, **AT_NOW)
    copy = replayed(live.take_events(), record_events=True)
    again = copy.reserve("r", [("apple", 4)], **AT_NOW, ttl_ns=1_000, allow_partial=True)
    assert (again.outcome, again.repeated, again.sequence) == (first.outcome, True, first.sequence)
    assert again.reservation.reservation_id == key
    assert copy.release(key, [("apple", 1)], **AT_NOW, request_id="x").repeated
    assert copy.adjust_stock("y", "apple", 5, StockReason.RECEIVED, **AT_NOW).repeated
    assert copy.reserve("x", [("apple", 1)], **AT_NOW, ttl_ns=1).outcome == (
        ReserveOutcome.REQUEST_ID_REUSED
    )
    assert copy.take_events() == []


@pytest.mark.parametrize(
    ("live_bounds", "later_bounds"),
    [
        ({"remember_ns": 10}, {"remember_ns": 10**15}),
        ({"ended_max": 64}, {"ended_max": 10**6}),
    ],
)
def test_an_id_used_anew_is_new_whatever_is_remembered_today(
    live_bounds: dict[str, Any], later_bounds: dict[str, Any]
) -> None:
    """Settings may have changed since: an id that had been forgotten then may be used anew."""
    live = sold_out_engine(**live_bounds)
    now_ns = NOW_NS
    for round_number in range(3):
        for number in range(200):
            reply = live.reserve(f"r{number}", [("apple", 1)], now_ns=now_ns, ttl_ns=5)
            assert reply.sequence, (round_number, number)
            live.release(
                reply.reservation.reservation_id,
                [("apple", 1)],
                now_ns=now_ns,
                request_id=f"x{number}",
            )
        now_ns += 100
    copy = replayed(live.take_events(), **later_bounds)
    assert copy.dump(now_ns=now_ns)["stock"] == live.dump(now_ns=now_ns)["stock"]
    assert copy.check(now_ns=now_ns).violations == ()
    assert copy.status().sequence == live.status().sequence


def test_lower_bounds_do_not_keep_what_happened_from_being_applied() -> None:
    """Bounds are for what is asked: what was granted under wider ones is there, and is kept."""
    live = native_engine(record_events=True)
    live.set_cap(Cap("c", CapSubject.CUSTOMER, 100), **AT_NOW)
    for number in range(40):
        live.set_stock(f"s{number}", 10, **AT_NOW)
        lines, customer = [(f"s{number}", 1)], f"customer-{number}"
        live.reserve(f"r{number}", lines, **AT_NOW, ttl_ns=50, customer_id=customer)
    narrow = {"sku_max": 5, "live_holds_max": 5, "cap_counters_max": 5, "longest_life_ns": 1}
    copy = replayed(live.take_events(), **narrow, record_events=True)
    assert_same(live, copy, NOW_NS)
    assert copy.limits()[2].value == 5, "the bound is what was set"
    refused = copy.reserve("more", [("s1", 1)], **AT_NOW, ttl_ns=1, customer_id="new")
    assert refused.limit_name == "live_holds_max"
    assert copy.set_stock("s99", 1, **AT_NOW).limit_name == "sku_max"


def test_counters_that_are_over_take_no_places_from_those_to_come() -> None:
    """A sweep clears up while an engine lives; applying, which never sweeps, does it at need."""
    live = native_engine(record_events=True, cap_counters_max=20)
    live.set_cap(Cap("c", CapSubject.CUSTOMER, 100, window_ns=256), **AT_NOW)
    live.set_stock("apple", 10**6, **AT_NOW)
    now_ns = NOW_NS
    for number in range(500):
        now_ns += 100
        for _ in range(64 if number % 5 == 0 else 0):
            live.sweep(now_ns=now_ns)
        reply = live.reserve(
            f"r{number}", [("apple", 1)], now_ns=now_ns, ttl_ns=10**6, customer_id=f"c{number}"
        )
        assert reply.reservation is not None
    copy = replayed(live.take_events(), cap_counters_max=20, record_events=True)
    assert_same(live, copy, now_ns)
    assert copy.status().cap_counters <= 20


def test_a_cap_counts_from_where_it_began() -> None:
    """Holds from before a cap, and from before its counts began anew, are not given back to it."""
    live = sold_out_engine()
    ids = []

    def reserve(name: str) -> None:
        reply = live.reserve(name, [("apple", 1)], **AT_NOW, ttl_ns=10**6, customer_id="ann")
        ids.append(reply.reservation.reservation_id)

    cap = Cap("c", CapSubject.CUSTOMER, 9)
    reserve("before")
    live.set_cap(cap, **AT_NOW)
    reserve("first")
    live.set_cap(cap._replace(mode=CapMode.SHADOW, limit=8), **AT_NOW)  # goes on
    reserve("second")
    live.set_cap(cap._replace(window_ns=10**9), **AT_NOW)  # anew
    reserve("third")
    live.remove_cap("c", **AT_NOW)
    live.set_cap(cap, **AT_NOW)  # anew
    reserve("fourth")
    events = live.take_events()
    for hold in ids:
        copy = replayed(events)
        live_copy = replayed(events)
        for engine in (copy, live_copy):
            engine.release(hold, **AT_NOW)
        counted = 0 if hold == ids[-1] else 1
        counts = copy.dump(**AT_NOW)["cap_counts"]
        assert counts.get(("c", "ann", ""), 0) == counted
    live.release(ids[0], **AT_NOW)
    live.release(ids[4], **AT_NOW)
    assert_same(live, replayed(events + live.take_events(), record_events=True), NOW_NS)


def test_nothing_expires_by_the_clock_while_events_are_applied() -> None:
    """A hold that was due is held until its expiry event, or until somebody asks for the time."""
    live = sold_out_engine()
    live.reserve("r", [("apple", 3)], **AT_NOW, ttl_ns=10)
    live.sweep(now_ns=NOW_NS + 50)
    live.set_stock("pear", 1, now_ns=NOW_NS + 60)
    events = live.take_events()
    copy = replayed(events[:2], record_events=True)
    (stock,) = copy.get_availability(["apple"], now_ns=NOW_NS + 9)
    assert stock.held == 3
    late = [*events[:2], (3, events[3][1])]  # no expiry between
    engine = replayed(late, record_events=True)
    assert engine.status().time_ns == NOW_NS + 60
    assert engine.status().live_holds == 1
    assert engine.take_events() == []
    assert engine.get_availability(["apple"], now_ns=NOW_NS + 60)[0].held == 0
    assert len(engine.take_events()) == 1


def test_what_an_engine_has_already_is_passed_over() -> None:
    """Records up to the engine's sequence are read and left alone; a gap is an end."""
    live = sold_out_engine()
    for number in range(50):
        live.reserve(f"r{number}", [("apple", 1)], **AT_NOW, ttl_ns=10**6)
    events = live.take_events()
    copy = replayed(events[:7])
    done = _native.replay(copy, records_of(events), offset=0, first_sequence=1)
    assert (done.sequence, done.records) == (len(events), len(events) - 7)
    again = _native.replay(copy, records_of(events), offset=0, first_sequence=1)
    assert (again.sequence, again.records) == (len(events), 0)
    assert again.offset == len(records_of(events))
    gap = replayed(events[:3])
    done = _native.replay(gap, records_of(events[4:]), offset=0, first_sequence=4)
    assert done == (0, 3, 0)
    done = _native.replay(gap, records_of(events[3:]), offset=0, first_sequence=4, until=6)
    assert (done.sequence, done.records, gap.status().sequence) == (6, 3, 6)
