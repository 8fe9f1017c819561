"""Snapshots of a big store: how soon a server is back from one, how long a command may wait while
one is written, and how big it is.

The store has a live hold for every SKU, by a sixth as many customers and a fifteenth as many
addresses, with caps on both. What a start came to has the digest of the engine that was written.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import workload
from workload import People

from atp import _core
from atp.client import Client
from atp.journal import _native
from atp.journal.journal import Options, open_journal
from atp.vocabulary import Cap, CapSubject

Figure = Callable[[str, float, str], None]
CHUNK = 50_000
SLICE = 32
LIFE_NS = 20 * 3600 * 10**9
DEADLINE_S = 120.0


def fill(engine: _core.Engine, count: int, now_ns: int, durable: Callable[[], None]) -> None:
    """So many SKUs, a hold for each, caps on customers and addresses."""
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        engine.set_cap(Cap(cap_id, subject, limit=workload.NO_LIMIT_IN_SIGHT), now_ns=now_ns)
    skus = workload.sku_names(count)
    stock = np.full(count, 10**9, np.int64)
    assert (engine.load_stock(skus, stock, now_ns=now_ns) == 1).all()
    rng = np.random.default_rng(1)
    people = People(max(1, count // 6), max(1, count // 15))
    for begin in range(0, count, CHUNK):
        chosen = skus[rng.integers(0, count, min(CHUNK, count - begin))]
        commands, lines = workload.reserves(rng, chosen, people, f"hold{begin:08d}")
        commands["ttl_ns"] = LIFE_NS
        assert (engine.execute(commands, lines, now_ns=now_ns)["outcome"] == 1).all()
        durable()


def seconds_to_ready(data: Path, ready: Path, digest: str, holds: int) -> float:
    """Starts a server on the store, sees that it knows all, and ends it as a crash does."""
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "atp", "serve", "--data", str(data)]
    command += ["--set", "metrics.address=off"]
    command += ["--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0"]
    command += ["--ready-file", str(ready)]
    begin = time.perf_counter()
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not ready.exists():
            assert server.poll() is None, f"it ended with {server.returncode}"
            assert time.perf_counter() - begin < DEADLINE_S, "it is not ready in time"
            time.sleep(0.001)
        took = time.perf_counter() - begin
        facts = json.loads(ready.read_text())
        with Client(facts["data_plane"], facts["control_plane"], timeout_s=DEADLINE_S) as client:
            status = client.get_status()
        assert status.live_holds == holds
        assert status.journal is not None
        found = status.journal.last_recovery
        assert found is not None
        assert (found.digest, found.replayed_records) == (digest, 0)
        assert found.snapshot
    finally:
        server.kill()
        server.wait()
    return took


def test_restart(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """restart_seconds: from the start of the process until it is ready, from a snapshot."""
    count = 1_000_000 if full else 5_000
    now_ns = time.time_ns()
    options = Options(tmp_path / "data", durability="interval")
    engine, journal, _ = open_journal(options, {}, now_ns=now_ns, owner_text="a benchmark")
    journal.start(on_failure=lambda error: pytest.fail(str(error)))
    fill(engine, count, now_ns, lambda: journal.writer.wait(engine.status().sequence, 10**11))
    snapshot = journal.snapshot(now_ns)
    digest = _native.state_digest(engine)
    journal.close(now_ns, snapshot=False)
    times: list[float] = []

    def start() -> None:
        ready = tmp_path / "ready.json"
        times.append(seconds_to_ready(tmp_path / "data", ready, digest, count))

    benchmark.pedantic(start, rounds=5 if full else 1)
    figure("restart_seconds", statistics.median(times), "s")
    figure("restart_seconds_best", min(times), "s")
    figure("snapshot_bytes_per_hold_and_sku", snapshot.size_bytes / count, "bytes")


def waits(
    engine: _core.Engine, commands: np.ndarray, lines: np.ndarray, into: list[np.ndarray]
) -> None:
    """Microseconds that each call of a few commands took."""
    took = np.zeros(len(commands) // SLICE)
    for number in range(len(took)):
        part = slice(number * SLICE, (number + 1) * SLICE)
        begin = time.perf_counter_ns()
        outcomes = engine.execute(commands[part], lines, now_ns=workload.START_NS + 1)
        took[number] = (time.perf_counter_ns() - begin) / 1000
        assert (outcomes["outcome"] == 1).all()
    into.append(took)


def write_one(engine: _core.Engine, path: Path, skus: int) -> float:
    """Writes a snapshot; returns the milliseconds that a lock was held for it at most."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        written = _native.write_snapshot(engine, fd, store_id=bytes(16), now_ns=workload.START_NS)
    finally:
        os.close(fd)
    assert written.skus == skus
    return written.held_most_ns / 1e6


def loads(rng: np.random.Generator, count: int, tag: str, pairs: int) -> tuple[object, object]:
    """Pairs for slices: each slice uses the same few lines."""
    skus = workload.sku_names(count)[rng.integers(0, count, pairs)]
    people = People(max(1, count // 6), max(1, count // 15))
    commands, lines = workload.pairs(rng, skus, people, tag)
    commands["first_line"][0::2] %= SLICE // 2
    return commands, lines[: SLICE // 2]


def test_stall(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """snapshot_stall_ms_most: the longest that a lock was held for a snapshot, two threads selling
    meanwhile. What their calls took is told beside it, with snapshots and without, in turn."""
    count, pairs, rounds = (1_000_000, 200_000, 3) if full else (5_000, 2_000, 1)
    engine = _core.Engine(ended_max=count)
    fill(engine, count, workload.START_NS, lambda: None)
    rng = np.random.default_rng(2)
    held: list[float] = []
    calls: dict[bool, list[np.ndarray]] = {True: [], False: []}

    def round_of(number: int, with_snapshots: bool) -> None:
        parts = [loads(rng, count, f"{number}{with_snapshots:d}{t}", pairs) for t in range(2)]
        sellers = [
            threading.Thread(target=waits, args=(engine, *part, calls[with_snapshots]))
            for part in parts
        ]
        for seller in sellers:
            seller.start()
        while with_snapshots:
            held.append(write_one(engine, tmp_path / "snapshot", count))
            if not any(seller.is_alive() for seller in sellers):
                break
        for seller in sellers:
            seller.join()

    def all_rounds() -> None:
        for number in range(rounds):
            round_of(number, False)
            round_of(number, True)

    benchmark.pedantic(all_rounds, rounds=1)
    assert engine.check(now_ns=workload.START_NS + 2).violations == ()
    figure("snapshot_stall_ms_most", max(held), "ms")
    for name, with_snapshots in (("with", True), ("without", False)):
        all_of = np.concatenate(calls[with_snapshots]) / 1000
        for share, label in ((50, "p50"), (99.9, "p999")):
            figure(f"snapshot_call_ms_{label}_{name}", float(np.percentile(all_of, share)), "ms")
        figure(f"snapshot_call_ms_most_{name}", float(all_of.max()), "ms")
