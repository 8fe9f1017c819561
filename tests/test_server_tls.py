"""TLS on either plane: served with a certificate, refused with one that can't be used.

What happens on the wire of the data plane is in test_server_tls_wire.py, how certificates are
replaced in test_server_tls_reload.py.
"""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.settings import PLANES, TLS_PARTS
from server_process import run_atp, serving
from tls_keys import NEEDS_OPENSSL, Keys, make_keys

SECONDS = 20.0
FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")

pytestmark = NEEDS_OPENSSL


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def health(address: str, credentials: grpc.ChannelCredentials) -> int:
    """The overall health that a plane tells a TLS client."""
    port = address.rpartition(":")[2]
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status


def options_of(plane: str, **files: Path | str) -> list[str]:
    """Options of `atp serve` for the files of a plane's TLS."""
    return [
        word for part, path in files.items() for word in ("--set", f"{plane}.tls.{part}={path}")
    ]


def test_both_planes_serve_tls_on_any_interface_without_insecure(keys: Keys) -> None:
    options = []
    for plane in PLANES:
        options += ["--set", f"{plane}.address=0.0.0.0:0"]
        options += options_of(plane, cert=keys.server.cert, key=keys.server.key)
    with serving(*options) as process:
        trusted = grpc.ssl_channel_credentials(keys.authority.cert_pem)
        for address in (process.data_plane, process.control_plane):
            assert health(address, trusted) == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("plane", PLANES)
def test_a_client_without_an_accepted_certificate_is_refused(keys: Keys, plane: str) -> None:
    files = {"cert": keys.server.cert, "key": keys.server.key, "client_ca": keys.authority.cert}
    root = keys.authority.cert_pem
    with serving(*options_of(plane, **files)) as process:
        address = getattr(process, plane)
        for accepted in (keys.client, keys.branch_client):
            known = grpc.ssl_channel_credentials(root, accepted.key_pem, accepted.cert_pem)
            assert health(address, known) == health_pb2.HealthCheckResponse.SERVING
        for refused in (
            grpc.ssl_channel_credentials(root),
            grpc.ssl_channel_credentials(root, keys.stranger.key_pem, keys.stranger.cert_pem),
            grpc.ssl_channel_credentials(root, keys.expired.key_pem, keys.expired.cert_pem),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                health(address, refused)
            assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("plane", PLANES)
def test_a_certificate_that_cannot_be_used_is_told_in_one_line(
    keys: Keys, tmp_path: Path, plane: str
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing of the kind")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    cert, key = keys.server
    for files, line in (
        ((tmp_path / "no", key, ""), f"cert {tmp_path}/no can't be read: No such file"),
        ((tmp_path, key, ""), f"cert {tmp_path} can't be read: Is a directory"),
        ((cert, tmp_path / "no", ""), f"key {tmp_path}/no can't be read: No such file"),
        ((cert, keys.renewed.key, ""), "unencrypted private key: key values mismatch"),
        ((cert, keys.locked_key, ""), "private key: the key is encrypted with a pass phrase"),
        ((junk, key, ""), f"cert {junk} and {plane}.tls.key {key} are no certificate with its"),
        ((cert, key, junk), f"client_ca {junk} has no certificate: "),
        ((cert, key, empty), f"client_ca {empty} has no certificate: the file is empty"),
    ):
        parts = dict(zip(TLS_PARTS, files, strict=True))
        done = run_atp("serve", *FREE, *options_of(plane, **parts))
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith(f"atp: {plane}.tls.")
        assert line in done.stderr


def test_strangers_at_the_control_planes_port_write_nothing_into_the_log(keys: Keys) -> None:
    with serving(
        *options_of("control_plane", cert=keys.server.cert, key=keys.server.key)
    ) as process:
        before = process.stderr()
        host, _, port = process.control_plane.rpartition(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=SECONDS) as stranger:
                stranger.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 10)
                with contextlib.suppress(ConnectionResetError):
                    while stranger.recv(1 << 16):
                        pass
        trusted = grpc.ssl_channel_credentials(keys.authority.cert_pem)
        assert health(process.control_plane, trusted) == health_pb2.HealthCheckResponse.SERVING
        assert process.stderr() == before
