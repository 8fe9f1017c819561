"""What clients ask: every command, drawn from a seed, close enough together to meet.

Owns the shop (its SKUs, customers, caps) and what one shopper asks next; sends nothing. A shopper
knows the holds it was granted, and now and then asks about another's.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, NamedTuple

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from atp.v1 import (
    cap_service_pb2,
    maintenance_service_pb2,
    reservation_service_pb2,
    stock_service_pb2,
)
from atp.v1.cap_service_pb2 import Cap, CapOverride
from atp.v1.reservation_pb2 import Line

MODULES = (
    reservation_service_pb2, stock_service_pb2, cap_service_pb2, maintenance_service_pb2,
)  # fmt: skip
SKUS = [f"sku-{number:02}" for number in range(24)]
CUSTOMERS = ["", *(f"customer-{number}" for number in range(12))]
ADDRESSES = ["", *(f"10.0.{i}.{j}" for i in range(2) for j in range(4)), "2001:db8::7"]
CAP_IDS = ["each-address", "each-subnet", "each-customer", "everyone", "padded"]
WEIGHTS = {
    "reserve": 40,
    "replace": 5,
    "end_whole": 12,
    "end_lines": 10,
    "extend": 6,
    "adjust": 5,
    "stock": 2,
    "cap": 2,
    "uncap": 1,
    "read_hold": 6,
    "read_available": 5,
    "read_stock": 2,
    "again": 4,
}


class Method(NamedTuple):
    """One RPC."""

    name: str
    service: str
    request: type[Message]
    response: type[Message]

    @property
    def path(self) -> str:
        """Its name on the wire."""
        return f"/atp.v1.{self.service}/{self.name}"


METHODS = {
    method.name: Method(
        method.name,
        service.name,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
    )
    for module in MODULES
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
    if not method.server_streaming and not method.client_streaming
}


class Ask(NamedTuple):
    """One call."""

    method: str
    request: Any


def ask(method: str, **fields: Any) -> Ask:
    """A call by the fields of its request; those that are None are left out."""
    given = {name: value for name, value in fields.items() if value is not None}
    return Ask(method, METHODS[method].request(**given))


def opening(random: Random, padding: int) -> Iterator[Ask]:
    """Something to sell, some of it scarce, under a few caps."""
    for number, sku in enumerate(SKUS):
        on_hand = random.choice([8, 40]) if number % 4 == 0 else 1_000_000
        yield ask("SetStock", sku=sku, on_hand_quantity=on_hand)
    for cap_id in CAP_IDS:
        yield ask("SetCap", cap=draw_cap(random, cap_id, padding))


def draw_cap(random: Random, cap_id: str, padding: int) -> Cap:
    """A cap of its subject. The padded one has `padding` SKUs: a large record of the journal."""
    number = CAP_IDS.index(cap_id)
    subject = (1, 2, 3, 5, 4)[number]
    limit = random.choice([None, 20, 60, 300, 5_000])
    cap = Cap(
        cap_id=cap_id, subject=subject, limit_quantity=limit, mode=random.choice([1, 1, 1, 2])
    )
    if subject == 2:
        cap.ipv4_prefix_length, cap.ipv6_prefix_length = random.choice([16, 24]), 48
    if subject == 3:
        cap.window.seconds = random.choice([3_600, 36_000])
        cap.overrides.append(
            CapOverride(subject=CUSTOMERS[3], limit_quantity=random.choice([7, 9]))
        )
    if cap_id == "padded":
        cap.limit_quantity = 1_000_000
        cap.skus.extend(f"{random.randrange(1 << 60):x}".rjust(60, "x") for _ in range(padding))
    else:
        cap.per_sku = random.random() < 0.3
        cap.skus.extend(random.sample(SKUS, random.choice([0, 0, 3])))
    return cap


class Shopper:
    """One client's mind: draws what it asks next."""

    def __init__(self, random: Random, name: str, padding: int = 1) -> None:
        """`name` is in all its request ids; `padding` as in draw_cap."""
        self.random = random
        self.name = name
        self.padding = padding
        self.number = 0
        self.holds: list[tuple[str, list[str], str]] = []  # id, SKUs, customer
        self.sent: list[Ask] = []

    def draw(self) -> Ask:
        """What it asks next."""
        weights = WEIGHTS if self.padding <= 1 else {**WEIGHTS, "cap": 10}
        (kind,) = self.random.choices(list(weights), list(weights.values()))
        drawn: Ask = getattr(self, f"draw_{kind}")()
        if kind != "again":
            self.sent = [*self.sent[-20:], drawn]
        return drawn

    def hear(self, asked: Ask, answer: Any) -> None:
        """Learns of a grant."""
        if asked.method == "Reserve" and answer.HasField("reservation") and not answer.repeated:
            hold = answer.reservation
            skus = [line.sku for line in hold.lines]
            self.holds.append((hold.reservation_id, skus, hold.customer_id))
            del self.holds[:-40]

    def new_id(self) -> str:
        """A request id that nobody else has."""
        self.number += 1
        return f"{self.name}-{self.number}"

    def basket(self) -> list[Line]:
        """A few lines, one SKU twice now and then."""
        skus = self.random.choices(SKUS, k=self.random.choice([1, 1, 1, 2, 3, 8]))
        return [Line(sku=sku, quantity=self.random.choice([1, 1, 2, 5])) for sku in skus]

    def end(self) -> dict[str, Any]:
        """When a hold ends: mostly late, some soon enough to expire while it is watched."""
        seconds = self.random.choice([600, 600, 300, 30, 2, 1, 0])
        return {"ttl": {"seconds": seconds, "nanos": 150_000_000}}

    def draw_reserve(self, **more: Any) -> Ask:
        fields = {
            "request_id": self.new_id(),
            "lines": self.basket(),
            "customer_id": self.random.choice(CUSTOMERS),
            "client_ip": self.random.choice(ADDRESSES),
            "allow_partial": self.random.random() < 0.3,
            **self.end(),
        }
        return ask("Reserve", **{**fields, **more})

    def some_hold(self) -> tuple[str, list[str], str]:
        """One of its own, or one that does not exist."""
        return self.random.choice(self.holds[-12:]) if self.holds else ("0" * 32, SKUS[:1], "")

    def draw_replace(self) -> Ask:
        key, _, customer = self.some_hold()
        return self.draw_reserve(replaces_reservation_id=key, customer_id=customer)

    def draw_end_whole(self) -> Ask:
        key, _, _ = self.some_hold()
        request_id = self.new_id() if self.random.random() < 0.3 else ""
        method = self.random.choice(["Commit", "Commit", "Release"])
        return ask(method, reservation_id=key, request_id=request_id)

    def draw_end_lines(self) -> Ask:
        key, skus, _ = self.some_hold()
        named = self.random.sample(sorted({*skus}), 1)
        method = self.random.choice(["Commit", "Release"])
        lines = [Line(sku=sku, quantity=1) for sku in named]
        return ask(method, reservation_id=key, request_id=self.new_id(), lines=lines)

    def draw_extend(self) -> Ask:
        key, _, _ = self.some_hold()
        return ask("Extend", reservation_id=key, request_id=self.new_id(), ttl={"seconds": 900})

    def draw_adjust(self) -> Ask:
        sku, delta = self.random.choice(SKUS), self.random.choice([-3, -1, 1, 4, 30])
        reason = self.random.randint(1, 4)
        request_id = self.new_id()
        return ask(
            "AdjustStock", request_id=request_id, sku=sku, delta_quantity=delta, reason=reason
        )

    def draw_stock(self) -> Ask:
        sku, on_hand = self.random.choice(SKUS), self.random.choice([50, 500, 1_000_000])
        return ask("SetStock", sku=sku, on_hand_quantity=on_hand)

    def draw_cap(self) -> Ask:
        often = ["padded"] * 20 if self.padding > 1 else []
        cap_id = self.random.choice([*CAP_IDS, *often])
        return ask("SetCap", cap=draw_cap(self.random, cap_id, self.padding))

    def draw_uncap(self) -> Ask:
        return ask("RemoveCap", cap_id=self.random.choice(CAP_IDS))

    def draw_read_hold(self) -> Ask:
        return ask("GetReservation", reservation_id=self.some_hold()[0])

    def draw_read_available(self) -> Ask:
        return ask("GetAvailability", skus=self.random.sample(SKUS, 4))

    def draw_read_stock(self) -> Ask:
        return ask("GetStock", sku=self.random.choice(SKUS))

    def draw_again(self) -> Ask:
        return self.random.choice(self.sent) if self.sent else self.draw_reserve()
