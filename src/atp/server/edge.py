"""The door between gRPC and the servicers: bytes in, bytes out, every error told the same way.

Owns reading requests, telling errors with their details, and the bound on open calls. A servicer
behind it is plain: a method for each RPC of its service, request in, response out, errors raised.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message
from grpc_status import rpc_status

from atp.server import log_events, logs
from atp.server.call_counts import CANCELLED, OK, UNAVAILABLE, CallCounts
from atp.server.status import FAULT, Overloaded, row_of, status_of
from atp.vocabulary import FieldInvalid

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]
    Context = grpc.aio.ServicerContext[bytes, bytes]

Send = Callable[[bytes], Awaitable[None]]
"""Sends one response of a stream, serialized; returns when there is room for the next."""
HEALTH_PREFIX = "/grpc.health."


def add_servicer(
    server: grpc.aio.Server,
    service: ServiceDescriptor,
    servicer: object,
    counts: CallCounts | None = None,
) -> None:
    """Serves every RPC of a service by the servicer's method of that name.

    A method takes the request and returns the response or an awaitable of it; one that answers
    with a stream takes the request and a `Send`, and ends by raising. status.py says how what
    it raises is told. An RPC that the servicer has no method for is not served. How calls end is
    counted in `counts`.
    """
    counts = counts or CallCounts()
    handlers: dict[str, Handler] = {
        method.name: _handler(method, getattr(servicer, method.name), counts)
        for method in service.methods
        if hasattr(servicer, method.name)
    }
    server.add_registered_method_handlers(service.full_name, handlers)


def _handler(method: MethodDescriptor, judge: Callable[..., Any], counts: CallCounts) -> Handler:
    assert not method.client_streaming
    if method.server_streaming:
        return grpc.unary_stream_rpc_method_handler(_stream(method, judge, counts))
    return grpc.unary_unary_rpc_method_handler(_call(method, judge, counts))


def _stream(
    method: MethodDescriptor, answer: Callable[[Any, Send], Awaitable[NoReturn]], counts: CallCounts
) -> Callable[[bytes, Context], Awaitable[None]]:
    """One RPC with many responses: the raw request in, raw responses out as they come."""
    request_class = message_factory.GetMessageClass(method.input_type)

    async def call(raw: bytes, context: Context) -> None:
        request = None
        try:
            # By itself, so that a stream may end while its first response is still on the way: gRPC
            # can't tell an end before what opens the answer was sent.
            await context.send_initial_metadata(())
            request = _read(request_class, raw)
            await answer(request, context.write)
        except asyncio.CancelledError:
            counts.add(method.name, CANCELLED)
            raise
        except Exception as error:
            await _tell(error, request, method, context, counts)

    return call


def _call(
    method: MethodDescriptor, judge: Callable[[Any], Any], counts: CallCounts
) -> Callable[[bytes, Context], Awaitable[bytes]]:
    """One RPC: the raw request in, the raw response out."""
    request_class = message_factory.GetMessageClass(method.input_type)
    is_async = inspect.iscoroutinefunction(judge)

    async def call(raw: bytes, context: Context) -> bytes:
        request = None
        try:
            request = _read(request_class, raw)
            response = await judge(request) if is_async else judge(request)
            answer: bytes = response.SerializeToString()
            counts.add(method.name, OK)
            return answer
        except asyncio.CancelledError:
            counts.add(method.name, CANCELLED)
            raise
        except Exception as error:
            await _tell(error, request, method, context, counts)

    return call


def _read(request_class: type[Message], raw: bytes) -> Message:
    try:
        return request_class.FromString(raw)
    except DecodeError:
        name = request_class.DESCRIPTOR.full_name
        raise FieldInvalid("request", f"is no {name} in protobuf's wire format") from None


async def _tell(
    error: Exception,
    request: Message | None,
    method: MethodDescriptor,
    context: Context,
    counts: CallCounts,
) -> NoReturn:
    if row_of(error) is FAULT:
        kind, place, name = type(error).__name__, logs.place_of(error), method.full_name
        logs.tell(log_events.CALL_FAILED, method=name, error=kind, place=place)
        logs.tell(log_events.CALL_FAILED_DETAILS, method=name, details=repr(error))
    told = status_of(error, request)
    counts.add(method.name, told.code)
    status = rpc_status.to_status(told)
    await context.abort(status.code, status.details, status.trailing_metadata)


class CallGate(grpc.aio.ServerInterceptor):
    """Counts the open calls of one plane, bounds them, and tells when the last one has ended.

    Calls for health are let through uncounted: who watches it must hear of an overload or a drain.
    So are streams, which end when their client likes and are not waited for: who serves one bounds
    how many there are.
    """

    def __init__(self, calls_max: int, counts: CallCounts | None = None) -> None:
        self.calls_max = calls_max
        self._counts = counts or CallCounts()
        self.open_calls = 0
        self.refused_calls = 0
        """Since the start."""
        self._idle = asyncio.Event()
        self._idle.set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """Lets a call through, or answers it as overloaded without reading its request."""
        handler = await continuation(handler_call_details)
        is_stream = handler is not None and handler.response_streaming
        if is_stream or handler_call_details.method.startswith(HEALTH_PREFIX):
            return handler
        if self.open_calls >= self.calls_max:
            self.refused_calls += 1
            if handler is not None:  # a name that is served, and not one that somebody made up
                self._counts.add(handler_call_details.method.rpartition("/")[2], UNAVAILABLE)
            return grpc.stream_unary_rpc_method_handler(self._refuse)
        # The call's own task: done whichever way the call ends, its client's going away included.
        task = asyncio.current_task()
        assert task is not None
        self.open_calls += 1
        self._idle.clear()
        task.add_done_callback(self._close)
        return handler

    async def wait_idle(self) -> None:
        """Returns when no call is open, or stop_waiting() is called."""
        await self._idle.wait()

    def stop_waiting(self) -> None:
        """Lets wait_idle() return although calls are open."""
        self._idle.set()

    def _close(self, _task: asyncio.Task[Any]) -> None:
        self.open_calls -= 1
        if self.open_calls == 0:
            self._idle.set()

    async def _refuse(self, _requests: Any, context: Context) -> NoReturn:
        status = rpc_status.to_status(status_of(Overloaded(self.calls_max)))
        await context.abort(status.code, status.details, status.trailing_metadata)
