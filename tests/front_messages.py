"""Commands of histories.py as requests of atp.v1, and protobuf written by hand.

Owns the translation, and the wire format as far as odd messages need it: what no well-behaved
writer sends.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from atp.v1 import reservation_pb2 as pb
from histories import Command

SECOND = 1_000_000_000
METHODS = {"reserve": "Reserve", "commit": "Commit", "release": "Release", "extend": "Extend"}


def request_of(command: Command) -> Message:
    """The request of a reserve, commit, release or extension."""
    words, keywords = command.words, command.keywords
    ends = {}
    if "ttl_ns" in keywords:
        ends["ttl"] = Duration(
            seconds=keywords["ttl_ns"] // SECOND, nanos=keywords["ttl_ns"] % SECOND
        )
    elif "expire_time_ns" in keywords:
        time_ns = keywords["expire_time_ns"]
        ends["expire_time"] = Timestamp(seconds=time_ns // SECOND, nanos=time_ns % SECOND)
    if command.name == "reserve":
        return pb.ReserveRequest(
            request_id=words[0],
            lines=lines_of(words[1]),
            client_ip=keywords["client_ip"],
            customer_id=keywords["customer_id"],
            allow_partial=keywords["allow_partial"],
            replaces_reservation_id=keywords.get("replaces", ""),
            **ends,
        )
    if command.name == "extend":
        return pb.ExtendRequest(reservation_id=words[0], request_id=keywords["request_id"], **ends)
    kind = pb.CommitRequest if command.name == "commit" else pb.ReleaseRequest
    return kind(
        reservation_id=words[0],
        lines=lines_of(words[1] if len(words) > 1 else []),
        request_id=keywords["request_id"],
    )


def lines_of(lines: list[tuple[str, int]]) -> list[pb.Line]:
    """Lines as messages."""
    return [pb.Line(sku=sku, quantity=quantity) for sku, quantity in lines]


def varint(value: int, padding: int = 0) -> bytes:
    """A number of 64 bits, with so many bytes more than it needs."""
    value &= (1 << 64) - 1
    groups = [value & 0x7F]
    while value := value >> 7:
        groups.append(value & 0x7F)
    groups += [0] * padding
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def head(number: int, wire_type: int) -> bytes:
    """How a field begins."""
    return varint(number << 3 | wire_type)


def nested(number: int, content: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return head(number, 2) + varint(len(content)) + content


def groups(number: int, depth: int, content: bytes = b"") -> bytes:
    """Groups within each other."""
    return head(number, 3) * depth + content + head(number, 4) * depth
