"""Connections of TLS that end before they were open, seen by the whole front: what is left of them.

The session alone, without a socket, is in test_front_tls.py.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from front_process import Running, running
from front_tls_attacks import client_hello
from server_process import wait_until
from tls_keys import NEEDS_OPENSSL, Keys, make_keys
from tls_talk import client_context

pytestmark = NEEDS_OPENSSL
SECONDS = 20.0
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def front(keys: Keys) -> Iterator[Running]:
    with running(connections_max=1_000) as served:
        served.front.set_tls(keys.server.cert_pem, keys.server.key_pem, b"")
        yield served


def plug(served: Running) -> socket.socket:
    host, _, port = served.address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def is_served(served: Running, keys: Keys) -> None:
    """A client of TLS is greeted."""
    with (
        plug(served) as plain,
        client_context(keys).wrap_socket(plain, server_hostname="localhost") as client,
    ):
        client.sendall(PREFACE)
        assert client.recv(1)


def test_a_refused_handshake_was_looked_at_again_when_it_was_gone(
    front: Running, keys: Keys
) -> None:
    """A connection that was closed for its first bytes stood in the line of those with output, and
    its memory was another's by then: the server crashed under a flood of broken handshakes."""
    hello = client_hello()
    wrong = [b"GET / HTTP/1.1\r\n", hello[:50] + bytes(2_000), b"\x16\x03\x01\x00\x05" + b"x" * 5]
    for turn in range(20):
        with ExitStack() as stack:
            together = [stack.enter_context(plug(front)) for _ in range(40)]
            for number, each in enumerate(together):
                each.sendall(hello if number % 4 == 3 else wrong[(number + turn) % 3])
            for number, each in enumerate(together):
                if number % 4 != 3:
                    with contextlib.suppress(ConnectionResetError):
                        while each.recv(1 << 16):
                            pass
    is_served(front, keys)
    wait_until(lambda: not front.front.statistics().connections, "all to be gone")
