"""The baskets of a load as tables: what each shopper wants, and does with it.

Owns the tables' columns, which the native part reads by number, and the draws. Chance comes from a
seed alone, so that the same seed makes the same shoppers.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import NamedTuple

import numpy as np

FIRST_LINE, LINES, CUSTOMER, ADDRESS, LOOKS, RESERVES, REPEATS, END, THINK_NS = range(9)
"""Columns of the rows of baskets; a customer or an address of -1 is none."""
COLUMNS = 9
NS_PER_SECOND = 1_000_000_000
BOT_ADDRESSES = 254
"""As many as a subnet of 256 has for hosts."""
SKU_BYTES_MAX = 64
BASKET_BYTES_MAX = 60_000
"""Of one request: what every server takes without giving more room first."""


class End(IntEnum):
    """How a shopper's visit ends once units are held."""

    ABANDON = 0
    COMMIT = 1
    RELEASE = 2
    EXTEND_AND_COMMIT = 3


class Want(NamedTuple):
    """What one shopper wants. An empty customer or address is none."""

    customer: str
    address: str
    lines: Sequence[tuple[str, int]]
    """SKUs and quantities, as they stand in the basket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How shoppers behave, each a share from 0 to 1 of them.

    `looks`: ask what is available before they reserve. Of the holds, `late` are paid after a while,
    `releases` are given back, `extends` get more time and are paid then, `abandons` are left to
    expire; the rest is paid at once. `repeats`: send the same reserve twice. `bots`, a share of all
    shoppers: hold the most wanted SKU from the addresses of one subnet, twice, and never pay.
    ValueError names what is out of bounds.
    """

    looks: float = 0.5
    late: float = 0.3
    releases: float = 0.1
    extends: float = 0.05
    abandons: float = 0.15
    repeats: float = 0.05
    bots: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise ValueError(f"the share of {field.name} is {value:g}: it must be from 0 to 1")
        if self.bots == 1:
            raise ValueError("the share of bots is 1: somebody must want something")
        ends = self.late + self.releases + self.extends + self.abandons
        if ends > 1 + 1e-9:
            raise ValueError(f"the shares of late, releases, extends and abandons make {ends:g}")


@dataclass(frozen=True, slots=True)
class Baskets:
    """Shoppers in the order in which they come; after the last the first comes again.

    `rows` has a basket in each row, `lines` the number of a SKU and a quantity; the rest is the
    texts that they name by number.
    """

    skus: list[bytes]
    customers: list[bytes]
    addresses: list[bytes]
    rows: np.ndarray
    lines: np.ndarray

    def from_place(self, place: int) -> Baskets:
        """The same shoppers, begun elsewhere in their order."""
        rows = np.ascontiguousarray(np.roll(self.rows, -(place % len(self.rows)), axis=0))
        return dataclasses.replace(self, rows=rows)

    def sku_names(self) -> list[str]:
        """Every SKU that is wanted."""
        return [sku.decode() for sku in self.skus]

    def stock(self, share: float) -> list[tuple[str, int]]:
        """Of each SKU that share of what all baskets together want, rounded up."""
        exact = Fraction(str(share))
        wanted = Counter[int]()
        for first, count in self.rows[:, [FIRST_LINE, LINES]].tolist():
            for sku, quantity in self.lines[first : first + count].tolist():
                wanted[sku] += quantity
        names = self.sku_names()
        return [(names[sku], math.ceil(units * exact)) for sku, units in wanted.items()]


def single_units(
    skus: np.ndarray, customers: np.ndarray, addresses: np.ndarray, *, prefix: str, digits: int
) -> Baskets:
    """Baskets of one unit each; SKUs, customers and addresses are told by number."""
    rows = np.zeros((len(skus), COLUMNS), np.int64)
    rows[:, FIRST_LINE] = np.arange(len(skus))
    rows[:, LINES] = 1
    rows[:, RESERVES] = 1
    lines = np.ones((len(skus), 2), np.int64)
    sku_numbers, lines[:, 0] = np.unique(skus, return_inverse=True)
    customer_numbers, rows[:, CUSTOMER] = np.unique(customers, return_inverse=True)
    address_numbers, rows[:, ADDRESS] = np.unique(addresses, return_inverse=True)
    return Baskets(
        [f"{prefix}{number:0{digits}d}".encode() for number in sku_numbers.tolist()],
        [b"customer-%08d" % number for number in customer_numbers.tolist()],
        [_address(number) for number in address_numbers.tolist()],
        rows,
        lines,
    )


