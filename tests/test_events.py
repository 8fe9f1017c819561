"""Events alone rebuild the state: a record holds everything that recovery will need.

The native engine runs random histories and crowds of threads with its events recorded; the replayer
of `events_replay.py`, which judges nothing, must come to the same stock, reservations, receipts and
cap counts, with no gap in the sequences. What an event says is looked at one by one, too.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp.v1.cap_service_pb2 import CAP_MODE_SHADOW, CAP_SUBJECT_SUBNET
from atp.v1.event_pb2 import Event
from atp.v1.stock_service_pb2 import STOCK_REASON_RETURNED
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject, StockReason
from conftest import native_engine
from crowd import Crowd
from events_replay import Replayer
from histories import LIFE_NS, History
from pair import attempt, key_teller

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
MINUTE_NS = 60 * 10**9


@given(seed=st.integers(0, 2**32), remember_ns=st.sampled_from([1, 300, 10**6]))
@settings(phases=[Phase.generate])  # a seed does not shrink
def test_events_rebuild_the_state(seed: int, remember_ns: int) -> None:
    """After every few commands the events so far come to what the engine holds."""
    key_of = key_teller(native_engine)
    engine = native_engine(longest_life_ns=LIFE_NS, remember_ns=remember_ns, record_events=True)
    history, replayer = History(Random(seed), key_of), Replayer()
    for number, command in enumerate(history.commands(200)):
        answer = attempt(getattr(engine, command.name), command.words, command.keywords)
        history.note(command, answer)
        if number % 20 == 0:
            replay(engine, replayer, remember_ns)
    replay(engine, replayer, remember_ns)


def replay(engine: Any, replayer: Replayer, remember_ns: int) -> None:
    """Apply the events since the last time, and compare with the engine's dump."""
    now_ns = engine.status().time_ns
    dump = engine.dump(now_ns=now_ns)
    for sequence, recorded in engine.take_events():
        replayer.apply(sequence, Event.FromString(recorded))
    assert replayer.sequence == engine.status().sequence
    replayer.compare(dump, now_ns, remember_ns)


def test_events_of_many_threads(scaled: Callable[[int], int]) -> None:
    """The events of a crowd are in one order without a gap, and come to the same state."""
    engine = native_engine(longest_life_ns=MINUTE_NS, remember_ns=10**15, record_events=True)
    crowd, replayer = Crowd(engine), Replayer(many_threads=True)
    skus = [f"s{number}" for number in range(20)]
    for sku in skus:
        crowd.ask("set_stock", sku, scaled(500), **AT_NOW)
    crowd.ask("set_cap", Cap("c", CapSubject.CUSTOMER, 200), **AT_NOW)

    def shop(thread: int) -> Callable[[], None]:
        def job() -> None:
            random = Random(thread)
            for number in range(scaled(200)):
                now_ns = NOW_NS + number
                reply = crowd.ask(
                    "reserve",
                    f"{thread}-{number}",
                    [(sku, 1) for sku in random.sample(skus, 3)],
                    now_ns=now_ns,
                    ttl_ns=random.choice([3, 50, MINUTE_NS]),
                    customer_id=random.choice(["ann", "bob"]),
                )
                if reply.reservation is not None and random.random() < 0.7:
                    key = reply.reservation.reservation_id
                    crowd.ask(random.choice(["commit", "release"]), key, now_ns=now_ns)

        return job

    taken: list[tuple[int, bytes]] = []

    def take() -> None:
        for _ in range(scaled(200)):
            taken.extend(engine.take_events())

    crowd.run(*(shop(thread) for thread in range(8)), take)
    for sequence, recorded in taken:
        replayer.apply(sequence, Event.FromString(recorded))
    now_ns = NOW_NS + scaled(200)
    engine.sweep(now_ns=now_ns)
    replay(engine, replayer, 10**15)
    crowd.recount(now_ns)


@pytest.fixture
def engine() -> Any:
    """A recording engine with ten apples and ten pears, whose first two events are taken."""
    engine = native_engine(longest_life_ns=MINUTE_NS, record_events=True)
    engine.set_stock("apple", 10, **AT_NOW)
    engine.set_stock("pear", 10, **AT_NOW)
    engine.take_events()
    return engine


def events_of(engine: Any) -> list[Event]:
    """The events since the last time."""
    return [Event.FromString(recorded) for _, recorded in engine.take_events()]


