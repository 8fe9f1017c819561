"""TLS of the data plane as strangers see it: openssl's client, bent handshakes, wrong ports.

Real processes on loopback. What a session does with each byte is in test_front_tls.py.
"""

from __future__ import annotations

import random
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from front_process import ACK, GOAWAY, PING, SETTINGS, Raw, frame
from server_process import ServerProcess, serving, wait_until
from tls_keys import NEEDS_OPENSSL, Identity, Keys, make_keys
from tls_talk import client_context

pytestmark = NEEDS_OPENSSL
SECONDS = 20.0
VERSIONS = ("-tls1_2", "-tls1_3")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def tls_options(keys: Keys, *, client_ca: Identity | None = None) -> list[str]:
    """The data plane with the server's certificate."""
    parts = {"cert": keys.server.cert, "key": keys.server.key}
    parts |= {} if client_ca is None else {"client_ca": client_ca.cert}
    return [
        word for part, path in parts.items() for word in ("--set", f"data_plane.tls.{part}={path}")
    ]


@pytest.fixture(scope="module")
def plain_tls(keys: Keys) -> Iterator[ServerProcess]:
    """A server that asks clients for no certificate, and looks often."""
    with serving(
        *tls_options(keys),
        *("--set", "server.tls_check_interval=100ms"),
        *("--set", "data_plane.request_timeout=1s"),
    ) as process:
        yield process


@pytest.fixture(scope="module")
def mutual_tls(keys: Keys) -> Iterator[ServerProcess]:
    with serving(*tls_options(keys, client_ca=keys.authority)) as process:
        yield process


