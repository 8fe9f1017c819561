"""Commands as arrays: the same answers and the same state as one call at a time.

Owns the packing of random histories into COMMAND_DTYPE and LINE_DTYPE. The answers are compared
with those of a second native engine that is asked command by command.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp._core import COMMAND_DTYPE, LINE_DTYPE, OUTCOME_DTYPE, Engine
from atp.vocabulary import FieldInvalid, StockOutcome
from conftest import native_engine
from histories import BASE_NS, LIFE_NS, Command, History
from pair import key_teller

KINDS = {"reserve": 1, "commit": 2, "release": 3, "extend": 4}
BULK = {"reserve", "replace", "end_whole", "end_lines", "extend", "again"}
NOBODY = bytes(16)


def address_bytes(text: str) -> bytes:
    """An address in 16 bytes, IPv4 mapped; zero for none."""
    if not text:
        return NOBODY
    address = ipaddress.ip_address(text)
    return address.packed if address.version == 6 else bytes(10) + b"\xff\xff" + address.packed


def pack(batch: list[Command]) -> tuple[np.ndarray, np.ndarray]:
    """The arrays for a batch of commands."""
    commands = np.zeros(len(batch), COMMAND_DTYPE)
    lines: list[tuple[bytes, int]] = []
    for row, (name, words, keywords) in zip(commands, batch, strict=True):
        row["kind"] = KINDS[name]
        row["first_line"] = len(lines)
        named = words[1] if len(words) > 1 else ()
        lines += [(sku.encode(), quantity) for sku, quantity in named]
        row["line_count"] = len(named)
        row["ttl_ns"] = keywords.get("ttl_ns", 0)
        row["expire_time_ns"] = keywords.get("expire_time_ns", 0)
        if name == "reserve":
            row["request_id"] = words[0].encode()
            row["flags"] = keywords["allow_partial"]
            row["client_ip"] = np.void(address_bytes(keywords["client_ip"]))
            row["customer_id"] = keywords["customer_id"].encode()
            row["key"] = np.void(bytes.fromhex(keywords.get("replaces", "")) or NOBODY)
        else:
            row["request_id"] = keywords["request_id"].encode()
            row["key"] = np.void(bytes.fromhex(words[0]))
    return commands, np.array(lines, LINE_DTYPE)


def without_default(command: Command) -> Command:
    """An array knows no default time to live: give it as the command's own."""
    keywords = dict(command.keywords)
    if "default_ttl_ns" in keywords:
        keywords["ttl_ns"] = keywords.pop("default_ttl_ns")
    return command._replace(keywords=keywords)


def same_answer(row: Any, name: str, reply: Any) -> bool:
    """Whether a row of outcomes says what a reply says."""
    seen = (row["outcome"], bool(row["repeated"]), row["sequence"])
    if seen != (reply.outcome, reply.repeated, reply.sequence):
        return False
    if name != "reserve":
        return bool(row["line_index"] == reply.line_index)
    key = row["key"].tobytes()
    return reply.reservation is None or key.hex() == reply.reservation.reservation_id


@given(seed=st.integers(0, 2**32))
@settings(phases=[Phase.generate])  # a seed does not shrink
def test_arrays_answer_as_single_calls(seed: int) -> None:
    """The same outcomes, the same dump, the same digest."""
    random, key_of = Random(seed), key_teller(native_engine)
    bounds = {"longest_life_ns": LIFE_NS, "remember_ns": random.choice([1, 300, 10**9])}
    bulk, single = native_engine(**bounds), native_engine(**bounds)
    history = History(random, key_of, BULK)
    for command in history.opening():
        for engine in (bulk, single):
            getattr(engine, command.name)(*command.words, **command.keywords)
    for _ in range(6):
        history.now_ns += random.choice([0, 1, 10, 100, 400, -10])
        batch = []
        for _ in range(random.choice([1, 5, 60])):
            (kind,) = random.choices(history.kinds, history.weights)
            command = without_default(getattr(history, f"draw_{kind}")())
            if kind != "again":
                history.sent.append(command)
            batch.append(command)
        answers = bulk.execute(*pack(batch), now_ns=history.now_ns)
        assert answers.dtype == OUTCOME_DTYPE
        for command, row in zip(batch, answers, strict=True):
            keywords = command.keywords | {"now_ns": history.now_ns}
            reply = getattr(single, command.name)(*command.words, **keywords)
            assert same_answer(row, command.name, reply), (command, row, reply)
        dumps = [engine.dump(now_ns=history.now_ns) for engine in (bulk, single)]
        assert dumps[0] == dumps[1]
        digests = {engine.digest(now_ns=history.now_ns) for engine in (bulk, single)}
        assert len(digests) == 1
    assert bulk.check(now_ns=history.now_ns).violations == ()


def one(request_id: bytes = b"r", **fields: Any) -> np.ndarray:
    """An array of one reserve that is well-formed but for what is given."""
    commands = np.zeros(1, COMMAND_DTYPE)
    values = {"kind": 1, "request_id": request_id, "ttl_ns": 9, "line_count": 1} | fields
    for name, value in values.items():
        commands[name] = value
    return commands


