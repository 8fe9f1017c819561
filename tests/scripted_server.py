"""A gRPC server that answers what a test tells it to, and remembers what it was asked.

Owns faults: statuses with or without google.rpc details, silence. Judges nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


class Asked(NamedTuple):
    """One call as it came in."""

    method: str
    request: bytes
    timeout_s: float | None
    peer: str


class Fault(NamedTuple):
    """An answer that is a status. `reason` adds an ErrorInfo, `retry_s` a RetryInfo."""

    code: grpc.StatusCode
    message: str = "as the test wants it"
    reason: str = ""
    metadata: dict[str, str] | None = None
    retry_s: float | None = None
    domain: str = "atp"


class Silence(NamedTuple):
    """No answer until the call is given up."""


class Stream(NamedTuple):
    """An answer of many responses that ends with a status; without one, when it is given up."""

    responses: tuple[Message, ...]
    end: Fault | None = None


Answer = Message | Fault | Silence | Stream
UNAVAILABLE = Fault(grpc.StatusCode.UNAVAILABLE)


class ScriptedServer(grpc.GenericRpcHandler):
    """Answers from `answers` in order; the last one stays. `asked` is what came in."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[Asked] = []
        self.address = ""
        self._given_up = threading.Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        """Takes every method there is."""
        method = handler_call_details.method.rpartition("/")[2]

        def stream(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
            self.asked.append(Asked(method, request, context.time_remaining(), context.peer()))
            told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            assert isinstance(told, Stream)
            for response in told.responses:
                yield response.SerializeToString()
            if told.end is None:
                given_up = threading.Event()
                context.add_callback(given_up.set)
                given_up.wait(30)
            else:
                context.abort_with_status(rpc_status.to_status(status(told.end)))

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.asked.append(Asked(method, request, context.time_remaining(), context.peer()))
            told = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if isinstance(told, Message):
                return told.SerializeToString()
            if isinstance(told, Silence):
                self._given_up.wait(30)
                told = UNAVAILABLE
            assert isinstance(told, Fault)
            context.abort_with_status(rpc_status.to_status(status(told)))
            raise AssertionError("abort raises")

        if isinstance(self.answers[0], Stream):
            return grpc.unary_stream_rpc_method_handler(stream)
        return grpc.unary_unary_rpc_method_handler(answer)

    def requests(self, kind: type[Message]) -> list[Any]:
        """The requests that came in, read as messages of one kind."""
        return [kind.FromString(each.request) for each in self.asked]

    def stop_waiting(self) -> None:
        """Ends every silence."""
        self._given_up.set()


def status(fault: Fault) -> status_pb2.Status:
    """A fault as google.rpc.Status."""
    details: list[Message] = []
    if fault.reason:
        details.append(
            error_details_pb2.ErrorInfo(
                reason=fault.reason, domain=fault.domain, metadata=fault.metadata or {}
            )
        )
    if fault.retry_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(fault.retry_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    return status_pb2.Status(
        code=fault.code.value[0], message=fault.message, details=[_packed(each) for each in details]
    )


def _packed(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message)
    return packed


@contextmanager
def scripted(*answers: Answer) -> Iterator[ScriptedServer]:
    """Runs such a server on a free port of the loopback address."""
    handler = ScriptedServer()
    handler.answers += answers
    with ThreadPoolExecutor(4) as executor:
        server = grpc.server(executor, handlers=(handler,))
        handler.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield handler
        finally:
            handler.stop_waiting()
            server.stop(grace=None).wait()
