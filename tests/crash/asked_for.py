"""Nothing is remembered that nobody asked for.

Owns the other direction of the judgement: each change in the journal is matched with a call that
asked for it, each call with one change at most. Expiries need nobody to ask.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from atp.v1.event_pb2 import Event
from crash.asks import Ask
from crash.judge import INVENTED, Finding, same_cap, units
from crash.ledger import Ledger, Said

METHODS = {
    "reserved": ("Reserve",),
    "committed": ("Commit",),
    "released": ("Release",),
    "extended": ("Extend",),
    "stock_changed": ("SetStock", "AdjustStock"),
    "cap_set": ("SetCap",),
    "cap_removed": ("RemoveCap",),
}


class Asked:
    """The calls of a ledger, to be found by what they asked for."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.read = 0
        self.calls: dict[tuple[str, str], list[Said]] = {}
        self.used: Counter[tuple[str, str]] = Counter()

    def take_in(self) -> None:
        """Takes in what was said since the last time."""
        for one in self.ledger.said[self.read :]:
            for said in single_calls(one):
                key = (said.ask.method, name_of(said.ask.request))
                self.calls.setdefault(key, []).append(said)
        self.read = len(self.ledger.said)

    def check(self, sequence: int, event: Event) -> list[Finding]:
        """What is wrong with one change: nobody asked for it, or not so, or not so often."""
        kind = event.WhichOneof("change")
        if kind == "expired":
            return []
        change = getattr(event, kind)
        key = change_key(kind, change)
        matching = [
            said
            for method in METHODS[kind]
            for said in self.calls.get((method, key), ())
            if asks_for(said, change, kind)
        ]
        told = f"change {sequence} ({' '.join(str(event).split())[:300]})"
        if not matching:
            return [Finding(INVENTED, f"{told} was never asked for")]
        identity = identity_of(matching[0], change, kind)
        self.used[identity] += 1
        once = all(getattr(said.ask.request, "request_id", "") for said in matching)
        if self.used[identity] > (1 if once else len(matching)):
            return [Finding(INVENTED, f"{told} was done more often than asked for")]
        refusals = [said.refused for said in matching]
        if all(refusals):
            return [Finding(INVENTED, f"{told} was refused unjudged: {refusals[0]}")]
        return []


def single_calls(said: Said) -> list[Said]:
    """A call as those of which each asks for one change at most."""
    if said.ask.method != "BatchSetStock":
        return [said]
    return [
        Said(Ask("SetStock", entry), said.floor, said.life, refused=said.refused)
        for entry in said.ask.request.requests
    ]


def name_of(request: Any) -> str:
    """What a request is filed under: the thing that it is about."""
    for field in ("reservation_id", "sku", "cap_id", "request_id"):
        if getattr(request, field, ""):
            return str(getattr(request, field))
    return str(request.cap.cap_id) if hasattr(request, "cap") else ""


def change_key(kind: str, change: Any) -> str:
    """What a change is filed under, likewise."""
    if kind == "reserved":
        return str(change.request_id)
    if kind == "cap_set":
        return str(change.cap.cap_id)
    if kind == "cap_removed":
        return str(change.cap_id)
    return str(change.sku) if kind == "stock_changed" else change.reservation_key.hex()


def asks_for(said: Said, change: Any, kind: str) -> bool:
    """Whether a call asked for just this."""
    asked = said.ask.request
    if kind == "reserved":
        return grants(asked, change)
    if kind == "cap_set":
        return same_cap(asked.cap, change.cap)
    if kind == "cap_removed":
        return True
    request_id = getattr(asked, "request_id", "")
    if change.receipt.request_key != (key_of(request_id) if request_id else b""):
        return False
    if kind == "stock_changed":
        exact = said.ask.method == "AdjustStock"
        return exact or asked.on_hand_quantity == change.on_hand_quantity
    return kind == "extended" or units(asked.lines) == units(change.lines)


def grants(asked: Any, change: Any) -> bool:
    """Whether a grant is one that this reserve may be given."""
    wanted: Counter[str] = Counter()
    for line in asked.lines:
        wanted[line.sku] += line.quantity
    granted = Counter(units(change.lines))
    whole = granted == wanted
    return (
        (whole or (asked.allow_partial and granted <= wanted))
        and change.partial != whole
        and change.customer_id == asked.customer_id
        and bool(change.client_ip) == bool(asked.client_ip)
        and change.replaced_reservation_key.hex() == asked.replaces_reservation_id
    )


def identity_of(said: Said, change: Any, kind: str) -> tuple[str, str]:
    """What may be done only so often as it was asked for."""
    request_id = getattr(said.ask.request, "request_id", "")
    told = f"{change_key(kind, change)} {getattr(change, 'on_hand_quantity', '')}"
    if kind == "cap_set":
        told = change.cap.SerializeToString(deterministic=True).hex()
    return kind, request_id or told


def key_of(request_id: str) -> bytes:
    """The 16 bytes that a request id stands for: XXH3-128, as docs/semantics.md says."""
    import xxhash  # noqa: PLC0415 - of the tests alone

    return xxhash.xxh3_128_digest(request_id.encode())
