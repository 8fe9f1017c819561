"""What callers are told: outcomes as enums of atp.v1, errors as gRPC statuses. One table of each.

Owns the codes, the reasons and the details of every error, so that no servicer chooses one. A
refusal is an outcome in an OK reply; an error means that the call was not judged and that nothing
has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, NamedTuple

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from atp.journal.feed import PositionGone
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import reservation_pb2 as reservation_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import (
    CapChanged,
    CapMode,
    CapNotFound,
    CapSubject,
    ChangeOutcome,
    FieldInvalid,
    LimitReached,
    LineOutcome,
    ReservationState,
    ReserveOutcome,
    StockOutcome,
    StockReason,
)

DOMAIN = "atp"
TEXT_CHARACTERS_MAX = 300
"""Of a text that goes into a status: statuses travel in headers, which have bounds of their own."""


class ReservationNotFound(LookupError):
    """No such reservation is remembered."""

    def __init__(self, reservation_id: str) -> None:
        super().__init__(f"no reservation {reservation_id} is remembered")
        self.reservation_id = reservation_id


class SkuNotFound(LookupError):
    """No such SKU is known."""

    def __init__(self, sku: str) -> None:
        super().__init__(f"no SKU {sku} is known")
        self.sku = sku


class Overloaded(Exception):
    """More calls are open than the plane takes."""

    def __init__(self, calls_max: int) -> None:
        super().__init__(f"{calls_max} calls are open, as many as server.calls_max allows")
        self.limit_name = "server.calls_max"
        self.limit_value = str(calls_max)


class PositionAhead(LookupError):
    """A watch asks for changes that nobody has made."""

    def __init__(self, position: int, resume_sequence: int) -> None:
        super().__init__(
            f"change {position} lies in the future: the next one to be told is {resume_sequence}"
        )
        self.resume_sequence = resume_sequence


class WatchTooSlow(Exception):
    """The reader of a watch took nothing for too long."""

    def __init__(self, resume_sequence: int) -> None:
        super().__init__(f"nothing was taken for too long; resume from {resume_sequence}")
        self.resume_sequence = resume_sequence


class Draining(Exception):
    """The server stops, and with it a watch."""

    def __init__(self, resume_sequence: int) -> None:
        super().__init__(f"the server stops; resume from {resume_sequence}")
        self.resume_sequence = resume_sequence


class JournalFull(Exception):
    """The disk has no room for what the change would leave in the journal."""

    limit_name = "journal_space"

    def __init__(self) -> None:
        super().__init__("the disk of the journal is full: changes are refused until there is room")


class JournalBehind(Exception):
    """More waits to be written to the journal than may."""

    limit_name = "journal_backlog"

    def __init__(self) -> None:
        super().__init__(
            "more changes wait to be written than journal.backlog_bytes_max allows: the disk is"
            " slower than the calls"
        )


class SnapshotFailed(Exception):
    """A snapshot that was asked for could not be written."""


class ErrorRow(NamedTuple):
    """How one kind of error is told."""

    error: type[Exception]
    code: grpc.StatusCode
    reason: str
    names: tuple[str, ...] = ()
    """Attributes of the error, or else fields of the request, that the metadata quotes."""
    retry_ms: int = 0
    """When asking again makes sense; 0: not by itself."""


ERRORS: tuple[ErrorRow, ...] = (
    ErrorRow(FieldInvalid, grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", ("field",)),
    ErrorRow(
        ReservationNotFound,
        grpc.StatusCode.NOT_FOUND,
        "RESERVATION_NOT_FOUND",
        ("reservation_id",),
    ),
    ErrorRow(SkuNotFound, grpc.StatusCode.NOT_FOUND, "SKU_NOT_FOUND", ("sku",)),
    ErrorRow(CapNotFound, grpc.StatusCode.NOT_FOUND, "CAP_NOT_FOUND", ("cap_id",)),
    ErrorRow(CapChanged, grpc.StatusCode.ABORTED, "CAP_CHANGED", ("cap_id",)),
    ErrorRow(LimitReached, grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", ("limit_name",)),
    ErrorRow(
        Overloaded,
        grpc.StatusCode.UNAVAILABLE,
        "OVERLOADED",
        ("limit_name", "limit_value"),
        retry_ms=200,
    ),
    ErrorRow(
        PositionGone,
        grpc.StatusCode.OUT_OF_RANGE,
        "WATCH_POSITION_GONE",
        ("first_sequence",),
    ),
    ErrorRow(
        PositionAhead,
        grpc.StatusCode.OUT_OF_RANGE,
        "WATCH_POSITION_AHEAD",
        ("resume_sequence",),
    ),
    ErrorRow(
        WatchTooSlow,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "WATCH_TOO_SLOW",
        ("resume_sequence",),
    ),
    ErrorRow(
        Draining,
        grpc.StatusCode.UNAVAILABLE,
        "DRAINING",
        ("resume_sequence",),
        retry_ms=200,
    ),
    ErrorRow(
        JournalFull,
        grpc.StatusCode.UNAVAILABLE,
        "JOURNAL_FULL",
        ("limit_name",),
        retry_ms=1_000,
    ),
    ErrorRow(
        JournalBehind,
        grpc.StatusCode.UNAVAILABLE,
        "JOURNAL_BEHIND",
        ("limit_name",),
        retry_ms=200,
    ),
    ErrorRow(SnapshotFailed, grpc.StatusCode.UNAVAILABLE, "SNAPSHOT_FAILED"),
)
FAULT = ErrorRow(Exception, grpc.StatusCode.INTERNAL, "SERVER_FAULT")
"""Anything else is a fault of the server's own, told without its details."""