def test_what_a_reserve_says(engine: Any) -> None:
    """What was granted, to whom, until when, under which id; lines of one SKU are one."""
    lines = [("pear", 1), ("apple", 2), ("pear", 3)]
    who = {"customer_id": "ann", "client_ip": "::ffff:10.0.0.1"}
    first = engine.reserve("r1", lines, **AT_NOW, ttl_ns=1_000, **who)
    (event,) = events_of(engine)
    assert event.time_ns == NOW_NS
    told = event.reserved
    assert told.reservation_key.hex() == first.reservation.reservation_id
    assert [(line.sku, line.quantity) for line in told.lines] == [("pear", 4), ("apple", 2)]
    assert told.expire_time_ns == NOW_NS + 1_000
    assert (told.customer_id, told.client_ip, told.request_id) == ("ann", b"\x0a\0\0\x01", "r1")
    assert (told.partial, told.replaced_reservation_key) == (False, b"")
    # Another request with the same content but its id has the same fingerprint; others do not.
    engine.reserve("r2", lines, **AT_NOW, ttl_ns=1_000, **who)
    engine.reserve("r3", [("apple", 1)], **AT_NOW, ttl_ns=1_000, client_ip="2001:db8::1")
    second, third = events_of(engine)
    assert second.reserved.fingerprint == told.fingerprint
    assert third.reserved.fingerprint != told.fingerprint
    assert len(third.reserved.client_ip) == 16


def test_what_a_replacement_in_part_says(engine: Any) -> None:
    """One event swaps the two, and says that less was granted than asked for."""
    first = engine.reserve("r1", [("apple", 4)], **AT_NOW, ttl_ns=1_000, customer_id="ann")
    key = first.reservation.reservation_id
    engine.reserve(
        "r2",
        [("apple", 12), ("plum", 1)],
        **AT_NOW,
        ttl_ns=1_000,
        customer_id="ann",
        replaces=key,
        allow_partial=True,
    )
    _, event = events_of(engine)
    assert event.reserved.replaced_reservation_key.hex() == key
    assert event.reserved.partial
    assert [(line.sku, line.quantity) for line in event.reserved.lines] == [("apple", 10)]


def test_what_the_end_of_a_hold_says(engine: Any) -> None:
    """Some lines by name, all of them by none; a receipt where the request had an id."""
    ids = []
    for number in range(4):
        reply = engine.reserve(f"r{number}", [("apple", 2)], **AT_NOW, ttl_ns=1_000)
        ids.append(reply.reservation.reservation_id)
    engine.take_events()
    engine.commit(ids[0], [("apple", 1)], **AT_NOW, request_id="x1")
    engine.release(ids[1], **AT_NOW)
    engine.extend(ids[2], expire_time_ns=NOW_NS + 2_000, **AT_NOW, request_id="x2")
    engine.sweep(now_ns=NOW_NS + 1_000)
    committed, released, extended, *expired = events_of(engine)
    assert committed.committed.reservation_key.hex() == ids[0]
    assert [(line.sku, line.quantity) for line in committed.committed.lines] == [("apple", 1)]
    assert len(committed.committed.receipt.request_key) == 16
    assert released.released.reservation_key.hex() == ids[1]
    assert list(released.released.lines) == []
    assert not released.released.HasField("receipt")
    assert extended.extended.expire_time_ns == NOW_NS + 2_000
    assert extended.extended.receipt.request_key != committed.committed.receipt.request_key
    assert {event.expired.reservation_key.hex() for event in expired} == {ids[0], ids[3]}


@pytest.mark.parametrize("seed", range(8))
def test_holds_expire_in_order_whatever_was_sold_before_its_time(seed: int) -> None:
    """A sale leaves behind that something was due early where later holds are: it says nothing."""
    rng = Random(seed)
    engine = native_engine(longest_life_ns=MINUTE_NS, record_events=True)
    skus = [f"sku-{number}" for number in range(30)]
    for sku in skus:
        engine.set_stock(sku, 1_000, **AT_NOW)
    due: dict[str, int] = {}
    for number in range(200):
        lines = [(sku, 1) for sku in rng.sample(skus, rng.choice((1, 1, 1, 4)))]
        ttl_ns = rng.randrange(1, 100_000)
        reply = engine.reserve(f"r{number}", lines, **AT_NOW, ttl_ns=ttl_ns)
        hold = reply.reservation.reservation_id
        if rng.random() < 0.5:
            rng.choice((engine.commit, engine.release))(hold, **AT_NOW)
        else:
            due[hold] = NOW_NS + ttl_ns
    engine.take_events()
    engine.sweep(now_ns=NOW_NS + 50_000)
    engine.sweep(now_ns=NOW_NS + 100_000)
    expired = [event.expired.reservation_key.hex() for event in events_of(engine)]
    assert sorted(expired) == sorted(due)
    assert [due[hold] for hold in expired] == sorted(due.values())


def test_what_a_change_of_stock_says(engine: Any) -> None:
    """The counters after it, the reason, and the receipt of an adjustment."""
    engine.set_stock("apple", 7, **AT_NOW)
    engine.adjust_stock("a1", "apple", 2, StockReason.RETURNED, **AT_NOW)
    engine.set_stock("apple", 9, **AT_NOW)  # changes nothing: no event
    first, second = (event.stock_changed for event in events_of(engine))
    assert (first.sku, first.on_hand_quantity, first.received_quantity) == ("apple", 7, 10)
    assert (first.adjusted_quantity, first.reason, first.HasField("receipt")) == (-3, 0, False)
    assert (second.on_hand_quantity, second.adjusted_quantity) == (9, -1)
    assert second.reason == STOCK_REASON_RETURNED
    assert second.HasField("receipt")


