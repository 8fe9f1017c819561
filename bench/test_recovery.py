"""How fast a start replays the journal: records a second.

A live engine with caps sells over many SKUs, popular and not, and remembers it; then the journal is
read and applied to the snapshot of the stock, as a start does. The recovered state has the digest
of the live one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import workload
from workload import People

from atp import _core
from atp.journal._native import state_digest
from atp.journal.directory import Places, read_store
from atp.journal.journal import Journal, Options, open_journal
from atp.journal.recovery import Follower
from atp.journal.snapshots import list_snapshots, load_file
from atp.vocabulary import Cap, CapSubject

Figure = Callable[[str, float, str], None]
ENDED_MAX = 1_000_000
BATCH = 50_000
FOREVER_NS = 600 * 10**9


def opened(path: Path) -> tuple[_core.Engine, Journal]:
    """The store in this directory; nothing waits for the disk."""
    options = Options(path, durability="off", backlog_bytes_max=1 << 30)
    engine, journal, _ = open_journal(
        options, {"ended_max": ENDED_MAX}, now_ns=workload.START_NS, owner_text="a benchmark"
    )
    return engine, journal


def sell(path: Path, skus: np.ndarray, pairs: int) -> str:
    """A store with stock in a snapshot, and so many pairs after it; returns the digest."""
    engine, journal = opened(path)
    journal.start(lambda error: pytest.fail(str(error)))
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        cap = Cap(cap_id, subject, limit=workload.NO_LIMIT_IN_SIGHT)
        engine.set_cap(cap, now_ns=workload.START_NS)
    stock = np.full(len(skus), 10**9, np.int64)
    assert (engine.load_stock(skus, stock, now_ns=workload.START_NS) == 1).all()
    journal.snapshot(workload.START_NS)
    rng = np.random.default_rng(5)
    chosen = skus[workload.zipf(rng, pairs, len(skus))]
    people = People(max(1, len(skus) // 6), max(1, len(skus) // 15))
    for begin in range(0, pairs, BATCH):
        commands, lines = workload.pairs(
            rng, chosen[begin : begin + BATCH], people, f"r{begin:09d}"
        )
        answers = engine.execute(commands, lines, now_ns=workload.START_NS + begin)
        assert (answers["outcome"] == 1).all()
        assert journal.writer.wait(engine.status().sequence, FOREVER_NS)
    digest = state_digest(engine)
    journal.close(workload.START_NS, snapshot=False)
    return digest


def replayed_seconds(path: Path) -> tuple[_core.Engine, int, float]:
    """Load the snapshot, replay the journal: the engine, the records, the seconds of replaying."""
    places = Places(path)
    store_id = read_store(places).store_id
    engine = _core.Engine(ended_max=ENDED_MAX, record_events=True)
    load_file(engine, list_snapshots(places.snapshots)[-1], store_id)
    follower = Follower(places, store_id, engine, mends=False)
    begin = time.perf_counter()
    found = follower.follow()
    return engine, found.records, time.perf_counter() - begin


def test_recovery(figure: Figure, full: bool, tmp_path: Path) -> None:
    """recovery_records_per_s: reserves and their commits, read from the files and applied; the best
    of several, because what else the machine does is not the journal's."""
    skus = workload.sku_names(1_000_000 if full else 2_000)
    pairs = 1_000_000 if full else 5_000
    path = tmp_path / "data"
    digest = sell(path, skus, pairs)
    speeds = []
    for _ in range(5 if full else 1):
        engine, records, seconds = replayed_seconds(path)
        assert records == 2 * pairs
        assert state_digest(engine) == digest
        speeds.append(records / seconds)
        del engine
    figure("recovery_records_per_s", max(speeds), "records/s")
