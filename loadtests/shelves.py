"""Puts the goods on the shelves and the caps in force before a sale, all of it on record.

Owns the set-up's calls, and putting caps back on a server that was there before and stays: its
other SKUs and caps are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from atp.client.channel import ChannelOptions
from atp.history import HistoryWriter, record_calls
from atp.v1 import cap_service_pb2 as caps_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1.cap_service_pb2_grpc import CapServiceStub
from atp.v1.stock_service_pb2_grpc import StockServiceStub
from loadtests.encryption import Files, open_channel
from loadtests.goods import closing_cap
from loadtests.profiles import Profile

BATCH_SKUS = 4_096
DEADLINE_S = 30.0


class NotSetUp(Exception):
    """The server would not take the stock or the caps of the sale; says which, and why."""


class Shelves:
    """A server's stock and caps, by its control plane; what is changed there is in the history."""

    def __init__(
        self, profile: Profile, control_address: str, writer: HistoryWriter, tls: Files | None
    ) -> None:
        self._profile = profile
        self._address = control_address
        self._tls = tls
        self._writer = writer
        self._found: list[caps_pb.Cap | None] = []
        """For each of the profile's caps, the one of that name that was there before."""

    def set_up(self) -> None:
        """Stock and caps as the profile has them. Raises NotSetUp."""
        with self._calling() as channel:
            _set_stock(StockServiceStub(channel), list(self._profile.goods.stock()))
            caps: Any = CapServiceStub(channel)
            for cap in self._profile.caps:
                self._found.append(_find(caps, cap.cap_id))
                caps.SetCap(caps_pb.SetCapRequest(cap=cap), timeout=DEADLINE_S)

    def put_back(self) -> None:
        """The caps as they were found; stock stays, for what was sold is sold. Raises NotSetUp.

        What operators closed, who were ended before they could open it again, is open then.
        """
        with self._calling() as channel:
            caps: Any = CapServiceStub(channel)
            for number in range(self._profile.goods.hot):
                closed = closing_cap(self._profile.goods.hot_name(number))
                if _find(caps, closed) is not None:
                    request = caps_pb.RemoveCapRequest(cap_id=closed)
                    caps.RemoveCap(request, timeout=DEADLINE_S)
            for cap, found in zip(self._profile.caps, self._found, strict=True):
                if found is None:
                    request = caps_pb.RemoveCapRequest(cap_id=cap.cap_id)
                    caps.RemoveCap(request, timeout=DEADLINE_S)
                else:
                    found.ClearField("etag")
                    caps.SetCap(caps_pb.SetCapRequest(cap=found), timeout=DEADLINE_S)

    @contextmanager
    def _calling(self) -> Iterator[grpc.Channel]:
        options = ChannelOptions(own_connection=True)
        with open_channel(self._address, self._tls, options) as bare:
            try:
                yield record_calls(bare, self._writer)
            except grpc.RpcError as error:
                code = error.code()
                told = f"{self._address}: {code.name}: {error.details()}"
                raise NotSetUp(told) from None
        self._writer.flush()


def _find(caps: Any, cap_id: str) -> caps_pb.Cap | None:
    """The cap of this name, None when there is none."""
    try:
        found: caps_pb.Cap = caps.GetCap(
            caps_pb.GetCapRequest(cap_id=cap_id), timeout=DEADLINE_S
        ).cap
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.NOT_FOUND:
            return None
        raise
    return found


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
