"""HTTP/2 by hand, for clients that behave as no library lets one: bytes on a socket.

Owns the frames of RFC 9113 and header fields as plain literals; reads frames and understands none.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from google.protobuf.message import Message

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW = 0, 1, 3, 4, 6, 7, 8
ACK, END_STREAM, END_HEADERS = 1, 1, 4
SECONDS = 20.0


class Frame(NamedTuple):
    """One frame, as it came."""

    kind: int
    flags: int
    stream: int
    body: bytes


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    """A frame's bytes."""
    return len(body).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + body


def fields(*pairs: tuple[str, str]) -> bytes:
    """A header block: literals that are not indexed, names and values of up to 126 bytes."""
    texts = [(name.encode(), value.encode()) for name, value in pairs]
    assert all(len(text) < 127 for pair in texts for text in pair)
    return b"".join(
        b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value for name, value in texts
    )


def call_fields(method: str, *more: tuple[str, str]) -> bytes:
    """The header block of a call of ReservationService."""
    return fields(
        (":method", "POST"),
        (":scheme", "http"),
        (":path", f"/atp.v1.ReservationService/{method}"),
        (":authority", "localhost"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        *more,
    )


def prefixed(message: Message) -> bytes:
    """A message as gRPC puts it into DATA: not compressed."""
    data = message.SerializeToString()
    return b"\0" + len(data).to_bytes(4, "big") + data


class Connection:
    """A connection on which `hello` has been sent, an HTTP/2 client's without another word."""

    def __init__(self, address: str, hello: bytes = PREFACE + frame(SETTINGS, 0, 0)) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        self.send(hello)

    def send(self, *pieces: bytes) -> None:
        """Sends bytes, whatever they are."""
        self.socket.sendall(b"".join(pieces))

    def call(self, stream: int, method: str, message: Message) -> None:
        """Sends a whole call."""
        self.send(
            frame(HEADERS, END_HEADERS, stream, call_fields(method)),
            frame(DATA, END_STREAM, stream, prefixed(message)),
        )

    def frames(self) -> Iterator[Frame]:
        """The frames that come, until the other side closes or resets."""
        while True:
            while len(self._unread) < 9 or len(self._unread) < 9 + self._body_bytes():
                try:
                    more = self.socket.recv(65_536)
                except ConnectionError:
                    more = b""
                if not more:
                    return
                self._unread += more
            end = 9 + self._body_bytes()
            kind, flags, stream = struct.unpack(">BBI", self._unread[3:9])
            body, self._unread = self._unread[9:end], self._unread[end:]
            yield Frame(kind, flags, stream & 0x7FFFFFFF, body)

    def vanish(self) -> None:
        """Ends the connection at once with a reset (RST), as a machine that is cut off may."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        """Ends the connection in an orderly way."""
        self.socket.close()

    def _body_bytes(self) -> int:
        return int.from_bytes(self._unread[:3], "big")


@contextmanager
def connected(address: str) -> Iterator[Connection]:
    """A connection until the block ends."""
    connection = Connection(address)
    try:
        yield connection
    finally:
        connection.close()