def s_client(address: str, keys: Keys, *options: str, said: bytes = b"") -> str:
    """What openssl's client tells of a connection; it ends when the server has answered."""
    command = ["openssl", "s_client", "-connect", address, "-CAfile", str(keys.authority.cert)]
    command += ["-verify_return_error", "-servername", "localhost", "-ign_eof", *options]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        # It goes on until the server closes: on a broken preface at the latest.
        output, _ = process.communicate(said or b"no HTTP/2 at all" * 4, timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    return output.decode(errors="replace")


def shows(identity: Identity) -> list[str]:
    """The client's own certificate, for s_client."""
    return [
        "-cert",
        str(identity.cert),
        "-cert_chain",
        str(identity.cert),
        "-key",
        str(identity.key),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_openssls_client_agrees_on_h2(plain_tls: ServerProcess, keys: Keys, version: str) -> None:
    told = s_client(plain_tls.data_plane, keys, version, "-alpn", "http/1.1,h2")
    assert "ALPN protocol: h2" in told
    assert "Verify return code: 0 (ok)" in told
    assert "Compression: NONE" in told
    assert re.search(r"New, TLSv1\.[23], Cipher is (TLS_AES_128_GCM|ECDHE-ECDSA-AES)", told), told


@pytest.mark.parametrize("version", VERSIONS)
def test_openssls_client_is_refused_without_h2(
    plain_tls: ServerProcess, keys: Keys, version: str
) -> None:
    for alpn in ([], ["-alpn", "http/1.1"]):
        told = s_client(plain_tls.data_plane, keys, version, *alpn)
        assert "no application protocol" in told
        assert "SSL alert number 120" in told


@pytest.mark.parametrize("version", VERSIONS)
def test_openssls_client_is_asked_for_its_certificate(
    mutual_tls: ServerProcess, keys: Keys, version: str
) -> None:
    for identity, alert in (
        ([], r"certificate required|handshake failure"),
        (shows(keys.stranger), r"unknown ca"),
        (shows(keys.expired), r"certificate expired"),
    ):
        told = s_client(mutual_tls.data_plane, keys, version, "-alpn", "h2", *identity)
        assert re.search(alert, told), told
    for identity in (shows(keys.client), shows(keys.branch_client)):
        told = s_client(mutual_tls.data_plane, keys, version, "-alpn", "h2", *identity)
        assert "alert" not in told
        assert "ALPN protocol: h2" in told
        assert "Acceptable client certificate CA names\nCN = authority" in told


def test_older_versions_are_refused(plain_tls: ServerProcess, keys: Keys) -> None:
    for version in ("-tls1", "-tls1_1"):
        told = s_client(
            plain_tls.data_plane, keys, version, "-alpn", "h2", "-cipher", "ALL:@SECLEVEL=0"
        )
        assert "alert protocol version" in told


def test_the_machine_may_want_a_newer_version(keys: Keys, tmp_path: Path) -> None:
    wanted = tmp_path / "openssl.cnf"
    sections = ("openssl_conf = all", "[all]", "ssl_conf = ssl", "[ssl]", "system_default = every")
    wanted.write_text("\n".join((*sections, "[every]", "MinProtocol = TLSv1.3", "")))
    with serving(*tls_options(keys), environment={"OPENSSL_CONF": str(wanted)}) as process:
        assert "alert protocol version" in s_client(
            process.data_plane, keys, "-tls1_2", "-alpn", "h2"
        )
        assert "ALPN protocol: h2" in s_client(process.data_plane, keys, "-tls1_3", "-alpn", "h2")


def test_a_client_that_renegotiates_is_cut_off(plain_tls: ServerProcess, keys: Keys) -> None:
    # s_client reads R at a line's begin as the wish to renegotiate, unless told -ign_eof.
    command = ["openssl", "s_client", "-connect", plain_tls.data_plane, "-tls1_2", "-alpn", "h2"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            if b"Extended master secret" in line:
                break
        process.stdin.write(b"R\n")
        process.stdin.flush()
        told = process.stdout.read()  # to the end of the connection
    assert b"no renegotiation" in told
    seen_in_the_log(plain_tls, "the client asked to renegotiate")


@contextmanager
def channel(
    process: ServerProcess, keys: Keys, shown: Identity | None = None
) -> Iterator[grpc.Channel]:
    credentials = grpc.ssl_channel_credentials(
        keys.authority.cert_pem,
        None if shown is None else shown.key_pem,
        None if shown is None else shown.cert_pem,
    )
    port = process.data_plane.rpartition(":")[2]
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", 64 << 20)]
    with grpc.secure_channel(f"localhost:{port}", credentials, options=options) as opened:
        yield opened


def is_served(process: ServerProcess, keys: Keys) -> bool:
    with channel(process, keys) as opened:
        request = health_pb2.HealthCheckRequest()
        answer = health_pb2_grpc.HealthStub(opened).Check(request, timeout=SECONDS)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def seen_in_the_log(process: ServerProcess, text: str) -> None:
    wait_until(lambda: text in process.stderr(), f"{text!r} in the log")


def batch(size: int) -> service_pb.ExecuteRequest:
    """Reserves of a SKU that nobody knows; every third is a release of a hold that is not there."""
    reserve = pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="S" * 60, quantity=1)])
    release = pb.ReleaseRequest(reservation_id="0" * 32)
    both = service_pb.Command(reserve=reserve), service_pb.Command(release=release)
    return service_pb.ExecuteRequest(commands=[both[index % 3 == 2] for index in range(size)])


@pytest.mark.parametrize("mutual", [False, True])
def test_big_messages_go_through_in_many_records(
    plain_tls: ServerProcess, mutual_tls: ServerProcess, keys: Keys, mutual: bool
) -> None:
    process = mutual_tls if mutual else plain_tls
    with channel(process, keys, keys.client if mutual else None) as opened:
        stub = pb_grpc.ReservationServiceStub(opened)
        for size in (3, 160, 240, 40_000):  # to 3 MB, and around the 16 KiB of a record
            (answer,) = stub.Execute(iter([batch(size)]), timeout=SECONDS)
            told = [result.WhichOneof("result") for result in answer.results]
            assert told == ["release" if index % 3 == 2 else "reserve" for index in range(size)]


