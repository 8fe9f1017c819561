"""Real threads on one native engine; afterwards every law is recounted, twice.

Once by the engine's own check, once in `laws.py` from what the threads were told and the dump.
Sizes go by `--thread-scale`, so that the same tests run under sanitizers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

import pytest

from atp.vocabulary import (
    Cap,
    CapMode,
    CapSubject,
    ChangeOutcome,
    ReservationState,
    ReserveOutcome,
    StockReason,
)
from conftest import native_engine
from crowd import Crowd

THREADS = 8
NOW_NS = 1_700_000_000_000_000_000
LIFE_NS = 10**9
TTL: dict[str, Any] = {"ttl_ns": LIFE_NS, "now_ns": NOW_NS}
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}

Scaled = Callable[[int], int]


@pytest.fixture
def crowd() -> Crowd:
    """An engine that forgets nothing of a run, and a crowd around it."""
    return Crowd(native_engine(remember_ns=10**15, longest_life_ns=LIFE_NS, record_events=True))


def numbered(count: int, job: Callable[..., None]) -> list[Callable[..., None]]:
    """One job for each thread, each with its number."""
    return [partial(job, number) for number in range(count)]


def test_hot_sku(crowd: Crowd, scaled: Scaled) -> None:
    """Everyone wants one SKU; exactly what there is, is sold, and nobody gets more."""
    rounds = scaled(1_000)
    on_hand = THREADS * rounds
    crowd.ask("set_stock", "hot", on_hand, **AT_NOW)

    def shop(thread: int) -> None:
        random = Random(thread)
        for number in range(rounds):
            lines = [("hot", random.randint(1, 3))]
            reply = crowd.ask("reserve", f"{thread}-{number}", lines, **TTL)
            if reply.outcome == ReserveOutcome.GRANTED:
                way = random.random()
                if way < 0.4:
                    crowd.ask("commit", reply.reservation.reservation_id, **AT_NOW)
                elif way < 0.8:
                    crowd.ask("release", reply.reservation.reservation_id, **AT_NOW)

    crowd.run(*numbered(THREADS, shop))
    # The rest is bought unit by unit, by all at once, until nothing is left.
    left = crowd.engine.get_availability(["hot"], now_ns=NOW_NS)[0].available

    def sell_out(thread: int) -> None:
        outcome, number = ReserveOutcome.GRANTED, 0
        while outcome == ReserveOutcome.GRANTED:
            outcome = crowd.ask("reserve", f"last-{thread}-{number}", [("hot", 1)], **TTL).outcome
            number += 1

    crowd.run(*numbered(THREADS, sell_out))
    bought = [s for s in crowd.said if s.name == "reserve" and s.words[0].startswith("last")]
    granted = sum(1 for s in bought if s.answer.outcome == ReserveOutcome.GRANTED)
    assert granted == left
    stock = crowd.recount(NOW_NS)["stock"]["hot"]
    assert stock.available == 0
    assert stock.sold + stock.held == on_hand


def test_overlapping_baskets_in_opposite_order(crowd: Crowd, scaled: Scaled) -> None:
    """Baskets over many shards, each line order and its opposite: no deadlock, all or nothing."""
    skus = [f"s{number}" for number in range(40)]
    for sku in skus:
        crowd.ask("set_stock", sku, scaled(300), **AT_NOW)

    def shop(thread: int) -> None:
        random = Random(thread)
        for number in range(scaled(150)):
            chosen = random.sample(skus, random.randint(2, 30))
            lines = [(sku, 1) for sku in sorted(chosen, reverse=thread % 2 == 1)]
            reply = crowd.ask("reserve", f"{thread}-{number}", lines, **TTL)
            if reply.outcome == ReserveOutcome.GRANTED:
                assert len(reply.reservation.lines) == len(lines)
                name = random.choice(["commit", "release", "release"])
                crowd.ask(name, reply.reservation.reservation_id, **AT_NOW)

    crowd.run(*numbered(THREADS, shop))
    crowd.recount(NOW_NS)


@pytest.mark.parametrize("window_ns", [None, 3_000])
def test_shared_caps(crowd: Crowd, scaled: Scaled, window_ns: int | None) -> None:
    """Few customers, addresses and subnets over many threads: nobody gets above a limit."""
    skus = [f"s{number}" for number in range(6)]
    for sku in skus:
        crowd.ask("set_stock", sku, 10**6, **AT_NOW)
    for cap in (
        Cap("customer", CapSubject.CUSTOMER, 60, window_ns=window_ns),
        Cap("address", CapSubject.IP, 12, skus=tuple(skus[:3]), per_sku=True, window_ns=window_ns),
        Cap("net", CapSubject.SUBNET, 70, ipv4_prefix_length=24, ipv6_prefix_length=48),
        Cap("all", CapSubject.EVERYONE, 60, skus=tuple(skus[3:])),
        Cap("basket", CapSubject.RESERVATION, 7),
    ):
        crowd.ask("set_cap", cap, **AT_NOW)

    def shop(thread: int) -> None:
        random = Random(thread)
        mine: list[str] = []
        for number in range(scaled(400)):
            now_ns = NOW_NS + number * 20
            lines = [(sku, random.randint(1, 3)) for sku in random.choices(skus, k=3)]
            reply = crowd.ask(
                "reserve",
                f"{thread}-{number}",
                lines,
                now_ns=now_ns,
                ttl_ns=random.choice([50, 900, LIFE_NS]),
                customer_id=random.choice(["ann", "bob", "eve", ""]),
                client_ip=f"10.0.{random.randint(0, 1)}.{random.randint(1, 3)}",
                allow_partial=random.random() < 0.5,
            )
            if reply.reservation is not None:
                mine.append(reply.reservation.reservation_id)
            while len(mine) > 2:
                key = mine.pop(random.randrange(len(mine)))
                name = "commit" if random.random() < 0.02 else "release"
                crowd.ask(name, key, now_ns=now_ns)

    crowd.run(*numbered(THREADS, shop))
    # All threads are done, none of their instants is later than this.
    crowd.recount(NOW_NS + scaled(400) * 20)


def test_the_same_ids_from_everyone(crowd: Crowd, scaled: Scaled) -> None:
    """Retries of many clients at once: one grant for each id, and everyone gets its answer."""
    count = scaled(600)
    crowd.ask("set_stock", "a", 2 * count, **AT_NOW)
    crowd.ask("set_cap", Cap("c", CapSubject.CUSTOMER, 2 * count), **AT_NOW)
    told: list[list[Any]] = [[] for _ in range(THREADS)]

    def retry(thread: int, number: int) -> None:
        lines, who = [("a", 2)], {"customer_id": "ann"}
        told[thread].append(crowd.ask("reserve", f"r{number}", lines, **TTL, **who))

    crowd.run_rounds(count, *numbered(THREADS, retry))
    for answers in zip(*told, strict=True):
        assert {answer.outcome for answer in answers} == {ReserveOutcome.GRANTED}
        assert sorted(answer.repeated for answer in answers) == [False] + [True] * (THREADS - 1)
        assert len({answer.sequence for answer in answers}) == 1
        assert len({answer.reservation for answer in answers}) == 1
    dump = crowd.recount(NOW_NS)
    assert dump["stock"]["a"].held == 2 * count
    assert dump["cap_counts"] == {("c", "ann", ""): 2 * count}


def test_the_same_ids_for_different_things(crowd: Crowd, scaled: Scaled) -> None:
    """Of several contents under one id exactly one is done, whatever kind it is."""
    count = scaled(300)
    crowd.ask("set_stock", "a", 10**6, **AT_NOW)
    base = crowd.ask("reserve", "base", [("a", 1_000)], **TTL).reservation.reservation_id
    done: list[int] = []  # appending is one step, adding to a count is two

    def contend(thread: int, number: int) -> None:
        request_id, units = f"x{number}", 1 + thread // 4
        if thread % 4 == 0:
            reply = crowd.ask("reserve", request_id, [("a", units)], **TTL)
        elif thread % 4 == 3:
            words = (request_id, "a", units, StockReason.COUNTED)
            reply = crowd.ask("adjust_stock", *words, **AT_NOW)
        else:
            name = "commit" if thread % 4 == 1 else "release"
            reply = crowd.ask(name, base, [("a", units)], **AT_NOW, request_id=request_id)
        refused = reply.outcome.name == "REQUEST_ID_REUSED"
        assert refused or reply.outcome.name in ("GRANTED", "DONE")
        if not refused:
            done.append(number)

    crowd.run_rounds(count, *numbered(THREADS, contend))
    assert Counter(done) == dict.fromkeys(range(count), 1)
    crowd.recount(NOW_NS)


def test_replace_release_and_commit_race(crowd: Crowd, scaled: Scaled) -> None:
    """Each hold is ended by one of those who want to, and its units are in one place after."""
    count = scaled(400)
    crowd.ask("set_stock", "a", 10 * count, **AT_NOW)
    crowd.ask("set_stock", "b", 10 * count, **AT_NOW)
    who = {"customer_id": "ann", "client_ip": "10.0.0.1"}
    crowd.ask("set_cap", Cap("c", CapSubject.IP, 100 * count), **AT_NOW)
    lines = [("a", 2), ("b", 1)]
    replies = [crowd.ask("reserve", f"h{n}", lines, **TTL, **who) for n in range(count)]
    holds = [reply.reservation.reservation_id for reply in replies]

    def race(thread: int, number: int) -> None:
        way, hold = thread % 4, holds[number]
        if way < 2:
            words = (f"{thread}-{number}", [("b", 2), ("a", 1)])
            crowd.ask("reserve", *words, **TTL, **who, replaces=hold)
        else:
            crowd.ask("release" if way == 2 else "commit", hold, **AT_NOW)

    crowd.run_rounds(count, *numbered(THREADS, race))
    ended: Counter[str] = Counter()
    for said in crowd.said:
        if said.name in ("commit", "release") and said.answer.sequence:
            ended[said.words[0]] += not said.answer.repeated
        elif said.name == "reserve" and said.keywords.get("replaces") and said.answer.sequence:
            ended[said.keywords["replaces"]] += 1
    assert ended == dict.fromkeys(holds, 1)
    crowd.recount(NOW_NS)


def test_expiry_races_with_commits_at_the_instant(crowd: Crowd, scaled: Scaled) -> None:
    """Just before the end commits win or lose; nobody who comes at the end or later wins."""
    count = scaled(250)
    crowd.ask("set_stock", "a", count, **AT_NOW)
    ends = [NOW_NS + 10 * (number + 1) for number in range(count)]
    keys = []
    for number, end_ns in enumerate(ends):
        reply = crowd.ask("reserve", f"r{number}", [("a", 1)], **AT_NOW, expire_time_ns=end_ns)
        keys.append(reply.reservation.reservation_id)

    def commit_just_before(number: int) -> None:
        crowd.ask("commit", keys[number], now_ns=ends[number] - 1)

    def release_just_before(number: int) -> None:
        crowd.ask("release", keys[number], now_ns=ends[number] - 1)

    def extend_just_before(number: int) -> None:
        if number % 3 == 0:
            end_ns = ends[number] + 5
            crowd.ask("extend", keys[number], now_ns=ends[number] - 1, expire_time_ns=end_ns)

    def commit_at_the_end(number: int) -> None:
        reply = crowd.ask("commit", keys[number], now_ns=ends[number])
        prolonged = number % 3 == 0
        assert prolonged or reply.outcome != ChangeOutcome.DONE or reply.repeated

    def buy_what_comes_back(number: int) -> None:
        crowd.ask("reserve", f"n{number}", [("a", 1)], now_ns=ends[number], ttl_ns=500)

    jobs = [commit_just_before, commit_at_the_end, extend_just_before] * 2
    crowd.run_rounds(count, *jobs, release_just_before, buy_what_comes_back)
    dump = crowd.recount(ends[-1] + 25)
    states = Counter(dump["reservations"][key].state for key in keys)
    assert ReservationState.HELD not in states
    assert states.total() == count
    assert dump["stock"]["a"].sold == states[ReservationState.COMMITTED]


def test_caps_and_stock_change_under_load(crowd: Crowd, scaled: Scaled) -> None:
    """An operator turns every knob while shoppers shop; each command meets one setting."""
    skus = ["a", "b", "c"]
    for sku in skus:
        crowd.ask("set_stock", sku, 500, **AT_NOW)
    rounds = scaled(300)

    def shop(thread: int) -> None:
        random = Random(thread)
        for number in range(rounds):
            now_ns = NOW_NS + number
            lines = [(sku, random.randint(1, 2)) for sku in random.sample(skus, 2)]
            reply = crowd.ask(
                "reserve",
                f"{thread}-{number}",
                lines,
                now_ns=now_ns,
                ttl_ns=random.choice([5, 50, LIFE_NS]),
                customer_id=random.choice(["ann", "bob", "eve"]),
                client_ip=f"10.0.0.{random.randint(1, 4)}",
                allow_partial=random.random() < 0.3,
            )
            if reply.reservation is not None and random.random() < 0.7:
                key = reply.reservation.reservation_id
                way = random.choice(["commit", "release", "release", "extend"])
                more = {"ttl_ns": 300} if way == "extend" else {}
                crowd.ask(way, key, now_ns=now_ns, **more)

    def operate() -> None:
        random = Random(99)
        for number in range(rounds):
            now_ns = NOW_NS + number
            cap = Cap(
                random.choice(["c1", "c2"]),
                random.choice([CapSubject.CUSTOMER, CapSubject.IP, CapSubject.EVERYONE]),
                random.choice([None, 20, 60, 150]),
                per_sku=random.random() < 0.5,
                window_ns=random.choice([None, 100]),
                mode=random.choice([CapMode.ENFORCE, CapMode.ENFORCE, CapMode.SHADOW]),
            )
            crowd.ask("set_cap", cap, now_ns=now_ns)
            if random.random() < 0.1:
                crowd.ask("remove_cap", cap.cap_id, now_ns=now_ns)
            words = (f"adjust-{number}", random.choice(skus), random.choice([-3, 2, 5]))
            crowd.ask("adjust_stock", *words, StockReason.COUNTED, now_ns=now_ns)

    def look() -> None:
        for number in range(rounds):
            now_ns = NOW_NS + number
            for stock in crowd.engine.get_availability(skus, now_ns=now_ns):
                assert 0 <= stock.held <= stock.on_hand
                assert stock.on_hand == stock.received + stock.adjusted - stock.sold
            assert crowd.engine.check(now_ns=now_ns).violations == ()

    crowd.run(*numbered(THREADS, shop), operate, look)
    crowd.recount(NOW_NS + rounds)
