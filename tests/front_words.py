"""Messages of the data plane from and to the engine's words, by protobuf's own runtime.

What the native front does with bytes, said the slow way, for the references of the tests. Decides
nothing about stock, holds or caps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from atp._core import LIMITS
from atp.server.convert import INT64_MAX, SECOND, check_count, duration_ns, timestamp
from atp.server.status import OUTCOMES
from atp.v1 import reservation_pb2 as reservation_pb
from atp.vocabulary import (
    ChangeOutcome,
    ChangeReply,
    FieldInvalid,
    LineOutcome,
    Reservation,
    ReservationState,
    ReserveOutcome,
    ReserveReply,
    Stock,
)

_STATES = OUTCOMES[ReservationState]
_RESERVE_OUTCOMES = OUTCOMES[ReserveOutcome]
_LINE_OUTCOMES = OUTCOMES[LineOutcome]
_CHANGE_OUTCOMES = OUTCOMES[ChangeOutcome]

ChangeResponse = TypeVar(
    "ChangeResponse",
    reservation_pb.CommitResponse,
    reservation_pb.ReleaseResponse,
    reservation_pb.ExtendResponse,
)


def expiration(
    request: reservation_pb.ReserveRequest | reservation_pb.ExtendRequest,
) -> tuple[int | None, int | None]:
    """The (ttl, expire time) asked for, in nanoseconds; at most one is not None."""
    which = request.WhichOneof("expiration")
    if which == "ttl":
        return duration_ns(request.ttl, "ttl"), None
    if which == "expire_time":
        return None, _time_ns(request.expire_time, "expire_time")
    return None, None


def _time_ns(time: Timestamp, field: str) -> int:
    if not 0 <= time.nanos < SECOND:
        raise FieldInvalid(field, f"has {time.nanos} nanos; 0 to 999999999 are allowed")
    time_ns = time.seconds * SECOND + time.nanos
    if abs(time_ns) > INT64_MAX:
        raise FieldInvalid(field, "is outside the years 1678 to 2262")
    return time_ns


def lines(messages: Sequence[reservation_pb.Line]) -> list[tuple[str, int]]:
    """Lines of a basket, or those that a commit or a release names. Raises FieldInvalid."""
    check_count(messages, LIMITS["basket_lines_max"], "lines")
    return [(line.sku, line.quantity) for line in messages]


def reserve_response(reply: ReserveReply) -> reservation_pb.ReserveResponse:
    """The answer to a reserve."""
    return reservation_pb.ReserveResponse(
        outcome=_RESERVE_OUTCOMES[reply.outcome],
        reservation=reservation(reply.reservation),
        sequence=reply.sequence,
        repeated=reply.repeated,
        line_results=[
            reservation_pb.LineResult(
                line_index=result.line_index,
                outcome=_LINE_OUTCOMES[result.outcome],
                granted_quantity=result.granted,
                available_quantity=result.available,
                held_quantity=result.held,
                first_expire_time=timestamp(result.first_expire_time_ns),
            )
            for result in reply.line_results
        ],
        cap_refusals=[
            reservation_pb.CapRefusal(
                cap_id=refusal.cap_id,
                subject=refusal.subject,
                sku=refusal.sku,
                limit_quantity=refusal.limit,
                in_force_quantity=refusal.in_force,
                asked_quantity=refusal.asked,
            )
            for refusal in reply.cap_refusals
        ],
        limit_name=reply.limit_name,
    )


def change_response(kind: type[ChangeResponse], reply: ChangeReply) -> ChangeResponse:
    """The answer to a commit, a release or an extension."""
    response = kind(
        outcome=_CHANGE_OUTCOMES[reply.outcome],
        reservation=reservation(reply.reservation),
        sequence=reply.sequence,
        repeated=reply.repeated,
        limit_name=reply.limit_name,
    )
    if isinstance(response, reservation_pb.ExtendResponse):
        latest = timestamp(reply.latest_expire_time_ns)
        if latest is not None:
            response.latest_expire_time.CopyFrom(latest)
    elif reply.line_index >= 0:
        response.line_index = reply.line_index
    return response


def reservation(words: Reservation | None) -> reservation_pb.Reservation | None:
    """A reservation as a message; None stays unset."""
    if words is None:
        return None
    return reservation_pb.Reservation(
        reservation_id=words.reservation_id,
        state=_STATES[words.state],
        lines=[
            reservation_pb.ReservationLine(
                sku=line.sku,
                quantity=line.quantity,
                held_quantity=line.held,
                committed_quantity=line.committed,
                released_quantity=line.released,
                expired_quantity=line.expired,
            )
            for line in words.lines
        ],
        create_time=timestamp(words.create_time_ns),
        expire_time=timestamp(words.expire_time_ns),
        end_time=timestamp(words.end_time_ns),
        sequence=words.sequence,
        customer_id=words.customer_id,
        client_ip=words.client_ip,
    )


def availability(sku: str, words: Stock | None) -> reservation_pb.Availability:
    """What may be promised of one SKU; None is an unknown one."""
    if words is None:
        return reservation_pb.Availability(sku=sku)
    return reservation_pb.Availability(
        sku=sku,
        known=True,
        available_quantity=words.available,
        on_hand_quantity=words.on_hand,
        held_quantity=words.held,
        first_expire_time=timestamp(words.first_expire_time_ns),
        sequence=words.sequence,
    )
