"""Threads beside each other in the engine: arrays of commands, recounted from their outcomes.

Single calls from Python's threads meet in the engine too seldom for a lock not taken to show: the
GIL keeps them apart. An array lets go of it once, so that its commands run beside those of others,
and a sanitizer sees them do so. Sizes go by `--thread-scale`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import Any, NamedTuple

import numpy as np

from atp._core import COMMAND_DTYPE, LINE_DTYPE, Engine, request_keys
from atp.vocabulary import (
    Cap,
    CapSubject,
    ChangeOutcome,
    Reservation,
    ReservationState,
    ReserveOutcome,
)
from conftest import native_engine
from crowd import Crowd

THREADS = 4
NOW_NS = 1_700_000_000_000_000_000
LIFE_NS = 10**9
REMEMBER_NS = 10**15
RESERVE, COMMIT, RELEASE = 1, 2, 3
CUSTOMERS = ("ann", "bob", "eve")

Scaled = Callable[[int], int]
Basket = dict[str, int]


class Told(NamedTuple):
    """A row of OUTCOME_DTYPE."""

    outcome: int
    repeated: int
    limit: int
    line_index: int
    sequence: int
    key: bytes


class Asked(NamedTuple):
    """One command, and what it was answered."""

    kind: int
    key: str
    basket: Basket
    customer: str
    told: Told


class Batch:
    """Commands of one buyer as arrays, made before anybody starts, and what they were answered."""

    def __init__(self, ids: str, count: int, random: Random, skus: list[str], ttls: list[int]):
        """`count` reserves, each followed by the end of that hold or of one shortly before it."""
        reserves = [f"{ids}-{number}" for number in range(count)]
        keys = request_keys(np.array(reserves, dtype="S64"))
        self.commands = np.zeros(2 * count, COMMAND_DTYPE)
        self.baskets: list[Basket] = []
        lines: list[tuple[bytes, int]] = []
        for number, request_id in enumerate(reserves):
            basket = {
                sku: random.randint(1, 2) for sku in random.sample(skus, random.randint(1, 3))
            }
            self.baskets.append(basket)
            row = self.commands[2 * number]
            row["kind"] = RESERVE
            row["request_id"] = request_id.encode()
            row["first_line"], row["line_count"] = len(lines), len(basket)
            lines += [(sku.encode(), quantity) for sku, quantity in basket.items()]
            row["customer_id"] = random.choice(CUSTOMERS).encode()
            row["client_ip"] = np.void(bytes(10) + bytes([255, 255, 10, 0, 0, number % 7]))
            row["ttl_ns"] = random.choice(ttls)
            row = self.commands[2 * number + 1]
            row["kind"] = random.choice([COMMIT, RELEASE, RELEASE])
            row["key"] = keys[max(0, number - random.randint(0, 3))]
        self.lines = np.array(lines, LINE_DTYPE)
        self.told: list[Told] = []

    def send(self, engine: Engine, now_ns: int) -> None:
        """Let the engine judge them all. The answers are read here, by the thread that they are
        written by: a sanitizer does not see how Python hands them on."""
        answers = engine.execute(self.commands, self.lines, now_ns=now_ns)
        self.told = [Told(*row) for row in answers.tolist()]

    def asked(self) -> Iterator[Asked]:
        """Every command with its answer."""
        for number, (command, told) in enumerate(zip(self.commands, self.told, strict=True)):
            basket = self.baskets[number // 2] if command["kind"] == RESERVE else {}
            customer = command["customer_id"].decode()
            yield Asked(int(command["kind"]), told.key.hex(), basket, customer, told)


def an_engine(stock: Basket, limit: int | None) -> Engine:
    """An engine that forgets nothing of a run, with stock and two caps: one of them has a limit,
    for each SKU."""
    engine: Engine = native_engine(remember_ns=REMEMBER_NS, longest_life_ns=LIFE_NS)
    for sku, on_hand in stock.items():
        engine.set_stock(sku, on_hand, now_ns=NOW_NS)
    engine.set_cap(Cap("customer", CapSubject.CUSTOMER, None), now_ns=NOW_NS)
    engine.set_cap(Cap("each", CapSubject.EVERYONE, limit, per_sku=True), now_ns=NOW_NS)
    return engine


def recount(asked: list[Asked], dump: dict[str, Any], caps: int, stock: Basket, limit: int) -> None:
    """Walk what changed in order of its sequence; the laws hold after each, and the dump agrees.
    `caps` is how often caps were changed meanwhile."""
    reservations: dict[str, Reservation] = dump["reservations"]
    changes: dict[int, tuple[int, str]] = {}
    baskets: dict[str, Asked] = {}
    for one in asked:
        if one.told.sequence and not one.told.repeated:
            assert one.told.sequence not in changes, "one sequence, two changes"
            changes[one.told.sequence] = (one.kind, one.key)
            if one.kind == RESERVE:
                assert baskets.setdefault(one.key, one) is one, "one request id, two holds"
    for key, reservation in reservations.items():
        if reservation.state == ReservationState.EXPIRED:
            changes[reservation.sequence] = (0, key)
    first = len(stock) + 2
    assert set(changes) <= set(range(first + 1, first + len(changes) + caps + 1))
    held, sold, in_force = Counter[str](), Counter[str](), Counter[str]()
    live: set[str] = set()
    for _, (kind, key) in sorted(changes.items()):
        basket = Counter(baskets[key].basket)
        if kind == RESERVE:
            live.add(key)
            held += basket
            in_force += basket
            assert all(held[sku] + sold[sku] <= stock[sku] for sku in basket), "law 1"
            assert all(in_force[sku] <= limit for sku in basket), "law 6"
            continue
        live.remove(key)  # law 3: once
        held -= basket
        if kind == COMMIT:
            sold += basket
        else:
            in_force -= basket
    assert {key for key, one in reservations.items() if one.state == ReservationState.HELD} == live
    for key, reservation in reservations.items():
        assert {line.sku: line.quantity for line in reservation.lines} == baskets[key].basket
    for sku, counters in dump["stock"].items():
        assert (counters.held, counters.sold) == (held[sku], sold[sku])
    counts = {key: units for key, units in dump["cap_counts"].items() if key[0] != "net"}
    ours = Counter({("each", "", sku): units for sku, units in in_force.items()})
    for key, reservation in reservations.items():
        units = sum(line.held + line.committed for line in reservation.lines)
        ours["customer", baskets[key].customer, ""] += units
    assert counts == +ours


def test_many_arrays_at_once(scaled: Scaled) -> None:
    """Baskets, commits, releases and expiries from all sides, while an operator changes caps."""
    # Half of the SKUs run short of stock first, the others come to the limit.
    stock = {f"s{number}": scaled(120 if number % 2 else 400) for number in range(150)}
    limit = scaled(180)
    engine = an_engine(stock, limit)
    rounds, changed = 4, 0

    def operate() -> None:
        nonlocal changed
        for number in range(30):
            net = Cap("net", CapSubject.SUBNET, 10**9, ipv4_prefix_length=24 + number % 8)
            engine.set_cap(net._replace(ipv6_prefix_length=64), now_ns=NOW_NS)
            engine.remove_cap("net", now_ns=NOW_NS)
            changed += 2

    asked: list[Asked] = []
    for number in range(rounds):
        now_ns = NOW_NS + 100 * number
        batches = [
            Batch(f"{thread}-{number}", scaled(1_500), Random(thread), [*stock], [50, LIFE_NS])
            for thread in range(THREADS)
        ]
        Crowd(engine).run(*[partial(batch.send, engine, now_ns) for batch in batches], operate)
        assert engine.check(now_ns=now_ns).violations == ()
        asked += [one for batch in batches for one in batch.asked()]
    outcomes = {ReserveOutcome(one.told.outcome) for one in asked if one.kind == RESERVE}
    refused = {ReserveOutcome.CAP_REACHED, ReserveOutcome.STOCK_SHORT}
    assert outcomes == {ReserveOutcome.GRANTED, *refused}
    dump = engine.dump(now_ns=NOW_NS + 100 * rounds)
    recount(asked, dump, changed, stock, limit)


def test_the_same_array_from_everyone(scaled: Scaled) -> None:
    """One grant for each id, and everyone is told of it."""
    stock = {f"s{number}": 20 for number in range(150)}
    engine = an_engine(stock, 15)
    # Drawn alike, so that all ask for the same.
    batches = [Batch("same", scaled(2_000), Random(7), [*stock], [LIFE_NS]) for _ in range(THREADS)]
    Crowd(engine).run(*[partial(batch.send, engine, NOW_NS) for batch in batches])
    for told in zip(*(batch.asked() for batch in batches), strict=True):
        yes = ReserveOutcome.GRANTED if told[0].kind == RESERVE else ChangeOutcome.DONE
        done = [one.told for one in told if one.told.outcome == yes]
        first = [one for one in done if not one.repeated]
        assert len(first) <= 1
        if told[0].kind == RESERVE:
            assert len(first) == bool(done)
            assert len({one.sequence for one in done}) <= 1
    assert engine.check(now_ns=NOW_NS).violations == ()


def test_no_end_is_missed(scaled: Scaled) -> None:
    """Ends that come nearer while a sweep looks for the next one are found by whoever reads."""
    skus = [f"s{number}" for number in range(64)]
    engine = an_engine(dict.fromkeys(skus, 10**6), None)
    for number in range(scaled(100)):
        now_ns = NOW_NS + 1_000 * number
        batches = [
            Batch(f"{thread}-{number}", 20, Random(thread), skus, [*range(1, 900)])
            for thread in range(THREADS - 1)
        ]
        sweep = partial(engine.sweep, now_ns=now_ns)
        Crowd(engine).run(sweep, *[partial(batch.send, engine, now_ns) for batch in batches])
        stocks = engine.get_availability(skus, now_ns=now_ns + 1_000)
        assert [stock.held for stock in stocks if stock is not None] == [0] * len(skus)
