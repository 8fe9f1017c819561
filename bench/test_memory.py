"""What a SKU and a live hold take: resident memory of a process over a million of each.

A hold has one line, a request id of 36 characters, a customer of 12 and an IPv4 address, a count
under a cap per address and one under a cap per customer, and its place among those that end.
Customers and addresses are shared as in a year of a real shop's orders (6 orders a customer, 15 an
address); a second figure shares nothing, a third has all holds on one SKU.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Figure = Callable[[str, float, str], None]
CHILD = Path(__file__).with_name("memory_child.py")


def measured(skus: int, holds: int, customers: int, addresses: int) -> dict[str, float]:
    """Runs the child process."""
    sizes = map(str, (skus, holds, customers, addresses))
    command = [sys.executable, str(CHILD), *sizes]
    # The load's arrays go back to the system when they are freed, so that only the engine stays.
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return json.loads(done.stdout)


def test_memory(benchmark: pytest.FixtureRequest, figure: Figure, full: bool) -> None:
    """memory_bytes_per_sku, memory_bytes_per_hold."""
    size = 1_000_000 if full else 40_000
    shared = benchmark.pedantic(
        measured, args=(size, size, max(1, size // 6), max(1, size // 15)), rounds=1
    )
    figure("memory_bytes_per_sku", shared["bytes_per_sku"], "bytes")
    figure("memory_bytes_per_hold", shared["bytes_per_hold"], "bytes")
    assert shared["cap_counters"] <= size // 6 + size // 15
    alone = measured(size, size, size * 50, min(size * 15, 2**24))
    figure("memory_bytes_per_hold_nothing_shared", alone["bytes_per_hold"], "bytes")
    assert alone["cap_counters"] > 1.5 * size
    hot = measured(1, size, max(1, size // 6), max(1, size // 15))
    figure("memory_bytes_per_hold_of_one_sku", hot["bytes_per_hold"], "bytes")
    if full:
        # The engine's own count of its bytes is what operators see: it must be near the truth.
        assert 0.8 < shared["counted_bytes"] / shared["resident_growth_bytes"] < 1.25
