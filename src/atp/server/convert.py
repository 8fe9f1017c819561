"""Messages of atp.v1 from and to the engine's words.

Owns what only the edge can check: presence, enums, durations and timestamps (the one module that
asks a message what is set). Everything else about a field is the engine's to refuse, under the same
field paths. Decides nothing about stock, holds or caps.
"""

from __future__ import annotations

from collections.abc import Sequence, Sized
from enum import IntEnum
from typing import TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from atp._core import LIMITS
from atp.server.status import OUTCOMES
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import (
    Cap,
    CapMode,
    CapOverride,
    CapStatus,
    CapSubject,
    FieldInvalid,
    Stock,
    StockOutcome,
    StockReason,
    StockReply,
)

SECOND = 1_000_000_000
INT64_MAX = (1 << 63) - 1
SKU_BYTES_MAX = LIMITS["sku_bytes_max"]
STOCK_MAX = LIMITS["stock_max"]
BATCH_ENTRIES_MAX = 4_096
CAP_SKUS_MAX = LIMITS["cap_skus_max"]
CAP_OVERRIDES_MAX = LIMITS["cap_overrides_max"]

_STOCK_OUTCOMES = OUTCOMES[StockOutcome]

Word = TypeVar("Word", bound=IntEnum)


# Times.


def timestamp(time_ns: int | None) -> Timestamp | None:
    """A time as a message; None stays unset."""
    if time_ns is None:
        return None
    return Timestamp(seconds=time_ns // SECOND, nanos=time_ns % SECOND)


def duration(nanoseconds: int | None) -> Duration | None:
    """A duration as a message; None stays unset."""
    if nanoseconds is None:
        return None
    seconds, nanos = divmod(abs(nanoseconds), SECOND)
    sign = -1 if nanoseconds < 0 else 1
    return Duration(seconds=sign * seconds, nanos=sign * nanos)


def duration_ns(length: Duration, field: str) -> int:
    """A duration that was asked for, in nanoseconds. Raises FieldInvalid."""
    if abs(length.nanos) >= SECOND or length.seconds * length.nanos < 0:
        raise FieldInvalid(
            field, "has nanos that are no fraction of a second, or of another sign than its seconds"
        )
    nanoseconds = length.seconds * SECOND + length.nanos
    if nanoseconds <= 0:
        raise FieldInvalid(field, "must be more than zero")
    if nanoseconds > INT64_MAX:
        raise FieldInvalid(field, "is longer than 292 years")
    return nanoseconds


# Stock.


def expected_on_hand(request: stock_pb.SetStockRequest) -> int | None:
    """The units on hand that a set is to find, None when it is to take what there is."""
    return (
        request.expected_on_hand_quantity if request.HasField("expected_on_hand_quantity") else None
    )


def check_batch(requests: Sequence[stock_pb.SetStockRequest]) -> None:
    """Refuses the whole batch for its first malformed entry, before any is applied."""
    if not requests:
        raise FieldInvalid("requests", f"has no entry; 1 to {BATCH_ENTRIES_MAX}")
    check_count(requests, BATCH_ENTRIES_MAX, "requests")
    for index, request in enumerate(requests):
        path = f"requests[{index}]."
        sku_bytes = len(request.sku.encode())
        if not 1 <= sku_bytes <= SKU_BYTES_MAX:
            raise FieldInvalid(f"{path}sku", f"has {sku_bytes} bytes; 1 to {SKU_BYTES_MAX}")
        _check_on_hand(request.on_hand_quantity, f"{path}on_hand_quantity")
        _check_on_hand(request.expected_on_hand_quantity, f"{path}expected_on_hand_quantity")


def check_count(entries: Sized, most: int, field: str) -> None:
    """Refuses too many before they are looked at one by one: they may be very many."""
    if len(entries) > most:
        raise FieldInvalid(field, f"has {len(entries)} entries; at most {most}")


def _check_on_hand(quantity: int, field: str) -> None:
    if not 0 <= quantity <= STOCK_MAX:
        raise FieldInvalid(field, f"is {quantity}; 0 to {STOCK_MAX}")


def stock_reason(number: int) -> StockReason:
    """Why units are added or taken away. Raises FieldInvalid for a number without a meaning."""
    return _word(StockReason, number, "reason")


def set_stock_response(reply: StockReply) -> stock_pb.SetStockResponse:
    """The answer to a set of stock."""
    return stock_pb.SetStockResponse(
        outcome=_STOCK_OUTCOMES[reply.outcome],
        stock=None if reply.stock is None else stock(reply.stock),
        sequence=reply.sequence,
        repeated=reply.repeated,
        limit_name=reply.limit_name,
    )


def adjust_stock_response(reply: StockReply) -> stock_pb.AdjustStockResponse:
    """The answer to an adjustment of stock."""
    return stock_pb.AdjustStockResponse(
        outcome=_STOCK_OUTCOMES[reply.outcome],
        stock=None if reply.stock is None else stock(reply.stock),
        sequence=reply.sequence,
        repeated=reply.repeated,
        limit_name=reply.limit_name,
    )


def stock(words: Stock) -> stock_pb.Stock:
    """The counters of one SKU as a message."""
    return stock_pb.Stock(
        sku=words.sku,
        on_hand_quantity=words.on_hand,
        held_quantity=words.held,
        available_quantity=words.available,
        sold_quantity=words.sold,
        received_quantity=words.received,
        adjusted_quantity=words.adjusted,
        first_expire_time=timestamp(words.first_expire_time_ns),
        sequence=words.sequence,
    )


# Caps.


def cap_from(request: cap_pb.SetCapRequest) -> Cap:
    """The cap that a request sets. Raises FieldInvalid."""
    if not request.HasField("cap"):
        raise FieldInvalid("cap", "is missing")
    message = request.cap
    check_count(message.skus, CAP_SKUS_MAX, "cap.skus")
    check_count(message.overrides, CAP_OVERRIDES_MAX, "cap.overrides")
    return Cap(
        cap_id=message.cap_id,
        subject=_word(CapSubject, message.subject, "cap.subject"),
        limit=message.limit_quantity if message.HasField("limit_quantity") else None,
        skus=tuple(message.skus),
        per_sku=message.per_sku,
        window_ns=duration_ns(message.window, "cap.window") if message.HasField("window") else None,
        mode=_word(CapMode, message.mode, "cap.mode"),
        overrides=tuple(
            CapOverride(
                override.subject,
                override.limit_quantity if override.HasField("limit_quantity") else None,
            )
            for override in message.overrides
        ),
        ipv4_prefix_length=message.ipv4_prefix_length,
        ipv6_prefix_length=message.ipv6_prefix_length,
    )


def cap(words: CapStatus) -> cap_pb.Cap:
    """A cap as it is now as a message."""
    definition = words.cap
    return cap_pb.Cap(
        cap_id=definition.cap_id,
        subject=OUTCOMES[CapSubject][definition.subject],
        ipv4_prefix_length=definition.ipv4_prefix_length,
        ipv6_prefix_length=definition.ipv6_prefix_length,
        skus=definition.skus,
        per_sku=definition.per_sku,
        limit_quantity=definition.limit,
        window=duration(definition.window_ns),
        mode=OUTCOMES[CapMode][definition.mode],
        overrides=[
            cap_pb.CapOverride(subject=override.subject, limit_quantity=override.limit)
            for override in definition.overrides
        ],
        etag=words.etag,
        update_time=timestamp(words.update_time_ns),
        refused_count=words.refused,
        shadow_refused_count=words.shadow_refused,
    )


def _word(kind: type[Word], number: int, field: str) -> Word:
    try:
        return kind(number)
    except ValueError:
        known = ", ".join(word.name for word in kind)
        raise FieldInvalid(field, f"is {number or 'not given'}; one of {known}") from None
