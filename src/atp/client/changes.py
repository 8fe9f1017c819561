"""The changes that a feed tells of, as tuples, and how they are read from the wire.

One shape for each kind of `atp.v1.Event`. Times are nanoseconds since the Unix epoch, quantities
whole units. A kind that this version has no shape for raises ReplyUnknown: a feed with holes would
look like one without.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from atp.client import convert
from atp.client.errors import ReplyUnknown
from atp.v1 import event_pb2
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.vocabulary import Cap, StockReason

Lines = tuple[tuple[str, int], ...]
"""Pairs of SKU and quantity."""


class Reserved(NamedTuple):
    """Units were set aside. `partial`: less than asked for. `replaced_reservation_id`, if not
    empty, named a hold that ended with this step, its held units given back."""

    reservation_id: str
    lines: Lines
    expire_time_ns: int
    customer_id: str
    client_ip: str
    request_id: str
    partial: bool
    replaced_reservation_id: str


class Committed(NamedTuple):
    """Held units were sold; without `lines`, all that was still held."""

    reservation_id: str
    lines: Lines


class Released(NamedTuple):
    """Held units were given back by request; without `lines`, all that was still held."""

    reservation_id: str
    lines: Lines


class Expired(NamedTuple):
    """All units still held were given back by the clock."""

    reservation_id: str


class Extended(NamedTuple):
    """A hold got more time."""

    reservation_id: str
    expire_time_ns: int


class StockChanged(NamedTuple):
    """Units on hand changed; the counters are those after it. `reason` None: the stock was set."""

    sku: str
    on_hand: int
    received: int
    adjusted: int
    reason: StockReason | None


class CapSet(NamedTuple):
    """A cap was set; `counts_reset` when its counting started anew."""

    cap: Cap
    counts_reset: bool


class CapRemoved(NamedTuple):
    """A cap was removed, with its counts."""

    cap_id: str


What = Reserved | Committed | Released | Expired | Extended | StockChanged | CapSet | CapRemoved


class Change(NamedTuple):
    """One change: its place in the order of all changes, the server's time of it, what happened."""

    sequence: int
    time_ns: int
    what: What


def change(message: maintenance_pb.WatchedEvent) -> Change:
    """One change. Raises ReplyUnknown."""
    event = message.event
    kind = event.WhichOneof("change")
    if kind is None:
        raise ReplyUnknown.about(
            f"change {message.sequence} is of a kind that this client does not know; a newer"
            " client is needed"
        )
    what = _READERS[kind](getattr(event, kind))
    return Change(message.sequence, event.time_ns, what)


def _reserved(event: event_pb2.ReservedEvent) -> Reserved:
    return Reserved(
        event.reservation_key.hex(),
        _lines(event.lines),
        event.expire_time_ns,
        event.customer_id,
        _address(event.client_ip),
        event.request_id,
        event.partial,
        event.replaced_reservation_key.hex(),
    )


def _stock_changed(event: event_pb2.StockChangedEvent) -> StockChanged:
    return StockChanged(
        event.sku,
        event.on_hand_quantity,
        event.received_quantity,
        event.adjusted_quantity,
        convert.word(StockReason, event.reason) if event.reason else None,
    )


def _lines(messages: Iterable[event_pb2.EventLine]) -> Lines:
    return tuple((line.sku, line.quantity) for line in messages)


def _address(packed: bytes) -> str:
    return str(ipaddress.ip_address(packed)) if packed else ""


_READERS: Mapping[str, Callable[[Any], What]] = {
    "reserved": _reserved,
    "committed": lambda event: Committed(event.reservation_key.hex(), _lines(event.lines)),
    "released": lambda event: Released(event.reservation_key.hex(), _lines(event.lines)),
    "expired": lambda event: Expired(event.reservation_key.hex()),
    "extended": lambda event: Extended(event.reservation_key.hex(), event.expire_time_ns),
    "stock_changed": _stock_changed,
    "cap_set": lambda event: CapSet(convert.cap_status(event.cap).cap, event.counts_reset),
    "cap_removed": lambda event: CapRemoved(event.cap_id),
}
