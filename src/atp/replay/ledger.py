"""The client's own books of a sale, kept from the server's answers alone.

Owns, per SKU, what the answers say was received, adjusted, held and sold, and the list of changes
with the sequence each answer gave. Has every answer checked (answers.py) as it comes in. Never
asks the server for a counter during the sale: the books are worth comparing only because they do
not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from atp.replay import answers
from atp.replay.events import Order
from atp.replay.findings import Findings, Law
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ReservationState, Stock, StockOutcome, StockReply


class ChangeKind(IntEnum):
    """What a change did to the counters of its SKUs."""

    GRANT = 0  # held grows
    SELL = 1  # held and on hand shrink
    RELEASE = 2  # held shrinks
    EXPIRE = 3  # held shrinks; the clock's doing, so no answer tells its sequence
    ADJUST = 4  # on hand moves by the quantity, which has a sign


@dataclass(slots=True, eq=False)
class Hold:
    """A granted order: its lines as granted, one a SKU, and how it stands by the answers.

    `sequence` is that of the grant, `last_sequence` that of the last change that was answered.
    """

    order: Order
    reservation_id: str
    sequence: int
    create_time_ns: int
    expire_time_ns: int
    skus: tuple[int, ...]
    quantities: tuple[int, ...]
    state: ReservationState = ReservationState.HELD
    last_sequence: int = 0

    def size(self) -> tuple[int, int]:
        """The order's lines, as in the data, of which something was granted, and the units."""
        granted = set(self.skus)
        return sum(sku in granted for sku in self.order.skus), sum(self.quantities)


class Change(NamedTuple):
    """One answered change. `sequence` is 0 for expiry, `time_ns` (the engine's) 0 if untold.

    `time_s` is the moment in the data's year of the event that it belongs to.
    """

    sequence: int
    time_ns: int
    kind: ChangeKind
    skus: tuple[int, ...]
    quantities: tuple[int, ...]
    time_s: int
    hold: Hold | None


