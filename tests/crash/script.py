"""One short sale, the same each time, that takes every path to the disk: for faults at each call.

Owns the commands: every kind of change, caps so large that a segment turns, a snapshot. Draws
nothing, so that the n-th call of one run is the n-th of the next.
"""

from __future__ import annotations

from typing import Any

from atp.v1.cap_service_pb2 import Cap, CapOverride
from atp.v1.reservation_pb2 import Line
from crash.asked_for import key_of
from crash.asks import Ask, ask

LARGE_CAPS = 7  # about 350 kB each: more than a segment of 2 MiB


def script(name: str) -> list[Ask]:
    """The commands in order; `name` makes their request ids new."""
    ids = [f"{name}-{number}" for number in range(12)]
    keys = [key_of(request_id).hex() for request_id in ids]

    def hold(number: int, **more: Any) -> Ask:
        lines = [Line(sku="one", quantity=2), Line(sku="two", quantity=1)]
        fields = {"customer_id": "ann", "client_ip": "10.0.0.1", "ttl": {"seconds": 500}}
        return ask("Reserve", request_id=ids[number], lines=lines, **{**fields, **more})

    def named(method: str, key: str, number: int) -> Ask:
        lines = [Line(sku="one", quantity=1)]
        return ask(method, reservation_id=key, lines=lines, request_id=ids[number])

    return [
        ask("SetStock", sku="one", on_hand_quantity=1_000),
        ask("SetStock", sku="two", on_hand_quantity=1_000),
        ask("AdjustStock", request_id=ids[0], sku="one", delta_quantity=5, reason=1),
        ask("SetCap", cap=Cap(cap_id="each", subject=3, limit_quantity=1_000_000, mode=1)),
        hold(1),
        hold(2),
        named("Commit", keys[1], 3),
        named("Release", keys[1], 4),
        hold(5, replaces_reservation_id=keys[2]),
        ask("Extend", reservation_id=keys[5], request_id=ids[6], ttl={"seconds": 900}),
        *(ask("SetCap", cap=large_cap(name, number)) for number in range(LARGE_CAPS)),
        ask("TakeSnapshot"),
        hold(7),
        ask("Commit", reservation_id=keys[7]),
        hold(8),
        ask("Release", reservation_id=keys[8]),
        ask("RemoveCap", cap_id="each"),
        hold(9, ttl={"nanos": 1_000_000}),
        hold(10),
        ask("GetAvailability", skus=["one", "two"]),
    ]


def large_cap(name: str, number: int) -> Cap:
    """A cap with as many SKUs and overrides as there may be."""
    cap = Cap(cap_id="large", subject=3, limit_quantity=1_000_000, mode=1)
    cap.skus.extend(f"{name}-{number}-{i}".rjust(60, "x") for i in range(1_024))
    cap.overrides.extend(
        CapOverride(subject=f"{number}-{i}".rjust(60, "y"), limit_quantity=i) for i in range(4_096)
    )
    return cap
