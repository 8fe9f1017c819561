"""What broke the engine when somebody tried to: each a test named for what happened.

Owns only what was seen to fail once. What ends the process runs in a process of its own, so that
the other tests go on. The laws, and random histories, are held elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from itertools import count
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from atp._core import COMMAND_DTYPE, LINE_DTYPE, request_keys
from atp.vocabulary import Cap, CapMode, CapSubject, ChangeOutcome, FieldInvalid, ReserveOutcome
from conftest import native_engine

NOW_NS = 1_700_000_000_000_000_000
SECOND_NS = 10**9
AT_NOW: dict[str, int] = {"now_ns": NOW_NS}
TTL: dict[str, int] = {"now_ns": NOW_NS, "ttl_ns": 60 * SECOND_NS}
CHILD_SECONDS = 120


def run_child(code: str) -> str:
    """What a process of its own prints, which must end well. Its memory is not zero at first."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": ":".join(sys.path), "MALLOC_PERTURB_": "165"},
        capture_output=True,
        text=True,
        check=False,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, f"ended with {ended.returncode}: {ended.stderr[-2000:]}"
    return ended.stdout


def units_of(sku: str) -> np.ndarray:
    """One line: one unit of a SKU."""
    return np.array([(sku.encode(), 1)], LINE_DTYPE)


def reserves(prefix: str, number: int, customer: bytes = b"") -> np.ndarray:
    """So many reserves, each of the one line."""
    commands = np.zeros(number, COMMAND_DTYPE)
    commands["kind"] = 1
    commands["request_id"] = [f"{prefix}{i}".encode() for i in range(number)]
    commands["customer_id"] = customer
    commands["ttl_ns"] = 60 * SECOND_NS
    commands["line_count"] = 1
    return commands


def cap_of(cap_id: str, **keywords: Any) -> Cap:
    """A cap on customers."""
    words: dict[str, Any] = {"subject": CapSubject.CUSTOMER, "limit": None, **keywords}
    words.setdefault("mode", CapMode.ENFORCE)
    return Cap(cap_id=cap_id, **words)


def shard_of(request_id: str) -> int:
    """Where a request id is remembered: its key's lower word begins with it."""
    key = request_keys(np.array([request_id.encode()], "S64"))[0].tobytes()
    return int(key[8] >> 2)


def a_basket(engine: Any, lines: int) -> list[tuple[str, int]]:
    """One unit of each of so many SKUs, of which there are plenty."""
    basket = [(f"sku-{i}", 1) for i in range(lines)]
    for sku, _ in basket:
        engine.set_stock(sku, 1000, **AT_NOW)
    return basket


HOT_SKU = """
import numpy as np
from atp._core import COMMAND_DTYPE, LINE_DTYPE, Engine
engine = Engine()
engine.set_stock("hot", 10**9, now_ns=10**18)
line = np.array([(b"hot", 1)], LINE_DTYPE)
commands = np.zeros(200_000, COMMAND_DTYPE)
commands["kind"] = commands["line_count"] = 1
commands["ttl_ns"] = 10**10
for number in range(12):
    ids = np.arange(number * len(commands), (number + 1) * len(commands))
    commands["request_id"] = ids.astype("S64")
    assert (engine.execute(commands, line, now_ns=10**18)["outcome"] == 1).all()
report = engine.check(now_ns=10**18)
print(report.violations, report.reservations)
"""


def test_two_million_holds_of_one_sku_needed_a_size_class_beyond_the_last() -> None:
    """The heap of a SKU with more than 2,362,203 live holds is a block of over 32 MiB, of size
    class 129; the free lists had 128. What lay behind them was taken for a free block: SIGSEGV, or
    another shard's lock taken for ever."""
    assert run_child(HOT_SKU).split() == ["()", "2400000"]


def test_a_receipt_pushed_out_the_reservation_it_answered_about() -> None:
    """With one place a shard for what has ended (`memory.ended_max` of 64 to 127), the receipt of a
    whole commit took the place of the reservation it committed; the answer was then read from freed
    memory, and named another reservation."""
    engine = native_engine(ended_max=64)
    engine.set_stock("apple", 10, **AT_NOW)
    twin = next(f"c{i}" for i in count() if shard_of(f"c{i}") == shard_of("r1"))
    held = engine.reserve("r1", [("apple", 2)], **TTL).reservation
    reply = engine.commit(held.reservation_id, request_id=twin, **AT_NOW)
    assert reply.outcome == ChangeOutcome.DONE
    assert reply.reservation.reservation_id == held.reservation_id
    assert reply.reservation.end_time_ns == NOW_NS


