"""What the native judge must answer, said the slow way: protobuf's own runtime reads the request,
the engine's face in Python judges it, front_words.py and server/status.py shape the answer.

Owns which engine call each method is; test_front_judge*.py compare. No server and no clock here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2

import front_words
from atp._core import Engine
from atp.server.status import ReservationNotFound, check_journal, status_of
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.vocabulary import ChangeReply, FieldInvalid

REQUESTS: dict[str, type[Message]] = {
    "Reserve": pb.ReserveRequest,
    "Commit": pb.CommitRequest,
    "Release": pb.ReleaseRequest,
    "Extend": pb.ExtendRequest,
    "GetReservation": pb.GetReservationRequest,
    "GetAvailability": pb.GetAvailabilityRequest,
    "Execute": service_pb.ExecuteRequest,
}
COMMANDS_MAX = 65_536
Judged = tuple[Message, int]
"""A response and the newest change that it reveals."""


class Answer(NamedTuple):
    """As `atp._front.judge` returns it."""

    code: int
    message: bytes
    text: str
    details: bytes
    reveals: int


class Reference:
    """Judges calls on an engine of its own."""

    def __init__(self, engine: Engine, default_ttl_ns: int) -> None:
        self.engine = engine
        self.default_ttl_ns = default_ttl_ns
        self.now_ns = 0
        self.commands: dict[str, Callable[[Any], Judged]] = {
            "reserve": self.reserve,
            "commit": lambda request: self.changed(
                pb.CommitResponse,
                self.engine.commit(
                    request.reservation_id,
                    front_words.lines(request.lines),
                    now_ns=self.now_ns,
                    request_id=request.request_id,
                ),
            ),
            "release": lambda request: self.changed(
                pb.ReleaseResponse,
                self.engine.release(
                    request.reservation_id,
                    front_words.lines(request.lines),
                    now_ns=self.now_ns,
                    request_id=request.request_id,
                ),
            ),
            "extend": self.extend,
        }
        self.methods: dict[str, Callable[[Any], Judged]] = {
            **{name.capitalize(): judge for name, judge in self.commands.items()},
            "GetReservation": self.get_reservation,
            "GetAvailability": self.get_availability,
            "Execute": self.execute,
        }

    def judge(self, method: str, raw: bytes, *, now_ns: int) -> Answer:
        """The answer to one call."""
        self.now_ns = now_ns
        request = None
        try:
            request = read(REQUESTS[method], raw)
            response, reveals = self.methods[method](request)
        except Exception as error:
            status = status_of(error, request)
            return Answer(
                status.code, b"", status.message, status.SerializeToString(deterministic=True), 0
            )
        return Answer(0, response.SerializeToString(deterministic=True), "", b"", reveals)

    def reserve(self, request: pb.ReserveRequest) -> Judged:
        """Sets aside the lines of one basket."""
        ttl_ns, expire_time_ns = front_words.expiration(request)
        reply = self.engine.reserve(
            request.request_id,
            front_words.lines(request.lines),
            now_ns=self.now_ns,
            ttl_ns=ttl_ns,
            expire_time_ns=expire_time_ns,
            client_ip=request.client_ip,
            customer_id=request.customer_id,
            allow_partial=request.allow_partial,
            replaces=request.replaces_reservation_id,
            default_ttl_ns=self.default_ttl_ns,
        )
        check_journal(reply.limit_name)
        return front_words.reserve_response(reply), reply.reveals

    def extend(self, request: pb.ExtendRequest) -> Judged:
        """Gives a hold more time."""
        ttl_ns, expire_time_ns = front_words.expiration(request)
        reply = self.engine.extend(
            request.reservation_id,
            now_ns=self.now_ns,
            ttl_ns=ttl_ns,
            expire_time_ns=expire_time_ns,
            request_id=request.request_id,
            default_ttl_ns=self.default_ttl_ns,
        )
        return self.changed(pb.ExtendResponse, reply)

    def changed(self, kind: type[Any], reply: ChangeReply) -> Judged:
        """The answer to a change of a hold."""
        check_journal(reply.limit_name)
        return front_words.change_response(kind, reply), reply.reveals

    def get_reservation(self, request: pb.GetReservationRequest) -> Judged:
        """Reads one reservation."""
        found = self.engine.get_reservation(request.reservation_id, now_ns=self.now_ns)
        if found is None:
            raise ReservationNotFound(request.reservation_id)
        response = pb.GetReservationResponse(reservation=front_words.reservation(found))
        return response, found.sequence

    def get_availability(self, request: pb.GetAvailabilityRequest) -> Judged:
        """Reads what is available of many SKUs."""
        skus = list(request.skus)
        stocks = self.engine.get_availability(skus, now_ns=self.now_ns)
        response = pb.GetAvailabilityResponse(
            availabilities=[
                front_words.availability(sku, stock)
                for sku, stock in zip(skus, stocks, strict=True)
            ]
        )
        return response, max((stock.sequence for stock in stocks if stock is not None), default=0)

    def execute(self, request: service_pb.ExecuteRequest) -> Judged:
        """Carries out a batch of commands."""
        if not 1 <= len(request.commands) <= COMMANDS_MAX:
            raise FieldInvalid(
                "commands", f"has {len(request.commands)}; 1 to {COMMANDS_MAX} are allowed"
            )
        response = service_pb.ExecuteResponse()
        newest = 0
        for command in request.commands:
            result = response.results.add()
            kind = command.WhichOneof("command")
            try:
                if kind is None:
                    raise FieldInvalid(
                        "command", "is missing; one of reserve, commit, release and extend"
                    )
                answer, reveals = self.commands[kind](getattr(command, kind))
            except Exception as error:
                result.error.CopyFrom(command_error(error))
                continue
            newest = max(newest, reveals)
            if request.brief:
                make_brief(answer)
            getattr(result, kind).CopyFrom(answer)
        return response, newest


def read(kind: type[Message], raw: bytes) -> Message:
    """The request, as protobuf's runtime reads it. Raises FieldInvalid."""
    try:
        return kind.FromString(raw)
    except DecodeError:
        name = kind.DESCRIPTOR.full_name
        raise FieldInvalid("request", f"is no {name} in protobuf's wire format") from None


def make_brief(answer: Any) -> None:
    """Of a reservation only its name, its state and its end."""
    if answer.HasField("reservation"):
        whole = answer.reservation
        brief = pb.Reservation(reservation_id=whole.reservation_id, state=whole.state)
        if whole.HasField("expire_time"):
            brief.expire_time.CopyFrom(whole.expire_time)
        whole.CopyFrom(brief)


def command_error(error: Exception) -> service_pb.CommandError:
    """The error of one command, made of what a call of its own would have been told."""

    status = status_of(error)
    told = service_pb.CommandError(code=status.code, message=status.message)
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        assert packed.Unpack(detail)
        if isinstance(detail, error_details_pb2.ErrorInfo):
            told.reason = detail.reason
            told.field = detail.metadata.get("field", "")
            told.limit_name = detail.metadata.get("limit_name", "")
        elif isinstance(detail, error_details_pb2.RetryInfo):
            told.retry_delay.CopyFrom(detail.retry_delay)
    return told
