"""Gives every shopper an address, spread as real visitors of a web site are.

Owns the pool of addresses: those of a real access log where there is one, else made-up ones with
the same spread. One customer always has the same address; an order without a customer gets one
fixed by its invoice. Reads no more of the log than the address of each request.
"""

from __future__ import annotations

import gzip
import ipaddress
import itertools
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from atp.replay.draw import draw
from atp.replay.reader import BadFile

REQUESTS_MAX: Final = 2_000_000
"""Requests of a log that are looked at: the rest would not change the spread."""

_REQUESTS_BY_RANK: Final = (
    (1, 482), (2, 364), (3, 357), (4, 273), (5, 113), (6, 102), (10, 82), (20, 42), (50, 32),
    (100, 14), (200, 7), (400, 6), (700, 3), (1000, 2), (1754, 1),
)  # fmt: skip
"""Requests of the busiest address, the second busiest, ... in a real log of 10,000 requests."""


class Addresses(NamedTuple):
    """Addresses, one entry for each request of a log: busy ones are drawn as often as seen."""

    pool: Sequence[str]
    source: str

    def of(self, seed: int, customer_id: str, invoice: str) -> str:
        """The address of an order's shopper."""
        name = ("customer", customer_id) if customer_id else ("invoice", invoice)
        return self.pool[int(draw(seed, "address", *name) * len(self.pool))]


def read_addresses(path: Path) -> Addresses:
    """Take the addresses of an access log (common or combined format, gzip or not).

    Raises BadFile.
    """
    pool: list[str] = []
    try:
        with path.open("rb") as probe:
            packed = probe.read(2) == b"\x1f\x8b"
        opener = gzip.open if packed else open
        with opener(path, "rt", encoding="latin-1") as log:
            for number, line in enumerate(log, start=1):
                address = line.split(" ", 1)[0]
                try:
                    ipaddress.ip_address(address)
                except ValueError:
                    reason = f"{address[:40]!r} is no IP address; an access log begins with one"
                    raise BadFile(path, reason, number) from None
                pool.append(address)
                if len(pool) == REQUESTS_MAX:
                    break
    except (OSError, EOFError, zlib.error) as error:
        raise BadFile(path, f"cannot be read ({error})") from error
    if not pool:
        raise BadFile(path, "the log is empty")
    return Addresses(pool, f"{len(set(pool)):,} real addresses from {path.name}")


def make_addresses(seed: int) -> Addresses:
    """Make up addresses spread as in a real log: few busy, many seen once, some subnets full."""
    ranks = _REQUESTS_BY_RANK
    pool: list[str] = []
    taken: set[str] = set()
    for (rank, most), (next_rank, least) in itertools.pairwise(ranks):
        for place in range(rank, next_rank):
            share = (place - rank) / (next_rank - rank)
            address = _private_address(seed, place, taken)
            pool.extend([address] * round(most + (least - most) * share))
    return Addresses(pool, f"{len(taken):,} made-up addresses, spread as in a real access log")


def _private_address(seed: int, place: int, taken: set[str]) -> str:
    """One of 10.0.0.0/8; squaring a draw crowds some subnets, as real ones are."""
    attempt = 0
    while True:
        numbers = [draw(seed, "made address", str(place), str(attempt), part) for part in "abc"]
        subnet = int(numbers[0] ** 2 * 40), int(numbers[1] ** 2 * 256)
        address = f"10.{subnet[0]}.{subnet[1]}.{1 + int(numbers[2] * 254)}"
        if address not in taken:
            taken.add(address)
            return address
        attempt += 1
