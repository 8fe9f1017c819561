"""What happens in a sale, in the order of the shop's clock: orders, cancellations, write-offs.

Owns the shapes that plan.py makes from a file's lines and that the driver sends. Holds no
behaviour. SKUs are indices into the plan's catalogue, so that a year's lines fit in little
memory.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import NamedTuple


class Fate(Enum):
    """What a shopper does with a hold."""

    BUY = "buy"
    RELEASE = "release"
    ABANDON = "abandon"


class Order(NamedTuple):
    """One sale invoice: one reserve of all its lines. Lines of one SKU stand as in the file."""

    invoice: str
    time_s: int
    customer_id: str
    client_ip: str
    fate: Fate
    skus: tuple[int, ...]
    quantities: tuple[int, ...]


class Correction(NamedTuple):
    """Lines of a cancellation, or of a write-off: one change of stock each.

    Quantities are positive; `line_ids` tell the lines of one invoice apart, for request ids.
    """

    invoice: str
    time_s: int
    customer_id: str
    is_return: bool
    skus: tuple[int, ...]
    quantities: tuple[int, ...]
    line_ids: tuple[int, ...]


Event = Order | Correction


class Tally(NamedTuple):
    """How many lines, and how many units (their absolute quantities added up)."""

    lines: int
    units: int

    def plus(self, units: int) -> Tally:
        """One line more."""
        return Tally(self.lines + 1, self.units + units)


@dataclass(slots=True)
class Plan:
    """A whole sale, ready to be sent.

    `demand` is the units asked for by orders, for each SKU of `skus`; `unusable` are the lines that
    are no part of the sale, by reason, and `no_product` those among them that are services, by
    code; `quirks` counts what is odd in the data and was kept.
    """

    source: str
    skus: list[str] = field(default_factory=list)
    demand: list[int] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    rows: int = 0
    invoices: int = 0
    unusable: dict[str, Tally] = field(default_factory=dict)
    no_product: Counter[str] = field(default_factory=Counter)
    quirks: dict[str, int] = field(default_factory=dict)

    def stock(self, share: float) -> list[int]:
        """Units on hand at the start of the sale: that share of each SKU's demand, rounded up."""
        # As a decimal fraction: 0.8 of 35 is 28, where binary fractions might round up to 29.
        exact = Fraction(str(share))
        return [math.ceil(units * exact) for units in self.demand]