def check_journal(limit_name: str) -> None:
    """Raises when the limit that stands in the way of a change is the journal's.

    These two are no answer about stock: the disk is in the way, not a rule, and asking again later,
    or another server, makes sense.
    """
    for error in (JournalFull, JournalBehind):
        if limit_name == error.limit_name:
            raise error


def row_of(error: Exception) -> ErrorRow:
    """The row of an error; FAULT for what is in no row."""
    return next((row for row in ERRORS if isinstance(error, row.error)), FAULT)


def status_of(error: Exception, request: Message | None = None) -> status_pb2.Status:
    """The status that tells of an error, with its details.

    `request` is the call's, where it could be read; it names what the error itself does not.
    """
    row = row_of(error)
    text = "the server failed; its log says more" if row is FAULT else _shortened(str(error))
    metadata = {name: _quoted(name, error, request) for name in row.names}
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=row.reason, domain=DOMAIN, metadata=metadata)
    ]
    if isinstance(error, FieldInvalid):
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_shortened(error.field), description=_shortened(error.reason)
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if row.retry_ms:
        seconds, milliseconds = divmod(row.retry_ms, 1_000)
        delay = duration_pb2.Duration(seconds=seconds, nanos=milliseconds * 1_000_000)
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(code=row.code.value[0], message=text, details=map(_packed, details))


def _quoted(name: str, error: Exception, request: Message | None) -> str:
    for source in (error, request, getattr(request, "cap", None)):
        value = getattr(source, name, None)
        if value is not None:
            return _shortened(str(value))
    return ""


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[:TEXT_CHARACTERS_MAX] + "..."


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


