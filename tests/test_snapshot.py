"""Law 8, by a snapshot: what is loaded from it is the state after exactly its sequence.

Random histories are written and loaded at many points, and then go on in both engines side by side:
every later answer must be the same. Crowds of threads change everything while snapshots are taken;
each must come to what the events up to its sequence come to.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp._core import COMMAND_DTYPE, LINE_DTYPE, request_keys
from atp.journal import _native
from atp.journal.errors import SnapshotBusy
from atp.vocabulary import Cap, CapMode, CapSubject, StockReason
from conftest import native_engine
from crowd import Crowd
from histories import BASE_NS, LIFE_NS, Command, History
from pair import attempt, key_teller
from records import Events, replay, replayed
from snapshot_files import STORE, assert_same, load, loaded, written

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
MINUTE_NS = 60 * 10**9

Scaled = Callable[[int], int]


STRETCH = 1_000
TIMES = ("ttl_ns", "default_ttl_ns")


class Stretched:
    """A history with room between its times, so that no two holds end at one instant: which of
    them goes first is not defined, and need not be the same in two engines."""

    def __init__(self) -> None:
        self.offsets: dict[str, int] = {}

    def at(self, time_ns: int) -> int:
        return BASE_NS + (time_ns - BASE_NS) * STRETCH

    def command(self, command: Command) -> Command:
        words, keywords = command.words, dict(command.keywords)
        offset = self.offsets.setdefault(str(words[0]) if words else "", len(self.offsets))
        assert offset < STRETCH
        for name, value in command.keywords.items():
            if name in TIMES:
                keywords[name] = value * STRETCH + offset
            elif name == "expire_time_ns":
                keywords[name] = self.at(value) + offset
            elif name == "now_ns":
                keywords[name] = self.at(value)
        if command.name == "set_cap" and words[0].window_ns:
            words = (words[0]._replace(window_ns=words[0].window_ns * STRETCH),)
        return Command(command.name, words, keywords)


@given(
    seed=st.integers(0, 2**32),
    remember_ns=st.sampled_from([1, 300, 10**6]),
    ended_max=st.sampled_from([64, 192, 10**6]),
)
@settings(phases=[Phase.generate])  # a seed does not shrink
def test_a_history_goes_on_from_a_snapshot(seed: int, remember_ns: int, ended_max: int) -> None:
    """What is loaded is what was there, and answers every later command as the first one does."""
    bounds = {
        "longest_life_ns": (LIFE_NS + 1) * STRETCH,
        "remember_ns": remember_ns * STRETCH,
        "ended_max": ended_max,
    }
    live = native_engine(**bounds)
    copies: list[Any] = []
    stretched = Stretched()
    history = History(Random(seed), key_teller(native_engine))
    for number, plain in enumerate(history.commands(150)):
        command = stretched.command(plain)
        answer = attempt(getattr(live, command.name), command.words, command.keywords)
        history.note(command, answer)
        for copy in copies:
            again = attempt(getattr(copy, command.name), command.words, command.keywords)
            assert exactly(again) == exactly(answer), command
        if number % 30 == 10:
            told, data = written(live)
            assert told.sequence == live.status().sequence
            copies.append(loaded(data, **bounds))
            assert_same(live, copies[-1])
            assert_same(live, loaded(written(copies[-1])[1], **bounds))
    for copy in copies:
        assert_same(live, copy)


def exactly(answer: Any) -> Any:
    """An answer; of an exception, what it says. Counts of caps are as new as their snapshot."""
    if hasattr(answer, "reveals"):
        return answer._replace(reveals=0)
    return (type(answer), str(answer)) if isinstance(answer, Exception) else answer


def batch(ids: str, count: int, random: Random, skus: list[str]) -> tuple[Any, Any]:
    """Commands as arrays: reserves, each with an end of that hold or of one shortly before it."""
    reserves = [f"{ids}-{number}" for number in range(count)]
    keys = request_keys(np.array(reserves, dtype="S64"))
    commands = np.zeros(2 * count, COMMAND_DTYPE)
    lines: list[tuple[bytes, int]] = []
    for number, request_id in enumerate(reserves):
        row = commands[2 * number]
        basket = random.sample(skus, random.randint(1, 4))
        row["kind"], row["request_id"] = 1, request_id.encode()
        row["first_line"], row["line_count"] = len(lines), len(basket)
        lines += [(sku.encode(), random.randint(1, 3)) for sku in basket]
        row["customer_id"] = random.choice([b"ann", b"bob", b"eve", b""])
        row["client_ip"] = np.void(bytes(10) + bytes([255, 255, 10, 0, 0, number % 50]))
        row["ttl_ns"] = random.choice([40, 200, MINUTE_NS])
        row = commands[2 * number + 1]
        row["kind"] = random.choice([2, 3, 3, 4])
        row["key"] = keys[max(0, number - random.randint(0, 3))]
        if row["kind"] == 4:
            row["ttl_ns"] = MINUTE_NS
        if random.random() < 0.3:
            row["request_id"] = f"{request_id}-end".encode()
    return commands, np.array(lines, LINE_DTYPE)


def crowded_engine(stock: dict[str, int], **bounds: Any) -> Any:
    engine = native_engine(record_events=True, longest_life_ns=MINUTE_NS, **bounds)
    for sku, on_hand in stock.items():
        engine.set_stock(sku, on_hand, **AT_NOW)
    engine.set_cap(Cap("customer", CapSubject.CUSTOMER, None), **AT_NOW)
    engine.set_cap(Cap("each", CapSubject.EVERYONE, 10**9, per_sku=True), **AT_NOW)
    engine.set_cap(Cap("window", CapSubject.IP, 10**9, window_ns=2_000), **AT_NOW)
    return engine


@pytest.mark.parametrize("ended_max", [640, 10**6])
def test_snapshots_while_everything_changes(scaled: Scaled, ended_max: int) -> None:
    """Each is the state after exactly its sequence: what the events up to that come to."""
    stock = {f"s{number}": 10**6 for number in range(200)}
    bounds = {"remember_ns": 10_000, "ended_max": ended_max}
    engine = crowded_engine(stock, **bounds)
    opening = len(stock) + 3
    taken: list[tuple[Any, bytes]] = []
    events: Events = []
    stop = threading.Event()

    def shop(thread: int) -> Callable[[], None]:
        random = Random(thread)
        batches = [
            batch(f"{thread}-{number}", scaled(400), random, [*stock]) for number in range(30)
        ]

        def job() -> None:
            for number, (commands, lines) in enumerate(batches):
                if not stop.is_set():
                    engine.execute(commands, lines, now_ns=NOW_NS + 100 * number)
                    engine.sweep(now_ns=NOW_NS + 100 * number + 50)

        return job

    def operate() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            cap = Cap("net", CapSubject.SUBNET, 10**9, ipv4_prefix_length=24 + number % 8)
            engine.set_cap(cap._replace(ipv6_prefix_length=64), **AT_NOW)
            engine.set_stock(f"new{number}", 5, **AT_NOW)
            engine.adjust_stock(f"a{number}", f"s{number % 200}", 1, StockReason.COUNTED, **AT_NOW)
            mode = (CapMode.SHADOW, CapMode.ENFORCE)[number % 2]
            engine.set_cap(Cap("customer", CapSubject.CUSTOMER, None, mode=mode), **AT_NOW)
            engine.remove_cap("net", **AT_NOW)

    def remember() -> None:
        try:
            for _ in range(5):
                taken.append(written(engine))
                events.extend(engine.take_events())
        finally:
            stop.set()

    Crowd(engine).run(*(shop(thread) for thread in range(3)), operate, remember)
    taken.append(written(engine))
    events += engine.take_events()
    assert [sequence for sequence, _ in events] == [*range(1, len(events) + 1)]
    assert len({told.sequence for told, _ in taken}) >= 3
    assert sum(told.aside_bytes for told, _ in taken) > 0, "nothing changed while it was copied"
    for told, data in taken:
        assert told.sequence >= opening
        until = replayed(events[: told.sequence], record_events=True, **bounds)
        copy = loaded(data, **bounds)
        assert copy.status().time_ns == told.time_ns
        assert_like(until, copy, told.time_ns)
    for _, data in (taken[0], taken[len(taken) // 2]):  # the journal goes on from any of them
        copy = loaded(data, **bounds, longest_life_ns=MINUTE_NS)
        replay(copy, events[copy.status().sequence :])
        assert_like(engine, copy, engine.status().time_ns)


def assert_like(one: Any, other: Any, now_ns: int) -> None:
    """Both hold the same at that time, as they are: nothing expires for being asked."""
    assert one.status().sequence == other.status().sequence
    assert _native.state_digest(one, now_ns) == _native.state_digest(other, now_ns)
    assert other.check(now_ns=now_ns).violations == ()


def test_one_snapshot_at_a_time() -> None:
    """A second one meanwhile is refused; those that began come to their end."""
    engine = crowded_engine({f"s{number}": 1 for number in range(2_000)})
    taken: list[bytes] = []
    refused: list[SnapshotBusy] = []

    def remember() -> None:
        for _ in range(100):
            try:
                taken.append(written(engine)[1])
            except SnapshotBusy as busy:
                refused.append(busy)
            if taken and refused:
                break

    Crowd(engine).run(remember, remember, remember)
    assert refused
    assert_same(engine, loaded(taken[0]))


def test_an_engine_with_a_past_takes_no_snapshot() -> None:
    engine = crowded_engine({"a": 1})
    _, data = written(engine)
    with pytest.raises(ValueError, match="fresh engine"):
        load(engine, data)


def test_a_disk_that_takes_nothing_fails_the_snapshot_and_nothing_else() -> None:
    """Every shard is let go: the next one comes to its end."""
    engine = crowded_engine({"a": 5, "b": 5})
    fd = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(OSError, match="No space left"):
            _native.write_snapshot(engine, fd, store_id=STORE, now_ns=0)
    finally:
        os.close(fd)
    engine.reserve("r", [("a", 1)], ttl_ns=1_000, **AT_NOW)
    assert_same(engine, loaded(written(engine)[1]))
