"""More is asked than can be answered: what is over the bounds waits in its client, what would be
answered too late is told so at once, and nothing that was refused was judged.
"""

from __future__ import annotations

import contextlib
import itertools
import struct
import time
from contextlib import ExitStack

from atp.load import LoadPlan, run
from front_frames import Connection, ping
from front_process import SECOND, running

SETTINGS = 4
MAX_CONCURRENT_STREAMS = 3
RUNS = itertools.count()


def told_streams(connection: Connection, seconds: float) -> int:
    """How many calls the connection is told it may have open, within so long; 0: nothing."""
    with contextlib.suppress(TimeoutError):
        for frame in connection.frames(seconds):
            for at in range(0, len(frame.body) if frame.type == SETTINGS else 0, 6):
                name, value = struct.unpack_from(">HI", frame.body, at)
                if name == MAX_CONCURRENT_STREAMS:
                    return int(value)
    return 0


def test_connections_share_the_calls_that_may_be_open() -> None:
    with running(calls_max=64, streams_max=256) as served, ExitStack() as open_:
        connections = [open_.enter_context(Connection(served.address)) for _ in range(4)]
        told = [told_streams(connection, 5) for connection in connections]
        deadline = time.monotonic() + 20
        while told != [16] * 4:
            assert time.monotonic() < deadline, f"each of four may have {told} of 64 calls"
            # Whoever was heard within the last second is at work.
            for connection in connections:
                assert connection.send(ping())
            told = [
                told_streams(connection, 0.3) or before
                for connection, before in zip(connections, told, strict=True)
            ]


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
