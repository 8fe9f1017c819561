"""Batches of commands: one request, one answer, a result for each command.

Owns what a batch is made of and how its answer is read. A command is a call of the data plane, made
by the functions of atp.command with the arguments of the client's methods; each keeps its own
request id, so that a batch that is sent again does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import grpc

from atp.client import data_calls
from atp.client.call import Call, Method, Plane
from atp.client.clock import Clock
from atp.client.convert import NS_PER_SECOND, to_ns
from atp.client.errors import AtpError, InvalidArgument, ReplyUnknown, error_of_code
from atp.v1 import reservation_service_pb2 as pb
from atp.vocabulary import ChangeReply, ReserveReply

EXECUTE = Method(Plane.DATA, "ReservationService", "Execute", pb.ExecuteResponse)

Command = Call[ReserveReply] | Call[ChangeReply]
"""One command of a batch: what atp.command's functions make."""

Result = ReserveReply | ChangeReply | AtpError
"""What became of a command: its reply, or why it could not be judged."""

_FIELDS = {
    data_calls.RESERVE: "reserve",
    data_calls.COMMIT: "commit",
    data_calls.RELEASE: "release",
    data_calls.EXTEND: "extend",
}
_CLOCK = Clock()
_CODES = {code.value[0]: code for code in grpc.StatusCode}


def execute(
    commands: Iterable[Command],
    *,
    brief: bool = False,
    timeout_s: float | None = None,
) -> Call[tuple[Result, ...]]:
    """Carries out a batch of commands, at most 65,536, in one call; a result for each, in order.

    Commands are made with `atp.command`: `command.reserve({"MUG": 1})`. Each is judged by itself,
    one after the other, as if it had been called alone; one that can't be judged has an AtpError as
    its result and stops no other. With `brief` a reply's reservation has its name, state and
    expire time alone, which is faster for large batches.

    Raises InvalidArgument, ResourceExhausted, Unavailable, DeadlineExceeded.
    """
    asked = tuple(commands)
    request = pb.ExecuteRequest(brief=brief)
    for index, command in enumerate(asked):
        field = _FIELDS.get(command.method) if isinstance(command, Call) else None
        if field is None:
            raise InvalidArgument.before_sending(
                f"commands[{index}]", "is no reserve, commit, release or extend of atp.command"
            )
        command.fill_request_id(_CLOCK.request_id)
        getattr(request.commands.add(), field).CopyFrom(command.request)
    # Each command can be repeated, so the batch can: a relative extend has an id as well.
    return Call(EXECUTE, request, partial(_results, asked), timeout_s)


def _results(asked: tuple[Command, ...], response: pb.ExecuteResponse) -> tuple[Result, ...]:
    if len(response.results) != len(asked):
        raise ReplyUnknown.about(
            f"{len(response.results)} results were given to {len(asked)} commands"
        )
    return tuple(map(_result, asked, response.results))


def _result(command: Command, result: pb.CommandResult) -> Result:
    which = result.WhichOneof("result")
    if which == "error":
        return _error(command, result.error)
    if which is None or which != _FIELDS[command.method]:
        raise ReplyUnknown.about(f"a {command.method.name} was answered with {which or 'nothing'}")
    parse: Callable[[Any], ReserveReply | ChangeReply] = command.parse
    return parse(getattr(result, which))


def _error(command: Command, told: pb.CommandError) -> AtpError:
    metadata = {"field": told.field, "limit_name": told.limit_name}
    error = error_of_code(
        _CODES.get(told.code, grpc.StatusCode.UNKNOWN),
        told.message,
        reason=told.reason,
        metadata={name: value for name, value in metadata.items() if value},
        retry_delay_s=to_ns(told.retry_delay) / NS_PER_SECOND or None,
        answered=True,
    )
    error.method = command.method.name
    error.request_id = getattr(command.request, "request_id", "")
    return error


def only_response(responses: list[pb.ExecuteResponse]) -> pb.ExecuteResponse:
    """The answer to a stream of one batch. Raises ReplyUnknown."""
    if len(responses) != 1:
        raise ReplyUnknown.about(f"a batch was answered {len(responses)} times")
    return responses[0]
