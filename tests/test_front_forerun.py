"""The thread that touches memory before holds take it: it goes ahead, in large pages where there is
much, ends when it is told, and does without where the system doesn't give what it wants.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count, islice
from pathlib import Path

import xxhash

from atp._core import Engine
from atp._front import Front
from atp.vocabulary import ReserveOutcome
from front_process import OPTIONS, START_NS
from server_process import wait_until

SHARDS = 64
SMALL_AHEAD = 128 << 10
LARGE_PAGE = 2 << 20
SKUS = [f"SKU-{number}" for number in range(4_000)]
SECONDS = 30.0


def memory(kind: str) -> int:
    """Bytes of this process: Rss, or AnonHugePages."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith(kind + ":"):
            return int(line.split()[1]) << 10
    raise AssertionError(kind)


@contextmanager
def forerunning(engine: Engine) -> Iterator[None]:
    front = Front(engine, None, host="127.0.0.1", port=0, threads=1, options=OPTIONS)
    thread = threading.Thread(target=front.forerun)
    thread.start()
    try:
        yield
    finally:
        front.stop()
        thread.join(SECONDS)
        assert not thread.is_alive()


def stocked() -> Engine:
    engine = Engine()
    for sku in SKUS:
        engine.set_stock(sku, 10**9, now_ns=START_NS)
    return engine


def fill(engine: Engine, baskets: int) -> None:
    """Each takes about 100 KB of the last shard's memory."""
    lines = [(sku, 1) for sku in SKUS]
    ids = (f"basket-{number}" for number in count(engine.status().live_holds * SHARDS * 2))
    for request_id in islice(filter(is_in_last_shard, ids), baskets):
        told = engine.reserve(request_id, lines, ttl_ns=10**12, now_ns=START_NS)
        assert told.outcome == ReserveOutcome.GRANTED


def is_in_last_shard(request_id: str) -> bool:
    return xxhash.xxh3_128_intdigest(request_id.encode()) % 2**64 >> 58 == SHARDS - 1


def test_memory_is_there_before_a_hold_wants_it() -> None:
    engine = Engine()
    before = memory("Rss")
    with forerunning(engine):
        wanted = SHARDS * SMALL_AHEAD
        wait_until(lambda: memory("Rss") - before >= wanted, f"{wanted:,} bytes ahead")
        time.sleep(0.1)
        assert memory("Rss") - before < 3 * wanted, "and no more, as long as nobody reserves"


def test_much_memory_is_in_large_pages() -> None:
    """Where the system gives any; where not, nobody misses them."""
    given = "[never]" not in Path("/sys/kernel/mm/transparent_hugepage/enabled").read_text()
    engine = stocked()
    large = memory("AnonHugePages")
    with forerunning(engine):
        wanted = 2 * LARGE_PAGE * given

        def is_large() -> bool:
            # On a busy machine all of it was full before the other thread had its first turn.
            fill(engine, 5)
            return memory("AnonHugePages") - large >= wanted

        wait_until(is_large, "large pages")
        assert memory("AnonHugePages") - large < 16 * LARGE_PAGE
    assert engine.check(now_ns=START_NS).violations == ()


def test_it_is_told_to_end_before_it_began() -> None:
    engine = Engine()
    front = Front(engine, None, host="127.0.0.1", port=0, threads=1, options=OPTIONS)
    front.stop()
    thread = threading.Thread(target=front.forerun)  # gives way for good
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()


BOUNDED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (4 << 30, 4 << 30))
sys.path.insert(0, {tests!r})
from test_front_forerun import START_NS, fill, forerunning, stocked
engine = stocked()
with forerunning(engine):
    fill(engine, 100)
assert engine.check(now_ns=START_NS).violations == ()
print("held", engine.status().live_holds)
"""


def test_an_engine_opens_memory_step_by_step_where_the_system_bounds_it() -> None:
    """Where 32 GiB can't be had at once (strict overcommit, a bound on data) all is as before."""
    script = BOUNDED.format(tests=str(Path(__file__).parent))
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, "held 100\n"), done.stderr