class Ledger:
    """The books. Lists are indexed by SKU as `skus`; `opening` is on hand when the sale began.

    `clock_lead_ns` is how far this machine's clock is ahead of the server's, or up to a call's time
    more; None before the first grant.
    """

    def __init__(self, skus: list[str], findings: Findings) -> None:
        self.skus = skus
        self.findings = findings
        self.opening = [0] * len(skus)
        self.received = [0] * len(skus)
        self.adjusted = [0] * len(skus)
        self.held = [0] * len(skus)
        self.sold = [0] * len(skus)
        self.loads: dict[int, tuple[int, int]] = {}
        """SKU and units on hand of each load of stock that changed something, by its sequence."""
        self.changes: list[Change] = []
        self.holds: dict[str, Hold] = {}
        self.clock_lead_ns: int | None = None
        self._bought: Counter[tuple[str, int]] = Counter()
        self._sequences: set[int] = set()
        self._index = {sku: index for index, sku in enumerate(skus)}
        self._known: set[int] = set()

    def on_hand(self, sku: int) -> int:
        """Units that exist by the books."""
        return self.received[sku] + self.adjusted[sku] - self.sold[sku]

    def open_with(self, stocks: Iterable[Stock]) -> None:
        """Take over the counters of SKUs that the server knew before the sale."""
        for stock in stocks:
            sku = self._index.get(stock.sku)
            if sku is not None:
                self.received[sku] = stock.received
                self.adjusted[sku] = stock.adjusted
                self.sold[sku] = stock.sold
                self._known.add(sku)

    def on_load(self, sku: int, on_hand: int, reply: StockReply) -> bool:
        """Book the stock that a SKU begins the sale with; False if it was refused."""
        if reply.outcome is not StockOutcome.DONE or reply.stock is None:
            return False
        name = self.skus[sku]
        answers.check_stock(self.findings, name, reply.stock)
        before = self.on_hand(sku)
        if sku in self._known:
            self.adjusted[sku] += on_hand - before
        else:
            self.received[sku] += on_hand
        self.opening[sku] = on_hand
        if sku not in self._known or on_hand != before:
            self.loads[reply.sequence] = sku, on_hand
            self._claim(reply.sequence, f"stock of {name}")
        return True

    def on_adjust(self, sku: int, delta: int, time_s: int, reply: StockReply, tries: int) -> bool:
        """Book a correction; False if it was refused."""
        name = self.skus[sku]
        if reply.stock is not None:
            answers.check_stock(self.findings, name, reply.stock)
        if reply.outcome is not StockOutcome.DONE:
            return False
        answers.check_once(self.findings, reply.repeated, tries, f"correction of {name}")
        self._claim(reply.sequence, f"correction of {name}")
        self.adjusted[sku] += delta
        kind = ChangeKind.ADJUST
        self.changes.append(Change(reply.sequence, 0, kind, (sku,), (delta,), time_s, None))
        return True

    def on_reserve(
        self, order: Order, reply: pb.ReserveResponse, tries: int, received_ns: int
    ) -> Hold | None:
        """Book a grant; None if it was refused. `received_ns` is when the answer came in."""
        if reply.outcome not in answers.GRANTS:
            names = [self.skus[sku] for sku in order.skus]
            asked_lines = list(zip(names, order.quantities, strict=True))
            answers.check_refusal(self.findings, order.invoice, asked_lines, reply)
            return None
        hold = self._hold_of(order, reply)
        asked: dict[int, int] = {}
        for sku, quantity in zip(order.skus, order.quantities, strict=True):
            asked[sku] = asked.get(sku, 0) + quantity
        answers.check_grant(self.findings, hold, asked, self.skus, reply)
        answers.check_once(self.findings, reply.repeated, tries, f"order {order.invoice}")
        other = self.holds.setdefault(hold.reservation_id, hold)
        if other is not hold:
            text = f"order {order.invoice} was given the reservation of {other.order.invoice}"
            self.findings.add(Law.ONE_HOLD, "", text)
        lead = received_ns - hold.create_time_ns
        if self.clock_lead_ns is None or lead < self.clock_lead_ns:
            self.clock_lead_ns = lead
        self._book(hold, ChangeKind.GRANT, reply.sequence, hold.create_time_ns)
        return hold

    def on_repeat(self, hold: Hold, reply: pb.ReserveResponse) -> None:
        """Check the answer to a reserve sent again on purpose: the first hold, no other."""
        same = (
            reply.outcome in answers.GRANTS
            and reply.repeated
            and reply.reservation.reservation_id == hold.reservation_id
            and reply.sequence == hold.sequence
        )
        if not same:
            outcome = answers.reserve_outcome(reply)
            text = (
                f"order {hold.order.invoice}, sent again with its request id, was not answered "
                f"with its first hold, but {outcome} at sequence {reply.sequence}"
            )
            self.findings.add(Law.ONE_HOLD, "", text)

    def on_commit(self, hold: Hold, reply: pb.CommitResponse, tries: int) -> bool:
        """Book the sale of a whole hold; False if it was refused."""
        return self._on_end(hold, ChangeKind.SELL, reply, tries)

    def on_release(self, hold: Hold, reply: pb.ReleaseResponse, tries: int) -> bool:
        """Book that a whole hold was given back; False if it was refused."""
        return self._on_end(hold, ChangeKind.RELEASE, reply, tries)

    def on_expiry(self, hold: Hold) -> None:
        """Book the end of a hold whose expire time has passed."""
        self._book(hold, ChangeKind.EXPIRE, 0, hold.expire_time_ns)

    def on_late_commit(self, hold: Hold, reply: pb.CommitResponse, tries: int) -> None:
        """Check that a hold whose expire time has passed cannot be sold any more, and book it."""
        if reply.outcome == pb.CHANGE_OUTCOME_NOT_FOUND:
            self.on_expiry(hold)  # Forgotten by now: a server's memory of ended holds is bounded.
        elif not self._on_end(hold, ChangeKind.SELL, reply, tries) and (
            hold.state is ReservationState.HELD
        ):
            self.on_expiry(hold)

    def bought(self, customer_id: str, sku: int) -> int:
        """Units that a customer bought in this sale and has not given back."""
        return self._bought[customer_id, sku]

    def give_back(self, customer_id: str, sku: int, units: int) -> None:
        """Take note that a customer gave back what was bought."""
        self._bought[customer_id, sku] -= units

    def _on_end(
        self,
        hold: Hold,
        kind: ChangeKind,
        reply: pb.CommitResponse | pb.ReleaseResponse,
        tries: int,
    ) -> bool:
        what = "commit" if kind is ChangeKind.SELL else "release"
        if reply.outcome != pb.CHANGE_OUTCOME_DONE:
            answers.check_end_refusal(self.findings, hold, what, reply)
            if reply.outcome == pb.CHANGE_OUTCOME_ALREADY_EXPIRED:
                self.on_expiry(hold)
            return False
        who = f"{what} of order {hold.order.invoice}"
        answers.check_once(self.findings, reply.repeated, tries, who)
        answers.check_end(self.findings, hold, kind is ChangeKind.SELL, reply)
        self._book(hold, kind, reply.sequence, answers.time_ns(reply.reservation.end_time))
        return True

    def _hold_of(self, order: Order, reply: pb.ReserveResponse) -> Hold:
        reservation = reply.reservation
        granted = {
            self._index[line.sku]: line.quantity
            for line in reservation.lines
            if line.sku in self._index
        }
        return Hold(
            order,
            reservation.reservation_id,
            reply.sequence,
            answers.time_ns(reservation.create_time),
            # Ended meanwhile, if the first answer was lost: then it tells its end instead.
            answers.time_ns(reservation.expire_time) or answers.time_ns(reservation.end_time),
            tuple(granted),
            tuple(granted.values()),
        )

    def _book(self, hold: Hold, kind: ChangeKind, sequence: int, time_ns: int) -> None:
        sign = 1 if kind is ChangeKind.GRANT else -1
        held, sold, bought = self.held, self.sold, self._bought
        customer = hold.order.customer_id
        for sku, quantity in zip(hold.skus, hold.quantities, strict=True):
            held[sku] += sign * quantity
            if kind is ChangeKind.SELL:
                sold[sku] += quantity
                bought[customer, sku] += quantity
        hold.state = _STATE_AFTER[kind]
        if kind is not ChangeKind.EXPIRE:
            hold.last_sequence = sequence
            self._claim(sequence, f"{kind.name.lower()} of order {hold.order.invoice}")
        time_s = hold.order.time_s
        change = Change(sequence, time_ns, kind, hold.skus, hold.quantities, time_s, hold)
        self.changes.append(change)

    def _claim(self, sequence: int, what: str) -> None:
        """Every change has a sequence that no other has."""
        if sequence <= 0:
            self.findings.add(Law.SEQUENCE, "", f"{what} was answered without a sequence")
        elif sequence in self._sequences:
            text = f"{what} was answered with sequence {sequence}, which another change had"
            self.findings.add(Law.SEQUENCE, "", text)
        self._sequences.add(sequence)


_STATE_AFTER = {
    ChangeKind.GRANT: ReservationState.HELD,
    ChangeKind.SELL: ReservationState.COMMITTED,
    ChangeKind.RELEASE: ReservationState.RELEASED,
    ChangeKind.EXPIRE: ReservationState.EXPIRED,
}
