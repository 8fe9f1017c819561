"""The port of /metrics under whatever comes: TLS, strangers, crowds, those who never end.

None of them may cost the data plane an answer, or the next honest scrape more than a few seconds.
"""

from __future__ import annotations

import contextlib
import http.client
import signal
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from atp.server.listen import Listen
from atp.server.metrics_http import CONNECTIONS_MAX, HEAD_BYTES_MAX, MetricsPort
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from scrape import Scrape, get, scrape, scraped_server
from server_process import ServerProcess, wait_until
from server_stubs import Stubs, stubs_to
from tls_keys import NEEDS_OPENSSL, Keys, issue, make_keys

SECONDS = 20.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with scraped_server() as process:
        yield process


def connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=SECONDS)


def said(connection: socket.socket) -> bytes:
    """All that it is told, until the other side ends it."""
    told = b""
    try:
        while part := connection.recv(65_536):
            told += part
    except ConnectionResetError:
        pass  # the other side ended with bytes of ours unread
    return told


def asked(address: str, request: bytes) -> bytes:
    with connect(address) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it had heard enough
            connection.sendall(request)
        return said(connection)


def is_served(server: ServerProcess) -> bool:
    """An honest scrape is answered."""
    try:
        return get(server.metrics)[0] == 200
    except (OSError, http.client.HTTPException):
        return False


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/", "GET", 404), ("/metrics/x", "GET", 404), ("/metrics", "POST", 405)],
)
def test_there_is_one_thing_to_ask_for(
    server: ServerProcess, path: str, method: str, status: int
) -> None:
    told, body = get(server.metrics, path, method)
    assert told == status
    assert body in ("metrics are at /metrics\n", "metrics are read with GET\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /metrics HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 2 * HEAD_BYTES_MAX + b"\r\n\r\n",
        b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * HEAD_BYTES_MAX + b"\r\n",
        b"GET /" + b"x" * 2 * HEAD_BYTES_MAX + b" HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01 this is TLS, or something else\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\r\n" * 100,
        b"\0" * 50_000,
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_is_served(
    server: ServerProcess, request_: bytes
) -> None:
    told = asked(server.metrics, request_)
    assert b" 200 " not in told.split(b"\r\n")[0]
    assert b"atp_" not in told
    assert is_served(server)
    assert "rror" not in server.stderr()


def test_a_crowd_that_never_asks_keeps_nobody_from_being_served_for_long(
    server: ServerProcess,
) -> None:
    with ExitStack() as crowd, stubs_to(server) as stubs:
        slow = [crowd.enter_context(connect(server.metrics)) for _ in range(CONNECTIONS_MAX)]
        for connection in slow:
            connection.sendall(b"GET /met")
        began = time.monotonic()
        beyond = connect(server.metrics)
        assert said(beyond) == b""  # one more than there are threads for: ended at once
        assert time.monotonic() - began < 4
        beyond.close()
        assert_answers(stubs, 200)
        for connection in slow[:2]:
            connection.sendall(b"r")  # being slow on purpose gives nobody more time
        wait_until(lambda: is_served(server), "a scrape to be served again")
        assert all(said(connection) == b"" for connection in slow)
    assert time.monotonic() - began < 15


def test_who_does_not_take_the_answer_is_cut_off(server: ServerProcess) -> None:
    with connect(server.metrics) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert is_served(server)


def test_a_flood_of_connections_and_scrapes_costs_the_data_plane_no_answer(
    server: ServerProcess,
) -> None:
    stop = threading.Event()
    statuses: list[int] = []

    def flood() -> None:
        while not stop.is_set():
            try:
                statuses.append(get(server.metrics)[0])
            except (OSError, http.client.HTTPException):
                statuses.append(0)  # one too many at once

    threads = [threading.Thread(target=flood) for _ in range(2 * CONNECTIONS_MAX)]
    for thread in threads:
        thread.start()
    try:
        with stubs_to(server) as stubs:
            assert_answers(stubs, 300)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert 200 in statuses
    assert set(statuses) <= {0, 200, 503}
    told = scrape(server.metrics)
    assert told.value("atp_scrapes_refused_total") >= statuses.count(503)
    assert told.value("atp_threads") < 100


def assert_answers(stubs: Stubs, count: int) -> None:
    """Reserves, one after the other, are all answered within a second each."""
    request = stock_pb.SetStockRequest(sku="MUG", on_hand_quantity=1_000_000)
    stubs.stock.SetStock(request, timeout=SECONDS)
    for number in range(count):
        hold = pb.ReserveRequest(
            request_id=f"{time.monotonic_ns()}-{number}", lines=[pb.Line(sku="MUG", quantity=1)]
        )
        answer = stubs.reservations.Reserve(hold, timeout=1.0)
        assert answer.outcome == pb.RESERVE_OUTCOME_GRANTED


def test_an_answer_under_way_ends_with_the_port() -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(_environ: object, start_response: object) -> list[bytes]:
        entered.set()
        leave.wait(SECONDS)
        start_response("200 OK", [])  # type: ignore[operator]
        return [b"late"]

    port = MetricsPort(slow, lambda: None)  # type: ignore[arg-type]
    address = port.open(Listen("127.0.0.1:0", None))
    with connect(address) as connection:
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert entered.wait(SECONDS)
        port.close()
        assert said(connection) == b""
    leave.set()
    port.close()
    with pytest.raises(ConnectionRefusedError):
        connect(address)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def over_tls(address: str, context: ssl.SSLContext) -> Scrape:
    host, _, port = address.rpartition(":")
    connection = http.client.HTTPSConnection(host, int(port), timeout=SECONDS, context=context)
    try:
        connection.request("GET", "/metrics")
        return Scrape(connection.getresponse().read().decode())
    finally:
        connection.close()


@NEEDS_OPENSSL
def test_with_tls_only_those_with_a_certificate_of_the_authority_are_told(
    keys: Keys, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    cert.write_bytes(keys.server.cert_pem)
    key.write_bytes(keys.server.key_pem)
    options = [
        word
        for part, path in (("cert", cert), ("key", key), ("client_ca", keys.authority.cert))
        for word in ("--set", f"metrics.tls.{part}={path}")
    ]
    client = ssl.create_default_context(cafile=str(keys.authority.cert))
    with scraped_server(*options) as server:
        with pytest.raises(OSError):  # noqa: PT011  # whichever way TLS says so
            over_tls(server.metrics, client)
        assert asked(server.metrics, b"GET /metrics HTTP/1.0\r\n\r\n") == b""
        client.load_cert_chain(keys.client.cert, keys.client.key)
        first = over_tls(server.metrics, client)
        until = first.value("atp_certificate_expiry_timestamp_seconds", plane="metrics")
        assert until > time.time()
        later = issue(tmp_path, "later", by=keys.authority, days=3)
        cert.write_bytes(later.cert_pem)
        key.write_bytes(later.key_pem)
        server.signal(signal.SIGHUP)
        wait_until(
            lambda: (
                over_tls(server.metrics, client).value(
                    "atp_certificate_expiry_timestamp_seconds", plane="metrics"
                )
                != until
            ),
            "the other certificate to be in use",
        )
