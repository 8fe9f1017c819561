"""A server of HTTP/2 for tests of the load generator, that does just what a script says.

Owns reading frames off one connection and writing them: whole answers, and the pieces for broken
ones. Understands no header block; header blocks it sends have their fields in full.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import NamedTuple

from atp.v1 import reservation_pb2 as pb

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RESET, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS, PADDED = 0x1, 0x4, 0x8
DEADLINE_S = 30.0


class Asked(NamedTuple):
    """One call that came in whole: its stream, header block and message."""

    stream: int
    block: bytes
    message: bytes


Answer = Callable[[Asked], bytes | None]
"""What is sent for a call; None closes the connection."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload) << 8 | kind) + struct.pack(">BI", flags, stream) + payload


def fields(*pairs: tuple[str, str]) -> bytes:
    """A header block whose fields are filed nowhere."""
    block = b""
    for pair in pairs:
        texts = [text.encode() for text in pair]
        block += b"\x00" + b"".join(bytes([len(text)]) + text for text in texts)
    return block


HEADS = fields((":status", "200"), ("content-type", "application/grpc"))
OK = fields(("grpc-status", "0"))


def prefixed(message: bytes) -> bytes:
    """With gRPC's prefix."""
    return struct.pack(">BI", 0, len(message)) + message


def whole(stream: int, message: bytes) -> bytes:
    """An answer as servers usually send it."""
    return (
        frame(HEADERS, END_HEADERS, stream, HEADS)
        + frame(DATA, 0, stream, prefixed(message))
        + frame(HEADERS, END_HEADERS | END_STREAM, stream, OK)
    )


def granted(**other: object) -> bytes:
    """A ReserveResponse that grants."""
    hold = pb.Reservation(reservation_id="ab" * 16)
    return pb.ReserveResponse(outcome=1, reservation=hold, **other).SerializeToString()


def pong() -> bytes:
    """The answer to a ping."""
    return frame(PING, 0x1, 0, bytes(8))


@contextlib.contextmanager
def scripted(answer: Answer, *, settings: bytes = b"", gives_room: bool = True) -> Iterator[str]:
    """Serves connections one after another; gives the address.

    With `gives_room` what has been read may be sent again; else the first window is all there is.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        connection.settimeout(DEADLINE_S)
                        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                        _converse(connection, answer, settings, gives_room)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield "{}:{}".format(*listener.getsockname())
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(DEADLINE_S)
            assert not thread.is_alive()


def _converse(connection: socket.socket, answer: Answer, settings: bytes, gives_room: bool) -> None:
    with connection.makefile("rb") as reading, contextlib.suppress(ConnectionError):
        assert reading.read(len(PREFACE)) == PREFACE
        connection.sendall(frame(SETTINGS, 0, 0, settings))
        blocks: dict[int, bytes] = {}
        messages: dict[int, bytes] = {}
        while head := reading.read(9):
            size, kind, flags = int.from_bytes(head[:3]), head[3], head[4]
            stream = int.from_bytes(head[5:])
            payload = reading.read(size)
            if kind == HEADERS:
                blocks[stream], messages[stream] = payload, b""
            elif kind == DATA:
                messages[stream] += payload
                if gives_room and size:
                    connection.sendall(frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", size)))
                if flags & END_STREAM:
                    asked = Asked(stream, blocks.pop(stream), messages.pop(stream)[5:])
                    said = answer(asked)
                    if said is None:
                        return
                    connection.sendall(said)
