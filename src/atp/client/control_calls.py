"""The calls of the control plane: what operators ask about stock, caps and the server.

One builder a call, shared by the sync and the async client, which give each the same name,
arguments and documentation. A refusal about stock is a reply, never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable

from atp.client import convert, replies
from atp.client.call import Call, Method, Plane, message
from atp.client.top import Top, read_top
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import Cap, CapStatus, CheckReport, Stock, StockReason, StockReply

_STOCK, _CAP, _MAINTENANCE = "StockService", "CapService", "MaintenanceService"
SET_STOCK = Method(Plane.CONTROL, _STOCK, "SetStock", stock_pb.SetStockResponse)
ADJUST_STOCK = Method(Plane.CONTROL, _STOCK, "AdjustStock", stock_pb.AdjustStockResponse)
BATCH_SET_STOCK = Method(Plane.CONTROL, _STOCK, "BatchSetStock", stock_pb.BatchSetStockResponse)
GET_STOCK = Method(Plane.CONTROL, _STOCK, "GetStock", stock_pb.GetStockResponse)
LIST_STOCK = Method(Plane.CONTROL, _STOCK, "ListStock", stock_pb.ListStockResponse)
SET_CAP = Method(Plane.CONTROL, _CAP, "SetCap", cap_pb.SetCapResponse)
GET_CAP = Method(Plane.CONTROL, _CAP, "GetCap", cap_pb.GetCapResponse)
LIST_CAPS = Method(Plane.CONTROL, _CAP, "ListCaps", cap_pb.ListCapsResponse)
REMOVE_CAP = Method(Plane.CONTROL, _CAP, "RemoveCap", cap_pb.RemoveCapResponse)
GET_STATUS = Method(Plane.CONTROL, _MAINTENANCE, "GetStatus", maintenance_pb.GetStatusResponse)
GET_TOP = Method(Plane.CONTROL, _MAINTENANCE, "GetTop", maintenance_pb.GetTopResponse)
CHECK_INVARIANTS = Method(
    Plane.CONTROL, _MAINTENANCE, "CheckInvariants", maintenance_pb.CheckInvariantsResponse
)
TAKE_SNAPSHOT = Method(
    Plane.CONTROL, _MAINTENANCE, "TakeSnapshot", maintenance_pb.TakeSnapshotResponse
)
METHODS = (
    *(SET_STOCK, ADJUST_STOCK, BATCH_SET_STOCK, GET_STOCK, LIST_STOCK),
    *(SET_CAP, GET_CAP, LIST_CAPS, REMOVE_CAP),
    *(GET_STATUS, GET_TOP, CHECK_INVARIANTS, TAKE_SNAPSHOT),
)

# A recount, or a snapshot, takes about a second for each million holds; the default is too short.
CHECK_TIMEOUT_S = 120.0
SNAPSHOT_TIMEOUT_S = 120.0


def set_stock(
    sku: str, on_hand: int, *, expected: int | None = None, timeout_s: float | None = None
) -> Call[StockReply]:
    """Sets the units on hand of one SKU, creating the SKU if it is unknown.

    With `expected`, refused as ON_HAND_CHANGED unless this many are on hand; such a call is not
    tried again after a lost answer, because its own success would look like somebody else's change.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(
        stock_pb.SetStockRequest,
        sku=sku,
        on_hand_quantity=on_hand,
        expected_on_hand_quantity=expected,
    )
    return Call(SET_STOCK, request, convert.stock_reply, timeout_s, repeatable=expected is None)