def closed_by_the_server(connection: socket.socket) -> bytes:
    """What it sent before it closed; fails where it leaves the connection open."""
    connection.settimeout(SECONDS)
    got = b""
    try:
        while more := connection.recv(1 << 16):
            got += more
    except ConnectionResetError:
        pass
    return got


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def test_plain_http_on_the_port_of_tls_is_closed_at_once(
    plain_tls: ServerProcess, keys: Keys
) -> None:
    before = plain_tls.stderr().count("\n")
    for said in (Raw.PREFACE + frame(SETTINGS), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0"):
        for _ in range(100):
            with connect(plain_tls.data_plane) as connection:
                connection.sendall(said)
                assert closed_by_the_server(connection) == b""
    seen_in_the_log(plain_tls, "the latest: the client speaks no TLS")
    assert is_served(plain_tls, keys)
    # 300 refusals: a line at each look, and not one for each.
    assert plain_tls.stderr().count("\n") - before < 100


def test_tls_on_a_plain_port_is_closed_at_once(keys: Keys) -> None:
    with serving() as process:
        before = process.stderr()
        for _ in range(100):
            host, _, port = process.data_plane.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=SECONDS) as plain:
                context = client_context(keys)
                with pytest.raises(OSError):  # noqa: PT011 - no TLS answers; in which words varies
                    context.wrap_socket(plain, server_hostname="localhost")
        assert process.stderr() == before
        with Raw(process.data_plane) as raw:
            assert raw.read_until(SETTINGS) is not None


def test_garbage_and_cut_handshakes_trouble_nobody(plain_tls: ServerProcess, keys: Keys) -> None:
    source = random.Random(20261123)
    hello = client_hello(keys)
    before = plain_tls.stderr().count("\n")
    for _ in range(150):
        with connect(plain_tls.data_plane) as connection:
            connection.sendall(hello[: source.randrange(1, len(hello))])  # and gone
    for _ in range(150):
        bent = bytearray(hello)
        for _ in range(source.randrange(1, 9)):
            bent[source.randrange(len(bent))] = source.randrange(256)
        with connect(plain_tls.data_plane) as connection:
            connection.sendall(bytes(bent) + source.randbytes(source.randrange(2_000)))
            connection.shutdown(socket.SHUT_WR)
            closed_by_the_server(connection)
    assert is_served(plain_tls, keys)
    assert plain_tls.stderr().count("\n") - before < 100


def client_hello(keys: Keys) -> bytes:
    """The first flight of an honest client."""
    outgoing = ssl.MemoryBIO()
    client = client_context(keys).wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_handshake_that_does_not_end_is_closed_in_time(
    plain_tls: ServerProcess, keys: Keys
) -> None:
    hello = client_hello(keys)
    host, _, port = plain_tls.data_plane.rpartition(":")
    with (
        socket.create_connection((host, int(port)), timeout=SECONDS) as plain,
        client_context(keys).wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(Raw.PREFACE + frame(SETTINGS))
        # data_plane.request_timeout is 1 s here; these would wait for ever.
        waiting = []
        for said in (b"", hello[:1], hello[:-1], hello):
            waiting.append(connect(plain_tls.data_plane))
            waiting[-1].sendall(said)
        for each in waiting:
            closed_by_the_server(each)
            each.close()
        # Who is through with it is not meant.
        ping = frame(PING, body=b"12345678")
        connection.sendall(ping)
        got = b""
        while frame(PING, ACK, body=ping[9:]) not in got:
            more = connection.recv(1 << 16)
            assert more
            got += more


def test_a_server_that_stops_says_farewell(keys: Keys) -> None:
    with serving(*tls_options(keys)) as process:
        host, _, port = process.data_plane.rpartition(":")
        context = client_context(keys)
        with (
            socket.create_connection((host, int(port)), timeout=SECONDS) as plain,
            context.wrap_socket(
                plain, server_hostname="localhost", suppress_ragged_eofs=False
            ) as connection,
        ):
            connection.sendall(Raw.PREFACE + frame(SETTINGS))
            process.process.terminate()
            got = b""
            while more := connection.recv(1 << 16):  # an end without close_notify raises
                got += more
        assert bytes([GOAWAY]) in got
        assert process.wait() == 0
