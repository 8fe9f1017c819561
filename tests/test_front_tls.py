"""The front's side of TLS, byte by byte, against Python's own client: no socket between them."""

from __future__ import annotations

import random
import ssl
from pathlib import Path

import pytest

from atp._front import TlsRefused, TlsServer, check_tls
from tls_keys import NEEDS_OPENSSL, Identity, Keys, make_keys
from tls_native import NativeClient, carry
from tls_talk import Talk, client_context

pytestmark = NEEDS_OPENSSL
BOTH = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
RECORD_BYTES = 16_384


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def server_of(identity: Identity, client_ca: bytes = b"") -> TlsServer:
    return TlsServer(identity.cert_pem, identity.key_pem, client_ca)


def connected(keys: Keys, version: ssl.TLSVersion | None = None) -> Talk:
    talk = Talk(server_of(keys.server), client_context(keys, version=version))
    talk.shake_hands()
    return talk


def refusal(server: TlsServer, context: ssl.SSLContext) -> str:
    """Why the server ended a handshake; the client must have been told by an alert."""
    talk = Talk(server, context)
    with pytest.raises(ssl.SSLError, match="alert"):
        talk.shake_hands()
    assert not talk.goes_on
    assert not server.is_open
    assert talk.told == b""
    return server.why


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("kind", ["server", "rsa"])
def test_both_versions_speak_h2_with_a_cipher_fit_for_it(
    keys: Keys, version: ssl.TLSVersion, kind: str
) -> None:
    talk = Talk(server_of(getattr(keys, kind)), client_context(keys, version=version))
    talk.shake_hands()
    assert talk.client.version() == version.name.replace("v1_", "v1.")
    assert talk.client.selected_alpn_protocol() == "h2"
    assert talk.client.compression() is None
    cipher = talk.client.cipher()
    assert cipher is not None
    assert "AES_128_GCM" in cipher[0] or cipher[0].startswith("ECDHE-")
    talk.client.write(b"ask")
    talk.carry()
    assert talk.told == b"ask"
    sent, wire = talk.server.send(b"answer")
    assert sent
    assert b"answer" not in wire
    talk.tell(wire)
    assert talk.read() == b"answer"


@pytest.mark.parametrize("version", BOTH)
def test_bytes_may_come_one_by_one(keys: Keys, version: ssl.TLSVersion) -> None:
    talk = Talk(server_of(keys.server), client_context(keys, version=version))
    talk.shake_hands(piece=1)
    talk.client.write(b"x" * 20_000)
    talk.carry(piece=1)
    assert talk.told == b"x" * 20_000


@pytest.mark.parametrize("version", BOTH)
@pytest.mark.parametrize("size", [1, RECORD_BYTES - 1, RECORD_BYTES, RECORD_BYTES + 1, 4 << 20])
def test_messages_go_over_the_bounds_of_records(
    keys: Keys, version: ssl.TLSVersion, size: int
) -> None:
    talk = connected(keys, version)
    message = random.Random(size).randbytes(size)
    written = 0
    while written < size:
        written += talk.client.write(message[written:])
        talk.carry(piece=40_000)
    assert talk.told == message
    sent, wire = talk.server.send(message)
    assert sent
    talk.tell(wire)
    assert talk.read() == message


def test_a_client_that_does_not_offer_h2_is_refused(keys: Keys) -> None:
    for alpn in ((), ("http/1.1",), ("h2c", "h", "h22")):
        for version in BOTH:
            context = client_context(keys, alpn=alpn, version=version)
            talk = Talk(server_of(keys.server), context)
            # By the alert of that name: number 120, fatal.
            with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
                talk.shake_hands()
            assert talk.server.why == "the client does not offer HTTP/2 (ALPN h2)"
    talk = Talk(server_of(keys.server), client_context(keys, alpn=("http/1.1", "h2")))
    talk.shake_hands()
    assert talk.client.selected_alpn_protocol() == "h2"


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_older_versions_and_unfit_ciphers_are_refused(keys: Keys) -> None:
    old = client_context(keys)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    assert refusal(server_of(keys.server), old) == "the client speaks neither TLS 1.2 nor 1.3"
    # Those that HTTP/2 forbids: no forward secrecy, no authenticated encryption.
    for cipher in ("AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA256", "DHE-RSA-AES128-GCM-SHA256"):
        unfit = client_context(keys, version=ssl.TLSVersion.TLSv1_2)
        unfit.set_ciphers(cipher)
        why = refusal(server_of(keys.rsa), unfit)
        assert why == "the client offers no cipher that is spoken here"


