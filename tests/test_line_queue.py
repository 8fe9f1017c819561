"""When the first unit of a SKU comes back, however its holds come and go.

Live lines stand in a row as long as they end in the order they came, and in a heap otherwise, and
go from one to the other. Owns orders that are seldom met by chance; the reference here is a plain
list. That the engine's own recount finds nothing is asked along the way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random

import pytest

from atp._core import Engine
from conftest import native_engine

SECOND = 10**9
SKU = "S"
MINUTE, QUARTER, DAY = 60, 900, 86_400
Lives = Callable[[Random], int]
"""How long the next hold lives, in seconds."""

LIVES: dict[str, Lives] = {
    "all alike": lambda chance: MINUTE,
    "one of many lives long": lambda chance: QUARTER if chance.randrange(20) == 0 else MINUTE,
    "half live long": lambda chance: chance.choice([MINUTE, QUARTER]),
    "most live long": lambda chance: MINUTE if chance.randrange(20) == 0 else QUARTER,
    "few in a row live long": lambda chance: QUARTER + chance.randrange(3) * MINUTE,
    "each ends before the one before": lambda chance: 0,
    "any": lambda chance: chance.randrange(1, QUARTER),
}


class Shop:
    """One SKU and the ends of its holds, as the engine has them and as they should be."""

    def __init__(self, chance: Random, lives: str) -> None:
        self.engine: Engine = native_engine()
        self.engine.set_stock(SKU, 10**9, now_ns=1)
        self.chance, self.lives = chance, LIVES[lives]
        self.now = 1
        self.ends: dict[str, int] = {}
        self.halves: set[str] = set()

    def reserve(self) -> None:
        seconds = self.lives(self.chance) or DAY // 2 - len(self.ends) - self.now // SECOND
        ttl_ns = seconds * SECOND
        request = f"r{self.now}-{self.chance.getrandbits(60)}"
        reply = self.engine.reserve(request, [(SKU, 2)], now_ns=self.now, ttl_ns=ttl_ns)
        self.ends[reply.reservation.reservation_id] = self.now + ttl_ns

    def extend(self, hold: str) -> None:
        later_ns = self.ends[hold] - self.now + self.chance.choice([1, SECOND, QUARTER * SECOND])
        reply = self.engine.extend(hold, now_ns=self.now, ttl_ns=later_ns)
        assert reply.reservation.expire_time_ns == self.now + later_ns
        self.ends[hold] = self.now + later_ns

    def end(self, hold: str) -> None:
        how = self.chance.choice([self.engine.commit, self.engine.release])
        if hold not in self.halves and self.chance.randrange(3) == 0:
            how(hold, [(SKU, 1)], now_ns=self.now, request_id=f"half-{hold}")
            self.halves.add(hold)  # the other unit is still held
            return
        how(hold, now_ns=self.now)
        del self.ends[hold]

    def pass_time(self) -> None:
        self.now += self.chance.choice([1, SECOND, 10 * SECOND])
        self.engine.sweep(now_ns=self.now)
        self.ends = {hold: end for hold, end in self.ends.items() if end > self.now}

    def step(self) -> None:
        action = self.chance.randrange(10)
        hold = self.chance.choice(list(self.ends)) if self.ends else None
        if action < 6 or hold is None:
            self.reserve()
        elif action == 6:
            self.extend(hold)
        elif action < 9:
            self.end(hold)
        else:
            self.pass_time()

    def compare(self) -> None:
        (stock,) = self.engine.get_availability([SKU], now_ns=self.now)
        assert stock is not None
        assert stock.first_expire_time_ns == min(self.ends.values(), default=None)
        sooner, later = self.now + MINUTE * SECOND, self.now + QUARTER * SECOND
        assert self.engine.lines_due(sooner_ns=sooner, later_ns=later) == (
            sum(end <= sooner for end in self.ends.values()),
            sum(end <= later for end in self.ends.values()),
        )


@pytest.mark.parametrize("lives", LIVES)
@pytest.mark.parametrize("seed", range(3))
def test_the_first_to_end_is_known_whatever_came_in_between(lives: str, seed: int) -> None:
    shop = Shop(Random(f"{lives} {seed}"), lives)
    for number in range(1_200):
        shop.step()
        shop.compare()
        if number % 20 == 0:
            assert shop.engine.check(now_ns=shop.now).violations == ()
    shop.now += DAY * SECOND
    shop.engine.sweep(now_ns=shop.now)
    assert shop.engine.status().live_holds == 0
    assert shop.engine.check(now_ns=shop.now).violations == ()


def test_a_replaced_hold_was_the_only_one_in_order() -> None:
    """The room that was promised is there, though all that stood before it has gone."""
    engine = native_engine()
    engine.set_stock(SKU, 10, now_ns=1)
    first = engine.reserve(
        "a", [(SKU, 1)], now_ns=1, ttl_ns=QUARTER * SECOND, customer_id="c"
    ).reservation.reservation_id
    second = engine.reserve(
        "b", [(SKU, 2)], now_ns=2, ttl_ns=SECOND, customer_id="c", replaces=first
    )
    assert second.reservation is not None
    (stock,) = engine.get_availability([SKU], now_ns=2)
    assert stock is not None
    assert (stock.held, stock.first_expire_time_ns) == (2, 2 + SECOND)
    assert engine.check(now_ns=2).violations == ()


def test_a_line_is_taken_away_at_which_somebody_counts() -> None:
    """Between two stretches of 256 lines a row is unlocked; the line that comes next is the one
    that others end and forget most often here, and its memory goes to another."""
    engine = native_engine(ended_max=1)
    engine.set_stock(SKU, 10**9, now_ns=1)
    engine.set_stock("OTHER", 10**9, now_ns=1)
    standing = 255
    for number in range(standing):
        engine.reserve(f"stays{number}", [(SKU, 1)], now_ns=1, ttl_ns=100 * SECOND)
    is_over = threading.Event()
    counted: list[tuple[int, int]] = []

    def count() -> None:
        while not is_over.is_set():
            counted.append(engine.lines_due(sooner_ns=SECOND, later_ns=10**15))

    def sell() -> None:
        chance = Random(1)
        held: list[str] = []
        for number in range(20_000):
            lines = [(SKU, 1), ("OTHER", 1)][: chance.randrange(1, 3)]
            reply = engine.reserve(f"comes{number}", lines, now_ns=1, ttl_ns=100 * SECOND)
            held.append(reply.reservation.reservation_id)
            if len(held) > 4:
                engine.release(held.pop(chance.randrange(4)), now_ns=1)

    seller, watcher = threading.Thread(target=sell), threading.Thread(target=count)
    watcher.start()
    seller.start()
    seller.join()
    is_over.set()
    watcher.join()
    most = standing + 2 * 5 + 1
    assert counted
    assert all(sooner == 0 and later >= standing for sooner, later in counted)
    assert max(later for _, later in counted) <= 2 * most
    assert engine.check(now_ns=1).violations == ()
