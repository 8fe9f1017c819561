"""A history as tests look at it: every call with its messages read, and its answer beside it.

Owns pairing what was sent with how it ended. Believes what the reader of histories gives, and
that alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from atp.history import list_files, read
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1.history_pb2 import CallEnded, CallSent

MESSAGES: dict[int, tuple[Any, Any]] = {
    history.HISTORY_METHOD_RESERVE: (pb.ReserveRequest, pb.ReserveResponse),
    history.HISTORY_METHOD_COMMIT: (pb.CommitRequest, pb.CommitResponse),
    history.HISTORY_METHOD_RELEASE: (pb.ReleaseRequest, pb.ReleaseResponse),
    history.HISTORY_METHOD_EXTEND: (pb.ExtendRequest, pb.ExtendResponse),
    history.HISTORY_METHOD_GET_AVAILABILITY: (
        pb.GetAvailabilityRequest,
        pb.GetAvailabilityResponse,
    ),
    history.HISTORY_METHOD_EXECUTE: (service_pb.ExecuteRequest, service_pb.ExecuteResponse),
    history.HISTORY_METHOD_BATCH_SET_STOCK: (
        stock_pb.BatchSetStockRequest,
        stock_pb.BatchSetStockResponse,
    ),
}


class Called(NamedTuple):
    """One call; `ended` and `response` are None where it was never answered, or not OK."""

    sent: CallSent
    ended: CallEnded | None
    request: Any
    response: Any


def calls_of(folder: Path) -> Iterator[Called]:
    """Every call of every file, in the order of sending within a file."""
    for path in list_files(folder):
        entries = list(read(path))
        ends = {entry.ended.number: entry.ended for entry in entries if entry.HasField("ended")}
        for entry in entries:
            if entry.HasField("sent"):
                yield _called(entry.sent, ends.get(entry.sent.number))


def commands_of(folder: Path) -> Iterator[tuple[Any, Any]]:
    """Every command of the data plane that was answered OK, with its answer; batches unpacked."""
    for call in calls_of(folder):
        if call.response is None or call.sent.method >= history.HISTORY_METHOD_SET_STOCK:
            continue
        if call.sent.method != history.HISTORY_METHOD_EXECUTE:
            yield call.request, call.response
            continue
        for command, result in zip(call.request.commands, call.response.results, strict=True):
            asked = getattr(command, command.WhichOneof("command"))
            yield asked, getattr(result, result.WhichOneof("result"))


def _called(sent: CallSent, ended: CallEnded | None) -> Called:
    asks, answers = MESSAGES[sent.method]
    response = None
    if ended is not None and ended.status == 0:
        response = answers.FromString(ended.response)
    return Called(sent, ended, asks.FromString(sent.request), response)
