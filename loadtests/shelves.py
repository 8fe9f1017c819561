"""Puts the goods on the shelves and the caps in force before a sale, all of it on record.

Owns the set-up's calls. What the server had before stays: other SKUs and caps are left alone.
"""

from __future__ import annotations

from typing import Any

import grpc

from atp.client.channel import ChannelOptions
from atp.history import HistoryWriter, record_calls
from atp.v1 import cap_service_pb2 as caps_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1.cap_service_pb2_grpc import CapServiceStub
from atp.v1.stock_service_pb2_grpc import StockServiceStub
from loadtests.profiles import Profile

BATCH_SKUS = 4_096
DEADLINE_S = 30.0


class NotSetUp(Exception):
    """The server would not take the stock or the caps of the sale; says which, and why."""


def set_up(profile: Profile, control_address: str, writer: HistoryWriter) -> None:
    """Stock and caps as the profile has them. Raises NotSetUp."""
    options = ChannelOptions(own_connection=True).as_grpc(None)
    with grpc.insecure_channel(control_address, options=options) as bare:
        channel = record_calls(bare, writer)
        try:
            _set_stock(StockServiceStub(channel), list(profile.goods.stock()))
            caps: Any = CapServiceStub(channel)
            for cap in profile.caps:
                caps.SetCap(caps_pb.SetCapRequest(cap=cap), timeout=DEADLINE_S)
        except grpc.RpcError as error:
            code = error.code()
            details = error.details()
            raise NotSetUp(f"{control_address}: {code.name}: {details}") from None
    writer.flush()


def _set_stock(stub: Any, stock: list[tuple[str, int]]) -> None:
    for start in range(0, len(stock), BATCH_SKUS):
        requests = [
            stock_pb.SetStockRequest(sku=sku, on_hand_quantity=units)
            for sku, units in stock[start : start + BATCH_SKUS]
        ]
        asked = stock_pb.BatchSetStockRequest(requests=requests)
        answer = stub.BatchSetStock(asked, timeout=DEADLINE_S)
        for request, each in zip(requests, answer.responses, strict=True):
            if each.outcome != stock_pb.STOCK_OUTCOME_DONE:
                word = stock_pb.StockOutcome.Name(each.outcome)
                raise NotSetUp(f"{request.sku}: {request.on_hand_quantity} units: {word}")
