"""Rebuilds the state of an engine from its events alone, judging nothing.

Owns a plain-dictionary replay of `atp.v1.Event`: whoever replays a journal must get the same stock,
reservations, receipts and cap counts from the events as the engine holds, or an event says too
little. Imports the event messages and the words; never an engine, nor the reference engine's rules.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from atp.v1.cap_service_pb2 import (
    CAP_SUBJECT_CUSTOMER,
    CAP_SUBJECT_EVERYONE,
    CAP_SUBJECT_IP,
    CAP_SUBJECT_RESERVATION,
    CAP_SUBJECT_SUBNET,
)
from atp.v1.cap_service_pb2 import Cap as CapMessage
from atp.v1.event_pb2 import Event
from atp.vocabulary import Reservation, ReservationLine, ReservationState, Stock

NS_IN_SECOND = 1_000_000_000
WINDOW_STEPS = 256


@dataclass
class Units:
    """One SKU of a reservation."""

    quantity: int
    held: int
    committed: int = 0
    released: int = 0
    expired: int = 0
    cap_units: int = 0


@dataclass
class Entry:
    """One reservation, kept even when an engine would have forgotten it."""

    create_time_ns: int
    expire_time_ns: int
    grant_sequence: int
    sequence: int
    customer_id: str
    client_ip: str
    request_id: str
    fingerprint: int
    partial: bool
    lines: dict[str, Units]
    state: ReservationState = ReservationState.HELD
    end_time_ns: int | None = None


@dataclass
class Counters:
    """One SKU."""

    on_hand: int = 0
    received: int = 0
    adjusted: int = 0
    sold: int = 0
    sequence: int = 0
    time_ns: int = 0

    def changed(self, sequence: int, time_ns: int) -> None:
        """Note a change of the SKU's units."""
        assert time_ns >= self.time_ns, f"{sequence}: time went back"
        self.sequence, self.time_ns = sequence, time_ns


