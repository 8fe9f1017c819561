"""More is asked than can be answered: what is over the bounds waits in its client, what would be
answered too late is told so at once, and nothing that was refused was judged.
"""

from __future__ import annotations

import itertools
import struct

from atp.load import LoadPlan, run
from front_frames import Connection, settings
from front_process import SECOND, running

SETTINGS = 4
MAX_CONCURRENT_STREAMS = 3
RUNS = itertools.count()


def told_streams(connection: Connection, seconds: float) -> int:
    """The number of calls that the next SETTINGS which says so allows the connection."""
    while True:
        frame = connection.until(SETTINGS, seconds)
        for at in range(0, len(frame.body), 6):
            name, value = struct.unpack_from(">HI", frame.body, at)
            if name == MAX_CONCURRENT_STREAMS:
                return int(value)


def test_connections_share_the_calls_that_may_be_open() -> None:
    with running(calls_max=64, streams_max=256) as served, Connection(served.address) as first:
        assert told_streams(first, 5) == 256
        first.send(settings())
        others = [Connection(served.address) for _ in range(3)]
        for other in others:
            other.send(settings())
        # Four are at work, so each may have a quarter of the 64.
        assert told_streams(first, 10) == 16
        for other in others:
            other.close()


def test_calls_that_would_be_late_are_refused_at_once_and_not_judged() -> None:
    with running(wait_ns=SECOND // 1_000) as served:
        for number in range(100):
            served.engine.set_stock(f"SKU-{number:08d}", 10**9, now_ns=0)
        result = run(
            LoadPlan(
                address=served.address,
                run_name=f"late{next(RUNS)}-",
                connections=16,
                in_flight=250,
                calls=100_000,
                skus=100,
                allow_refused_calls=True,
            )
        )
        refused = served.front.statistics().refused["wait_max"]
        assert refused > 0
        assert result.statuses.get("UNAVAILABLE", 0) >= refused
        assert sum(result.statuses.values()) == 100_000
        assert served.engine.status().live_holds == sum(result.reserves.values())
        assert result.statuses["OK"] == sum(result.reserves.values()) > 0


def test_a_call_by_itself_is_never_late() -> None:
    with running(wait_ns=SECOND // 1_000) as served:
        served.engine.set_stock("SKU-00000000", 10**9, now_ns=0)
        result = run(
            LoadPlan(
                address=served.address,
                run_name=f"calm{next(RUNS)}-",
                connections=1,
                in_flight=1,
                calls=500,
                skus=1,
                allow_refused_calls=True,
            )
        )
        # The machine may be busy with others for a millisecond, and is then believed to be.
        assert result.statuses["OK"] >= 450
