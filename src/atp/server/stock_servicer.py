"""The control plane for stock: which engine call each RPC of StockService is.

Owns the check that a batch is well-formed before its first entry is applied, the bounds of a page,
that neither keeps checkouts waiting, and what each answer waits for. Judges nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from atp.clock import Clock
from atp.server import convert
from atp.server.durable import Durable
from atp.server.status import SkuNotFound, check_journal
from atp.v1 import stock_service_pb2 as pb
from atp.vocabulary import FieldInvalid, StockReply

if TYPE_CHECKING:
    from atp._core import Engine

PAGE_SIZE = 1_000
PAGE_SIZE_MAX = 4_096
TURN_ENTRIES = 128
"""Entries of a batch or a page that are worked on in one go: about a millisecond, during which no
checkout is answered."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class StockServicer:
    """Serves StockService."""

    def __init__(self, engine: Engine, clock: Clock, durable: Durable) -> None:
        self._engine = engine
        self._clock = clock
        self._durable = durable

    async def SetStock(self, request: pb.SetStockRequest) -> pb.SetStockResponse:
        """Sets the units on hand of one SKU."""
        reply = self._set_stock(request)
        check_journal(reply.limit_name)
        return await self._durable.once(reply.reveals, convert.set_stock_response(reply))

    async def AdjustStock(self, request: pb.AdjustStockRequest) -> pb.AdjustStockResponse:
        """Adds units to one SKU or takes them away."""
        reply = self._engine.adjust_stock(
            request.request_id,
            request.sku,
            request.delta_quantity,
            convert.stock_reason(request.reason),
            now_ns=self._clock.now_ns(),
        )
        check_journal(reply.limit_name)
        return await self._durable.once(reply.reveals, convert.adjust_stock_response(reply))

    async def BatchSetStock(self, request: pb.BatchSetStockRequest) -> pb.BatchSetStockResponse:
        """Sets the units on hand of many SKUs, each judged by itself.

        When the journal is in the way of the first entry, nothing was changed and the call was not
        judged; of a later one, that entry's outcome says so.
        """
        convert.check_batch(request.requests)
        reveals, judged = 0, 0

        def set_one(entry: pb.SetStockRequest) -> pb.SetStockResponse:
            nonlocal reveals, judged
            reply = self._set_stock(entry)
            if judged == 0:
                check_journal(reply.limit_name)
            judged += 1
            reveals = max(reveals, reply.reveals)
            return convert.set_stock_response(reply)

        responses = await in_turns(set_one, request.requests)
        return await self._durable.once(reveals, pb.BatchSetStockResponse(responses=responses))

    async def GetStock(self, request: pb.GetStockRequest) -> pb.GetStockResponse:
        """Reads the counters of one SKU."""
        try:
            stocks = self._engine.get_availability([request.sku], now_ns=self._clock.now_ns())
        except FieldInvalid as error:
            raise FieldInvalid("sku", error.reason) from None
        if stocks[0] is None:
            raise SkuNotFound(request.sku)
        response = pb.GetStockResponse(stock=convert.stock(stocks[0]))
        return await self._durable.once(stocks[0].sequence, response)

    async def ListStock(self, request: pb.ListStockRequest) -> pb.ListStockResponse:
        """Reads the counters of all SKUs, page by page."""
        stocks, next_page_token = self._engine.list_stock(
            now_ns=self._clock.now_ns(),
            page_size=page_size(request.page_size, PAGE_SIZE, PAGE_SIZE_MAX),
            page_token=request.page_token,
        )
        response = pb.ListStockResponse(
            stocks=await in_turns(convert.stock, stocks), next_page_token=next_page_token
        )
        newest = max((stock.sequence for stock in stocks), default=0)
        return await self._durable.once(newest, response)

    def _set_stock(self, request: pb.SetStockRequest) -> StockReply:
        return self._engine.set_stock(
            request.sku,
            request.on_hand_quantity,
            now_ns=self._clock.now_ns(),
            expected=convert.expected_on_hand(request),
        )


async def in_turns(
    work: Callable[[Item], Result], items: Iterable[Item], turn: int = TURN_ENTRIES
) -> list[Result]:
    """work(item) for each item, in order, letting other calls have their turn in between."""
    results: list[Result] = []
    for item in items:
        if results and len(results) % turn == 0:
            await asyncio.sleep(0)
        results.append(work(item))
    return results


def page_size(asked: int, usual: int, most: int) -> int:
    """The entries that a page may have. Raises FieldInvalid for a negative size."""
    if asked < 0:
        raise FieldInvalid("page_size", f"is {asked}; 0 (for the server's choice) or more")
    return min(asked or usual, most)
