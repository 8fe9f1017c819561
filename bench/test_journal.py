"""What remembering costs: durable records a second, time beside the engine's own, bytes on disk.

Engine and committer in one process, native load from arrays through Engine.execute. Whoever waits
for a batch commits it, unless another is at it; a thread keeps a spare segment ready. At the end
every record is read back from the segments.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

import numpy as np
import pytest
import workload
from workload import People

from atp import _core
from atp.journal._native import Writer, pack_records
from atp.journal.segments import HEADER_BYTES, list_segments

Figure = Callable[[str, float, str], None]
STORE_ID = bytes(16)
FOREVER_NS = 600 * 10**9
PEOPLE = People(2_000, 1_000)


@contextmanager
def committed(engine: _core.Engine, folder: Path, durability: str) -> Iterator[Writer]:
    """A committer for an engine, with its threads, until the end of the block."""
    (folder / "journal").mkdir(parents=True)
    writer = Writer(
        engine,
        folder,
        STORE_ID,
        next_sequence=1,
        now_ns=workload.START_NS,
        segment_bytes=64 << 20,
        durability=durability,
        sync_interval_ns=50_000_000,
        backlog_bytes_max=1 << 30,  # what is measured is not the bound
    )
    threads = [threading.Thread(target=job) for job in (writer.run, writer.run_ahead)]
    for thread in threads:
        thread.start()
    try:
        yield writer
    finally:
        writer.stop()
        for thread in threads:
            thread.join()


def records_in(folder: Path) -> int:
    """Reads every record back: sound, in order, without a gap; returns how many there are."""
    expected = 1
    for segment in list_segments(folder / "journal"):
        assert segment.first_sequence == expected
        data = segment.path.read_bytes()[HEADER_BYTES:]
        _, _, expected, used = pack_records(data, expected, 1 << 62, 1 << 61)
        assert not any(data[used : used + 64]), "nothing follows the records"
    return expected - 1


class Load:
    """Pairs of a reserve and its commit, with ids of their own each time."""

    def __init__(self, skus_count: int) -> None:
        self.skus = workload.sku_names(skus_count)
        self.rng = np.random.default_rng(7)
        self.rounds = count()

    def engine(self, *, records: bool) -> _core.Engine:
        """An engine with the SKUs."""
        return workload.engine_with(self.skus, ended_max=640, record_events=records)

    def pairs(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """So many pairs over all SKUs, evenly."""
        chosen = self.skus[self.rng.integers(0, len(self.skus), size)]
        return workload.pairs(self.rng, chosen, PEOPLE, f"r{next(self.rounds)}")


def test_durable_records(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """journal_records_per_s: two threads, each batch waited for until it is durable."""
    load = Load(10_000 if full else 500)
    batches, size, rounds = (50, 5_000, 5) if full else (4, 500, 2)
    engine = load.engine(records=True)

    def run(parts: list[list[tuple[np.ndarray, np.ndarray]]], writer: Writer) -> float:
        ready = threading.Barrier(len(parts) + 1)
        waited: list[bool] = []

        def judge(part: list[tuple[np.ndarray, np.ndarray]]) -> None:
            ready.wait()
            for commands, lines in part:
                answers = engine.execute(commands, lines, now_ns=workload.START_NS)
                done = writer.wait(int(answers["sequence"].max()), FOREVER_NS)
                waited.append(done and bool((answers["outcome"] == 1).all()))

        threads = [threading.Thread(target=judge, args=(part,)) for part in parts]
        for thread in threads:
            thread.start()
        ready.wait()
        begin = time.perf_counter()
        for thread in threads:
            thread.join()
        seconds = time.perf_counter() - begin
        assert waited == [True] * len(parts) * batches
        assert writer.durable == engine.status().sequence
        return seconds

    with committed(engine, tmp_path, "sync") as writer:
        speeds: list[float] = []

        def one_round() -> None:
            parts = [[load.pairs(size) for _ in range(batches)] for _ in range(2)]
            speeds.append(2 * batches * size * 2 / run(parts, writer))

        benchmark.pedantic(one_round, rounds=rounds, warmup_rounds=1)
        told = writer.statistics()
    figure("journal_records_per_s", median(speeds[1:]), "records/s")
    figure("journal_sync_ms_p50", told.sync_p50_ns / 1e6, "ms")
    figure("journal_sync_ms_p99", told.sync_p99_ns / 1e6, "ms")
    assert records_in(tmp_path) == engine.status().sequence
    assert engine.check(now_ns=workload.START_NS).violations == ()


def test_overhead(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """journal_overhead: a pair with the journal at `interval` over one without, one thread each."""
    load = Load(10_000 if full else 500)
    size, rounds = (10_000, 60) if full else (500, 3)
    bare, recorded = load.engine(records=False), load.engine(records=True)
    ratios: list[float] = []
    times: dict[_core.Engine, list[float]] = {bare: [], recorded: []}

    def timed(engine: _core.Engine) -> float:
        commands, lines = load.pairs(size)
        begin = time.perf_counter()
        answers = engine.execute(commands, lines, now_ns=workload.START_NS)
        seconds = time.perf_counter() - begin
        assert (answers["outcome"] == 1).all()
        times[engine].append(seconds / size * 1e9)
        return seconds

    with committed(recorded, tmp_path, "interval"):
        benchmark.pedantic(
            lambda: ratios.append(timed(recorded) / timed(bare)), rounds=rounds, warmup_rounds=1
        )
    figure("journal_overhead", min(times[recorded]) / min(times[bare]), "times")
    figure("journal_overhead_median", median(ratios[1:]), "times")
    figure("journal_pair_ns", min(times[recorded]), "ns")
    assert records_in(tmp_path) == recorded.status().sequence == bare.status().sequence
    assert recorded.digest(now_ns=workload.START_NS) is not None


def test_bytes(figure: Figure, full: bool, tmp_path: Path) -> None:
    """journal_bytes_per_reserve: one line, an id of 36 characters, a customer, an IPv4 address."""
    load = Load(10_000 if full else 500)
    size = 100_000 if full else 1_000
    engine = load.engine(records=True)
    with committed(engine, tmp_path, "sync") as writer:
        assert writer.wait(engine.status().sequence, FOREVER_NS)
        sizes = [writer.statistics().written_bytes]
        chosen = load.skus[load.rng.integers(0, len(load.skus), size)]
        commands, lines = workload.reserves(load.rng, chosen, PEOPLE, "b")
        both = workload.with_commits(commands)
        for part in (commands, both[1::2]):
            answers = engine.execute(part, lines, now_ns=workload.START_NS)
            assert (answers["outcome"] == 1).all()
            assert writer.wait(engine.status().sequence, FOREVER_NS)
            sizes.append(writer.statistics().written_bytes)
    figure("journal_bytes_per_reserve", (sizes[1] - sizes[0]) / size, "bytes")
    figure("journal_bytes_per_commit", (sizes[2] - sizes[1]) / size, "bytes")
    assert records_in(tmp_path) == engine.status().sequence
