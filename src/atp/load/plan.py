"""What a load is: where to, what is asked, how many at once or how often, and of which goods.

Owns the bounds of all of it, and the draws where no baskets are given: which SKU, customer and
address each command is about.
Chance comes from the plan's seed alone, so that the same plan asks the same things.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import numpy as np

from atp.load import baskets
from atp.load.baskets import Baskets, End
from atp.load.encrypting import Tls
from atp.vocabulary import ChangeOutcome, ReserveOutcome

DRAWS = 1 << 18
"""After so many commands the draws begin anew; request ids never do."""
ID_BYTES = 36
CUSTOMERS_MAX = 10**8
ADDRESSES_MAX = 10**6
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
RATE_MAX = 10**8
CURVE_POINTS_MAX = 10_000
ONLY_GRANTED = frozenset({ReserveOutcome.GRANTED})
ONLY_DONE = frozenset({ChangeOutcome.DONE})


class Kind(StrEnum):
    """What each call is."""

    RESERVE = "reserve"
    PAIR = "pair"
    """A reserve, and the commit of the hold that it was granted."""
    AVAILABILITY = "availability"
    SALE = "sale"
    """Whatever the plan's baskets say, from the first look to the payment."""


class Spread(StrEnum):
    """How commands are spread over the SKUs."""

    UNIFORM = "uniform"
    ZIPF = "zipf"
    """The second asked for half as often as the first, the third a third as often, and so on."""
    HOT = "hot"
    """All for the first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """One load. Ends after `calls` calls (batches) or `duration_s` seconds, whichever is first, and
    when those who came by then have done all that they came for.

    `rate` is calls a second of an open loop, in which a call's time counts from when it was due;
    None is a closed loop: each of `in_flight` calls on each of `connections` follows the answer of
    the one before. `curve` is a rate that changes: pairs of a time in seconds from the begin, the
    first 0, and the rate from then on, which goes evenly to that of the next pair and stays at the
    last; two pairs of one time are a step. `by_chance`: calls are due as a Poisson process, drawn
    from the seed, instead of regularly. `deadline_s` is told to the server, and what is answered
    later is not good. `patience_s`: how long a call that is due waits for room on a connection
    before it is given up unsent (None: until its deadline).
    `batch`: 0 for unary calls, else so many commands in each batch of an Execute stream, one stream
    a connection; `brief` asks for brief answers to them. `run_name` begins every request id and
    must differ from run to run. SKUs are `sku_prefix` and a number below `skus` in `sku_digits`,
    unless `baskets` say what is wanted, as they must in a sale and in nothing else.
    `outcomes` are those of reserves that the load is to meet, `change_outcomes` those of commits,
    releases and extends, `allow_refused_calls` is whether calls may end as UNAVAILABLE,
    DEADLINE_EXCEEDED or RESOURCE_EXHAUSTED: anything else fails it.
    `tries`: how often a command is sent again whose connection ended before it was answered, or
    that was turned away as UNAVAILABLE; connections that end are then made again. 0: the end of a
    connection is that of the load.
    ValueError names what is out of bounds.
    """

    address: str
    run_name: str
    kind: Kind = Kind.RESERVE
    connections: int = 8
    in_flight: int = 16
    calls: int | None = None
    duration_s: float | None = None
    rate: float | None = None
    curve: tuple[tuple[float, float], ...] | None = None
    by_chance: bool = False
    deadline_s: float | None = None
    patience_s: float | None = None
    batch: int = 0
    brief: bool = False
    skus: int = 1_000
    sku_prefix: str = "SKU-"
    sku_digits: int = 8
    spread: Spread = Spread.UNIFORM
    customers: int = 100_000
    addresses: int = 100_000
    baskets: Baskets | None = field(default=None, repr=False, compare=False)
    ttl_s: int | None = None
    seed: int = 1
    outcomes: frozenset[ReserveOutcome] = ONLY_GRANTED
    change_outcomes: frozenset[ChangeOutcome] = ONLY_DONE
    allow_refused_calls: bool = False
    tries: int = 0
    stalled_s: float = 10.0
    """Without any answer for so long, the load ends."""
    silent_s: float = 5.0
    """With `tries`, a connection on which nothing has come for so long, while answers are waited
    for, counts as ended."""
    tls: Tls | None = None
    """Encrypts every connection; None: bytes go as they are."""
    history: Path | None = None
    """The folder in which a new file records every call, named after `run_name`."""

    def __post_init__(self) -> None:
        self._check_bounds()
        if self.calls is None and self.duration_s is None:
            raise ValueError("calls and duration_s are both missing: the load would never end")
        if not 0 < len(self.run_name.encode()) <= ID_BYTES - 12:
            raise ValueError(f"run_name must have 1 to {ID_BYTES - 12} bytes")
        if self.history is not None and not _FILE_NAME.fullmatch(self.run_name):
            told = "only a-z A-Z 0-9 . _ - may be in it"
            raise ValueError(f"run_name names the history's file: {told}")
        if len(self.sku_prefix.encode()) + self.sku_digits > 64:
            raise ValueError("sku_prefix and sku_digits make more than 64 bytes")
        if self.batch and self.kind is Kind.AVAILABILITY:
            raise ValueError("batch: a batch has reserves and commits only, no availability")
        if (self.kind is Kind.SALE) != (self.baskets is not None):
            raise ValueError("a sale needs baskets, and nothing else has any")
        if self.rate is not None and self.curve is not None:
            raise ValueError("rate and curve are both given: a curve is a rate that changes")
        if self.by_chance and self.rate is None and self.curve is None:
            raise ValueError("by_chance: a closed loop has no rate at which calls could be due")
        if self.curve is not None:
            check_curve(self.curve)

    def _check_bounds(self) -> None:
        bounds: tuple[tuple[str, float, float, float], ...] = (
            ("connections", self.connections, 1, 60_000),
            ("in_flight", self.in_flight, 1, 100_000),
            ("calls", 1 if self.calls is None else self.calls, 1, 10**12),
            ("duration_s", 1 if self.duration_s is None else self.duration_s, 0.001, 10**6),
            ("rate", 1 if self.rate is None else self.rate, 0.001, RATE_MAX),
            ("patience_s", 1 if self.patience_s is None else self.patience_s, 0.001, 10**4),
            ("deadline_s", 1 if self.deadline_s is None else self.deadline_s, 0.001, 10**4),
            ("batch", self.batch, 0, 65_536),
            ("sku_digits", self.sku_digits, 1, 18),
            ("skus", self.skus, 1, min(2**31 - 1, 10**self.sku_digits)),
            ("customers", self.customers, 1, CUSTOMERS_MAX),
            ("addresses", self.addresses, 1, ADDRESSES_MAX),
            ("ttl_s", 1 if self.ttl_s is None else self.ttl_s, 1, 366 * 86_400),
            ("tries", self.tries, 0, 100),
            ("stalled_s", self.stalled_s, 0.1, 10**6),
            ("silent_s", self.silent_s, 0.01, 10**6),
        )
        for name, value, least, most in bounds:
            if not least <= value <= most:
                raise ValueError(f"{name} is {value}: it must be from {least:,} to {most:,}")

    def rate_curve(self) -> list[tuple[float, float]]:
        """The rate over time; empty for a closed loop."""
        if self.curve is not None:
            return list(self.curve)
        return [] if self.rate is None else [(0.0, self.rate)]

    def is_open(self) -> bool:
        """Whether calls are due by a schedule, however slow answers are."""
        return self.rate is not None or self.curve is not None

    def wanted(self) -> Baskets:
        """The plan's baskets, or those drawn from its seed."""
        if self.baskets is not None:
            return self.baskets
        rng = np.random.default_rng(self.seed)
        count = DRAWS if self.calls is None else min(DRAWS, self.calls * max(self.batch, 1))
        drawn = baskets.single_units(
            self._skus(rng, count),
            rng.integers(0, self.customers, count),
            rng.integers(0, self.addresses, count),
            prefix=self.sku_prefix,
            digits=self.sku_digits,
        )
        if self.kind is Kind.PAIR:
            drawn.rows[:, baskets.END] = End.COMMIT
        elif self.kind is Kind.AVAILABILITY:
            drawn.rows[:, baskets.LOOKS] = 1
            drawn.rows[:, baskets.RESERVES] = 0
        return drawn

    def sku_names(self) -> list[str]:
        """Every SKU that may be asked for."""
        if self.baskets is not None:
            return self.baskets.sku_names()
        count = 1 if self.spread is Spread.HOT else self.skus
        return [f"{self.sku_prefix}{number:0{self.sku_digits}d}" for number in range(count)]

    def _skus(self, rng: np.random.Generator, count: int) -> np.ndarray:
        if self.spread is Spread.HOT:
            return np.zeros(count, np.int32)
        if self.spread is Spread.UNIFORM:
            return rng.integers(0, self.skus, count)
        shares = np.cumsum(1 / np.arange(1, self.skus + 1))
        return np.searchsorted(shares / shares[-1], rng.random(count))


def check_curve(curve: tuple[tuple[float, float], ...]) -> None:
    """ValueError names the first point that can't be."""
    if not 0 < len(curve) <= CURVE_POINTS_MAX:
        raise ValueError(f"curve has {len(curve):,} points: 1 to {CURVE_POINTS_MAX:,} it must have")
    if curve[0][0] != 0:
        raise ValueError(f"curve begins at {curve[0][0]:g} s: it must begin at 0 s")
    for time_s, rate in curve:
        if not (0 <= rate <= RATE_MAX and 0 <= time_s <= 10**6):
            raise ValueError(
                f"curve: {rate:g} calls a second at {time_s:g} s: rates are from 0 to"
                f" {RATE_MAX:,}, times up to 1,000,000 s"
            )
    for (before, _), (after, _) in itertools.pairwise(curve):
        if after < before:
            raise ValueError(f"curve: {after:g} s comes after {before:g} s")
    if not any(rate for _, rate in curve):
        raise ValueError("curve: no rate is above 0, so no call would ever be due")