def adjust_stock(
    sku: str,
    delta: int,
    reason: StockReason,
    *,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Call[StockReply]:
    """Adds units to one SKU or, with a negative `delta`, takes them away.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(
        stock_pb.AdjustStockRequest,
        request_id=request_id,
        sku=sku,
        delta_quantity=delta,
        reason=f"STOCK_REASON_{reason.name}",
    )
    return Call(ADJUST_STOCK, request, convert.stock_reply, timeout_s, needs_request_id=True)


def batch_set_stock(
    entries: Iterable[tuple[str, int]], *, timeout_s: float | None = None
) -> Call[tuple[StockReply, ...]]:
    """Sets the units on hand of many SKUs, 1 to 4,096 pairs; each is judged by itself, in order.

    Raises InvalidArgument (nothing was set), Unavailable, DeadlineExceeded.
    """
    requests = [
        message(stock_pb.SetStockRequest, f"requests[{index}].", sku=sku, on_hand_quantity=on_hand)
        for index, (sku, on_hand) in enumerate(entries)
    ]
    request = message(stock_pb.BatchSetStockRequest, requests=requests)
    return Call(BATCH_SET_STOCK, request, _stock_replies, timeout_s)


def get_stock(sku: str, *, timeout_s: float | None = None) -> Call[Stock]:
    """Reads the counters of one SKU.

    Raises NotFound, InvalidArgument, Unavailable, DeadlineExceeded.
    """
    return Call(GET_STOCK, message(stock_pb.GetStockRequest, sku=sku), _stock, timeout_s)


def list_stock(
    *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
) -> Call[replies.StockPage]:
    """Reads one page of all SKUs, in no particular order; at most 4,096, 0 for the server's choice.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(stock_pb.ListStockRequest, page_size=page_size, page_token=page_token)
    return Call(LIST_STOCK, request, _stock_page, timeout_s)


def set_cap(cap: Cap, *, etag: str = "", timeout_s: float | None = None) -> Call[replies.CapChange]:
    """Sets a cap, new or in place of the one with the same id; it holds from the next command on.

    With `etag`, only if that is the present one. Such a call is not tried again after a
    lost answer.

    Raises Aborted (stale etag), ResourceExhausted (a bound on caps), InvalidArgument, Unavailable,
    DeadlineExceeded.
    """
    request = cap_pb.SetCapRequest(cap=message(cap_pb.Cap, "cap.", **convert.cap_fields(cap, etag)))
    return Call(SET_CAP, request, _cap_change, timeout_s, repeatable=not etag)


def get_cap(cap_id: str, *, timeout_s: float | None = None) -> Call[CapStatus]:
    """Reads one cap.

    Raises NotFound, InvalidArgument, Unavailable, DeadlineExceeded.
    """
    return Call(GET_CAP, message(cap_pb.GetCapRequest, cap_id=cap_id), _cap, timeout_s)


def list_caps(
    *, page_size: int = 0, page_token: str = "", timeout_s: float | None = None
) -> Call[replies.CapPage]:
    """Reads one page of all caps in order of cap id; at most 1,024, 0 for the server's choice.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(cap_pb.ListCapsRequest, page_size=page_size, page_token=page_token)
    return Call(LIST_CAPS, request, _cap_page, timeout_s)


def remove_cap(cap_id: str, *, etag: str = "", timeout_s: float | None = None) -> Call[int]:
    """Removes a cap and its counts; returns the sequence from which it is gone.

    Not tried again after a lost answer, because its own success would look like NotFound.

    Raises NotFound, Aborted (stale etag), InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(cap_pb.RemoveCapRequest, cap_id=cap_id, etag=etag)
    return Call(REMOVE_CAP, request, _sequence, timeout_s, repeatable=False)


def get_status(*, timeout_s: float | None = None) -> Call[replies.ServerStatus]:
    """Reads the server's counters, bounds and settings.

    Raises Unavailable, DeadlineExceeded.
    """
    request = maintenance_pb.GetStatusRequest()
    return Call(GET_STATUS, request, convert.server_status, timeout_s)


def get_top(*, skus: int = 0, caps: int = 0, timeout_s: float | None = None) -> Call[Top]:
    """Reads what moves: the hottest `skus`, the `caps` that refused most (0: 20 of each, at most
    100), calls and how long they took, holds that end soon.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(maintenance_pb.GetTopRequest, sku_count=skus, cap_count=caps)
    return Call(GET_TOP, request, read_top, timeout_s)


def check_invariants(*, timeout_s: float | None = None) -> Call[CheckReport]:
    """Recounts the laws over the whole state; calls wait meanwhile. The default timeout is 120 s.

    Raises Unavailable, DeadlineExceeded.
    """
    request = maintenance_pb.CheckInvariantsRequest()
    timeout_s = CHECK_TIMEOUT_S if timeout_s is None else timeout_s
    return Call(CHECK_INVARIANTS, request, convert.check_report, timeout_s)


def take_snapshot(*, timeout_s: float | None = None) -> Call[replies.Snapshot]:
    """Writes a snapshot of the whole state now; no call waits for it. The default timeout is 120 s.

    Raises Unavailable (SNAPSHOT_FAILED: it could not be written), DeadlineExceeded.
    """
    request = maintenance_pb.TakeSnapshotRequest()
    timeout_s = SNAPSHOT_TIMEOUT_S if timeout_s is None else timeout_s
    return Call(TAKE_SNAPSHOT, request, _snapshot, timeout_s)


def _snapshot(response: maintenance_pb.TakeSnapshotResponse) -> replies.Snapshot:
    return convert.snapshot(response.snapshot)


def _stock_replies(response: stock_pb.BatchSetStockResponse) -> tuple[StockReply, ...]:
    return tuple(convert.stock_reply(each) for each in response.responses)


def _stock(response: stock_pb.GetStockResponse) -> Stock:
    return convert.stock(response.stock)


def _stock_page(response: stock_pb.ListStockResponse) -> replies.StockPage:
    stocks = tuple(convert.stock(each) for each in response.stocks)
    return replies.StockPage(stocks, response.next_page_token)


def _cap(response: cap_pb.GetCapResponse) -> CapStatus:
    return convert.cap_status(response.cap)


def _cap_page(response: cap_pb.ListCapsResponse) -> replies.CapPage:
    caps = tuple(convert.cap_status(each) for each in response.caps)
    return replies.CapPage(caps, response.next_page_token)


def _cap_change(response: cap_pb.SetCapResponse) -> replies.CapChange:
    return replies.CapChange(convert.cap_status(response.cap), response.sequence)


def _sequence(response: cap_pb.RemoveCapResponse) -> int:
    return response.sequence
