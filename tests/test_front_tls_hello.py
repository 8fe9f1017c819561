"""How long a ClientHello may be: told before OpenSSL has made room for all that it says it is.

Owns hellos in pieces and in records of any size; that an ordinary one goes byte by byte, too.
"""

from __future__ import annotations

import ssl

import pytest

from atp._front import TlsServer
from front_tls_attacks import HANDSHAKE, client_hello, record
from tls_keys import NEEDS_OPENSSL, Keys, make_keys
from tls_native import NativeClient
from tls_talk import Talk, client_context

pytestmark = NEEDS_OPENSSL


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def server_of(keys: Keys) -> TlsServer:
    return TlsServer(keys.server.cert_pem, keys.server.key_pem, b"")


PIECES = {"at once": 1 << 20, "byte by byte": 1}
LONG = b"\x01\x00\x40\x01\x03\x03"
"""The head of a ClientHello of 16 KiB and a byte."""
TOO_LONG = "the ClientHello is longer than 16 KiB"


def heard(server: TlsServer, wire: bytes, piece: int) -> bool:
    """Whether it goes on after these bytes, as many at a time."""
    return all(
        server.receive(wire[begin : begin + piece])[0] for begin in range(0, len(wire), piece)
    )


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
@pytest.mark.parametrize("records", [1, 2, len(LONG)])
def test_a_hello_that_says_it_is_long_takes_no_room_for_all_of_it(
    keys: Keys, piece: int, records: int
) -> None:
    """2,000 connections took 240 KiB each, by 60 KiB that each sent."""
    size = len(LONG) // records
    parts = [LONG[begin : begin + size] for begin in range(0, len(LONG), size)]
    server = server_of(keys)
    assert not heard(server, b"".join(record(HANDSHAKE, part) for part in parts), piece)
    assert server.why == TOO_LONG


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_a_hello_of_16_kib_is_waited_for(keys: Keys, piece: int) -> None:
    server = server_of(keys)
    assert heard(server, record(HANDSHAKE, b"\x01\x00\x40\x00\x03\x03"), piece)


BETWEEN = {
    "nothing": b"",
    "a change of cipher spec": record(b"\x14", b"\x01"),
    "a warning": record(b"\x15", b"\x01\x5a"),
}


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_a_second_hello_is_no_longer_than_the_first_may_be(keys: Keys, between: bytes) -> None:
    """After the first the server may ask for another, with a key that it knows. A warning, which is
    passed over, once ended the look-out."""
    server = server_of(keys)
    assert heard(server, client_hello(), 1)
    assert not heard(server, between + record(HANDSHAKE, LONG), 1 << 20)
    assert server.why == TOO_LONG


def test_what_is_encrypted_in_a_resumed_handshake_is_no_long_hello(keys: Keys) -> None:
    """In TLS 1.2. One in 256 begins with a ClientHello's byte; those clients were refused."""
    server = server_of(keys)
    context = client_context(keys, version=ssl.TLSVersion.TLSv1_2)
    first = Talk(server, context)
    first.shake_hands()
    server.begin_again()
    second = Talk(server, context, session=first.client.session)
    with pytest.raises(ssl.SSLWantReadError):
        second.client.do_handshake()
    second.carry()
    second.client.do_handshake()
    said = second.take()
    place = len(record(b"\x14", b"\x01")) + len(record(HANDSHAKE, b""))
    second.push(said[:place] + LONG[:4] + said[place + 4 :])
    assert second.client.session_reused
    assert not second.goes_on
    assert server.why not in ("", TOO_LONG)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_byte_by_byte_is_a_handshake(keys: Keys, version: ssl.TLSVersion) -> None:
    server = server_of(keys)
    with NativeClient(version=version) as client:
        for _ in range(4):
            client.shake_hands()
            for byte in client.take():
                goes_on, _, wire = server.receive(bytes([byte]))
                assert goes_on, server.why
                client.push(wire)
    assert server.is_open