OUTCOMES: Mapping[type[IntEnum], Mapping[int, Any]] = MappingProxyType(
    {
        ReservationState: {
            ReservationState.HELD: reservation_pb.RESERVATION_STATE_HELD,
            ReservationState.COMMITTED: reservation_pb.RESERVATION_STATE_COMMITTED,
            ReservationState.RELEASED: reservation_pb.RESERVATION_STATE_RELEASED,
            ReservationState.EXPIRED: reservation_pb.RESERVATION_STATE_EXPIRED,
        },
        ReserveOutcome: {
            ReserveOutcome.GRANTED: reservation_pb.RESERVE_OUTCOME_GRANTED,
            ReserveOutcome.GRANTED_PARTIALLY: reservation_pb.RESERVE_OUTCOME_GRANTED_PARTIALLY,
            ReserveOutcome.REQUEST_ID_REUSED: reservation_pb.RESERVE_OUTCOME_REQUEST_ID_REUSED,
            ReserveOutcome.EXPIRY_OUT_OF_RANGE: reservation_pb.RESERVE_OUTCOME_EXPIRY_OUT_OF_RANGE,
            ReserveOutcome.REPLACED_NOT_FOUND: reservation_pb.RESERVE_OUTCOME_REPLACED_NOT_FOUND,
            ReserveOutcome.REPLACED_NOT_OWNED: reservation_pb.RESERVE_OUTCOME_REPLACED_NOT_OWNED,
            ReserveOutcome.REPLACED_ENDED: reservation_pb.RESERVE_OUTCOME_REPLACED_ENDED,
            ReserveOutcome.SKU_UNKNOWN: reservation_pb.RESERVE_OUTCOME_SKU_UNKNOWN,
            ReserveOutcome.CAP_REACHED: reservation_pb.RESERVE_OUTCOME_CAP_REACHED,
            ReserveOutcome.STOCK_SHORT: reservation_pb.RESERVE_OUTCOME_STOCK_SHORT,
            ReserveOutcome.LIMIT_REACHED: reservation_pb.RESERVE_OUTCOME_LIMIT_REACHED,
        },
        LineOutcome: {
            LineOutcome.GRANTED: reservation_pb.LINE_OUTCOME_GRANTED,
            LineOutcome.SKU_UNKNOWN: reservation_pb.LINE_OUTCOME_SKU_UNKNOWN,
            LineOutcome.CAP_REACHED: reservation_pb.LINE_OUTCOME_CAP_REACHED,
            LineOutcome.STOCK_SHORT: reservation_pb.LINE_OUTCOME_STOCK_SHORT,
            LineOutcome.NOT_ATTEMPTED: reservation_pb.LINE_OUTCOME_NOT_ATTEMPTED,
        },
        ChangeOutcome: {
            ChangeOutcome.DONE: reservation_pb.CHANGE_OUTCOME_DONE,
            ChangeOutcome.REQUEST_ID_REUSED: reservation_pb.CHANGE_OUTCOME_REQUEST_ID_REUSED,
            ChangeOutcome.NOT_FOUND: reservation_pb.CHANGE_OUTCOME_NOT_FOUND,
            ChangeOutcome.ALREADY_COMMITTED: reservation_pb.CHANGE_OUTCOME_ALREADY_COMMITTED,
            ChangeOutcome.ALREADY_RELEASED: reservation_pb.CHANGE_OUTCOME_ALREADY_RELEASED,
            ChangeOutcome.ALREADY_EXPIRED: reservation_pb.CHANGE_OUTCOME_ALREADY_EXPIRED,
            ChangeOutcome.LINE_NOT_FOUND: reservation_pb.CHANGE_OUTCOME_LINE_NOT_FOUND,
            ChangeOutcome.QUANTITY_ABOVE_HELD: reservation_pb.CHANGE_OUTCOME_QUANTITY_ABOVE_HELD,
            ChangeOutcome.EXPIRY_OUT_OF_RANGE: reservation_pb.CHANGE_OUTCOME_EXPIRY_OUT_OF_RANGE,
            ChangeOutcome.LIMIT_REACHED: reservation_pb.CHANGE_OUTCOME_LIMIT_REACHED,
        },
        StockOutcome: {
            StockOutcome.DONE: stock_pb.STOCK_OUTCOME_DONE,
            StockOutcome.REQUEST_ID_REUSED: stock_pb.STOCK_OUTCOME_REQUEST_ID_REUSED,
            StockOutcome.SKU_UNKNOWN: stock_pb.STOCK_OUTCOME_SKU_UNKNOWN,
            StockOutcome.ON_HAND_CHANGED: stock_pb.STOCK_OUTCOME_ON_HAND_CHANGED,
            StockOutcome.BELOW_HELD: stock_pb.STOCK_OUTCOME_BELOW_HELD,
            StockOutcome.OUT_OF_RANGE: stock_pb.STOCK_OUTCOME_OUT_OF_RANGE,
            StockOutcome.LIMIT_REACHED: stock_pb.STOCK_OUTCOME_LIMIT_REACHED,
        },
        StockReason: {
            StockReason.RECEIVED: stock_pb.STOCK_REASON_RECEIVED,
            StockReason.RETURNED: stock_pb.STOCK_REASON_RETURNED,
            StockReason.COUNTED: stock_pb.STOCK_REASON_COUNTED,
            StockReason.WRITTEN_OFF: stock_pb.STOCK_REASON_WRITTEN_OFF,
        },
        CapSubject: {
            CapSubject.IP: cap_pb.CAP_SUBJECT_IP,
            CapSubject.SUBNET: cap_pb.CAP_SUBJECT_SUBNET,
            CapSubject.CUSTOMER: cap_pb.CAP_SUBJECT_CUSTOMER,
            CapSubject.RESERVATION: cap_pb.CAP_SUBJECT_RESERVATION,
            CapSubject.EVERYONE: cap_pb.CAP_SUBJECT_EVERYONE,
        },
        CapMode: {
            CapMode.ENFORCE: cap_pb.CAP_MODE_ENFORCE,
            CapMode.SHADOW: cap_pb.CAP_MODE_SHADOW,
            CapMode.OFF: cap_pb.CAP_MODE_OFF,
        },
    }
)
"""Every word with a number, and its number in atp.v1. The tests hold them equal; convert.py goes by
this table all the same, so that a word without a number fails where it is looked up."""
