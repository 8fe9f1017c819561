"""How a client connects: shared and own connections, TLS, and what grpcio is told.

Real connections on the loopback address; the certificate is made for the test.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp.client import AtpError, ChannelOptions, Client, RetryPolicy, Tls, Unavailable
from atp.v1 import maintenance_service_pb2 as pb
from client_faces import FACES, client_face
from scripted_server import scripted
from server_process import ServerProcess, serving

STATUS = pb.GetStatusResponse(version="scripted")


@pytest.mark.parametrize(("own", "connections"), [(False, 1), (True, 3)])
def test_own_connections(own: bool, connections: int) -> None:
    """Clients of one process share a connection unless told otherwise, as a load generator is."""
    options = ChannelOptions(own_connection=own)
    with scripted(STATUS) as server, contextlib.ExitStack() as stack:
        for _ in range(3):
            client = stack.enter_context(Client(server.address, server.address, options=options))
            assert client.get_status().version == "scripted"
    assert len({each.peer for each in server.asked}) == connections


def test_a_lost_server_is_looked_for_soon() -> None:
    """grpcio itself would wait a second before it connects again, and longer each time."""
    retry = RetryPolicy(attempts_max=1_000, backoff_first_s=0.02, backoff_max_s=0.02)
    connections = 0
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with Client(control_address=address, retry=retry) as client:
            asking = threading.Thread(target=asked_in_vain, args=(client,))
            asking.start()
            while asking.is_alive():
                with contextlib.suppress(TimeoutError):
                    listener.accept()[0].close()
                    connections += 1
            asking.join()
    assert connections >= 4


def asked_in_vain(client: Client) -> None:
    with contextlib.suppress(AtpError):
        client.get_status(timeout_s=2.5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with cert.pem and key.pem of a server named atp.test."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
            *("-days", "2", "-subj", "/CN=atp.test", "-addext", "subjectAltName=DNS:atp.test"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


@pytest.fixture(scope="module")
def tls_server(certificate: Path) -> Iterator[ServerProcess]:
    """A server whose control plane is encrypted and asks its callers for the certificate."""
    files = {"cert": "cert.pem", "key": "key.pem", "client_ca": "cert.pem"}
    settings = [f"control_plane.tls.{name}={certificate / file}" for name, file in files.items()]
    with serving(*(word for setting in settings for word in ("--set", setting))) as process:
        yield process


@pytest.mark.parametrize("face", FACES)
def test_each_plane_has_its_own_tls(
    face: str, certificate: Path, tls_server: ServerProcess
) -> None:
    cert = (certificate / "cert.pem").read_bytes()
    key = (certificate / "key.pem").read_bytes()
    with client_face(
        face,
        tls_server.data_plane,
        tls_server.control_plane,
        control_tls=Tls(cert, key, cert, server_name="atp.test"),
    ) as client:
        assert client.set_stock("MUG", 3).stock is not None
        assert client.get_availability(["MUG"])[0].available == 3


@pytest.mark.parametrize("case", ["no TLS", "another name", "no certificate of its own"])
def test_a_server_that_cannot_be_trusted_or_does_not_trust(
    case: str, certificate: Path, tls_server: ServerProcess
) -> None:
    cert = (certificate / "cert.pem").read_bytes()
    key = (certificate / "key.pem").read_bytes()
    tls = {
        "no TLS": None,
        "another name": Tls(cert, key, cert, server_name="other.test"),
        "no certificate of its own": Tls(cert, server_name="atp.test"),
    }[case]
    with (
        Client(tls_server.data_plane, tls_server.control_plane, control_tls=tls) as client,
        pytest.raises(Unavailable) as caught,
    ):
        client.get_status(timeout_s=2)
    assert not caught.value.answered


def test_what_grpcio_is_told() -> None:
    options = dict(ChannelOptions().as_grpc(None))
    assert options["grpc.enable_retries"] == 0
    assert options["grpc.max_receive_message_length"] == 64 << 20
    assert options["grpc.keepalive_time_ms"] == 30_000
    assert options["grpc.initial_reconnect_backoff_ms"] == 100
    assert options["grpc.enable_http_proxy"] == 0
    quiet = dict(ChannelOptions(keepalive_s=0, http_proxy=True).as_grpc(Tls(server_name="x")))
    assert "grpc.keepalive_time_ms" not in quiet
    assert quiet["grpc.enable_http_proxy"] == 1
    assert quiet["grpc.ssl_target_name_override"] == "x"
