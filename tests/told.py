"""Errors as a caller gets them: code, message and details, read from a failed call.

Owns the reading alone; what an error should be is for the test that calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

SECONDS = 20.0


class Told(NamedTuple):
    """An error as the caller gets it."""

    code: grpc.StatusCode
    message: str
    info: error_details_pb2.ErrorInfo
    details: dict[str, Message]


def error_of(call: Callable[..., Any], request: Any) -> Told:
    """The error of a call that must fail."""
    told = error_if_any(call, request)
    assert told is not None, "the call did not fail"
    return told


def error_if_any(call: Callable[..., Any], request: Any) -> Told | None:
    """The error of a call, None if it was answered."""
    try:
        call(request, timeout=SECONDS)
    except grpc.RpcError as error:
        return read(error)
    return None


def read(error: Any) -> Told:
    """What a failed call's error says."""
    status = rpc_status.from_call(error)
    assert status is not None, f"no details: {error}"
    details = {}
    for packed in status.details:
        name = packed.TypeName().rpartition(".")[2]
        details[name] = getattr(error_details_pb2, name)()
        assert packed.Unpack(details[name])
    info = details["ErrorInfo"]
    assert info.domain == "atp"
    assert status.code == error.code().value[0]
    return Told(error.code(), error.details(), info, details)
