"""HTTP/2 as curl and h2load speak it, and what is no gRPC: the wrong type, the wrong protocol.

Real processes on loopback. What can't be a call is refused at once and in the protocol's own way.
"""

from __future__ import annotations

import re
import socket
import struct
import subprocess
import time
import zlib
from collections.abc import Iterator

import pytest

from atp.v1 import reservation_pb2 as pb
from interop import curl, http2
from interop.http2 import call_fields, prefixed
from interop.programs import program
from interop.stock import new_skus, reserve_request
from server_process import ServerProcess, serving

SERVICE = "atp.v1.ReservationService"
QUICKLY_SECONDS = 5.0


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def url(server: ServerProcess, method: str = "Reserve", service: str = SERVICE) -> str:
    return f"http://{server.data_plane}/{service}/{method}"


def post(server: ServerProcess, request: pb.ReserveRequest, *headers: str) -> curl.Seen:
    return curl.post(url(server), prefixed(request), *curl.GRPC, *headers)


def test_curl_reserves(server: ServerProcess) -> None:
    (sku,) = new_skus(server)
    seen = post(server, reserve_request(sku))
    assert (seen.exit_status, seen.status) == (0, 200), seen
    assert seen.headers["content-type"].startswith("application/grpc")
    assert seen.headers["grpc-status"] == "0"
    compressed, size = struct.unpack(">BI", seen.body[:5])
    assert (compressed, size) == (0, len(seen.body) - 5)
    reply = pb.ReserveResponse.FromString(seen.body[5:])
    assert reply.outcome == pb.RESERVE_OUTCOME_GRANTED


def test_curl_reads_an_error(server: ServerProcess) -> None:
    """Trailers alone, on HTTP status 200, as gRPC has it."""
    asked = reserve_request("A")
    asked.client_ip = "für"
    seen = post(server, asked)
    assert (seen.exit_status, seen.status, seen.body) == (0, 200, b"")
    assert seen.headers["grpc-status"] == "3"
    assert "f%C3%BCr" in seen.headers["grpc-message"]
    assert re.fullmatch(r"[A-Za-z0-9+/]+=*", seen.headers["grpc-status-details-bin"])


def test_an_answer_is_the_same_with_every_form_of_the_content_type(server: ServerProcess) -> None:
    for form in ("application/grpc", "application/grpc+proto"):
        asked = prefixed(reserve_request("A"))
        seen = curl.post(url(server), asked, f"content-type: {form}", "te: trailers")
        assert (seen.status, seen.headers["grpc-status"]) == (200, "0"), form


@pytest.mark.parametrize("form", ["application/json", "text/plain", "application/grp"])
def test_what_is_no_grpc_is_told_so_as_http_has_it(server: ServerProcess, form: str) -> None:
    asked = prefixed(reserve_request("A"))
    seen = curl.post(url(server), asked, f"content-type: {form}")
    assert (seen.exit_status, seen.status) == (0, 415), seen


def test_a_method_or_service_that_is_not_there_is_unimplemented(server: ServerProcess) -> None:
    for missing in (url(server, "Reserv"), url(server, service="atp.v1.Reservations")):
        seen = curl.post(missing, prefixed(reserve_request("A")), *curl.GRPC)
        assert (seen.status, seen.headers["grpc-status"]) == (200, "12"), seen


def test_who_sends_much_to_a_method_that_is_not_there_is_told_at_once(
    server: ServerProcess,
) -> None:
    """Others are told when they have sent their last; nobody is left waiting for a window."""
    with http2.connected(server.data_plane) as connection:
        connection.send(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, call_fields("Nothing")))
        for _ in range(3):
            connection.send(http2.frame(http2.DATA, 0, 1, bytes(16_384)))
        told = next(each for each in connection.frames() if each.stream == 1)
        assert (told.kind, told.flags & http2.END_STREAM) == (http2.HEADERS, http2.END_STREAM)


def gzipped(request: pb.ReserveRequest) -> bytes:
    packer = zlib.compressobj(wbits=31)
    data = packer.compress(request.SerializeToString()) + packer.flush()
    return b"\1" + len(data).to_bytes(4, "big") + data