def of_wants(
    wants: Iterable[Want], shares: Shares, *, think_s: float, seed: int, looks: bool = True
) -> Baskets:
    """The baskets of a sale. `think_s`: how long shoppers think on average, in seconds.

    Without `looks` nobody asks what is available. ValueError: there is no basket, or one is not to
    be sent.
    """
    skus: dict[str, int] = {}
    customers: dict[str, int] = {}
    addresses: dict[str, int] = {}
    rows: list[tuple[int, int, int, int]] = []
    lines: list[tuple[int, int]] = []
    for want in wants:
        _check(want)
        first = len(lines)
        lines += [(skus.setdefault(sku, len(skus)), quantity) for sku, quantity in want.lines]
        customer = customers.setdefault(want.customer, len(customers)) if want.customer else -1
        address = addresses.setdefault(want.address, len(addresses)) if want.address else -1
        rows.append((first, len(want.lines), customer, address))
    if not rows:
        raise ValueError("there is no basket to be asked for")
    rng = np.random.default_rng(seed)
    table = np.zeros((len(rows), COLUMNS), np.int64)
    table[:, :LOOKS] = rows
    table[:, RESERVES] = 1
    _draw_fates(table, shares if looks else dataclasses.replace(shares, looks=0), think_s, rng)
    if shares.bots:
        wanted = Counter[int]()
        for sku, quantity in lines:
            wanted[sku] += quantity
        table = _with_bots(
            table,
            shares.bots,
            rng,
            customer=len(customers),
            address=len(addresses),
            line=len(lines),
        )
        lines.append((wanted.most_common(1)[0][0], 1))
        customers |= {f"bot-{n:03d}": len(customers) + n for n in range(BOT_ADDRESSES)}
        addresses |= {f"198.51.100.{n + 1}": len(addresses) + n for n in range(BOT_ADDRESSES)}
    return Baskets(
        [sku.encode() for sku in skus],
        [customer.encode() for customer in customers],
        [address.encode() for address in addresses],
        table,
        np.array(lines, np.int64),
    )


def _check(want: Want) -> None:
    size = 0
    for sku, quantity in want.lines:
        if not 0 < len(sku.encode()) <= SKU_BYTES_MAX:
            raise ValueError(f"SKU {sku[:80]!r} has not 1 to {SKU_BYTES_MAX} bytes")
        if not 0 < quantity < 2**63:
            raise ValueError(f"SKU {sku!r}: quantity {quantity} is not 1 or more")
        size += len(sku.encode()) + 16
    if not 0 < size <= BASKET_BYTES_MAX:
        told = f"one of 1 line or more, in at most {BASKET_BYTES_MAX:,} bytes, was expected"
        raise ValueError(f"a basket has {len(want.lines):,} lines: {told}")


def _draw_fates(rows: np.ndarray, shares: Shares, think_s: float, rng: np.random.Generator) -> None:
    """Who looks, who repeats, how each visit ends, and after how long."""
    count = len(rows)
    rows[:, LOOKS] = rng.random(count) < shares.looks
    rows[:, REPEATS] = rng.random(count) < shares.repeats
    drawn = rng.random(count)
    thinks = np.ones(count, bool)
    rows[:, END] = End.COMMIT
    upto = 0.0
    for share, end in (
        (shares.abandons, End.ABANDON),
        (shares.releases, End.RELEASE),
        (shares.extends, End.EXTEND_AND_COMMIT),
    ):
        rows[(drawn >= upto) & (drawn < upto + share), END] = end
        upto += share
    thinks[drawn >= upto + shares.late] = False  # paid at once
    rows[:, THINK_NS] = rng.uniform(0.5, 1.5, count) * think_s * NS_PER_SECOND
    rows[~thinks, THINK_NS] = 0


def _with_bots(
    rows: np.ndarray,
    share: float,
    rng: np.random.Generator,
    *,
    customer: int,
    address: int,
    line: int,
) -> np.ndarray:
    """Bots among the shoppers; the numbers are those of the first bot's texts and of their line."""
    count = max(1, round(len(rows) * share / (1 - share)))
    bots = np.zeros((count, COLUMNS), np.int64)
    bots[:, FIRST_LINE] = line
    bots[:, LINES] = bots[:, RESERVES] = bots[:, REPEATS] = 1
    bots[:, CUSTOMER] = customer + np.arange(count) % BOT_ADDRESSES
    bots[:, ADDRESS] = address + np.arange(count) % BOT_ADDRESSES
    bots[:, END] = End.ABANDON
    places = np.sort(rng.integers(0, len(rows) + 1, count))
    return np.insert(rows, places, bots, axis=0)


def _address(number: int) -> bytes:
    """One of a million: 10.1xx.1xx.1xx."""
    first, second, third = number // 10_000 % 100, number // 100 % 100, number % 100
    return b"10.1%02d.1%02d.1%02d" % (first, second, third)
