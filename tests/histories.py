"""Random histories: commands that meet often, drawn from a seeded generator.

Owns what a history looks like; runs nothing. A command is (name, words, keywords) for an engine of
either kind, its time in the keywords. Reservations are named through `key_of`, so that a history is
known before its first answer is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject, StockReason

BASE_NS = 1_700_000_000_000_000_000
LIFE_NS = 1_000
SKUS = ["a", "b", "c", "d", "e"]
CUSTOMERS = ["", "ann", "bob", "eve"]
ADDRESSES = ["", "10.0.0.1", "10.0.0.2", "10.0.1.1", "::ffff:10.0.0.1", "2001:db8::1"]
RANGES = ["10.0.0.1", "10.0.0.0/24", "0.0.0.0/0", "2001:db8::/32"]
WEIGHTS = {
    "reserve": 40,
    "replace": 8,
    "end_whole": 14,
    "end_lines": 14,
    "extend": 8,
    "again": 8,
    "stock": 3,
    "adjust": 4,
    "sweep": 2,
    "cap": 3,
    "uncap": 1,
}


class Command(NamedTuple):
    """One call of an engine."""

    name: str
    words: tuple[Any, ...]
    keywords: dict[str, Any]


class History:
    """Draws commands one after another; `only` leaves the others out.

    Whoever runs them may `note` the answers, so that the history stays lively."""

    def __init__(
        self, random: Random, key_of: Callable[[str], str], only: set[str] | None = None
    ) -> None:
        self.random = random
        self.key_of = key_of
        self.now_ns = BASE_NS
        self.baskets: dict[str, tuple[list[str], str]] = {}
        self.sent: list[Command] = []
        self.number = 0
        kinds = {name: weight for name, weight in WEIGHTS.items() if only is None or name in only}
        self.kinds, self.weights = list(kinds), list(kinds.values())

    def opening(self) -> Iterator[Command]:
        """Something to sell, under a few caps."""
        for sku in SKUS[:4]:
            on_hand = self.random.choice([5, 20, 60, 200])
            yield Command("set_stock", (sku, on_hand), {"now_ns": self.now_ns})
        for _ in range(self.random.randrange(4)):
            yield self.draw_cap()

    def commands(self, count: int) -> Iterator[Command]:
        """The opening, then `count` commands, the time going on between them, rarely back."""
        yield from self.opening()
        for _ in range(count):
            self.now_ns += self.random.choice([0, 0, 0, 0, 1, 1, 5, 10, 40, -1, -30])
            if self.random.random() < 0.01:
                self.now_ns += self.random.choice([300, 1_200, 5_000])
            (kind,) = self.random.choices(self.kinds, self.weights)
            command = getattr(self, f"draw_{kind}")()
            if kind != "again" and "now_ns" in command.keywords:
                self.sent.append(command)
            yield command

    def note(self, command: Command, answer: Any) -> None:
        """Learn that a reserve was refused, so that later commands name holds that exist."""
        if command.name == "reserve" and getattr(answer, "reservation", None) is None:
            self.baskets.pop(command.words[0], None)

    def new_id(self) -> str:
        """A request id, mostly new."""
        if self.number and self.random.random() < 0.06:
            return f"r{self.random.randrange(self.number)}"
        self.number += 1
        return f"r{self.number - 1}"

    def some_hold(self) -> str:
        """The request id of a hold, mostly a recent one."""
        known = list(self.baskets)
        if not known:
            return "none"
        return self.random.choice(known[-12:] if self.random.random() < 0.9 else known)

    def basket(self) -> list[tuple[str, int]]:
        """A few lines, one SKU twice now and then."""
        size = self.random.choice([1, 1, 1, 2, 2, 3, 5])
        skus = self.random.choices(SKUS, [30, 30, 20, 20, 1], k=size)
        return [(sku, self.random.choice([1, 1, 1, 2, 3, 6])) for sku in skus]

    def end(self) -> dict[str, int]:
        """When a hold ends."""
        span = self.random.choice([1, 10, 30, *[100] * 4, *[300] * 6, *[LIFE_NS] * 6, LIFE_NS + 1])
        if self.random.random() < 0.3:
            return {"expire_time_ns": self.now_ns + span}
        return {self.random.choice(["ttl_ns", "default_ttl_ns"]): span}

    def draw_reserve(self, **more: Any) -> Command:
        request_id, lines = self.new_id(), self.basket()
        keywords: dict[str, Any] = {
            "now_ns": self.now_ns,
            "client_ip": self.random.choice(ADDRESSES),
            "customer_id": self.random.choice(CUSTOMERS),
            "allow_partial": self.random.random() < 0.3,
        }
        keywords |= self.end() | more
        self.baskets[request_id] = ([sku for sku, _ in lines], keywords["customer_id"])
        return Command("reserve", (request_id, lines), keywords)

    def draw_replace(self) -> Command:
        replaced = self.some_hold()
        customer = self.baskets.get(replaced, ([], ""))[1]
        if self.random.random() < 0.1:
            customer = self.random.choice(CUSTOMERS)
        return self.draw_reserve(replaces=self.key_of(replaced), customer_id=customer)

    def draw_end_whole(self) -> Command:
        name = self.random.choice(["commit", "release"])
        request_id = self.new_id() if self.random.random() < 0.3 else ""
        keywords = {"now_ns": self.now_ns, "request_id": request_id}
        return Command(name, (self.key_of(self.some_hold()),), keywords)

    def draw_end_lines(self) -> Command:
        name, hold = self.random.choice(["commit", "release"]), self.some_hold()
        known = sorted({*self.baskets.get(hold, (SKUS, ""))[0]})
        skus = self.random.sample(known, self.random.randint(1, min(2, len(known))))
        lines = [(sku, self.random.choice([1, 1, 1, 2])) for sku in skus]
        keywords = {"now_ns": self.now_ns, "request_id": self.new_id()}
        return Command(name, (self.key_of(hold), lines), keywords)

    def draw_extend(self) -> Command:
        request_id = self.new_id() if self.random.random() < 0.3 else ""
        keywords = {"now_ns": self.now_ns, "request_id": request_id} | self.end()
        return Command("extend", (self.key_of(self.some_hold()),), keywords)

    def draw_again(self) -> Command:
        """A command that was sent before, word for word, at another time."""
        if not self.sent:
            return self.draw_reserve()
        command = self.random.choice(self.sent[-30:])
        return command._replace(keywords=command.keywords | {"now_ns": self.now_ns})

    def draw_stock(self) -> Command:
        sku, on_hand = self.random.choice(SKUS[:4]), self.random.choice([5, 20, 60, 200])
        return Command("set_stock", (sku, on_hand), {"now_ns": self.now_ns})

    def draw_adjust(self) -> Command:
        sku, reason = self.random.choice(SKUS), self.random.choice(list(StockReason))
        delta = self.random.choice([-5, -1, 1, 3, 20])
        words = (self.new_id(), sku, delta, reason)
        return Command("adjust_stock", words, {"now_ns": self.now_ns})

    def draw_sweep(self) -> Command:
        return Command("sweep", (), {"now_ns": self.now_ns})

    def draw_cap(self) -> Command:
        subject = self.random.choice(list(CapSubject))
        limit = self.random.choice([None, 2, 4, 8, 15, 30])
        named: list[str] = []
        if subject == CapSubject.CUSTOMER:
            named = self.random.sample(CUSTOMERS[1:], self.random.randrange(3))
        elif subject in (CapSubject.IP, CapSubject.SUBNET):
            named = self.random.sample(RANGES, self.random.randrange(4))
        subnet = subject == CapSubject.SUBNET
        cap = Cap(
            cap_id=self.random.choice(["c1", "c2", "c3", "c4"]),
            subject=subject,
            limit=limit,
            skus=tuple(self.random.sample(SKUS, self.random.choice([0, 0, 1, 3]))),
            per_sku=self.random.random() < 0.4,
            window_ns=self.random.choice([None, None, 1, 256, 300, 2_560]),
            mode=self.random.choice([CapMode.ENFORCE] * 3 + [CapMode.SHADOW, CapMode.OFF]),
            overrides=tuple(CapOverride(one, self.random.choice([None, 1, 9])) for one in named),
            ipv4_prefix_length=self.random.choice([16, 24]) if subnet else 0,
            ipv6_prefix_length=self.random.choice([48, 64]) if subnet else 0,
        )
        return Command("set_cap", (cap,), {"now_ns": self.now_ns})

    def draw_uncap(self) -> Command:
        cap_id = self.random.choice(["c1", "c2", "c3", "c4"])
        return Command("remove_cap", (cap_id,), {"now_ns": self.now_ns})
