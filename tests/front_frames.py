"""HTTP/2 by hand: frames as bytes, right or wrong, and a socket that sends and reads them.

Owns writing frames, header fields without compression, and gRPC's five bytes; checks nothing that
it writes, so that what no client library would send can be sent. `ask` is a gRPC call's frames.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RESET, SETTINGS = 0, 1, 2, 3, 4
PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 5, 6, 7, 8, 9
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 3, 8, 11
HEADER_TABLE_SIZE, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 1, 3, 4
RESERVE = "/atp.v1.ReservationService/Reserve"
SECONDS = 20.0


class Frame(NamedTuple):
    """One frame as it was read."""

    type: int
    flags: int
    stream: int
    body: bytes


def frame(
    kind: int, flags: int = 0, stream: int = 0, body: bytes = b"", *, size: int | None = None
) -> bytes:
    """One frame; `size` says another length than the body has."""
    length = len(body) if size is None else size
    return struct.pack(">I", length)[1:] + struct.pack(">BBI", kind, flags, stream) + body


def settings(*pairs: tuple[int, int]) -> bytes:
    """A SETTINGS frame."""
    return frame(SETTINGS, body=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def ping(text: bytes = b"attacker") -> bytes:
    """A PING frame of eight bytes."""
    return frame(PING, body=text)


def reset(stream: int, code: int = CANCEL) -> bytes:
    """A RST_STREAM frame."""
    return frame(RESET, stream=stream, body=struct.pack(">I", code))


def window_update(stream: int, more: int) -> bytes:
    """A WINDOW_UPDATE frame."""
    return frame(WINDOW_UPDATE, stream=stream, body=struct.pack(">I", more))


def number(value: int, bits: int, first: int = 0) -> bytes:
    """An HPACK integer with a prefix of `bits` bits, in the byte `first`."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    out = bytearray([first | most])
    value -= most
    while value >= 128:
        out.append(value % 128 + 128)
        value //= 128
    return bytes([*out, value])


def field(name: str, value: str | bytes, *, indexed: bool = False) -> bytes:
    """A literal header field; `indexed` puts it into the table of the connection."""
    text = value.encode() if isinstance(value, str) else value
    start = b"\x40" if indexed else b"\x00"
    return start + number(len(name), 7) + name.encode() + number(len(text), 7) + text


def from_table(index: int) -> bytes:
    """A field that stands in the table already; the newest of one's own is 62."""
    return number(index, 7, 0x80)


def call_fields(path: str = RESERVE, **more: str) -> bytes:
    """The header block of a gRPC call; `more` with _ for - in the names."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "attacker"}
    fields |= {"content-type": "application/grpc", "te": "trailers"}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return b"".join(field(name, value) for name, value in fields.items())


def framed(message: bytes, *, compressed: int = 0, size: int | None = None) -> bytes:
    """A message with gRPC's five bytes before it; `size` says another length than it has."""
    return struct.pack(">BI", compressed, len(message) if size is None else size) + message


def headers(stream: int, block: bytes, flags: int = END_HEADERS) -> bytes:
    """A HEADERS frame."""
    return frame(HEADERS, flags, stream, block)


def data(stream: int, body: bytes, flags: int = 0) -> bytes:
    """A DATA frame."""
    return frame(DATA, flags, stream, body)


def ask(stream: int, message: bytes, path: str = RESERVE, **more: str) -> bytes:
    """A whole unary call."""
    return headers(stream, call_fields(path, **more)) + data(stream, framed(message), END_STREAM)


class Connection:
    """A TCP connection that speaks HTTP/2 by hand. The preface and empty settings are sent unless
    `silent`; every read has a deadline. A connection that the server has closed ends iteration."""

    def __init__(self, address: str, *, silent: bool = False) -> None:
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host.strip("[]"), int(port)), timeout=SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""
        if not silent:
            self.send(PREFACE + settings())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the socket."""
        self.socket.close()

    def send(self, text: bytes) -> bool:
        """Sends all of it; False when the server has closed the connection or takes no more."""
        try:
            self.socket.sendall(text)
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return False
        return True

    def frames(self, seconds: float = SECONDS) -> Iterator[Frame]:
        """What comes until the server closes; raises TimeoutError when nothing comes for long."""
        while True:
            yield from self._whole_frames()
            self.socket.settimeout(seconds)
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return
            if not more:
                return
            self._unread += more

    def until(self, kind: int, seconds: float = SECONDS, stream: int | None = None) -> Frame:
        """The next frame of this kind; raises TimeoutError, and EOFError when it won't come."""
        deadline = time.monotonic() + seconds
        for each in self.frames(seconds):
            if each.type == kind and (stream is None or each.stream == stream):
                return each
            if time.monotonic() > deadline:
                raise TimeoutError(f"no frame of type {kind} in {seconds} s")
        raise EOFError(f"closed without a frame of type {kind}")

    def goaway_code(self, seconds: float = SECONDS) -> int | None:
        """Reads to the end of the connection: the last GOAWAY's code, None when there was none."""
        found = None
        for each in self.frames(seconds):
            if each.type == GOAWAY:
                found = struct.unpack_from(">I", each.body, 4)[0]
        return found

    def _whole_frames(self) -> Iterator[Frame]:
        while len(self._unread) >= 9:
            size = int.from_bytes(self._unread[:3])
            if len(self._unread) < 9 + size:
                return
            kind, flags, stream = struct.unpack_from(">BBI", self._unread, 3)
            body = self._unread[9 : 9 + size]
            self._unread = self._unread[9 + size :]
            yield Frame(kind, flags, stream & 0x7FFFFFFF, body)


def in_parts(texts: Iterable[bytes], size: int = 65536) -> Iterator[bytes]:
    """Many small texts as fewer large ones, so that a flood is one of frames and not of calls."""
    gathered = bytearray()
    for text in texts:
        gathered += text
        if len(gathered) >= size:
            yield bytes(gathered)
            gathered.clear()
    if gathered:
        yield bytes(gathered)
