"""The control plane for stock: which engine call each RPC of StockService is.

Owns the check that a batch is well-formed before its first entry is applied, and the bounds of a
page. Judges nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atp.clock import Clock
from atp.server import convert
from atp.server.status import SkuNotFound
from atp.v1 import stock_service_pb2 as pb
from atp.vocabulary import FieldInvalid, StockReply

if TYPE_CHECKING:
    from atp._core import Engine

PAGE_SIZE = 1_000
PAGE_SIZE_MAX = 4_096


class StockServicer:
    """Serves StockService."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def SetStock(self, request: pb.SetStockRequest) -> pb.SetStockResponse:
        """Sets the units on hand of one SKU."""
        return convert.set_stock_response(self._set(request, self._clock.now_ns()))

    def AdjustStock(self, request: pb.AdjustStockRequest) -> pb.AdjustStockResponse:
        """Adds units to one SKU or takes them away."""
        reply = self._engine.adjust_stock(
            request.request_id,
            request.sku,
            request.delta_quantity,
            convert.stock_reason(request.reason),
            now_ns=self._clock.now_ns(),
        )
        return convert.adjust_stock_response(reply)

    def BatchSetStock(self, request: pb.BatchSetStockRequest) -> pb.BatchSetStockResponse:
        """Sets the units on hand of many SKUs, each judged by itself."""
        convert.check_batch(request.requests)
        now_ns = self._clock.now_ns()
        return pb.BatchSetStockResponse(
            responses=[
                convert.set_stock_response(self._set(entry, now_ns)) for entry in request.requests
            ]
        )

    def GetStock(self, request: pb.GetStockRequest) -> pb.GetStockResponse:
        """Reads the counters of one SKU."""
        try:
            stocks = self._engine.get_availability([request.sku], now_ns=self._clock.now_ns())
        except FieldInvalid as error:
            raise FieldInvalid("sku", error.reason) from None
        if stocks[0] is None:
            raise SkuNotFound(request.sku)
        return pb.GetStockResponse(stock=convert.stock(stocks[0]))

    def ListStock(self, request: pb.ListStockRequest) -> pb.ListStockResponse:
        """Reads the counters of all SKUs, page by page."""
        stocks, next_page_token = self._engine.list_stock(
            now_ns=self._clock.now_ns(),
            page_size=page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX),
            page_token=request.page_token,
        )
        return pb.ListStockResponse(
            stocks=[convert.stock(stock) for stock in stocks], next_page_token=next_page_token
        )

    def _set(self, request: pb.SetStockRequest, now_ns: int) -> StockReply:
        return self._engine.set_stock(
            request.sku,
            request.on_hand_quantity,
            now_ns=now_ns,
            expected=convert.expected_on_hand(request),
        )


def page_size(asked: int, usual: int, most: int) -> int:
    """The entries that a page may have. Raises FieldInvalid for a negative size."""
    if asked < 0:
        raise FieldInvalid("page_size", f"is {asked}; 0 (for the server's choice) or more")
    return min(asked or usual, most)
