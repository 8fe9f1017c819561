"""What every client can do, in whatever language: begin calls of ReservationService, cancel them.

Owns the words in which a test asks and is told. Each language has a class that keeps to `Client`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from google.protobuf.message import Message
from grpc import StatusCode

from atp.v1 import reservation_pb2 as pb
from atp.v1.reservation_service_pb2 import ExecuteResponse

SECONDS = 20.0
REPLIES: Mapping[str, type[Message]] = {
    "Reserve": pb.ReserveResponse,
    "Commit": pb.CommitResponse,
    "Release": pb.ReleaseResponse,
    "Extend": pb.ExtendResponse,
    "GetReservation": pb.GetReservationResponse,
    "GetAvailability": pb.GetAvailabilityResponse,
    "Execute": ExecuteResponse,
}
"""The methods of ReservationService, and what they answer with."""


class Told(NamedTuple):
    """How a call ended; of an error with what its details said."""

    code: StatusCode
    text: str = ""
    replies: tuple[Any, ...] = ()
    domain: str = ""
    reason: str = ""
    metadata: Mapping[str, str] = MappingProxyType({})
    field: str = ""

    @property
    def reply(self) -> Any:
        """The one answer of a call that went well."""
        assert self.code == StatusCode.OK, self
        (reply,) = self.replies
        return reply


class Call(Protocol):
    """A call that was begun."""

    def cancel(self) -> None:
        """Gives it up; it then ends as CANCELLED, unless it has ended."""

    def result(self) -> Told:
        """How it ended, once it has."""


class Client(Protocol):
    """One channel to one server."""

    def begin(
        self,
        method: str,
        *requests: Message,
        seconds: float = SECONDS,
        wait_for_ready: bool = False,
    ) -> Call:
        """Begins a call; Execute takes any number of requests, and sends them all."""

    def close(self) -> None:
        """Ends the channel, and the client's process if it has one."""


def code_of(number: int) -> StatusCode:
    """The status of this number."""
    return next(code for code in StatusCode if code.value[0] == number)
