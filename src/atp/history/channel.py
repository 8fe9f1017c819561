"""Records the calls of a synchronous gRPC channel: what went out and what came in, byte by byte.

Owns a channel that looks like the one it wraps. Stands below the stubs' own serializers, so that a
history has the very bytes; retries nothing, and changes neither an answer nor an error.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from atp.history.writer import HistoryWriter
from atp.v1 import history_pb2
from atp.v1.history_pb2 import HistoryMethod

METHODS: dict[str, HistoryMethod] = {
    f"/atp.v1.{service}/{method}": getattr(history_pb2, f"HISTORY_METHOD_{word}")
    for service, methods in {
        "ReservationService": {
            "Reserve": "RESERVE",
            "Commit": "COMMIT",
            "Release": "RELEASE",
            "Extend": "EXTEND",
            "GetReservation": "GET_RESERVATION",
            "GetAvailability": "GET_AVAILABILITY",
            "Execute": "EXECUTE",
        },
        "StockService": {
            "SetStock": "SET_STOCK",
            "AdjustStock": "ADJUST_STOCK",
            "BatchSetStock": "BATCH_SET_STOCK",
        },
        "CapService": {"SetCap": "SET_CAP", "RemoveCap": "REMOVE_CAP"},
    }.items()
    for method, word in methods.items()
}
"""What a history has a word for; calls of other methods pass unrecorded, and change nothing."""

_DOMAIN = "atp"
_DETAILS_KEY = "grpc-status-details-bin"


def record_calls(channel: grpc.Channel, writer: HistoryWriter) -> grpc.Channel:
    """A channel that records every call in `writer` and hands it to `channel`.

    Closing it closes `channel` and leaves the writer open.
    """
    return _RecordedChannel(channel, writer)


class _RecordedChannel(grpc.Channel):
    def __init__(self, channel: grpc.Channel, writer: HistoryWriter) -> None:
        self._channel = channel
        self._writer = writer

    def unary_unary(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **options: Any,
    ) -> Any:
        make = partial(self._channel.unary_unary, method, **options)
        return self._made(_RecordedCall, make, method, request_serializer, response_deserializer)

    def stream_stream(
        self,
        method: str,
        request_serializer: Callable[[Any], bytes] | None = None,
        response_deserializer: Callable[[bytes], Any] | None = None,
        **options: Any,
    ) -> Any:
        make = partial(self._channel.stream_stream, method, **options)
        return self._made(_RecordedStreams, make, method, request_serializer, response_deserializer)

    def _made(
        self,
        recorded: type[_Recorded],
        make: Callable[..., Any],
        method: str,
        serialize: Callable[[Any], bytes] | None,
        deserialize: Callable[[bytes], Any] | None,
    ) -> Any:
        word = METHODS.get(method)
        if word is None or serialize is None or deserialize is None:
            return make(serialize, deserialize)
        return recorded(make(None, None), self._writer, word, serialize, deserialize)

    def unary_stream(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._channel.unary_stream(method, *arguments, **options)

    def stream_unary(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._channel.stream_unary(method, *arguments, **options)

    def subscribe(self, callback: Callable[[Any], None], try_to_connect: bool = False) -> None:
        self._channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[Any], None]) -> None:
        self._channel.unsubscribe(callback)

    def close(self) -> None:
        self._channel.close()

    def __enter__(self) -> _RecordedChannel:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class _Recorded:
    """A method of the channel below, and how its messages become bytes."""

    def __init__(
        self,
        inner: Any,
        writer: HistoryWriter,
        method: HistoryMethod,
        serialize: Callable[[Any], bytes],
        deserialize: Callable[[bytes], Any],
    ) -> None:
        self._inner = inner
        self._writer = writer
        self._method = method
        self._serialize = serialize
        self._deserialize = deserialize


class _RecordedCall(_Recorded):
    """One unary method: called, called for its call object too, or for a future."""

    def __call__(self, request: Any, *arguments: Any, **options: Any) -> Any:
        return self.with_call(request, *arguments, **options)[0]

    def with_call(self, request: Any, *arguments: Any, **options: Any) -> tuple[Any, Any]:
        body = self._serialize(request)
        number = self._writer.sent(self._method, body)
        try:
            response, call = self._inner.with_call(body, *arguments, **options)
        except grpc.RpcError as error:
            record_error(self._writer, number, error)
            raise
        self._writer.ended(number, 0, response)
        return self._deserialize(response), call

    def future(self, request: Any, *arguments: Any, **options: Any) -> Any:
        body = self._serialize(request)
        number = self._writer.sent(self._method, body)
        future = self._inner.future(body, *arguments, **options)

        def record(ended: Any) -> None:
            if ended.code() is grpc.StatusCode.OK:
                self._writer.ended(number, 0, ended.result())
            else:
                record_error(self._writer, number, ended)

        future.add_done_callback(record)
        return _RecordedFuture(future, self._deserialize)


class _RecordedFuture:
    """A future whose result is the message; all else is the future below."""

    def __init__(self, future: Any, deserialize: Callable[[bytes], Any]) -> None:
        self._future = future
        self._deserialize = deserialize

    def result(self, timeout: float | None = None) -> Any:
        return self._deserialize(self._future.result(timeout))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._future, name)


class _RecordedStreams(_Recorded):
    """Execute: each batch is a call, sent when it is taken and ended by its response."""

    def __call__(self, requests: Iterator[Any], *arguments: Any, **options: Any) -> Any:
        waiting: deque[int] = deque()
        call = self._inner(self._sent(requests, waiting), *arguments, **options)
        return _RecordedStream(call, self._writer, waiting, self._deserialize)

    def _sent(self, requests: Iterator[Any], waiting: deque[int]) -> Iterator[bytes]:
        for request in requests:
            body = self._serialize(request)
            waiting.append(self._writer.sent(self._method, body))
            yield body


class _RecordedStream:
    """The responses of one stream; what is unanswered at its end ends as the stream did."""

    def __init__(
        self,
        call: Any,
        writer: HistoryWriter,
        waiting: deque[int],
        deserialize: Callable[[bytes], Any],
    ) -> None:
        self._call = call
        self._writer = writer
        self._waiting = waiting
        self._deserialize = deserialize

    def __iter__(self) -> _RecordedStream:
        return self

    def __next__(self) -> Any:
        try:
            response = next(self._call)
        except grpc.RpcError as error:
            while self._waiting:
                # Which batch the status is about is not said, and those before it may be done.
                record_error(self._writer, self._waiting.popleft(), error, is_refusal=False)
            raise
        self._writer.ended(self._waiting.popleft(), 0, response)
        return self._deserialize(response)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)


def record_error(writer: HistoryWriter, number: int, error: Any, is_refusal: bool = True) -> None:
    """Record how a call failed; `error` is what grpcio raised, or a call that has ended.

    `is_refusal` False: whatever the status carries, what was asked may have been done.
    """
    writer.ended(
        number,
        error.code().value[0],
        status_message=error.details() or "",
        refused_by_server=is_refusal and is_refused_by_server(error),
    )


def is_refused_by_server(error: Any) -> bool:
    """True when an atp server itself said that it did not do what was asked."""
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY:
            try:
                details = status_pb2.Status.FromString(value).details
            except DecodeError:
                return False
            info = error_details_pb2.ErrorInfo()
            return any(each.Unpack(info) and info.domain == _DOMAIN for each in details)
    return False
