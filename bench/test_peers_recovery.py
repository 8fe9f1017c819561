"""Back in service after a crash: the time from the start of the process to its first answer, beside
Redis with the same number of live holds, in turn, on the same machine.

The same reserves are given to both: one unit each, of as many SKUs and by as many customers, under
a cap per customer. Redis loads its append-only file as the reserves wrote it, and, as a second
line, the file after its own rewriting (an RDB preamble). The server here replays its journal, and,
as a second line, loads a snapshot. Both are killed between rounds, and what they know is checked.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import redis_shop
import workload
from redis_shop import Redis, free_port
from workload import People

from atp import _core
from atp.client import ChannelOptions, Client
from atp.journal.journal import Options, open_journal
from atp.vocabulary import Cap, CapSubject

Figure = Callable[[str, float, str], None]
LIFE_S = 20 * 3600
ASKED_RATIO = 3.0
DEADLINE_S = 120.0
CHUNK = 50_000
NEVER = ("journal.segment_bytes=64MiB", "snapshot.every_bytes=1024GiB", "snapshot.every=366d")
"""A snapshot taken by itself would make a start from the journal something else."""


class Load(NamedTuple):
    """What both are given."""

    skus: np.ndarray
    commands: np.ndarray
    lines: np.ndarray

    @property
    def last_id(self) -> str:
        """The request id of the last hold."""
        return str(self.commands["request_id"][-1].decode())


def load_of(count: int) -> Load:
    """So many reserves over a tenth as many SKUs, by a sixth as many customers."""
    rng = np.random.default_rng(1)
    skus = workload.sku_names(count // 10)
    wanted = skus[rng.integers(0, len(skus), count)]
    commands, lines = workload.reserves(rng, wanted, People(count // 6, count // 15), "peer")
    commands["ttl_ns"] = LIFE_S * 10**9
    return Load(skus, commands, lines)


class Ours:
    """`atp serve` on a data directory; start() it, then end() it."""

    def __init__(self, folder: Path) -> None:
        self._data = folder / "data"
        self._ready = folder / "ready.json"
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.client: Client | None = None

    def fill(self, load: Load) -> str:
        """Writes a journal of the load, through the engine; the digest of the state."""
        now_ns = time.time_ns()
        options = Options(self._data, durability="interval")
        engine, journal, _ = open_journal(options, {}, now_ns=now_ns, owner_text="a benchmark")
        journal.start(on_failure=_fail)
        engine.set_cap(Cap("c", CapSubject.CUSTOMER, limit=redis_shop.CAP), now_ns=now_ns)
        stock = np.full(len(load.skus), redis_shop.STOCK, np.int64)
        assert (engine.load_stock(load.skus, stock, now_ns=now_ns) == 1).all()
        for begin in range(0, len(load.commands), CHUNK):
            commands = load.commands[begin : begin + CHUNK].copy()
            lines = load.lines[begin : begin + CHUNK]
            commands["first_line"] -= begin
            assert (engine.execute(commands, lines, now_ns=now_ns)["outcome"] == 1).all()
            journal.writer.wait(engine.status().sequence, 10**11)
        digest = engine.check(now_ns=now_ns).digest
        journal.close(now_ns, snapshot=False)
        return str(digest)

    def start(self, name: str) -> float:
        """Starts it; returns the seconds until it answered for a hold."""
        ports = [f"127.0.0.1:{free_port()}" for _ in range(2)]
        command = [sys.executable, "-m", "atp", "serve", "--data", str(self._data)]
        command += ["--set", "metrics.address=off"]
        command += ["--data-address", ports[0], "--control-address", ports[1]]
        for setting in NEVER:
            command += ["--set", setting]
        self._ready.unlink(missing_ok=True)
        command += ["--ready-file", str(self._ready)]
        begin = time.perf_counter()
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        while not self._ready.exists():
            assert self._process.poll() is None, f"it ended with {self._process.returncode}"
            assert time.perf_counter() - begin < DEADLINE_S, "it is not ready in time"
            time.sleep(0.001)
        facts = json.loads(self._ready.read_text())
        assert [facts["data_plane"], facts["control_plane"]] == ports
        options = ChannelOptions(own_connection=True)
        self.client = Client(*ports, options=options, timeout_s=DEADLINE_S)
        assert self.client.get_reservation(name).reservation_id == name
        return time.perf_counter() - begin

    def check(self, load: Load, digest: str, *, from_snapshot: bool) -> None:
        """Everything that was granted is there: the state is the same, to the digest."""
        assert self.client is not None
        report = self.client.check_invariants()
        assert (report.violations, report.digest) == ((), digest)
        status = self.client.get_status()
        assert (status.live_holds, status.skus) == (len(load.commands), len(load.skus))
        assert status.journal is not None
        found = status.journal.last_recovery
        assert found is not None
        assert bool(found.snapshot) == (found.replayed_records == 0) == from_snapshot

    def stop(self) -> None:
        """Ends it in order, which leaves a snapshot."""
        assert self._process is not None
        self._process.terminate()
        assert self._process.wait(DEADLINE_S) == 0

    def end(self) -> None:
        """Ends it at once, as a crash does, if it has not ended."""
        assert self._process is not None
        if self.client is not None:
            self.client.close()
        self._process.kill()
        self._process.wait()


def _fail(error: OSError) -> None:
    raise error


def timed(start: Callable[[], float], end: Callable[[], None]) -> float:
    """The time of one start, ended at once."""
    try:
        return start()
    finally:
        end()


def test_recovery(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """recovery_vs_redis, and the times that it is made of."""
    load = load_of(1_000_000 if full else 12_000)
    redis, ours = Redis(tmp_path / "redis"), Ours(tmp_path / "ours")
    digest = ours.fill(load)
    keys = _core.request_keys(np.ascontiguousarray(load.commands["request_id"][-1:]))
    name, key = keys.tobytes().hex(), f"hold:{load.last_id}"
    times: dict[str, float] = {}

    def in_turn(kind: str) -> None:
        rounds = [
            (timed(lambda: redis.start(key), redis.end), timed(lambda: ours.start(name), ours.end))
            for _ in range(3 if full else 1)
        ]
        theirs, own = zip(*rounds, strict=True)
        times[f"redis_{kind}"], times[kind] = statistics.median(theirs), statistics.median(own)

    def check(then: Callable[[], object], *, from_snapshot: bool) -> None:
        """Starts both once more, sees that they know everything, and has something done."""
        try:
            redis.start(key)
            redis_shop.check(redis, load.skus, load.commands, load.lines)
            ours.start(name)
            ours.check(load, digest, from_snapshot=from_snapshot)
            then()
        finally:
            redis.end()
            ours.end()

    def condense() -> None:
        redis.rewrite()
        ours.stop()

    try:
        redis.start("nothing")
        redis_shop.load(redis, load.skus, load.commands, load.lines, int(time.time()) + LIFE_S)
    finally:
        redis.end()
    benchmark.pedantic(in_turn, args=("journal",), rounds=1)
    check(condense, from_snapshot=False)
    in_turn("snapshot")
    check(lambda: None, from_snapshot=True)
    figure("back_seconds_from_journal", times["journal"], "s")
    figure("back_seconds_from_snapshot", times["snapshot"], "s")
    figure("back_seconds_redis", times["redis_journal"], "s")
    figure("back_seconds_redis_rewritten", times["redis_snapshot"], "s")
    figure("recovery_vs_redis", times["redis_journal"] / times["journal"], "times")
    figure("recovery_vs_redis_rewritten", times["redis_snapshot"] / times["snapshot"], "times")
    if full:
        assert times["redis_journal"] / times["journal"] >= ASKED_RATIO
