"""What a look of `atp top` costs a server: with many SKUs and holds, and beside those who sell.

The store is that of test_snapshot.py. What a look tells is compared with what was made; two threads
sell meanwhile, and the longest that their batches took is told with looks and without, in pairs.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import workload
from pairs import in_turn
from workload import People

from atp import _core
from atp.clock import Clock
from atp.journal.journal import Options, open_journal
from atp.server.outcome_counts import OutcomeCounts
from atp.server.top import Top
from atp.v1 import maintenance_service_pb2 as pb
from test_snapshot import LIFE_NS, fill

Figure = Callable[[str, float, str], None]
SLICE = 32
ROUNDS = 20
LOOKS = 10
PAIRS = 5


def top_of(engine: _core.Engine, journal: Any, clock: Any) -> Top:
    """What answers GetTop, without a front."""
    return Top(
        engine,
        journal,
        clock,
        counts=OutcomeCounts(dict),
        front=lambda: None,
        watch_count=lambda: 0,
    )


def longest_batches(
    engine: _core.Engine, now_ns: int, run: int, work: Callable[[], object]
) -> float:
    """What 99.9 % of batches of 32 reserves by two threads take at most, in ms, meanwhile."""
    took: list[float] = []
    ended = threading.Event()

    def sell(number: int) -> None:
        rng = np.random.default_rng(number)
        people = People(1000, 1000)
        skus = workload.sku_names(1000)
        batch = 0
        while not ended.is_set():
            chosen = skus[rng.integers(0, 1000, SLICE)]
            name = f"{number}-{run}-{batch:08d}"
            commands, lines = workload.reserves(rng, chosen, people, name)
            commands["ttl_ns"] = LIFE_NS
            begin = time.perf_counter()
            engine.execute(commands, lines, now_ns=now_ns)
            took.append((time.perf_counter() - begin) * 1e3)
            batch += 1

    threads = [threading.Thread(target=sell, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    work()
    ended.set()
    for thread in threads:
        thread.join()
    return float(np.percentile(took, 99.9))


def look_often(look: Callable[[], object]) -> None:
    """Ten looks, a twentieth of a second between them."""
    for _ in range(LOOKS):
        look()
        threading.Event().wait(0.05)


def test_a_look_is_cheap_and_nobody_waits_for_it(
    tmp_path: Path, full: bool, figure: Figure
) -> None:
    count = 1_000_000 if full else 20_000
    now_ns = Clock().now_ns()
    engine, journal, _ = open_journal(
        Options(tmp_path / "data", durability="off"),
        {"sku_max": count, "live_holds_max": 2 * count + 5_000_000},
        now_ns=now_ns,
        owner_text="bench",
    )
    journal.start(lambda error: None)
    try:
        fill(engine, count, now_ns, lambda: None)
        clock = SimpleNamespace(now_ns=lambda: now_ns, start_time_ns=now_ns)
        top = top_of(engine, journal, clock)
        request = pb.GetTopRequest()
        told = top.read(request)
        assert (told.live_hold_count, told.sku_count) == (count, count)
        assert (told.ending_soon_line_count, told.held_quantity) == (0, count)
        late_ns = now_ns + LIFE_NS - 5 * 10**9
        later = top_of(engine, journal, SimpleNamespace(now_ns=lambda: late_ns, start_time_ns=0))
        assert later.read(request).ending_soon_line_count == count  # the most there is to count

        def timed(one: Top) -> float:
            begin = time.perf_counter()
            one.read(request)
            return (time.perf_counter() - begin) * 1e3

        figure("top_read_ms", statistics.median(timed(top) for _ in range(ROUNDS)), "ms")
        most = statistics.median(timed(later) for _ in range(ROUNDS))
        figure("top_read_ms_all_ending", most, "ms")

        def longest(number: int, is_looked_at: bool) -> float:
            look = (lambda: later.read(request)) if is_looked_at else (lambda: None)
            return longest_batches(engine, late_ns, number, lambda: look_often(look))

        pairs = in_turn(PAIRS if full else 1, longest)
        figure("top_batch_p999_ms_without", statistics.median(pairs.without), "ms")
        figure("top_batch_p999_ms_beside", statistics.median(pairs.beside), "ms")
        figure("top_batch_p999_beside_vs_not", pairs.ratio, "times")
    finally:
        journal.close(now_ns, snapshot=False)