@dataclass
class Replayer:
    """The state after the events applied so far.

    Of `many_threads`, commands that share no SKU may be recorded in another order than that of
    their times; for each SKU, and in all of a single thread, time never goes back.
    """

    many_threads: bool = False
    sequence: int = 0
    time_ns: int = 0
    latest_ns: int = 0
    stock: dict[str, Counters] = field(default_factory=dict)
    entries: dict[str, Entry] = field(default_factory=dict)
    ended_before: list[Entry] = field(default_factory=list)
    receipts: dict[str, tuple[int, int]] = field(default_factory=dict)
    caps: dict[str, tuple[CapMessage, int]] = field(default_factory=dict)

    def apply(self, sequence: int, event: Event) -> None:
        """Do what the event says was done."""
        assert sequence == self.sequence + 1, f"{sequence} follows {self.sequence}"
        if not self.many_threads:
            assert event.time_ns >= self.latest_ns, f"{sequence}: time went back"
        self.sequence, self.time_ns = sequence, event.time_ns
        self.latest_ns = max(self.latest_ns, event.time_ns)
        kind = event.WhichOneof("change")
        assert kind is not None, f"{sequence}: an event of nothing"
        change = getattr(event, kind)
        getattr(self, f"apply_{kind}")(change)
        if hasattr(change, "receipt") and change.HasField("receipt"):
            self.receipts[change.receipt.request_key.hex()] = (sequence, self.time_ns)

    def apply_reserved(self, change: Any) -> None:
        if change.replaced_reservation_key:
            self.take(change.replaced_reservation_key.hex(), [], "released")
        key = change.reservation_key.hex()
        if key in self.entries:
            self.ended_before.append(self.entries[key])
        lines = {}
        for line in change.lines:
            assert line.sku not in lines, f"{self.sequence}: one line a SKU"
            assert line.quantity > 0
            lines[line.sku] = Units(line.quantity, line.quantity, cap_units=line.quantity)
            self.stock[line.sku].changed(self.sequence, self.time_ns)
        address = change.client_ip
        self.entries[key] = Entry(
            create_time_ns=self.time_ns,
            expire_time_ns=change.expire_time_ns,
            grant_sequence=self.sequence,
            sequence=self.sequence,
            customer_id=change.customer_id,
            client_ip=str(ipaddress.ip_address(address)) if address else "",
            request_id=change.request_id,
            fingerprint=change.fingerprint,
            partial=change.partial,
            lines=lines,
        )

    def apply_committed(self, change: Any) -> None:
        self.take(change.reservation_key.hex(), change.lines, "committed")

    def apply_released(self, change: Any) -> None:
        self.take(change.reservation_key.hex(), change.lines, "released")

    def apply_expired(self, change: Any) -> None:
        self.take(change.reservation_key.hex(), [], "expired")

    def take(self, key: str, lines: Any, becomes: str) -> None:
        """Turn held units into committed, released or expired ones; no lines: all that is held."""
        entry = self.entries[key]
        named = [(line.sku, line.quantity) for line in lines]
        all_held = [(sku, units.held) for sku, units in entry.lines.items() if units.held]
        for sku, quantity in named or all_held:
            units, counters = entry.lines[sku], self.stock[sku]
            units.held -= quantity
            setattr(units, becomes, getattr(units, becomes) + quantity)
            counters.changed(self.sequence, self.time_ns)
            if becomes == "committed":
                counters.sold += quantity
                counters.on_hand -= quantity
            else:
                units.cap_units -= quantity
        entry.sequence = self.sequence
        if not any(units.held for units in entry.lines.values()):
            entry.state = ReservationState[becomes.upper()]
            expired = becomes == "expired"
            entry.end_time_ns = entry.expire_time_ns if expired else self.time_ns

    def apply_extended(self, change: Any) -> None:
        entry = self.entries[change.reservation_key.hex()]
        entry.expire_time_ns, entry.sequence = change.expire_time_ns, self.sequence
        for sku, units in entry.lines.items():
            if units.held:
                self.stock[sku].changed(self.sequence, self.time_ns)

    def apply_stock_changed(self, change: Any) -> None:
        counters = self.stock.setdefault(change.sku, Counters())
        counters.on_hand = change.on_hand_quantity
        counters.received = change.received_quantity
        counters.adjusted = change.adjusted_quantity
        counters.changed(self.sequence, self.time_ns)
        assert counters.on_hand == counters.received + counters.adjusted - counters.sold

    def apply_cap_set(self, change: Any) -> None:
        _, since = self.caps.get(change.cap.cap_id, (None, self.sequence))
        self.caps[change.cap.cap_id] = (change.cap, self.sequence if change.counts_reset else since)

    def apply_cap_removed(self, change: Any) -> None:
        del self.caps[change.cap_id]

    # What the events come to.

    def compare(self, dump: dict[str, Any], now_ns: int, remember_ns: int) -> None:
        """Assert that an engine's dump at `now_ns` is what the events come to."""
        assert self.stock_at_end() == dump["stock"]
        remembered = {
            key: self.reservation(key, entry)
            for key, entry in self.entries.items()
            if entry.end_time_ns is None or now_ns < entry.end_time_ns + remember_ns
        }
        assert remembered == dump["reservations"]
        receipts = {
            key: sequence
            for key, (sequence, time_ns) in self.receipts.items()
            if now_ns < time_ns + remember_ns
        }
        assert receipts == dump["receipts"]
        assert self.cap_counts(now_ns) == dump["cap_counts"]

    def stock_at_end(self) -> dict[str, Stock]:
        """The counters of every SKU."""
        held: dict[str, int] = {}
        first: dict[str, int] = {}
        for entry in self.entries.values():
            for sku, units in entry.lines.items():
                held[sku] = held.get(sku, 0) + units.held
                if units.held:
                    first[sku] = min(first.get(sku, entry.expire_time_ns), entry.expire_time_ns)
        return {
            sku: Stock(
                sku,
                counters.on_hand,
                held.get(sku, 0),
                counters.on_hand - held.get(sku, 0),
                counters.sold,
                counters.received,
                counters.adjusted,
                first.get(sku),
                counters.sequence,
            )
            for sku, counters in self.stock.items()
        }

    def reservation(self, key: str, entry: Entry) -> Reservation:
        """One reservation as a caller sees it."""
        lines = tuple(
            ReservationLine(sku, u.quantity, u.held, u.committed, u.released, u.expired)
            for sku, u in entry.lines.items()
        )
        live = entry.state == ReservationState.HELD
        return Reservation(
            key,
            entry.state,
            lines,
            entry.create_time_ns,
            entry.expire_time_ns if live else None,
            entry.end_time_ns,
            entry.sequence,
            entry.customer_id,
            entry.client_ip,
        )

    def cap_counts(self, now_ns: int) -> dict[tuple[str, str, str], int]:
        """Units in force by (cap, subject, SKU), zero counts left out."""
        counts: dict[tuple[str, str, str], int] = {}
        for cap_id, (cap, since) in self.caps.items():
            for entry in [*self.ended_before, *self.entries.values()]:
                subject = subject_of(cap, entry)
                if subject is None or entry.grant_sequence <= since:
                    continue
                if not in_window(cap, entry.create_time_ns, now_ns):
                    continue
                for sku, units in entry.lines.items():
                    if units.cap_units and (not cap.skus or sku in cap.skus):
                        key = (cap_id, subject, sku if cap.per_sku else "")
                        counts[key] = counts.get(key, 0) + units.cap_units
        return counts


def subject_of(cap: CapMessage, entry: Entry) -> str | None:
    """Whom the cap counts for this reservation; None when it does not count it."""
    if cap.subject == CAP_SUBJECT_EVERYONE:
        return ""
    if cap.subject == CAP_SUBJECT_CUSTOMER:
        return entry.customer_id or None
    if cap.subject == CAP_SUBJECT_RESERVATION or not entry.client_ip:
        return None
    assert cap.subject in (CAP_SUBJECT_IP, CAP_SUBJECT_SUBNET)
    if cap.subject == CAP_SUBJECT_IP:
        return entry.client_ip
    version = ipaddress.ip_address(entry.client_ip).version
    length = cap.ipv4_prefix_length if version == 4 else cap.ipv6_prefix_length
    return str(ipaddress.ip_network(f"{entry.client_ip}/{length}", strict=False))


def in_window(cap: CapMessage, grant_time_ns: int, now_ns: int) -> bool:
    """Whether the cap's window has not yet passed over a grant."""
    if not cap.HasField("window"):
        return True
    window_ns = cap.window.seconds * NS_IN_SECOND + cap.window.nanos
    step = -(-window_ns // WINDOW_STEPS)
    return now_ns < (grant_time_ns // step + 1) * step + window_ns