LINES = np.array([(b"a", 1)], LINE_DTYPE)

MALFORMED: list[tuple[str, Callable[[], tuple[np.ndarray, np.ndarray]]]] = [
    ("an unknown kind", lambda: (one(kind=5), LINES)),
    ("no kind", lambda: (one(kind=0), LINES)),
    ("no id", lambda: (one(b""), LINES)),
    ("no lines", lambda: (one(line_count=0), LINES)),
    ("lines before the array", lambda: (one(first_line=-1), LINES)),
    ("lines behind the array", lambda: (one(first_line=2), LINES)),
    ("more lines than there are", lambda: (one(line_count=3), LINES)),
    ("a negative number of lines", lambda: (one(line_count=-1), LINES)),
    ("lines whose end wraps around", lambda: (one(first_line=2**63 - 1), LINES)),
    ("no end", lambda: (one(ttl_ns=0), LINES)),
    ("both ends", lambda: (one(expire_time_ns=BASE_NS + 1), LINES)),
    ("an end before now by ttl", lambda: (one(ttl_ns=-1), LINES)),
    ("quantity 0", lambda: (one(), np.array([(b"a", 0)], LINE_DTYPE))),
    ("quantity too big", lambda: (one(), np.array([(b"a", 10**9 + 1)], LINE_DTYPE))),
    ("an empty SKU", lambda: (one(), np.array([(b"", 1)], LINE_DTYPE))),
    (
        "a sum too big",
        lambda: (one(line_count=2), np.array([(b"a", 10**9), (b"a", 1)], LINE_DTYPE)),
    ),
    (
        "4,097 lines",
        lambda: (one(line_count=4_097), np.array([(b"a", 1)] * 4_097, LINE_DTYPE)),
    ),
    ("lines to commit without an id", lambda: (one(b"", kind=2, ttl_ns=0), LINES)),
    (
        "a SKU to commit twice",
        lambda: (one(kind=2, ttl_ns=0, line_count=2), np.array([(b"a", 1)] * 2, LINE_DTYPE)),
    ),
]


@pytest.mark.parametrize("make", [pytest.param(make, id=name) for name, make in MALFORMED])
@pytest.mark.parametrize("place", ["first", "last"])
def test_one_malformed_command_refuses_the_whole_array(
    make: Callable[[], tuple[np.ndarray, np.ndarray]], place: str
) -> None:
    """Nothing is changed, not even by the commands before it."""
    engine = native_engine()
    engine.set_stock("a", 9, now_ns=BASE_NS)
    bad, lines = make()
    good = one(b"good", first_line=len(lines))
    commands = np.concatenate([bad, good] if place == "first" else [good, bad])
    with pytest.raises(FieldInvalid):
        engine.execute(commands, np.concatenate([lines, LINES]), now_ns=BASE_NS)
    assert engine.status().sequence == 1
    assert engine.dump(now_ns=BASE_NS)["reservations"] == {}


def test_strings_may_be_narrower() -> None:
    """Arrays with shorter string fields, and none at all, are taken as they are."""
    narrow = np.dtype(
        [
            (name, "S5" if name in ("request_id", "customer_id") else COMMAND_DTYPE[name])
            for name in COMMAND_DTYPE.names or ()
        ]
    )
    engine = native_engine()
    engine.set_stock("a", 9, now_ns=BASE_NS)
    lines = np.array([(b"a", 2)], np.dtype([("sku", "S1"), ("quantity", "<i8")]))
    (row,) = engine.execute(one(b"abcde").astype(narrow), lines, now_ns=BASE_NS)
    assert row["outcome"] == 1
    reply = engine.reserve("abcde", [("a", 2)], now_ns=BASE_NS, ttl_ns=9)
    assert reply.repeated
    assert engine.execute(one()[:0], LINES, now_ns=BASE_NS).shape == (0,)


def test_load_stock() -> None:
    """Many SKUs at once, with an outcome each; a SKU named twice keeps the later number."""
    engine = Engine(sku_max=3)
    skus = np.array([b"a", b"b", b"c", b"d", b"a"])
    outcomes = engine.load_stock(skus, np.array([1, 2, 3, 4, 5], np.int64), now_ns=BASE_NS)
    done, full = StockOutcome.DONE, StockOutcome.LIMIT_REACHED
    assert [StockOutcome(number) for number in outcomes] == [done, done, done, full, done]
    seen = engine.get_availability(["a", "b", "c", "d"], now_ns=BASE_NS)
    assert [None if s is None else s.on_hand for s in seen] == [5, 2, 3, None]


@pytest.mark.parametrize(
    ("skus", "on_hand"),
    [([b"a", b""], [1, 1]), ([b"a", b"b"], [1, -1]), ([b"a", b"b"], [1, 10**12 + 1]), ([b"a"], [])],
)
def test_load_stock_that_is_malformed(skus: list[bytes], on_hand: list[int]) -> None:
    """Nothing is loaded."""
    engine = native_engine()
    with pytest.raises((FieldInvalid, ValueError)):
        engine.load_stock(np.array(skus), np.array(on_hand, np.int64), now_ns=BASE_NS)
    assert engine.status().skus == 0
