"""Commands for the benchmarks of the engine, as arrays: catalogues, reserves, and their commits.

Owns made-up loads with a seed; measures nothing. A pair is a reserve of one unit and the commit of
it right after, with a request id of 36 characters, a customer and an IPv4 address.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from atp import _core
from atp.vocabulary import Cap, CapSubject

TTL_NS = 600 * 10**9
START_NS = 1_700_000_000 * 10**9
NO_LIMIT_IN_SIGHT = 10**12

COMMANDS = np.dtype(
    [
        ("kind", "u1"),
        ("flags", "u1"),
        ("request_id", "S36"),
        ("key", "V16"),
        ("client_ip", "V16"),
        ("customer_id", "S12"),
        ("ttl_ns", "i8"),
        ("expire_time_ns", "i8"),
        ("first_line", "i8"),
        ("line_count", "i4"),
    ]
)
LINES = np.dtype([("sku", "S12"), ("quantity", "i8")])


class People(NamedTuple):
    """How many customers and addresses the commands of a load are spread over."""

    customers: int
    addresses: int


def sku_names(count: int) -> np.ndarray:
    """SKUs of 12 bytes."""
    return np.char.add(b"SKU-", np.char.zfill(np.arange(count).astype("S8"), 8)).astype("S12")


def addresses(numbers: np.ndarray) -> np.ndarray:
    """IPv4 addresses of 10.0.0.0/8, as the engine's arrays have them."""
    rows = np.zeros((len(numbers), 16), np.uint8)
    rows[:, 10:12] = 255
    rows[:, 12] = 10
    for column, shift in ((13, 16), (14, 8), (15, 0)):
        rows[:, column] = (numbers >> shift) & 255
    return rows.view("V16").ravel()


def zipf(rng: np.random.Generator, count: int, among: int) -> np.ndarray:
    """Numbers below `among` with Zipf's exponent 1.0, the popular ones scattered."""
    share = np.cumsum(1 / np.arange(1, among + 1))
    ranks = np.searchsorted(share / share[-1], rng.random(count))
    return rng.permutation(among)[ranks]


def reserves(
    rng: np.random.Generator, skus: np.ndarray, people: People, tag: str
) -> tuple[np.ndarray, np.ndarray]:
    """One reserve of one unit for each SKU given; ids begin with the tag."""
    count = len(skus)
    commands = np.zeros(count, COMMANDS)
    commands["kind"] = 1
    numbers = np.char.zfill(np.arange(count).astype("S10"), 34 - len(tag))
    commands["request_id"] = np.char.add(f"{tag}--".encode(), numbers)
    commands["client_ip"] = addresses(rng.integers(0, people.addresses, count))
    buyers = rng.integers(0, people.customers, count).astype("S7")
    commands["customer_id"] = np.char.add(b"cust-", np.char.zfill(buyers, 7))
    commands["ttl_ns"] = TTL_NS
    commands["first_line"] = np.arange(count)
    commands["line_count"] = 1
    lines = np.zeros(count, LINES)
    lines["sku"] = skus
    lines["quantity"] = 1
    return commands, lines


def pairs(
    rng: np.random.Generator, skus: np.ndarray, people: People, tag: str
) -> tuple[np.ndarray, np.ndarray]:
    """A reserve and its commit for each SKU given."""
    asked, lines = reserves(rng, skus, people, tag)
    return with_commits(asked), lines


def with_commits(asked: np.ndarray) -> np.ndarray:
    """Each reserve, and right after it the commit of it."""
    both = np.zeros(2 * len(asked), COMMANDS)
    both[0::2] = asked
    both["kind"][1::2] = 2
    both["key"][1::2] = _core.request_keys(np.ascontiguousarray(asked["request_id"]))
    return both


def engine_with(skus: np.ndarray, *, ended_max: int, record_events: bool = False) -> _core.Engine:
    """An engine with these SKUs well stocked, and caps per address and per customer, both on."""
    engine = _core.Engine(ended_max=ended_max, record_events=record_events)
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        engine.set_cap(Cap(cap_id, subject, limit=NO_LIMIT_IN_SIGHT), now_ns=START_NS)
    stock = np.full(len(skus), 10**9, np.int64)
    outcomes = engine.load_stock(skus, stock, now_ns=START_NS)
    assert (outcomes == 1).all(), "every SKU is new"
    return engine


def add_holds(
    engine: _core.Engine, skus: np.ndarray, count: int, people: People, seed: int
) -> None:
    """Live holds spread evenly over the SKUs."""
    rng = np.random.default_rng(seed)
    for begin in range(0, count, 50_000):
        size = min(50_000, count - begin)
        chosen = skus[rng.integers(0, len(skus), size)]
        commands, lines = reserves(rng, chosen, people, f"live{begin:08d}")
        outcomes = engine.execute(commands, lines, now_ns=START_NS)
        assert (outcomes["outcome"] == 1).all(), "every hold is granted"
