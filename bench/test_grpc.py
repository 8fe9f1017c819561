"""What a unary call costs through gRPC in Python, client and server on the same machine.

The limit in the same run is a server of the same kind whose Reserve does nothing: what is left
between the two is this project's. The load is 8 connections with 16 calls in flight each; every
reserve must be granted.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from atp.v1 import (
    reservation_pb2,
    reservation_service_pb2_grpc,
    stock_service_pb2,
    stock_service_pb2_grpc,
)

Figure = Callable[[str, float, str], None]
CONNECTIONS = 8
IN_FLIGHT = 16
DEADLINE_S = 30

NOTHING = """
import asyncio, json, sys, grpc, uvloop
from atp.v1 import reservation_pb2 as messages, reservation_service_pb2_grpc as service

class Nothing(service.ReservationServiceServicer):
    async def Reserve(self, request, context):
        return messages.ReserveResponse(outcome=messages.RESERVE_OUTCOME_GRANTED)

async def main():
    server = grpc.aio.server()
    service.add_ReservationServiceServicer_to_server(Nothing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    open(sys.argv[1], "w").write(json.dumps({"data_plane": f"127.0.0.1:{port}"}))
    await server.wait_for_termination()

uvloop.run(main())
"""


@contextmanager
def started(command: list[str], ready: Path) -> Iterator[dict[str, str]]:
    """A server process, and what it says when it is ready."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + DEADLINE_S
        while not ready.exists() or not ready.read_text():
            assert process.poll() is None, f"the server ended with {process.returncode}"
            assert time.monotonic() < deadline, "the server is not ready in time"
            time.sleep(0.02)
        yield json.loads(ready.read_text())
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


async def calls_per_second(address: str, tag: str, count: int) -> float:
    """Reserves of one unit, over several connections at once."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)]
    stubs = [reservation_service_pb2_grpc.ReservationServiceStub(channel) for channel in channels]
    numbers = iter(range(count))
    granted = 0

    async def ask(reserve: grpc.aio.UnaryUnaryMultiCallable) -> None:
        nonlocal granted
        for number in numbers:
            request = reservation_pb2.ReserveRequest(
                request_id=f"{tag}-{number:030d}",
                lines=[reservation_pb2.Line(sku=f"SKU-{number % 1000:08d}", quantity=1)],
                client_ip=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
                customer_id=f"customer-{number % 5000}",
            )
            reply = await reserve(request)
            granted += reply.outcome == reservation_pb2.RESERVE_OUTCOME_GRANTED

    begin = time.perf_counter()
    await asyncio.gather(*(ask(stub.Reserve) for stub in stubs for _ in range(IN_FLIGHT)))
    seconds = time.perf_counter() - begin
    for channel in channels:
        await channel.close()
    assert granted == count, f"{count - granted} reserves were not granted"
    return count / seconds


def load_stock(address: str) -> None:
    """A thousand SKUs with plenty of stock."""
    requests = [
        stock_service_pb2.SetStockRequest(sku=f"SKU-{number:08d}", on_hand_quantity=10**9)
        for number in range(1000)
    ]
    with grpc.insecure_channel(address) as channel:
        stub = stock_service_pb2_grpc.StockServiceStub(channel)
        stub.BatchSetStock(stock_service_pb2.BatchSetStockRequest(requests=requests))


def test_unary(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool, tmp_path: Path
) -> None:
    """grpc_unary_per_s, and its share of what grpc.aio carries when the server does nothing."""
    count = 20_000 if full else 300
    rounds = 5 if full else 1
    ready = tmp_path / "atp.json"
    serve = [sys.executable, "-m", "atp", "serve", "--ready-file", str(ready)]
    serve += ["--set", "metrics.address=off"]
    serve += ["--data", str(tmp_path / "data")]
    for plane in ("data_plane", "control_plane"):
        serve += ["--set", f"{plane}.address=127.0.0.1:0"]
    nothing_ready = tmp_path / "nothing.json"
    nothing = [sys.executable, "-c", NOTHING, str(nothing_ready)]
    ours: list[float] = []
    theirs: list[float] = []
    with started(serve, ready) as atp, started(nothing, nothing_ready) as limit:
        load_stock(atp["control_plane"])

        def both() -> None:
            tag = f"r{len(ours)}"
            ours.append(asyncio.run(calls_per_second(atp["data_plane"], tag, count)))
            theirs.append(asyncio.run(calls_per_second(limit["data_plane"], tag, count)))

        benchmark.pedantic(both, rounds=rounds)
    figure("grpc_unary_per_s", max(ours), "calls/s")
    ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
    figure("grpc_unary_vs_doing_nothing", ratios[len(ratios) // 2], "times")
