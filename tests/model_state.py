"""The state of the reference engine: stock, reservations, receipts, grants; time; forgetting.

Owns what is true at an instant and what the clock alone changes. Judges no command. Spends whatever
time it likes: every question is answered by looking through everything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atp.vocabulary import (
    CheckReport,
    Reservation,
    ReservationLine,
    ReservationState,
    Stock,
)
from model_caps import CapEntry, Grant, in_force


def hash_of(request_id: str) -> str:
    """The key of a request id where no native engine is compared with."""
    return hashlib.blake2b(request_id.encode(), digest_size=16).hexdigest()


@dataclass
class Sku:
    """The counters of one SKU that are not derived from holds."""

    received: int
    adjusted: int
    sold: int
    sequence: int

    @property
    def on_hand(self) -> int:
        """Units that exist and may be sold."""
        return self.received + self.adjusted - self.sold


@dataclass
class Line:
    """What became of the units of one SKU of a hold."""

    quantity: int
    held: int
    committed: int = 0
    released: int = 0
    expired: int = 0


@dataclass
class Hold:
    """A reservation, live or ended, with what is needed to recognise a repeat of its reserve."""

    reservation_id: str
    content: object
    partial: bool
    lines: dict[str, Line]
    create_time_ns: int
    expire_time_ns: int
    grant_sequence: int
    sequence: int
    customer_id: str
    client_ip: str
    state: ReservationState = ReservationState.HELD
    end_time_ns: int | None = None

    @property
    def live(self) -> bool:
        """Whether units are still set aside."""
        return self.state == ReservationState.HELD

    def view(self) -> Reservation:
        """The reservation as a caller sees it."""
        lines = tuple(
            ReservationLine(
                sku, line.quantity, line.held, line.committed, line.released, line.expired
            )
            for sku, line in self.lines.items()
        )
        return Reservation(
            self.reservation_id,
            self.state,
            lines,
            self.create_time_ns,
            self.expire_time_ns if self.live else None,
            self.end_time_ns,
            self.sequence,
            self.customer_id,
            self.client_ip,
        )


@dataclass
class Receipt:
    """The memory of a command other than a reserve."""

    content: object
    sequence: int
    time_ns: int


class State:
    """Everything that the reference engine knows, and the passing of time over it."""

    def __init__(
        self,
        remember_ns: int,
        longest_life_ns: int,
        key_of: Callable[[str], str],
        expiry_order: Callable[[list[str]], list[str]],
    ) -> None:
        self.remember_ns = remember_ns
        self.longest_life_ns = longest_life_ns
        self.key_of = key_of
        self.expiry_order = expiry_order
        self.time_ns = 0
        self.sequence = 0
        self.skus: dict[str, Sku] = {}
        self.holds: dict[str, Hold] = {}
        self.receipts: dict[str, Receipt] = {}
        self.caps: dict[str, CapEntry] = {}
        self.grants: list[Grant] = []

    def next_sequence(self) -> int:
        """The sequence of a change that happens now."""
        self.sequence += 1
        return self.sequence

    def remember(self, request_id: str, content: object, sequence: int) -> None:
        """Keep the receipt of a command that changed something, if it had an id."""
        if request_id:
            key = self.key_of(request_id)
            self.receipts[key] = Receipt(content, sequence, self.time_ns)

    # Time.

    def advanced_to(self, now_ns: int) -> int:
        """Move the time on, never back; return the time at which a command is judged."""
        self.advance(now_ns)
        return self.time_ns

    def end_asked(
        self, now: int, ttl_ns: int | None, expire_time_ns: int | None, default_ttl_ns: int
    ) -> int:
        """The end of a hold as asked for."""
        if expire_time_ns is not None:
            return expire_time_ns
        return now + (default_ttl_ns if ttl_ns is None else ttl_ns)

    def advance(self, now_ns: int) -> int:
        """Move the time on, never back; expire what is due, forget what is old."""
        self.time_ns = max(self.time_ns, now_ns)
        due = [h for h in self.holds.values() if h.live and h.expire_time_ns <= self.time_ns]
        for expire_time_ns in sorted({hold.expire_time_ns for hold in due}):
            together = [h.reservation_id for h in due if h.expire_time_ns == expire_time_ns]
            for reservation_id in self.expiry_order(together):
                self.expire(self.holds[reservation_id])
        self.forget()
        return len(due)

    def expire(self, hold: Hold) -> None:
        """Give back by the clock all that a hold still holds."""
        sequence = self.next_sequence()
        for sku, line in hold.lines.items():
            if line.held:
                self.take_from_line(hold, sku, line.held, "expired", sequence)
        self.end(hold, ReservationState.EXPIRED, hold.expire_time_ns, sequence)

    def take_from_line(
        self, hold: Hold, sku: str, quantity: int, becomes: str, sequence: int
    ) -> None:
        """Turn held units of a line into committed, released or expired ones."""
        line = hold.lines[sku]
        line.held -= quantity
        setattr(line, becomes, getattr(line, becomes) + quantity)
        self.skus[sku].sequence = sequence
        if becomes == "committed":
            self.skus[sku].sold += quantity
            return
        for grant in self.grants:
            if (grant.reservation_id, grant.sku) == (hold.reservation_id, sku):
                grant.units -= quantity

    def end(self, hold: Hold, state: ReservationState, end_time_ns: int, sequence: int) -> None:
        """Mark the end of a hold that holds nothing any more."""
        hold.state, hold.end_time_ns, hold.sequence = state, end_time_ns, sequence

    def forget(self) -> None:
        """Drop the memory of what ended `remember_ns` ago or earlier."""
        now = self.time_ns

        def remembered(end_time_ns: int | None) -> bool:
            return end_time_ns is None or now < end_time_ns + self.remember_ns

        self.holds = {k: h for k, h in self.holds.items() if remembered(h.end_time_ns)}
        self.receipts = {k: r for k, r in self.receipts.items() if remembered(r.time_ns)}
        # A key may be used again once forgotten: a grant that counts on is cut loose from it.
        self.grants = [grant for grant in self.grants if grant.units]
        for grant in self.grants:
            if grant.reservation_id not in self.holds:
                grant.reservation_id = ""

    # What is derived.

    def held(self, sku: str, *, without: Hold | None = None) -> int:
        """Units of a SKU set aside by live holds, other than one."""
        holds = [hold for hold in self.holds.values() if hold is not without]
        return sum(hold.lines[sku].held for hold in holds if sku in hold.lines)

    def first_expire(self, sku: str, *, without: Hold | None = None) -> int | None:
        """When the first live hold of a SKU, other than one, ends by itself."""
        holds = [hold for hold in self.holds.values() if hold is not without and hold.live]
        times = [h.expire_time_ns for h in holds if sku in h.lines and h.lines[sku].held]
        return min(times, default=None)

    def available(self, sku: str, *, without: Hold | None = None) -> int:
        """Units of a known SKU that may be promised."""
        return max(0, self.skus[sku].on_hand - self.held(sku, without=without))

    def live_holds(self) -> int:
        """How many holds are live."""
        return sum(1 for hold in self.holds.values() if hold.live)

    def stock_view(self, sku: str) -> Stock | None:
        """The counters of a SKU as a caller sees them; None when it is unknown."""
        entry = self.skus.get(sku)
        if entry is None:
            return None
        return Stock(
            sku,
            entry.on_hand,
            self.held(sku),
            self.available(sku),
            entry.sold,
            entry.received,
            entry.adjusted,
            self.first_expire(sku),
            entry.sequence,
        )

    def cap_counts(self) -> dict[tuple[str, str, str], int]:
        """Units in force by (cap, subject, SKU), zero counts left out."""
        counts: dict[tuple[str, str, str], int] = {}
        for cap_id, entry in self.caps.items():
            for (subject, sku), units in in_force(entry, self.grants, self.time_ns).items():
                if units:
                    counts[cap_id, subject, sku] = units
        return counts

    def dump(self, *, now_ns: int) -> dict[str, Any]:
        """The whole state as plain Python."""
        self.advance(now_ns)
        return {
            "stock": {sku: self.stock_view(sku) for sku in self.skus},
            "reservations": {key: hold.view() for key, hold in self.holds.items()},
            "receipts": {key: receipt.sequence for key, receipt in self.receipts.items()},
            "cap_counts": self.cap_counts(),
        }

    def digest(self, *, now_ns: int) -> str:
        """A hash of the whole state; comparable between reference engines only."""
        state = self.dump(now_ns=now_ns)
        parts = [repr(sorted(part.items())) for part in state.values()]
        return hash_of("\n".join([*parts, str(self.sequence)]))

    def check(self, *, now_ns: int) -> CheckReport:
        """Recount the laws that can be broken in a state at rest."""
        self.advance(now_ns)
        violations: list[str] = []
        for sku, entry in self.skus.items():
            held = self.held(sku)
            if not 0 <= held <= entry.on_hand:
                violations.append(f"1: {sku}: held {held}, on hand {entry.on_hand}")
        for key, hold in self.holds.items():
            for sku, line in hold.lines.items():
                parts = (line.held, line.committed, line.released, line.expired)
                if min(parts) < 0 or line.quantity != sum(parts):
                    violations.append(f"3: {key}: {sku}: {line.quantity} is not {parts}")
            if hold.live != any(line.held for line in hold.lines.values()):
                violations.append(f"3: {key}: {hold.state.name}, and its held units say otherwise")
            if hold.live and hold.expire_time_ns <= self.time_ns:
                violations.append(f"9: {key}: held after its end")
        digest = self.digest(now_ns=now_ns)
        sizes = (len(self.skus), len(self.holds))
        return CheckReport(tuple(violations), digest, self.sequence, *sizes)
