"""Clients on grpcio, sync and aio, in the test's own process.

Owns their channels, and for aio a thread with an event loop; reads errors as callers of grpcio do.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import error_details_pb2
from grpc_status import _async as rpc_status_aio
from grpc_status import rpc_status

from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from interop.client import SECONDS, Call, Told

OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


def told_of(code: grpc.StatusCode, text: str, status: Any, replies: Iterable[Any]) -> Told:
    """How a call ended, with its google.rpc.Status unpacked if it has one."""
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status.details if status is not None else ():
        for kind in (info, bad):
            detail.Unpack(kind)
    field = bad.field_violations[0].field if bad.field_violations else ""
    metadata = dict(info.metadata)
    return Told(code, text, tuple(replies), info.domain, info.reason, metadata, field)


class SyncCall:
    """A call on the sync API, whose answers a thread waits for."""

    def __init__(self, call: Any, read: Callable[[Any], Told], workers: ThreadPoolExecutor) -> None:
        self._call = call
        self._told = workers.submit(read, call)

    def cancel(self) -> None:
        """Gives it up."""
        self._call.cancel()

    def result(self) -> Told:
        """How it ended."""
        return self._told.result()


class SyncClient:
    """grpcio's sync API. `options` are the channel's, as grpcio takes them."""

    def __init__(self, address: str, *options: tuple[str, Any]) -> None:
        self.channel = grpc.insecure_channel(address, options=[*OPTIONS, *options])
        self._stub = pb_grpc.ReservationServiceStub(self.channel)
        self._workers = ThreadPoolExecutor(1_000)

    def begin(
        self,
        method: str,
        *requests: Message,
        seconds: float = SECONDS,
        wait_for_ready: bool = False,
    ) -> Call:
        """Begins a call."""
        start = getattr(self._stub, method)
        settings = {"timeout": seconds, "wait_for_ready": wait_for_ready}
        if method == "Execute":
            return SyncCall(start(iter(requests), **settings), read_stream, self._workers)
        return SyncCall(start.future(*requests, **settings), read_call, self._workers)

    def close(self) -> None:
        """Ends the channel."""
        self.channel.close()
        self._workers.shutdown()


def read_call(call: Any) -> Told:
    """Waits for a unary call's end."""
    code = call.code()
    replies = [call.result()] if code == grpc.StatusCode.OK else []
    return told_of(code, call.details(), rpc_status.from_call(call), replies)


def read_stream(call: Any) -> Told:
    """Reads a stream to its end."""
    replies: list[Any] = []
    with suppress(grpc.RpcError):  # how it ended is told below
        for reply in call:
            replies.append(reply)
    return told_of(call.code(), call.details(), rpc_status.from_call(call), replies)


class AioCall:
    """A call on the aio API, within the client's event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, made: Coroutine[Any, Any, Any]) -> None:
        self._loop = loop
        self._made: Future[Any] = asyncio.run_coroutine_threadsafe(made, loop)

    def cancel(self) -> None:
        """Gives it up."""
        call, _ = self._made.result()
        self._loop.call_soon_threadsafe(call.cancel)

    def result(self) -> Told:
        """How it ended."""
        _, told = self._made.result()
        return asyncio.run_coroutine_threadsafe(wait_for(told), self._loop).result()


async def wait_for(told: asyncio.Task[Told]) -> Told:
    """The end of a call that is read."""
    return await told


class AioClient:
    """grpcio's aio API on an event loop of its own."""

    def __init__(self, address: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

        async def open_channel() -> grpc.aio.Channel:
            return grpc.aio.insecure_channel(address, options=OPTIONS)

        self._channel = self._run(open_channel())
        self._stub: Any = pb_grpc.ReservationServiceStub(self._channel)

    def begin(
        self,
        method: str,
        *requests: Message,
        seconds: float = SECONDS,
        wait_for_ready: bool = False,
    ) -> Call:
        """Begins a call."""

        async def make() -> tuple[Any, asyncio.Task[Told]]:
            start, settings = getattr(self._stub, method), {"timeout": seconds}
            if method == "Execute":
                call = start(iter(requests), wait_for_ready=wait_for_ready, **settings)
                return call, asyncio.ensure_future(read_aio_stream(call))
            call = start(*requests, wait_for_ready=wait_for_ready, **settings)
            return call, asyncio.ensure_future(read_aio_call(call))

        return AioCall(self._loop, make())

    def close(self) -> None:
        """Ends the channel and the event loop."""
        self._run(self._channel.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(SECONDS)


async def read_aio_call(call: Any) -> Told:
    """Waits for a unary call's end."""
    code = await call.code()
    if code == grpc.StatusCode.OK:
        return Told(code, replies=(await call,))
    return told_of(code, await call.details(), await rpc_status_aio.from_call(call), ())


async def read_aio_stream(call: Any) -> Told:
    """Reads a stream to its end."""
    replies: list[Any] = []
    with suppress(grpc.RpcError, asyncio.CancelledError):  # how it ended is told below
        async for reply in call:
            replies.append(reply)
    status = await rpc_status_aio.from_call(call)
    return told_of(await call.code(), await call.details(), status, replies)