def test_what_a_cap_says(engine: Any) -> None:
    """The whole cap, and whether counting starts anew."""
    cap = Cap(
        cap_id="c",
        subject=CapSubject.SUBNET,
        limit=0,
        skus=("apple", "pear"),
        per_sku=True,
        window_ns=90 * 10**9 + 5,
        mode=CapMode.SHADOW,
        overrides=(CapOverride("10.0.0.0/8", None), CapOverride("10.1.0.0/16", 7)),
        ipv4_prefix_length=24,
        ipv6_prefix_length=56,
    )
    engine.set_cap(cap, **AT_NOW)
    engine.set_cap(cap, **AT_NOW)  # changes nothing: no event
    engine.set_cap(cap._replace(limit=None), **AT_NOW)
    engine.set_cap(cap._replace(limit=None, per_sku=False), **AT_NOW)
    engine.remove_cap("c", **AT_NOW)
    first, second, third, last = events_of(engine)
    told = first.cap_set.cap
    assert (told.cap_id, told.subject, told.mode) == ("c", CAP_SUBJECT_SUBNET, CAP_MODE_SHADOW)
    assert (told.HasField("limit_quantity"), told.limit_quantity) == (True, 0)
    assert (list(told.skus), told.per_sku) == (["apple", "pear"], True)
    assert (told.window.seconds, told.window.nanos) == (90, 5)
    assert (told.ipv4_prefix_length, told.ipv6_prefix_length) == (24, 56)
    overrides = [
        (o.subject, o.HasField("limit_quantity"), o.limit_quantity) for o in told.overrides
    ]
    assert overrides == [("10.0.0.0/8", False, 0), ("10.1.0.0/16", True, 7)]
    assert not second.cap_set.counts_reset
    assert not second.cap_set.cap.HasField("limit_quantity")
    assert third.cap_set.counts_reset
    assert last.cap_removed.cap_id == "c"


def test_nothing_is_recorded_of_what_changes_nothing(engine: Any) -> None:
    """Refusals, repeats and reads leave no event."""
    engine.reserve("r1", [("apple", 1)], **AT_NOW, ttl_ns=1_000)
    engine.take_events()
    engine.reserve("r1", [("apple", 1)], **AT_NOW, ttl_ns=1_000)
    engine.reserve("r1", [("apple", 2)], **AT_NOW, ttl_ns=1_000)
    engine.reserve("r2", [("apple", 99)], **AT_NOW, ttl_ns=1_000)
    engine.commit("0" * 32, **AT_NOW)
    engine.get_availability(["apple"], **AT_NOW)
    engine.check(**AT_NOW)
    assert engine.take_events() == []


def test_an_engine_that_does_not_record_has_nothing_to_give() -> None:
    engine = native_engine()
    engine.set_stock("apple", 1, **AT_NOW)
    assert engine.take_events() == []


def test_a_false_event_is_found() -> None:
    """The canary: a replay of events of which one is changed does not come to the same state."""
    engine = native_engine(longest_life_ns=MINUTE_NS, remember_ns=10**15, record_events=True)
    engine.set_stock("apple", 10, **AT_NOW)
    engine.set_cap(Cap("c", CapSubject.CUSTOMER, 9), **AT_NOW)
    reply = engine.reserve("r", [("apple", 3)], **AT_NOW, ttl_ns=1_000, customer_id="ann")
    engine.release(reply.reservation.reservation_id, [("apple", 1)], **AT_NOW, request_id="x")
    true = [(sequence, Event.FromString(data)) for sequence, data in engine.take_events()]
    dump = engine.dump(**AT_NOW)

    def come_to_the_same(events: list[tuple[int, Event]]) -> bool:
        replayer = Replayer()
        try:
            for sequence, event in events:
                replayer.apply(sequence, event)
            replayer.compare(dump, NOW_NS, 10**15)
        except AssertionError:
            return False
        return True

    assert come_to_the_same(true)
    assert not come_to_the_same(true[:-1])
    assert not come_to_the_same([true[0], true[2], true[3]])
    for change in ("stock_changed.sku", "reserved.customer_id", "reserved.expire_time_ns"):
        false = [
            (sequence, Event.FromString(event.SerializeToString())) for sequence, event in true
        ]
        kind, _, name = change.partition(".")
        told = next(getattr(e, kind) for _, e in false if e.WhichOneof("change") == kind)
        value = getattr(told, name)
        setattr(told, name, value + 1 if isinstance(value, int) else value + "x")
        found = False
        try:
            found = not come_to_the_same(false)
        except KeyError:
            found = True
        assert found, change
