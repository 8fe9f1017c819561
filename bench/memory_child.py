"""Measures resident memory in a process of its own: SKUs first, then live holds on them.

Prints one line of JSON. Everything that loading needs besides the engine is made, and touched,
before the first measurement.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import workload
from workload import People

from atp import _core
from atp.vocabulary import Cap, CapSubject

CHUNK = 50_000


def resident_bytes() -> int:
    """What the process has in memory now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS: resident memory is measured on Linux only")


def main() -> None:
    """Arguments: SKUs, holds, customers, addresses."""
    skus_count, holds, customers, addresses = map(int, sys.argv[1:])
    people = People(customers, addresses)
    warm = workload.engine_with(workload.sku_names(CHUNK), ended_max=1)
    workload.add_holds(warm, workload.sku_names(CHUNK), CHUNK, people, seed=1)
    del warm
    engine = _core.Engine()
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        engine.set_cap(Cap(cap_id, subject, limit=10**12), now_ns=workload.START_NS)
    names = workload.sku_names(skus_count)
    stock = np.full(CHUNK, 10**9, np.int64)
    before = resident_bytes()
    for begin in range(0, skus_count, CHUNK):
        part = names[begin : begin + CHUNK]
        engine.load_stock(part, stock[: len(part)], now_ns=workload.START_NS)
    with_skus = resident_bytes()
    workload.add_holds(engine, names, holds, people, seed=2)
    with_holds = resident_bytes()
    status = engine.status()
    assert (status.skus, status.live_holds) == (skus_count, holds)
    print(
        json.dumps(
            {
                "bytes_per_sku": (with_skus - before) / skus_count,
                "bytes_per_hold": (with_holds - with_skus) / holds,
                "counted_bytes": status.bytes,
                "resident_growth_bytes": with_holds - before,
                "cap_counters": status.cap_counters,
            }
        )
    )


if __name__ == "__main__":
    main()
