"""Puts a sale's answered changes back into the order of the server's sequence, SKU by SKU.

Owns the replay of the ledger's changes after the sale: at every step, what was held and what was on
hand by the answers. Calls in flight overtake one another on the wire; the sequence says what really
came first, so a unit that two shoppers held at one moment shows even if one gave it back later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atp.replay.ledger import Change, ChangeKind

Integers = NDArray[np.int64]

_HELD: Final = np.array([1, -1, -1, -1, 0], dtype=np.int64)
"""What a unit of each kind of change does to held, by ChangeKind."""

_ON_HAND: Final = np.array([0, -1, 0, 0, 1], dtype=np.int64)
"""What a unit of each kind of change does to on hand, by ChangeKind."""


class History(NamedTuple):
    """One row a change and SKU, by SKU and then by the server's order.

    `held` and `on_hand` are what they were just after the change; `change` is its index in the
    ledger's list; `time_ns` the engine's time, for changes that do not tell it the next one's.
    `order` has the indices of all changes in the server's order.
    """

    sku: Integers
    change: Integers
    time_ns: Integers
    held: Integers
    on_hand: Integers
    order: Integers

    def oversold(self) -> dict[int, int]:
        """Units held beyond what was on hand, at the worst moment of each SKU where it happened."""
        worst: dict[int, int] = {}
        beyond = self.held - self.on_hand
        for row in np.flatnonzero(beyond > 0).tolist():
            sku = int(self.sku[row])
            worst[sku] = max(worst.get(sku, 0), int(beyond[row]))
        return worst

    def sold_out(self, opening: Sequence[int]) -> list[int]:
        """Rows at which a SKU that had stock first had nothing left on hand, by time."""
        rows = np.flatnonzero(self.on_hand <= 0)
        _, first = np.unique(self.sku[rows], return_index=True)
        had_stock = np.asarray(opening, dtype=np.int64) > 0
        firsts = [int(row) for row in rows[first] if had_stock[self.sku[row]]]
        return sorted(firsts, key=lambda row: (int(self.time_ns[row]), row))


def history_of(changes: Sequence[Change], opening: Sequence[int]) -> History:
    """Replay the changes; `opening` is on hand at the start of the sale, by SKU."""
    place, time_ns = _places(changes)
    lengths = np.fromiter((len(change.skus) for change in changes), np.int64, len(changes))
    total = int(lengths.sum())
    change = np.repeat(np.arange(len(changes), dtype=np.int64), lengths)
    sku = np.fromiter(_flat(each.skus for each in changes), np.int64, total)
    units = np.fromiter(_flat(each.quantities for each in changes), np.int64, total)
    kind = np.fromiter((each.kind for each in changes), np.int64, len(changes))[change]
    rows = np.lexsort((place[change], sku))
    sku, change, units, kind = sku[rows], change[rows], units[rows], kind[rows]
    start = np.asarray(opening, dtype=np.int64)
    held = _running(sku, units * _HELD[kind])
    on_hand = _running(sku, units * _ON_HAND[kind]) + start[sku]
    order = np.argsort(place, kind="stable")
    return History(sku, change, time_ns[change], held, on_hand, order)


def _places(changes: Sequence[Change]) -> tuple[Integers, Integers]:
    """Where each change stands in the server's order, and its time.

    Even places are those between sequences: an expiry, whose sequence no answer tells, comes just
    before the first change of its time or later, as the engine does it.
    """
    sequence = np.fromiter((each.sequence for each in changes), np.int64, len(changes))
    time_ns = np.fromiter((each.time_ns for each in changes), np.int64, len(changes))
    is_expiry = np.fromiter(
        (each.kind is ChangeKind.EXPIRE for each in changes), np.bool_, len(changes)
    )
    answered = np.flatnonzero(~is_expiry)
    ranked = answered[np.argsort(sequence[answered], kind="stable")]
    place = np.zeros(len(changes), dtype=np.int64)
    place[ranked] = np.arange(len(ranked)) * 2 + 1
    # A correction tells no time. It is no later than the next change that does, and taking it so
    # late can only hide an expiry that was due in between, never invent a hold.
    times = time_ns[ranked]
    told = np.where(times > 0, np.arange(len(times)), len(times))
    following = np.minimum.accumulate(told[::-1])[::-1]
    time_ns[ranked] = np.r_[times, time_ns.max(initial=0)][following]
    clock = np.maximum.accumulate(time_ns[ranked]) if len(ranked) else times
    place[is_expiry] = np.searchsorted(clock, time_ns[is_expiry], side="left") * 2
    return place, time_ns


def _running(sku: Integers, deltas: Integers) -> Integers:
    """Running sums that start anew with each SKU; rows are grouped by SKU."""
    if not len(sku):
        return deltas
    total: Integers = np.cumsum(deltas)
    starts = np.flatnonzero(np.r_[True, sku[1:] != sku[:-1]])
    before = np.r_[0, total[starts[1:] - 1]]
    sums: Integers = total - np.repeat(before, np.diff(np.r_[starts, len(sku)]))
    return sums


def _flat(groups: Iterable[tuple[int, ...]]) -> Iterable[int]:
    for group in groups:
        yield from group
