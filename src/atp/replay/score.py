"""What has happened in a sale so far: counted as it goes, shown live and in the report.

Owns the counts and the latencies. Decides nothing.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from atp.replay import answers
from atp.replay.events import Order
from atp.replay.ledger import Hold
from atp.v1 import reservation_pb2 as reservation_pb


class Amount(NamedTuple):
    """So many orders, lines and units."""

    orders: int = 0
    lines: int = 0
    units: int = 0

    def plus(self, lines: int, units: int) -> Amount:
        """One order more."""
        return Amount(self.orders + 1, self.lines + lines, self.units + units)


NOTHING: Final = Amount()


@dataclass(slots=True)
class Corrections:
    """Lines of cancellations, or of write-offs, and what became of them.

    `done` were booked in full, `clipped` in part, `refused` by the server, `skipped` were not sent.
    Units: `units_asked` by the data, `units_done` by the server.
    """

    lines: int = 0
    done: int = 0
    clipped: int = 0
    skipped: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    units_asked: int = 0
    units_done: int = 0

    def count_done(self, units: int, asked: int) -> None:
        """Count a line that was booked, in full or in part."""
        self.units_done += units
        if units == asked:
            self.done += 1
        else:
            self.clipped += 1


@dataclass(slots=True)
class Score:
    """Counts of one sale; `latencies_ns` has each call's time by method, its retries included."""

    events: int = 0
    events_done: int = 0
    asked: Amount = NOTHING
    granted: Amount = NOTHING
    granted_partially: Amount = NOTHING
    sold: Amount = NOTHING
    released: Amount = NOTHING
    expired: Amount = NOTHING
    refused: dict[str, Amount] = field(default_factory=dict)
    refused_by_cap: Counter[str] = field(default_factory=Counter)
    ends_refused: Counter[str] = field(default_factory=Counter)
    unmet: Counter[int] = field(default_factory=Counter)
    returns: Corrections = field(default_factory=Corrections)
    write_offs: Corrections = field(default_factory=Corrections)
    repeats: int = 0
    late_commits: int = 0
    retries: int = 0
    latencies_ns: dict[str, array[int]] = field(default_factory=dict)

    @property
    def orders_refused(self) -> int:
        """Orders of which nothing was granted."""
        return sum(amount.orders for amount in self.refused.values())

    @property
    def calls(self) -> int:
        """Calls answered during the sale."""
        return sum(len(times) for times in self.latencies_ns.values())

    def count_reserve(
        self, order: Order, reply: reservation_pb.ReserveResponse, hold: Hold | None
    ) -> None:
        """Count an order's answer."""
        lines, units = len(order.skus), sum(order.quantities)
        self.asked = self.asked.plus(lines, units)
        if hold is not None:
            self.granted = self.granted.plus(*hold.size())
            if answers.is_partial(reply):
                self.granted_partially = self.granted_partially.plus(*hold.size())
            return
        outcome = answers.reserve_outcome(reply)
        self.refused[outcome] = self.refused.get(outcome, NOTHING).plus(lines, units)
        self.refused_by_cap.update({refusal.cap_id for refusal in reply.cap_refusals})
        for sku, quantity in zip(order.skus, order.quantities, strict=True):
            self.unmet[sku] += quantity

    def time(self, method: str, elapsed_ns: int) -> None:
        """Note how long a call took."""
        self.latencies_ns.setdefault(method, array("q")).append(elapsed_ns)