@pytest.mark.parametrize("version", BOTH)
def test_client_certificates_are_required_where_an_authority_is_named(
    keys: Keys, version: ssl.TLSVersion
) -> None:
    def context(shows: Identity | None) -> ssl.SSLContext:
        return client_context(keys, version=version, shows=shows)

    def server(authority: Identity) -> TlsServer:
        return server_of(keys.server, authority.cert_pem)

    talk = Talk(server(keys.authority), context(keys.client))
    talk.shake_hands()
    talk.client.write(b"it is me")
    talk.carry()
    assert talk.told == b"it is me"
    assert refusal(server(keys.authority), context(None)) == "the client shows no certificate"
    refused = "the client's certificate is refused: "
    for shows, why in (
        (keys.stranger, "self-signed certificate"),
        (keys.expired, "certificate has expired"),
    ):
        assert refusal(server(keys.authority), context(shows)) == refused + why
    # An authority in the middle accepts its own clients and no others.
    for authority, shows in (
        (keys.authority, keys.branch_client),
        (keys.branch, keys.branch_client),
        (keys.stranger, keys.stranger),
    ):
        talk = Talk(server(authority), context(shows))
        talk.shake_hands()
        assert talk.server.is_open
    assert refusal(server(keys.branch), context(keys.client)).startswith(refused)


@pytest.mark.parametrize("version", BOTH)
def test_a_session_is_resumed_but_never_instead_of_a_certificate(
    keys: Keys, version: ssl.TLSVersion
) -> None:
    def resumed(client_ca: bytes, context: ssl.SSLContext) -> bool:
        identity = (keys.server.cert_pem, keys.server.key_pem, client_ca)
        server = TlsServer(*identity)
        first = Talk(server, context)
        first.shake_hands()
        first.tell(server.send(b"x")[1])
        first.read()  # takes the tickets in
        session = first.client.session
        server.begin_again()
        second = Talk(server, context, session=session)
        second.shake_hands()
        assert second.server.is_open
        return bool(second.client.session_reused)

    assert resumed(b"", client_context(keys, version=version))
    assert not resumed(
        keys.authority.cert_pem, client_context(keys, version=version, shows=keys.client)
    )
    # Another context, as after a reload, knows nothing of the first one's tickets.
    context = client_context(keys, version=version)
    first = Talk(server_of(keys.server), context)
    first.shake_hands()
    first.tell(first.server.send(b"x")[1])
    first.read()
    second = Talk(server_of(keys.server), context, session=first.client.session)
    second.shake_hands()
    assert second.server.is_open
    assert not second.client.session_reused


