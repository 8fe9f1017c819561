"""Protobuf's own runtime against the front's reader: each message as it came, and as the runtime
writes it again after reading it, must get the same answer; what the runtime can't read is refused.

Owns the comparison. Two engines get the same calls, so that a change in one is a change in both.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from atp import _core, _front
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb

METHODS: tuple[tuple[str, Any, Any], ...] = (
    ("Reserve", pb.ReserveRequest, pb.ReserveResponse),
    ("Commit", pb.CommitRequest, pb.CommitResponse),
    ("Release", pb.ReleaseRequest, pb.ReleaseResponse),
    ("Extend", pb.ExtendRequest, pb.ExtendResponse),
    ("GetReservation", pb.GetReservationRequest, pb.GetReservationResponse),
    ("GetAvailability", pb.GetAvailabilityRequest, pb.GetAvailabilityResponse),
    ("Execute", service_pb.ExecuteRequest, service_pb.ExecuteResponse),
)
"""Name, request and response of each method, in the order of the front's numbers."""

TTL_NS = 60_000_000_000
NO_MESSAGE = "request: is no atp.v1."


class Judged(NamedTuple):
    """What a judge says of one message."""

    code: int
    message: bytes
    text: str
    details: bytes
    reveals: int


def judge(engine: _core.Engine, method: int, message: bytes, now_ns: int) -> Judged:
    """The front's judge on one message."""
    name = METHODS[method][0]
    return Judged(*_front.judge(engine, name, message, now_ns=now_ns, default_ttl_ns=TTL_NS))


def compare(
    engines: tuple[_core.Engine, _core.Engine], method: int, message: bytes, now_ns: int
) -> tuple[str, Judged]:
    """("", the answer) when all is well, else what is wrong."""
    _, request_type, response_type = METHODS[method]
    judged = judge(engines[0], method, message, now_ns)
    is_refused = judged.text.startswith(NO_MESSAGE)
    try:
        read = request_type.FromString(message)
    except DecodeError:
        return ("" if is_refused else "protobuf can't read it, and the front can"), judged
    if is_refused:
        return "protobuf can read it, and the front can't", judged
    again = judge(engines[1], method, read.SerializeToString(), now_ns)
    if judged != again:
        return f"as protobuf writes it again it is answered {again}", judged
    if not judged.code:
        response = response_type.FromString(judged.message)
        if response.SerializeToString(deterministic=True) != judged.message:
            return "the answer is not written as protobuf would write it", judged
    return "", judged


def run(drawing: Any, engines: tuple[_core.Engine, _core.Engine], count: int, now_ns: int) -> Any:
    """Compares `count` inputs; returns how many had each code. Raises AssertionError."""
    codes: Counter[int] = Counter()
    for number in range(count):
        method, message = drawing.draw()
        fault, judged = compare(engines, method, message, now_ns)
        codes[judged.code] += 1
        if fault:
            raise AssertionError(
                f"{fault}; input {number}, {METHODS[method][0]}, "
                f"{len(message)} bytes: {message[:2000].hex()}; answered {judged}"
            )
        if judged.code == 0 and method < 4:
            response = METHODS[method][2].FromString(judged.message)
            if response.HasField("reservation"):
                drawing.remember(response.reservation.reservation_id)
            drawing.keep()
    return codes
