"""Stock for the tests, set on the control plane, and what else many of them ask.

Owns no expectation but that stock can be set.
"""

from __future__ import annotations

import uuid
from pathlib import Path

from google.protobuf.duration_pb2 import Duration

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from interop.client import SECONDS
from server_process import ServerProcess, channel_to
from server_stubs import Stubs

SKUS_IN_BATCH_MAX = 1_000
NOT_CLOSED = ("01", "08")
"""States in /proc/net/tcp: established; closed by the client alone."""


def new_id() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def new_skus(server: ServerProcess, count: int = 1, units: int = 100) -> list[str]:
    """SKUs of the test's own, each with a name of 64 bytes and so many units."""
    names = [new_id() + new_id() for _ in range(count)]
    with channel_to(server.control_plane) as channel:
        stub = stock_grpc.StockServiceStub(channel)
        for start in range(0, count, SKUS_IN_BATCH_MAX):
            requests = [
                stock_pb.SetStockRequest(sku=name, on_hand_quantity=units)
                for name in names[start : start + SKUS_IN_BATCH_MAX]
            ]
            reply = stub.BatchSetStock(
                stock_pb.BatchSetStockRequest(requests=requests), timeout=SECONDS
            )
            assert {each.outcome for each in reply.responses} == {stock_pb.STOCK_OUTCOME_DONE}
    return names


def connections_to(server: ServerProcess) -> int:
    """Connections to the data plane that the server has not closed, as the system tells."""
    port = f":{int(server.data_plane.rpartition(':')[2]):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(port) and row[3] in NOT_CLOSED for row in rows)


def sequence(stubs: Stubs) -> int:
    """Position of the last change, whether or not it is durable."""
    ask = maintenance_pb.GetStatusRequest()
    return stubs.maintenance.GetStatus(ask, timeout=SECONDS).sequence


def reserve_request(*skus: str, quantity: int = 1, seconds: int = 300) -> pb.ReserveRequest:
    """Asks for so many units of each SKU."""
    lines = [pb.Line(sku=sku, quantity=quantity) for sku in skus]
    ttl = Duration(seconds=seconds)
    return pb.ReserveRequest(
        request_id=new_id(), lines=lines, client_ip="192.0.2.7", customer_id="anna", ttl=ttl
    )