@pytest.mark.parametrize("version", BOTH)
def test_either_side_may_say_farewell(keys: Keys, version: ssl.TLSVersion) -> None:
    talk = connected(keys, version)
    farewell = talk.server.close()
    assert farewell
    assert not talk.server.is_open
    assert talk.server.close() == b""
    assert talk.server.send(b"more") == (False, b"")
    talk.tell(farewell)
    assert talk.client.read() == b""  # an end in order, and no ssl.SSLEOFError

    talk = connected(keys, version)
    talk.client.write(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        talk.client.unwrap()
    talk.carry()
    assert talk.told == b"last words"
    assert (talk.goes_on, talk.server.is_open, talk.server.why) == (False, False, "")
    talk.client.unwrap()  # the server's farewell has come
    assert talk.server.receive(b"anything") == (False, b"", b"")


def test_what_is_no_tls_ends_at_the_first_byte(keys: Keys) -> None:
    for said in (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET / HTTP/1.1\r\n", b"\0", b"\x17\x03"):
        server = server_of(keys.server)
        assert server.receive(b"") == (True, b"", b"")
        assert server.receive(said) == (False, b"", b"")
        assert server.why == "the client speaks no TLS"
        assert server.receive(b"\x16\x03\x01") == (False, b"", b"")
    server = server_of(keys.server)
    assert server.close() == b""
    assert server.send(b"x") == (False, b"")
    server.receive(b"\x16\x03\x01")
    assert server.close() == b""
    assert server.send(b"x") == (False, b"")


def test_a_handshake_without_end_is_refused(keys: Keys) -> None:
    server = server_of(keys.server)
    hello = b"\x01\xff\xff\xff" + bytes(1 << 20)  # says that it has 16 MiB
    goes_on, sent = True, 0
    while goes_on:
        piece = hello[sent : sent + 16_000]
        goes_on, plain, _ = server.receive(b"\x16\x03\x01" + len(piece).to_bytes(2) + piece)
        assert plain == b""
        sent += len(piece)
    assert sent <= (64 << 10) + 16_000
    assert server.why


def test_garbage_in_a_handshake_and_after_it_ends_the_connection(keys: Keys) -> None:
    source = random.Random(20261122)
    for _ in range(200):
        server = server_of(keys.server)
        goes_on = True
        for _ in range(50):
            record = source.randbytes(source.randrange(1, 2000))
            goes_on, plain, _ = server.receive(b"\x16\x03\x03" + len(record).to_bytes(2) + record)
            assert plain == b""
            if not goes_on:
                break
        assert not goes_on
        assert server.why
    for version in BOTH:
        talk = connected(keys, version)
        talk.push(b"\x17\x03\x03\x00\x40" + source.randbytes(64))
        assert not talk.goes_on
        assert not talk.server.is_open
        assert talk.server.why == "decryption failed or bad record mac"
        # What another session left behind on this thread troubles nobody.
        assert connected(keys, version).server.is_open


def test_every_flipped_byte_of_a_clients_handshake_is_refused_or_harmless(keys: Keys) -> None:
    for version in BOTH:
        context = client_context(keys, version=version)
        for at in range(0, 600, 7):
            talk = Talk(server_of(keys.server), context)
            with pytest.raises(ssl.SSLWantReadError):
                talk.client.do_handshake()
            hello = bytearray(talk.take())
            hello[at % len(hello)] ^= 0x55
            talk.push(bytes(hello))
            assert talk.told == b""
            assert not talk.server.is_open


def test_a_wish_to_renegotiate_ends_the_connection(keys: Keys) -> None:
    server = server_of(keys.server)
    with NativeClient(version=ssl.TLSVersion.TLSv1_2) as client:
        carry(client, server)
        assert server.is_open
        client.renegotiate()
        goes_on, plain, wire = server.receive(client.take())
    assert (goes_on, plain, server.is_open) == (False, b"", False)
    assert server.why == "the client asked to renegotiate"
    assert wire  # the alert no_renegotiation


def test_new_keys_without_end_and_without_data_end_the_connection(keys: Keys) -> None:
    server = server_of(keys.server)
    with NativeClient(version=ssl.TLSVersion.TLSv1_3) as client:
        carry(client, server)
        goes_on, sent, answered = True, 0, 0
        while goes_on:
            client.update_keys()
            message = client.take()
            goes_on, plain, wire = server.receive(message)
            assert plain == b""
            client.push(wire)
            sent += len(message)
            answered += len(wire)
            assert sent < 128 << 10
    assert server.why == "the client sends 64 KiB of TLS and no data"
    assert answered <= sent
    # With data in between, they are what the protocol is meant for.
    server = server_of(keys.server)
    with NativeClient(version=ssl.TLSVersion.TLSv1_3) as client:
        carry(client, server)
        for _ in range(3_000):
            client.update_keys()
            client.write(b"x")
            goes_on, plain, wire = server.receive(client.take())
            assert (goes_on, plain) == (True, b"x"), server.why
            assert client.push(wire) == b""
        assert client.push(server.send(b"still here")[1]) == b"still here"


def test_a_text_that_cannot_be_used_is_told_by_its_part(keys: Keys) -> None:
    cert, key = keys.server
    assert check_tls(cert.read_bytes(), key.read_bytes(), b"").names == "localhost"
    ca = keys.authority.cert_pem
    broken = cert.read_bytes()[:200] + b"?" + cert.read_bytes()[200:]
    locked = keys.locked_key.read_bytes()
    for texts, part, reason in (
        ((b"", key, b""), "cert", "no BEGIN CERTIFICATE was found"),
        ((key, key, b""), "cert", "no BEGIN CERTIFICATE was found"),
        ((broken, key, b""), "cert", "a certificate can't be read: bad base64 decode"),
        ((ca + broken, key, b""), "cert", "a certificate can't be read: bad base64 decode"),
        ((cert, b"junk", b""), "key", "no BEGIN PRIVATE KEY was found"),
        ((cert, cert, b""), "key", "no BEGIN PRIVATE KEY was found"),
        ((cert, locked, b""), "key", "the key is encrypted with a pass phrase"),
        ((cert, keys.renewed.key, b""), "key", "key values mismatch"),
        ((cert, keys.rsa.key, b""), "key", "key type mismatch"),
        ((cert, key, b"junk"), "client_ca", "no BEGIN CERTIFICATE was found"),
        ((cert, key, ca + broken), "client_ca", "a certificate can't be read: bad base64 decode"),
    ):
        with pytest.raises(TlsRefused) as raised:
            check_tls(*(text.read_bytes() if isinstance(text, Path) else text for text in texts))
        assert (raised.value.part, str(raised.value)) == (part, reason)


def test_an_expired_certificate_loads_and_tells_its_times(keys: Keys) -> None:
    facts = check_tls(keys.expired.cert_pem, keys.expired.key_pem, b"")
    valid = check_tls(keys.server.cert_pem, keys.server.key_pem, b"")
    assert facts.expire_ns < facts.not_before_ns < valid.expire_ns
    assert valid.expire_ns - valid.not_before_ns == 2 * 86_400 * 1_000_000_000
