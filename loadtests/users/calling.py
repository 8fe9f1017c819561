"""One call of a user: its tries, Locust's event for each of them, and how it went.

Owns the names of events (method, then outcome or gRPC status) and what is tried again: an answer
that was lost or late, with the same request, as a client that can't know does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import gevent
import grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb

RETRIED = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNKNOWN,
)
"""An answer of these says nothing of what was done, or that it can be asked again."""
PAUSE_FIRST_S, PAUSE_MOST_S = 0.05, 1.0
OUTCOMES: dict[str, Any] = {
    "Reserve": pb.ReserveOutcome,
    "Commit": pb.ChangeOutcome,
    "Release": pb.ChangeOutcome,
    "Extend": pb.ChangeOutcome,
    "SetStock": stock_pb.StockOutcome,
    "AdjustStock": stock_pb.StockOutcome,
}


def pauses(tries: int) -> Iterator[float]:
    """Seconds to wait before each try: none before the first, then twice as long each time."""
    yield 0.0
    for number in range(tries - 1):
        yield min(PAUSE_MOST_S, PAUSE_FIRST_S * 2**number)


def word_of(method: str, response: Any) -> str:
    """The outcome of an answer, as events name it."""
    words = OUTCOMES.get(method)
    if words is None:
        return "OK"
    name: str = words.Name(response.outcome)
    return name.split("_OUTCOME_")[1]


class Caller:
    """Calls for one user; `events` are those of Locust's environment."""

    def __init__(self, events: Any, deadline_s: float, tries: int) -> None:
        self._events = events
        self._deadline_s = deadline_s
        self._tries = tries

    def call(self, stub: Any, method: str, request: Any) -> Any | None:
        """The answer, or None when the last try got none or the call was refused."""
        for pause_s in pauses(self._tries):
            gevent.sleep(pause_s)
            response, is_final = self._try(stub, method, request)
            if is_final:
                return response
        return None

    def call_twice(self, stubs: tuple[Any, Any], method: str, request: Any) -> Any | None:
        """The same request by two ways at once; one of its answers, the second if there is one."""
        other = gevent.spawn(self.call, stubs[0], method, request)
        try:
            response = self.call(stubs[1], method, request)
        finally:
            other.join()
        return response if response is not None else other.value

    def _try(self, stub: Any, method: str, request: Any) -> tuple[Any | None, bool]:
        """The answer if there is one, and whether to leave it at that."""
        begun = time.perf_counter()
        try:
            response = getattr(stub, method)(request, timeout=self._deadline_s)
        except grpc.RpcError as error:
            code = error.code()
            self._tell(method, code.name, begun, 0, error)
            return None, code not in RETRIED
        self._tell(method, word_of(method, response), begun, response.ByteSize(), None)
        return response, True

    def _tell(
        self, method: str, word: str, begun: float, size: int, error: Exception | None
    ) -> None:
        self._events.request.fire(
            request_type=method,
            name=word,
            response_time=(time.perf_counter() - begun) * 1e3,
            response_length=size,
            exception=error,
            context={},
        )
