"""The calls of the data plane: what a checkout asks.

One builder a call, shared by the sync and the async client, which give each the same name,
arguments and documentation. A refusal is a reply (look at `reply.outcome`), never an exception.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from atp.client import convert, replies
from atp.client.call import Call, Lines, Method, Plane, expiration, line_messages, message
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ChangeReply, Reservation, ReserveReply

_SERVICE = "ReservationService"
RESERVE = Method(Plane.DATA, _SERVICE, "Reserve", pb.ReserveResponse)
COMMIT = Method(Plane.DATA, _SERVICE, "Commit", pb.CommitResponse)
RELEASE = Method(Plane.DATA, _SERVICE, "Release", pb.ReleaseResponse)
EXTEND = Method(Plane.DATA, _SERVICE, "Extend", pb.ExtendResponse)
GET_RESERVATION = Method(Plane.DATA, _SERVICE, "GetReservation", pb.GetReservationResponse)
GET_AVAILABILITY = Method(Plane.DATA, _SERVICE, "GetAvailability", pb.GetAvailabilityResponse)
METHODS = (RESERVE, COMMIT, RELEASE, EXTEND, GET_RESERVATION, GET_AVAILABILITY)


def reserve(
    lines: Lines,
    *,
    customer_id: str = "",
    client_ip: str = "",
    ttl: timedelta | float | None = None,
    expire_time: datetime | int | None = None,
    allow_partial: bool = False,
    replaces: str = "",
    request_id: str = "",
    timeout_s: float | None = None,
) -> Call[ReserveReply]:
    """Sets aside the lines of one basket, all or nothing unless `allow_partial`.

    The hold ends by itself after `ttl` (a timedelta, or seconds) or at `expire_time` (an aware
    datetime, or nanoseconds since the epoch); with neither, after the server's default. `replaces`
    names a hold of the same customer whose place this one takes. `request_id` is made for you;
    give your own to be able to ask again after a crash: the same id never holds twice.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(
        pb.ReserveRequest,
        request_id=request_id,
        lines=line_messages(lines),
        client_ip=client_ip,
        customer_id=customer_id,
        allow_partial=allow_partial,
        replaces_reservation_id=replaces,
        **expiration(ttl, expire_time),
    )
    return Call(RESERVE, request, convert.reserve_reply, timeout_s, needs_request_id=True)


def commit(
    reservation_id: str,
    lines: Lines = (),
    *,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Call[ChangeReply]:
    """Sells held units: all that the hold still holds, or the lines named.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    named = line_messages(lines)
    request = message(
        pb.CommitRequest, reservation_id=reservation_id, lines=named, request_id=request_id
    )
    # Repeating a whole commit is harmless as it is; an id would cost the server a receipt.
    return Call(COMMIT, request, convert.change_reply, timeout_s, needs_request_id=bool(named))


def release(
    reservation_id: str,
    lines: Lines = (),
    *,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Call[ChangeReply]:
    """Gives held units back: all that the hold still holds, or the lines named.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    named = line_messages(lines)
    request = message(
        pb.ReleaseRequest, reservation_id=reservation_id, lines=named, request_id=request_id
    )
    return Call(RELEASE, request, convert.change_reply, timeout_s, needs_request_id=bool(named))


def extend(
    reservation_id: str,
    *,
    ttl: timedelta | float | None = None,
    expire_time: datetime | int | None = None,
    request_id: str = "",
    timeout_s: float | None = None,
) -> Call[ChangeReply]:
    """Gives a hold more time: `ttl` from now, or until `expire_time`, or the server's default.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(
        pb.ExtendRequest,
        reservation_id=reservation_id,
        request_id=request_id,
        **expiration(ttl, expire_time),
    )
    # An absolute end makes the call idempotent by itself; one counted from now needs an id.
    relative = expire_time is None
    return Call(EXTEND, request, convert.change_reply, timeout_s, needs_request_id=relative)


def get_reservation(reservation_id: str, *, timeout_s: float | None = None) -> Call[Reservation]:
    """Reads one reservation, ended ones included for as long as they are remembered.

    Raises NotFound, InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(pb.GetReservationRequest, reservation_id=reservation_id)
    return Call(GET_RESERVATION, request, _reservation, timeout_s)


def get_availability(
    skus: Iterable[str], *, timeout_s: float | None = None
) -> Call[tuple[replies.Availability, ...]]:
    """Reads what is available of many SKUs, at most 4,096, at one instant; answers in their order.

    Raises InvalidArgument, Unavailable, DeadlineExceeded.
    """
    request = message(pb.GetAvailabilityRequest, skus=list(skus))
    return Call(GET_AVAILABILITY, request, _availabilities, timeout_s)


def _reservation(response: pb.GetReservationResponse) -> Reservation:
    return convert.reservation(response.reservation)


def _availabilities(response: pb.GetAvailabilityResponse) -> tuple[replies.Availability, ...]:
    return tuple(convert.availability(each) for each in response.availabilities)
