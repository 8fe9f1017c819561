"""The server of this project, as it is installed and started, under its own load generator.

Owns starting `atp serve` on a data directory of its own, its stock and its two caps, and the loads;
counts afterwards that every unit that was granted is held or sold, and has the laws recounted.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atp import load
from atp.client import Client
from atp.load import Kind, LoadPlan, LoadResult, Spread
from atp.vocabulary import Cap, CapSubject, ReserveOutcome
from peers.processes import Pattern, folder_for, started, wait_for

SKUS = 10_000
SUBJECTS = 10_000
"""Addresses and customers: as many as the peers have."""
STOCK = 10**9
CAP = 10**9
CHUNK = 4_000
DEADLINE_S = 120.0
HOLDS_LIVE_S = 600
SETTINGS = (
    "snapshot.every_bytes=1024GiB",
    "snapshot.every=366d",
    "memory.live_holds_max=100000000",
)
"""As Redis is kept from rewriting its file: what is measured is the same from round to round. No
hold ends meanwhile, and a fast hour made more than the bound of holds allows once."""
SOLD, SOLD_OUT = "SKU-", "GONE-"


class Ours:
    """One server, with stock and caps."""

    def __init__(self, data_plane: str, control_plane: str) -> None:
        self.data_plane, self.control_plane = data_plane, control_plane
        self._client = Client(data_plane, control_plane, timeout_s=DEADLINE_S)
        self._runs = itertools.count(1)
        self._granted = self._unknown = 0
        for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
            self._client.set_cap(Cap(cap_id, subject, limit=CAP))
        names = [f"{SOLD}{number:08d}" for number in range(SKUS)]
        for begin in range(0, SKUS, CHUNK):
            self._client.batch_set_stock([(sku, STOCK) for sku in names[begin : begin + CHUNK]])
        self._client.set_stock(f"{SOLD_OUT}00000000", 0)

    def run(self, pattern: Pattern, **plan: Any) -> LoadResult:
        """One load; every call must be answered as the plan expects."""
        values: dict[str, Any] = {
            "address": self.data_plane,
            "run_name": f"run{next(self._runs)}-",
            "connections": pattern.connections,
            "in_flight": pattern.in_flight,
            "skus": SKUS,
            "customers": SUBJECTS,
            "addresses": SUBJECTS,
        }
        result = load.run(LoadPlan(**(values | plan)))
        self._granted += result.reserves.get(ReserveOutcome.GRANTED, 0)
        self._unknown += result.answered - result.statuses.get("OK", 0)
        return result

    def reserve(self, pattern: Pattern, count: int, spread: Spread = Spread.UNIFORM) -> float:
        """Reserves a second, unary, all granted."""
        return self.run(pattern, calls=count, spread=spread).calls_per_s

    def look(self, pattern: Pattern, count: int) -> float:
        """Reads of one SKU a second."""
        return self.run(pattern, calls=count, kind=Kind.AVAILABILITY, spread=Spread.HOT).calls_per_s

    def refuse(self, pattern: Pattern, count: int) -> float:
        """Refusals a second of a SKU that is sold out."""
        return self.run(
            pattern,
            calls=count,
            spread=Spread.HOT,
            sku_prefix=SOLD_OUT,
            outcomes=frozenset({ReserveOutcome.STOCK_SHORT}),
        ).calls_per_s

    def execute(self, count: int, size: int, spread: Spread) -> float:
        """Commands a second in batches, all granted: two streams with four batches in flight."""
        return self.run(
            Pattern("execute", 2, 4), calls=count, batch=size, brief=True, spread=spread
        ).commands_per_s

    def check(self) -> None:
        """Every unit granted is held, and every law holds.

        A call that was answered too late to be of use may have been granted, too.
        """
        all_stocks = self._client.iterate_stock(page_size=1_000)
        stocks = [stock for stock in all_stocks if stock.sku.startswith(SOLD)]
        held = sum(stock.held + stock.sold for stock in stocks)
        assert self._granted <= held <= self._granted + self._unknown
        assert sum(STOCK - stock.available for stock in stocks) == held
        assert self._client.check_invariants().violations == ()
        for status in self._client.iterate_caps():
            assert status.cap.limit == CAP

    def close(self) -> None:
        """Ends the control connection."""
        self._client.close()


@contextmanager
def serving(durability: str, *more: str, within: Path | None = None) -> Iterator[Ours]:
    """Runs one until the block ends, and checks what it did when it ends well.

    Its data directory is made `within` a folder, else where temporary files are.
    """
    with folder_for("atp", within) as folder:
        log, ready = folder / "log", folder / "ready.json"
        command = [sys.executable, "-m", "atp", "serve", "--data", str(folder / "data")]
        command += ["--set", "metrics.address=off"]
        command += ["--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0"]
        command += ["--ready-file", str(ready)]
        for setting in (f"journal.durability={durability}", *SETTINGS, *more):
            command += ["--set", setting]
        with started(command, log=log) as process:
            wait_for(ready.exists, process, log, "word of atp serve")
            facts = json.loads(ready.read_text())
            ours = Ours(facts["data_plane"], facts["control_plane"])
            try:
                yield ours
                ours.check()
            finally:
                ours.close()
