"""What a reserve and its commit cost in the engine, one thread, and two.

Native loop over arrays through Engine.execute, caps per IP and per customer on. The figure of a run
is its best round: what other tenants of the machine take away is not the engine's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import workload
from workload import People

from atp import _core

Figure = Callable[[str, float, str], None]


def timed(engine: _core.Engine, parts: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Seconds to judge all parts, one thread each; every command must be granted."""
    answers: list[np.ndarray | None] = [None] * len(parts)
    ready = threading.Barrier(len(parts) + 1)

    def judge(number: int) -> None:
        commands, lines = parts[number]
        ready.wait()
        answers[number] = engine.execute(commands, lines, now_ns=workload.START_NS)

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(len(parts))]
    for thread in threads:
        thread.start()
    ready.wait()
    begin = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    assert all(answer is not None and (answer["outcome"] == 1).all() for answer in answers)
    return seconds


class Pairs:
    """Rounds of pairs on one engine, with ids of their own each."""

    def __init__(self, engine: _core.Engine, skus: np.ndarray, people: People) -> None:
        self.engine = engine
        self.skus = skus
        self.people = people
        self.rounds = count()
        self.rng = np.random.default_rng(7)

    def round(self, size: int, threads: int, *, spread: str) -> float:
        """Nanoseconds a pair over all threads; checks that stock moved by just the pairs."""
        parts = []
        for _ in range(threads):
            each = size // threads
            chosen = {
                "zipf": lambda each=each: self.skus[workload.zipf(self.rng, each, len(self.skus))],
                "even": lambda each=each: self.skus[self.rng.integers(0, len(self.skus), each)],
                "hot": lambda each=each: np.full(each, self.skus[len(self.skus) // 2]),
            }[spread]()
            parts.append(workload.pairs(self.rng, chosen, self.people, f"r{next(self.rounds)}"))
        before = self.engine.status()
        seconds = timed(self.engine, parts)
        after = self.engine.status()
        pairs = sum(len(lines) for _, lines in parts)
        assert after.sequence - before.sequence == 2 * pairs
        assert after.live_holds == before.live_holds
        return seconds / pairs * 1e9


def best(benchmark: pytest.FixtureRequest, run: Callable[[], float], rounds: int) -> float:
    """The best of several rounds, which pytest-benchmark also lists."""
    values: list[float] = []
    benchmark.pedantic(lambda: values.append(run()), rounds=rounds, warmup_rounds=1)
    return min(values[1:])


def in_cache(full: bool) -> tuple[Pairs, int]:
    """10,000 SKUs, 2,000 customers, 1,000 addresses; 640 ended reservations are remembered."""
    size = 10_000 if full else 500
    skus = workload.sku_names(size)
    engine = workload.engine_with(skus, ended_max=640)
    return Pairs(engine, skus, People(2_000, 1_000)), 20_000 if full else 2_000


def out_of_cache(full: bool) -> tuple[Pairs, int]:
    """A million SKUs and a million live holds."""
    size = 1_000_000 if full else 5_000
    skus = workload.sku_names(size)
    engine = workload.engine_with(skus, ended_max=1_000_000)
    people = People(size // 6, size // 15)
    workload.add_holds(engine, skus, size, people, seed=3)
    return Pairs(engine, skus, people), 200_000 if full else 2_000


def test_pair_in_cache(benchmark: pytest.FixtureRequest, figure: Figure, full: bool) -> None:
    """engine_pair_ns_hot."""
    pairs, size = in_cache(full)
    value = best(benchmark, lambda: pairs.round(size, 1, spread="even"), 60 if full else 2)
    figure("engine_pair_ns_hot", value, "ns")
    assert pairs.engine.check(now_ns=workload.START_NS).violations == ()


def test_pair_out_of_cache(benchmark: pytest.FixtureRequest, figure: Figure, full: bool) -> None:
    """engine_pair_ns_cold, and two threads on the same engine, evenly spread and on one SKU."""
    pairs, size = out_of_cache(full)
    rounds = 8 if full else 2
    value = best(benchmark, lambda: pairs.round(size, 1, spread="zipf"), rounds)
    figure("engine_pair_ns_cold", value, "ns")
    for spread, name in (("even", "uniform"), ("hot", "hot_sku")):
        # One thread and two in turn, so that both meet the same weather; the best of each.
        runs = [
            (pairs.round(size, 1, spread=spread), pairs.round(size, 2, spread=spread))
            for _ in range(rounds)
        ]
        one, two = (min(values) for values in zip(*runs, strict=True))
        figure(f"engine_threads_2_{name}", one / two, "times")
    assert pairs.engine.check(now_ns=workload.START_NS).violations == ()


def test_pair_growth(benchmark: pytest.FixtureRequest, figure: Figure, full: bool) -> None:
    """engine_pair_growth: 10 million SKUs over 10,000."""
    size = 200_000 if full else 2_000
    rounds = 6 if full else 2

    def pairs_over(skus_count: int) -> Pairs:
        skus = workload.sku_names(skus_count)
        engine = workload.engine_with(skus, ended_max=100_000)
        return Pairs(engine, skus, People(100_000, 40_000))

    few, many = (pairs_over(number) for number in ((10_000, 10**7) if full else (1_000, 20_000)))
    small: list[float] = []
    value = best(
        benchmark,
        lambda: (
            small.append(few.round(size, 1, spread="even")) or many.round(size, 1, spread="even")
        ),
        rounds,
    )
    figure("engine_pair_growth", value / min(small[1:]), "times")