def test_a_place_given_back_by_a_replacement_was_taken_by_another(scaled: Any) -> None:
    """A replacement gave the place of the hold that it replaced back before it took it again, and
    another reserve came in between: more holds lived than `live_holds_max`."""
    bound = 64
    for _ in range(scaled(10)):
        engine = native_engine(live_holds_max=bound)
        for sku in ("apple", "pear"):
            engine.set_stock(sku, 10**9, **AT_NOW)
        for i in range(bound):
            engine.reserve(f"first-{i}", [("apple", 1)], customer_id="ann", **TTL)
        chains = [reserves(f"chain-{i}-", 10_000, b"ann") for i in range(2)]
        for i, chain in enumerate(chains):
            chain["key"][0] = request_keys(np.array([f"first-{i}".encode()]))[0]
            chain["key"][1:] = request_keys(chain["request_id"].copy())[:-1]
        work = [(chain, units_of("apple")) for chain in chains]
        work.append((reserves("other-", 80_000), units_of("pear")))
        threads = [
            threading.Thread(target=engine.execute, args=arrays, kwargs=AT_NOW) for arrays in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine.status().live_holds <= bound


def test_replacing_a_large_basket_compared_every_count_with_every_other() -> None:
    """With 4096 lines and a handful of caps that count each SKU apart, a replacement looked for
    each counter among all counts of the basket: seconds to minutes, with every shard locked."""
    engine = native_engine()
    for number in range(10):
        engine.set_cap(cap_of(f"cap-{number}", limit=100, per_sku=True), **AT_NOW)
    basket = a_basket(engine, 4096)
    start = perf_counter()
    held = engine.reserve("r1", basket, customer_id="ann", **TTL).reservation
    middle = perf_counter()
    reply = engine.reserve("r2", basket, customer_id="ann", replaces=held.reservation_id, **TTL)
    end = perf_counter()
    assert reply.outcome == ReserveOutcome.GRANTED
    assert end - middle < 25 * (middle - start)


@pytest.mark.parametrize("window_ns", [None, SECOND_NS])
def test_counts_that_were_over_kept_others_out(window_ns: int | None) -> None:
    """Counters of a cap that was removed, or whose window had passed, kept their places until a
    sweep came by their shard, up to 64 sweeps later: a customer was refused by `cap_counters_max`
    while no count was in force."""
    engine = native_engine(cap_counters_max=1)
    engine.set_stock("apple", 10, **AT_NOW)
    engine.set_cap(cap_of("old", limit=5, window_ns=window_ns), **AT_NOW)
    held = engine.reserve("r1", [("apple", 1)], customer_id="ann", **TTL).reservation
    engine.commit(held.reservation_id, **AT_NOW)
    if window_ns is None:
        engine.remove_cap("old", **AT_NOW)
        engine.set_cap(cap_of("new", limit=5), **AT_NOW)
    later = {"now_ns": NOW_NS + 10 * SECOND_NS, "ttl_ns": SECOND_NS}
    assert engine.dump(now_ns=later["now_ns"])["cap_counts"] == {}
    reply = engine.reserve("r2", [("apple", 1)], customer_id="bob", **later)
    assert reply.outcome == ReserveOutcome.GRANTED


def test_two_states_had_one_digest() -> None:
    """What a counter counts went into the digest end to end: cap "a" counting customer "bc" was
    the same as cap "ab" counting customer "c"."""
    digests = set()
    for first, second, customer in (("a", "ab", "bc"), ("ab", "a", "c")):
        engine = native_engine(remember_ns=0)
        engine.set_stock("apple", 10, **AT_NOW)
        engine.set_cap(cap_of(first), **AT_NOW)
        held = engine.reserve("r1", [("apple", 1)], customer_id=customer, **TTL).reservation
        engine.commit(held.reservation_id, **AT_NOW)
        engine.set_cap(cap_of(second), **AT_NOW)
        digests.add(engine.digest(now_ns=NOW_NS + 1))
    assert len(digests) == 2


@pytest.mark.parametrize(
    "ids", ["None", "np.array(b'x')", "np.arange(3)", "np.array([b'x' * 65])", "np.array([['x']])"]
)
def test_keys_were_asked_of_what_holds_no_request_ids(ids: str) -> None:
    """`request_keys` read whatever it got: None and an array without dimensions ended the process,
    numbers and texts too long got keys that belong to no request."""
    code = f"import numpy as np\nfrom atp._core import request_keys\ntry: request_keys({ids})"
    assert run_child(f"{code}\nexcept (TypeError, ValueError): print('refused')") == "refused\n"


def test_a_time_to_live_was_read_in_the_wrong_byte_order() -> None:
    """A field of another byte order than the machine's passed as well-formed and was misread."""
    kinds = COMMAND_DTYPE.fields
    assert kinds is not None
    swapped = [
        (name, ">i8" if name == "ttl_ns" else kinds[name][0]) for name in COMMAND_DTYPE.names or ()
    ]
    engine = native_engine()
    engine.set_stock("apple", 10, **AT_NOW)
    commands = reserves("r", 1).astype(np.dtype(swapped))
    with pytest.raises(FieldInvalid, match="ttl_ns"):
        engine.execute(commands, units_of("apple"), **AT_NOW)


def test_a_sku_that_is_no_text_made_the_list_of_stock_unreadable() -> None:
    """Bytes that are no UTF-8 were taken as a SKU; from then on `list_stock` and `dump` failed."""
    engine = native_engine()
    with pytest.raises(FieldInvalid):
        engine.load_stock(np.array([b"apple", b"\xff"]), np.array([5, 5]), **AT_NOW)
    assert engine.list_stock(**AT_NOW)[0] == []


@pytest.mark.parametrize("field", ["request_id", "customer_id", "sku"])
def test_a_name_that_is_no_text_made_a_reservation_unreadable(field: str) -> None:
    """A customer that is no UTF-8 was held for, and the reservation could not be read, nor its
    commit answered, for ever; a request id of that kind spoilt its event."""
    engine = native_engine()
    engine.set_stock("apple", 10, **AT_NOW)
    commands, lines = reserves("r", 1), units_of("apple")
    (lines if field == "sku" else commands)[field] = b"\xff"
    with pytest.raises(FieldInvalid):
        engine.execute(commands, lines, **AT_NOW)
    assert engine.status().live_holds == 0


def test_a_name_that_begins_with_a_zero_byte_was_nobody() -> None:
    """A customer whose id begins with U+0000 was held for as nobody, past every cap on customers,
    by an array; a single call knew better. All such request ids had one key."""
    engine = native_engine()
    engine.set_stock("apple", 10, **AT_NOW)
    engine.set_cap(cap_of("none", limit=0), **AT_NOW)
    single = engine.reserve("r1", [("apple", 1)], customer_id="\0ann", **TTL)
    rows = engine.execute(reserves("r", 1, b"\0ann"), units_of("apple"), **AT_NOW)
    assert rows["outcome"].tolist() == [single.outcome] == [ReserveOutcome.CAP_REACHED]
    assert len(set(request_keys(np.array([b"\0x", b"\0y"])).tolist())) == 2


def test_an_extension_was_taken_with_lines() -> None:
    """Lines mean nothing to an extension; an array with some was judged by them nevertheless."""
    engine = native_engine()
    engine.set_stock("apple", 10, **AT_NOW)
    commands = reserves("r", 2)
    commands["kind"][1] = 4
    commands["key"][1] = request_keys(commands["request_id"][:1].copy())[0]
    with pytest.raises(FieldInvalid):
        engine.execute(commands, units_of("apple"), **AT_NOW)


def test_half_a_unit_was_cut_off() -> None:
    """Numbers that are not whole were taken, and what was behind the point was thrown away."""
    engine = native_engine()
    engine.set_stock("apple", 10, **AT_NOW)
    with pytest.raises((TypeError, FieldInvalid)):
        engine.set_stock("apple", 1.9, **AT_NOW)
    with pytest.raises((TypeError, FieldInvalid)):
        engine.adjust_stock("a1", "apple", 1.9, 1, **AT_NOW)
    with pytest.raises((TypeError, FieldInvalid)):
        engine.reserve("r1", [("apple", 1.9)], **TTL)
    assert engine.get_availability(["apple"], **AT_NOW)[0].available == 10
