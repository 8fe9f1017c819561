"""What the client reads from messages and errors, where no server would send it today.

Words that a newer server may know, details that are not atp's, times to the nanosecond.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum
from typing import Any

import grpc
import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from atp import vocabulary as words
from atp.client import (
    AtpError,
    InvalidArgument,
    ReplyUnknown,
    Unavailable,
    batches,
    control_calls,
    convert,
    data_calls,
    feed,
)
from atp.client.call import Plane, expiration, expire_time_ns, ttl_ns
from atp.client.errors import from_rpc_error
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2
from atp.v1 import stock_service_pb2 as stock_pb
from client_faces import client_face
from scripted_server import scripted

ENUMS: list[tuple[type[IntEnum], Any, str]] = [
    (words.ReservationState, pb.ReservationState, "RESERVATION_STATE_"),
    (words.ReserveOutcome, pb.ReserveOutcome, "RESERVE_OUTCOME_"),
    (words.LineOutcome, pb.LineOutcome, "LINE_OUTCOME_"),
    (words.ChangeOutcome, pb.ChangeOutcome, "CHANGE_OUTCOME_"),
    (words.StockOutcome, stock_pb.StockOutcome, "STOCK_OUTCOME_"),
    (words.StockReason, stock_pb.StockReason, "STOCK_REASON_"),
    (words.CapSubject, cap_pb.CapSubject, "CAP_SUBJECT_"),
    (words.CapMode, cap_pb.CapMode, "CAP_MODE_"),
]


@pytest.mark.parametrize(("kind", "enum", "prefix"), ENUMS)
def test_every_number_on_the_wire_has_its_word(kind: Any, enum: Any, prefix: str) -> None:
    for name, number in enum.items():
        if number:
            assert convert.word(kind, number).name == name.removeprefix(prefix)
    for unknown in (0, len(enum.items())):
        with pytest.raises(ReplyUnknown, match=kind.__name__):
            convert.word(kind, unknown)


def test_an_outcome_of_a_newer_server_is_an_error_and_no_guess() -> None:
    with (
        scripted(pb.ReserveResponse(outcome=99)) as server,  # type: ignore[arg-type]
        client_face("sync", server.address) as client,
        pytest.raises(ReplyUnknown, match="ReserveOutcome 99") as caught,
    ):
        client.reserve({"MUG": 1})
    assert caught.value.reason == "REPLY_UNKNOWN"


def test_the_methods_are_those_of_the_protos() -> None:
    planes = {
        Plane.DATA: (reservation_service_pb2,),
        Plane.CONTROL: (stock_pb, cap_pb, maintenance_pb),
    }
    expected = {
        (plane, f"/{service.full_name}/{rpc.name}", rpc.output_type.full_name)
        for plane, modules in planes.items()
        for module in modules
        for service in module.DESCRIPTOR.services_by_name.values()
        for rpc in service.methods
    }
    methods = (*data_calls.METHODS, batches.EXECUTE, *control_calls.METHODS, feed.WATCH)
    assert {(m.plane, m.path, m.response.DESCRIPTOR.full_name) for m in methods} == expected


class Failed(grpc.RpcError):
    """What grpcio raises, with these details."""

    def __init__(self, code: grpc.StatusCode, details: bytes | None) -> None:
        self._code = code
        self._details = details

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return "text"

    def trailing_metadata(self) -> Any:
        if self._details is None:
            return None
        return (("x-other", "1"), ("grpc-status-details-bin", self._details))


def packed(*messages: Message) -> bytes:
    details = []
    for message in messages:
        detail = AnyMessage()
        detail.Pack(message)
        details.append(detail)
    return bytes(status_pb2.Status(details=details).SerializeToString())


def read(code: grpc.StatusCode, details: bytes | None) -> AtpError:
    return from_rpc_error(Failed(code, details))


def test_errors_without_readable_details() -> None:
    for details in (None, b"", b"\xff\xff", packed(error_details_pb2.DebugInfo(detail="x"))):
        error = read(grpc.StatusCode.UNAVAILABLE, details)
        assert isinstance(error, Unavailable)
        assert (error.message, error.reason, error.answered) == ("text", "", False)
        assert (error.metadata, error.retry_delay_s) == ({}, None)


def test_the_field_of_a_bad_request() -> None:
    violation = error_details_pb2.BadRequest.FieldViolation(field="lines[3].sku")
    bad = error_details_pb2.BadRequest(field_violations=[violation])
    error = read(grpc.StatusCode.INVALID_ARGUMENT, packed(bad))
    assert isinstance(error, InvalidArgument)
    assert error.field == "lines[3].sku"
    info = error_details_pb2.ErrorInfo(reason="R", domain="atp", metadata={"field": "mine"})
    both = read(grpc.StatusCode.INVALID_ARGUMENT, packed(bad, info))
    assert isinstance(both, InvalidArgument)
    assert (both.field, both.reason, both.answered) == ("mine", "R", True)


def test_times_to_live_are_exact() -> None:
    assert ttl_ns(timedelta(days=2, microseconds=1)) == 2 * 86_400 * 10**9 + 1000
    assert ttl_ns(90) == 90 * 10**9
    assert ttl_ns(0.25) == 250_000_000
    assert expiration(None, None) == {}


def test_instants_are_exact() -> None:
    noon = datetime(2026, 11, 27, 12, 0, 0, 123_456, tzinfo=UTC)
    east = noon.astimezone(timezone(timedelta(hours=5, minutes=30)))
    expected = 1_795_780_800 * 10**9 + 123_456_000
    assert expire_time_ns(noon) == expire_time_ns(east) == expected
    (message,) = expiration(None, expected + 789).values()
    assert convert.to_ns(message) == expected + 789  # type: ignore[arg-type]
    (before_the_epoch,) = expiration(None, -1).values()
    assert convert.to_ns(before_the_epoch) == -1  # type: ignore[arg-type]
