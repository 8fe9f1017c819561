"""What a sale has on its shelves, and what a basket of it looks like.

Owns names and units of the SKUs of a profile, and the draw of a basket. Chance comes from the
generator that the caller brings, so the same seed buys the same things.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

from atp.v1 import reservation_pb2 as pb

LINES_MOST = 3
"""Different SKUs in one basket, at most."""


def closing_cap(sku: str) -> str:
    """The id of the cap by which operators sell a SKU to nobody for a while."""
    return f"closed-{sku}"


@dataclass(frozen=True)
class Goods:
    """A catalogue: `hot` SKUs that the sale is about, and `plain` ones that are bought beside them.

    `hot_share` of the baskets have a hot SKU in them. The plain ones are asked for as Zipf has it:
    the second half as often as the first. Units are those at the start.
    """

    hot: int
    hot_units: int
    plain: int
    plain_units: int
    hot_share: float
    lines_most: int = LINES_MOST
    _weights: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        weights = accumulate(1 / rank for rank in range(1, self.plain + 1))
        object.__setattr__(self, "_weights", tuple(weights))

    def hot_name(self, number: int) -> str:
        """The hot SKU of this number; numbers beyond the last begin anew."""
        return f"HOT-{number % self.hot:02d}"

    def plain_name(self, number: int) -> str:
        """The plain SKU of this number."""
        return f"PLAIN-{number:05d}"

    def stock(self) -> Iterator[tuple[str, int]]:
        """Every SKU and its units at the start."""
        for number in range(self.hot):
            yield self.hot_name(number), self.hot_units
        for number in range(self.plain):
            yield self.plain_name(number), self.plain_units

    def basket(self, rng: Random, hot: int) -> list[pb.Line]:
        """One to `lines_most` lines; with luck the hot SKU of number `hot` is the first."""
        lines: dict[str, int] = {}
        if not self.plain or rng.random() < self.hot_share:
            lines[self.hot_name(hot)] = 1
        wanted = min(rng.choice((1, 1, 1, 2, 2, 3)), self.lines_most)
        while self.plain and len(lines) < min(wanted, self.plain):
            lines.setdefault(self.plain_name(self._draw(rng)), rng.choice((1, 1, 1, 2)))
        return [pb.Line(sku=sku, quantity=quantity) for sku, quantity in lines.items()]

    def _draw(self, rng: Random) -> int:
        return bisect_left(self._weights, rng.random() * self._weights[-1])
