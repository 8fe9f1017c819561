"""A front in the test's own process: real engine, real journal, Python threads that run its loops.

Owns starting and ending it, a clock that stands still unless told otherwise, and raw connections
that speak HTTP/2 frame by frame. Judges nothing.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from atp._core import Engine
from atp._front import Front, FrontOptions
from atp.journal._native import Writer

SECOND = 1_000_000_000
STORE_ID = bytes(16)
OPTIONS = FrontOptions(
    calls_max=1_000,
    connections_max=100,
    streams_max=256,
    message_bytes_max=4 << 20,
    metadata_bytes_max=16 << 10,
    buffer_bytes_max=64 << 20,
    idle_ns=600 * SECOND,
    request_ns=10 * SECOND,
    keepalive_ns=60 * SECOND,
    wait_ns=SECOND,
    default_ttl_ns=600 * SECOND,
    durable=False,
)
START_NS = 1_800_000_000 * SECOND


class Running(NamedTuple):
    """A front that serves."""

    front: Front
    engine: Engine
    writer: Writer | None
    address: str


@contextmanager
def running(folder: Path | None = None, *, threads: int = 1, **options: Any) -> Iterator[Running]:
    """Serves until the block ends; with a folder, changes are made durable there before answers,
    and each loop has its stand-in for as long as its thread is at the disk."""
    engine = Engine(record_events=folder is not None)
    writer, workers = None, []
    if folder is not None:
        (folder / "journal").mkdir(parents=True, exist_ok=True)
        writer = Writer(
            engine,
            folder,
            STORE_ID,
            next_sequence=1,
            now_ns=START_NS,
            segment_bytes=1 << 24,
            durability="sync",
            sync_interval_ns=SECOND // 20,
            backlog_bytes_max=1 << 26,
        )
        workers = [threading.Thread(target=run) for run in (writer.run, writer.run_ahead)]
    wanted = OPTIONS._replace(durable=folder is not None)._replace(**options)
    front = Front(engine, writer, host="127.0.0.1", port=0, threads=threads, options=wanted)
    front.publish_clock(START_NS, 0, -1_000_000)
    workers.append(threading.Thread(target=front.forerun))
    for index in range(threads):
        works = (front.run, front.stand_in) if folder is not None else (front.run,)
        workers += [threading.Thread(target=work, args=(index,)) for work in works]
    for worker in workers:
        worker.start()
    try:
        yield Running(front, engine, writer, "{}:{}".format(*front.address))
    finally:
        front.stop()
        if writer is not None:
            writer.stop()
        for worker in workers:
            worker.join()


class Raw:
    """One TCP connection that sends bytes as they are and reads HTTP/2 frames."""

    PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

    def __init__(self, address: str, *, greet: bool = True) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=30)
        if greet:
            self.send(self.PREFACE + frame(4))

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """All of it."""
        self.socket.sendall(data)

    def read(self) -> Frame | None:
        """The next frame; None: the server has closed the connection."""
        head = self._exactly(9)
        if head is None:
            return None
        body = self._exactly(int.from_bytes(head[:3], "big"))
        return None if body is None else Frame(head[3], head[4], _stream(head[5:9]), body)

    def read_until(self, kind: int, stream: int | None = None) -> Frame | None:
        """The next frame of this kind; what comes before it is passed over."""
        while (found := self.read()) is not None:
            if found.kind == kind and stream in (None, found.stream):
                return found
        return None

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                more = self.socket.recv(size - len(data))
            except ConnectionResetError:
                return None
            if not more:
                return None
            data += more
        return data


class Frame(NamedTuple):
    """One frame of HTTP/2."""

    kind: int
    flags: int
    stream: int
    body: bytes


DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1


def frame(kind: int, flags: int = 0, stream: int = 0, body: bytes = b"") -> bytes:
    """The bytes of one frame."""
    head = len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + body


def fields(**named: str) -> bytes:
    """A header block without compression; `_` in a name stands for `-`, a leading one for `:`."""
    block = b""
    for name, value in named.items():
        written = (":" + name[1:] if name.startswith("_") else name.replace("_", "-")).encode()
        block += b"\x00" + _text(written) + _text(value.encode())
    return block


def call_head(method: str, **more: str) -> bytes:
    """The header block of a call of ReservationService."""
    named = {
        "_method": "POST",
        "_scheme": "http",
        "_path": method if method.startswith("/") else f"/atp.v1.ReservationService/{method}",
        "_authority": "test",
        "content_type": "application/grpc",
        "te": "trailers",
    }
    return fields(**{name: value for name, value in (named | more).items() if value})


def framed(message: bytes) -> bytes:
    """With gRPC's prefix."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def _text(data: bytes) -> bytes:
    if len(data) < 127:
        return bytes((len(data),)) + data
    left, size = len(data) - 127, b"\x7f"
    while left >= 128:
        size += bytes((left % 128 | 128,))
        left //= 128
    return size + bytes((left,)) + data


def _stream(data: bytes) -> int:
    return int.from_bytes(data, "big") & 0x7FFFFFFF
