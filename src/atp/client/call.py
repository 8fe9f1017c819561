"""One logical call, before it is sent: which method, what request, how to read the answer.

Owns `Call` and the checks of arguments that cannot be put into a request at all; whether a request
makes sense is the server's to judge. Sends nothing, so that the sync and the async client share
every call there is.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import Message

from atp.client.convert import NS_PER_SECOND, duration, timestamp
from atp.client.errors import InvalidArgument
from atp.v1 import reservation_pb2 as reservation_pb

Lines = Mapping[str, int] | Iterable[tuple[str, int]]
"""A basket: `{"MUG": 2}`, or pairs of SKU and quantity in order."""

Reply = TypeVar("Reply")
OtherReply = TypeVar("OtherReply")
AnyMessage = TypeVar("AnyMessage", bound=Message)
AnyCallable = TypeVar("AnyCallable", bound=Callable[..., object])

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Plane(Enum):
    """Which of a server's two addresses answers a call."""

    DATA = "data"
    CONTROL = "control"


class Method(NamedTuple):
    """One rpc of `atp.v1`."""

    plane: Plane
    service: str
    name: str
    response: type[Message]

    @property
    def path(self) -> str:
        """The rpc's path in HTTP/2."""
        return f"/atp.v1.{self.service}/{self.name}"


@dataclass(slots=True)
class Call(Generic[Reply]):
    """One logical call and its answer's type.

    `timeout_s` bounds the call with all its retries; None takes the client's default.
    `needs_request_id`: the client fills in `request.request_id` if it is empty, once for all.
    `repeatable`: doing it twice is the same as doing it once; a call that is not is tried again
    only when the server itself said that it was not done.
    """

    method: Method
    request: Any
    parse: Callable[[Any], Reply]
    timeout_s: float | None = None
    needs_request_id: bool = False
    repeatable: bool = True

    def fill_request_id(self, make: Callable[[], str]) -> None:
        """Gives the request an id if it needs one and has none; it keeps it from then on."""
        if self.needs_request_id and not self.request.request_id:
            self.request.request_id = make()

    def read_as(
        self, read: Callable[[Callable[[Any], Reply], Any], OtherReply]
    ) -> Call[OtherReply]:
        """The same call, its response read by `read(self.parse, response)`."""
        parse = self.parse
        return Call(
            self.method,
            self.request,
            lambda response: read(parse, response),
            self.timeout_s,
            self.needs_request_id,
            self.repeatable,
        )


def message(kind: type[AnyMessage], at: str = "", /, **fields: Any) -> AnyMessage:
    """Makes a message; a value that does not fit its field raises InvalidArgument naming it."""
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        for name, value in fields.items():
            try:
                kind(**{name: value})
            except (TypeError, ValueError) as reason:
                raise InvalidArgument.before_sending(f"{at}{name}", str(reason)) from None
        raise InvalidArgument.before_sending(at or kind.__name__, str(error)) from None


def line_messages(lines: Lines) -> list[reservation_pb.Line]:
    """A basket as the wire has it."""
    pairs = lines.items() if isinstance(lines, Mapping) else lines
    made = []
    for index, pair in enumerate(pairs):
        at = f"lines[{index}]"
        if isinstance(pair, str):
            raise InvalidArgument.before_sending(at, f"{pair!r} is not a pair of SKU and quantity")
        try:
            sku, quantity = pair
        except (TypeError, ValueError):
            raise InvalidArgument.before_sending(
                at, f"{pair!r} is not a pair of SKU and quantity"
            ) from None
        made.append(message(reservation_pb.Line, f"{at}.", sku=sku, quantity=quantity))
    return made


def ttl_ns(ttl: timedelta | float) -> int:
    """A time to live in nanoseconds; a number counts seconds."""
    if isinstance(ttl, timedelta):
        return _timedelta_ns(ttl)
    if not math.isfinite(ttl):
        raise InvalidArgument.before_sending("ttl", f"{ttl} is no length of time")
    return round(ttl * NS_PER_SECOND)


def expire_time_ns(expire_time: datetime | int) -> int:
    """An instant in nanoseconds since the Unix epoch; a number is that already."""
    if isinstance(expire_time, datetime):
        if expire_time.utcoffset() is None:
            raise InvalidArgument.before_sending(
                "expire_time", f"{expire_time.isoformat()} names no time zone; give it one"
            )
        return _timedelta_ns(expire_time - _EPOCH)
    return expire_time


def expiration(
    ttl: timedelta | float | None, expire_time: datetime | int | None
) -> dict[str, Message]:
    """The end of a hold as fields of a request; none for the server's default."""
    if ttl is not None and expire_time is not None:
        raise InvalidArgument.before_sending("ttl", "give ttl or expire_time, not both")
    if ttl is not None:
        length_ns = ttl_ns(ttl)
        if length_ns <= 0:
            raise InvalidArgument.before_sending("ttl", f"is {ttl}; it must be more than zero")
        return {"ttl": duration(length_ns)}
    if expire_time is not None:
        return {"expire_time": timestamp(expire_time_ns(expire_time))}
    return {}


def _timedelta_ns(length: timedelta) -> int:
    seconds = length.days * 86_400 + length.seconds
    return seconds * NS_PER_SECOND + length.microseconds * 1_000


def dress_as_method(build: Callable[..., object], method: AnyCallable) -> AnyCallable:
    """Gives a method made from a call's builder that builder's name, signature and docstring."""
    signature = inspect.signature(build)
    parameters = list(signature.parameters.values())
    if not parameters or parameters[0].name != "self":
        parameters.insert(0, inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY))
    dressed: Any = method
    dressed.__name__ = build.__name__.removeprefix("_")
    dressed.__doc__ = build.__doc__
    # What the builder's annotation wraps: Call[ReserveReply] becomes ReserveReply.
    returns = str(signature.return_annotation).removeprefix("Call[").removesuffix("]")
    dressed.__signature__ = signature.replace(parameters=parameters, return_annotation=returns)
    return method
