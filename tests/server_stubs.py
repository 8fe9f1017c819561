"""Stubs for all services of a running server, and the calls that most tests begin with.

Owns no expectation but that stock can be set.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc

from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import maintenance_service_pb2_grpc as maintenance_grpc
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, channel_to

SECONDS = 20.0


class Stubs(NamedTuple):
    """One stub for each service, and the two channels."""

    reservations: pb_grpc.ReservationServiceStub
    stock: stock_grpc.StockServiceStub
    caps: cap_grpc.CapServiceStub
    maintenance: maintenance_grpc.MaintenanceServiceStub
    data_plane: grpc.Channel
    control_plane: grpc.Channel


@contextmanager
def stubs_to(server: ServerProcess) -> Iterator[Stubs]:
    """Stubs on a connection to each plane, until the block ends."""
    with channel_to(server.data_plane) as data, channel_to(server.control_plane) as control:
        yield Stubs(
            pb_grpc.ReservationServiceStub(data),
            stock_grpc.StockServiceStub(control),
            cap_grpc.CapServiceStub(control),
            maintenance_grpc.MaintenanceServiceStub(control),
            data,
            control,
        )


def new_id() -> str:
    """An id that no other test has."""
    return uuid.uuid4().hex


def new_sku(stubs: Stubs) -> str:
    """A SKU of the test's own with 100 units."""
    name = f"sku-{new_id()}"
    reply = stubs.stock.SetStock(
        stock_pb.SetStockRequest(sku=name, on_hand_quantity=100), timeout=SECONDS
    )
    assert reply.outcome == stock_pb.STOCK_OUTCOME_DONE
    return name


def reserve(stubs: Stubs, sku: str, quantity: int, **fields: Any) -> pb.ReserveResponse:
    """Reserves one line; `fields` are those of ReserveRequest."""
    fields.setdefault("request_id", new_id())
    request = pb.ReserveRequest(lines=[pb.Line(sku=sku, quantity=quantity)], **fields)
    return stubs.reservations.Reserve(request, timeout=SECONDS)