def test_a_compressed_message_is_refused_with_what_would_do(server: ServerProcess) -> None:
    (sku,) = new_skus(server)
    asked = gzipped(reserve_request(sku))
    seen = curl.post(url(server), asked, *curl.GRPC, "grpc-encoding: gzip")
    assert (seen.status, seen.headers["grpc-status"]) == (200, "12"), seen
    assert seen.headers["grpc-accept-encoding"] == "identity"
    assert "identity" in seen.headers["grpc-message"]


def test_an_encoding_may_be_named_and_not_used(server: ServerProcess) -> None:
    """The protocol lets a client send messages as they are whatever encoding it names."""
    (sku,) = new_skus(server)
    seen = post(server, reserve_request(sku), "grpc-encoding: gzip")
    assert seen.headers["grpc-status"] == "0"
    assert pb.ReserveResponse.FromString(seen.body[5:]).outcome == pb.RESERVE_OUTCOME_GRANTED


def test_a_call_whose_time_is_up_before_its_message_is_there_is_not_judged(
    server: ServerProcess,
) -> None:
    (sku,) = new_skus(server)
    asked = reserve_request(sku)
    with http2.connected(server.data_plane) as connection:
        timeout = ("grpc-timeout", "1m")
        block = call_fields("Reserve", timeout)
        connection.send(http2.frame(http2.HEADERS, http2.END_HEADERS, 1, block))
        ended = next(each for each in connection.frames() if each.stream == 1)
        assert ended.kind == http2.HEADERS
        assert ended.flags & http2.END_STREAM, "trailers alone"
        connection.send(http2.frame(http2.DATA, http2.END_STREAM, 1, prefixed(asked)))
        # The connection goes on, and has judged nothing.
        ask = pb.GetAvailabilityRequest(skus=[sku])
        connection.call(3, "GetAvailability", ask)
        answer = next(
            each for each in connection.frames() if each[:3] == (http2.DATA, 0, 3) and each.body
        )
    reply = pb.GetAvailabilityResponse.FromString(answer.body[5:])
    assert reply.availabilities[0].available_quantity == 100


@pytest.mark.parametrize("options", [("--http1.1",), ("--http2",)])
def test_http_1_is_refused_quickly(server: ServerProcess, options: tuple[str, ...]) -> None:
    """The connection is closed, or HTTP/1.1 is told that this is not spoken here."""
    started = time.monotonic()
    seen = curl.post(url(server), prefixed(reserve_request("A")), *curl.GRPC, options=options)
    assert time.monotonic() - started < QUICKLY_SECONDS
    assert seen.exit_status != 0 or seen.status >= 400, seen
    assert post(server, reserve_request("A")).headers["grpc-status"] == "0"


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"\r\n\r\n",
        bytes(100),
    ],
)
def test_what_is_no_http_2_at_all_is_closed_quickly(server: ServerProcess, sent: bytes) -> None:
    host, _, port = server.data_plane.rpartition(":")
    with socket.create_connection((host, int(port)), QUICKLY_SECONDS) as visitor:
        visitor.sendall(sent)
        while read(visitor):
            continue


def read(visitor: socket.socket) -> bytes:
    """What has come; nothing once the other side has closed. Fails when it takes too long."""
    try:
        return visitor.recv(65_536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(("connections", "streams"), [(1, 1), (20, 1), (4, 16)])
def test_h2load_is_answered_every_time(
    server: ServerProcess, tmp_path_factory: pytest.TempPathFactory, connections: int, streams: int
) -> None:
    (sku,) = new_skus(server)
    body = tmp_path_factory.mktemp("h2load") / "body"
    body.write_bytes(prefixed(reserve_request(sku)))
    calls = 2_000
    command = [program("h2load"), "-n", str(calls), "-c", str(connections), "-m", str(streams)]
    for header in curl.GRPC:
        command += ["-H", header]
    done = subprocess.run(
        [*command, "-d", str(body), url(server)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert f"{calls} succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout
    assert f"status codes: {calls} 2xx" in done.stdout, done.stdout
    availability = pb.GetAvailabilityRequest(skus=[sku])
    seen = curl.post(url(server, "GetAvailability"), prefixed(availability), *curl.GRPC)
    reply = pb.GetAvailabilityResponse.FromString(seen.body[5:])
    # One request id for ever: one hold.
    assert reply.availabilities[0].held_quantity == 1
