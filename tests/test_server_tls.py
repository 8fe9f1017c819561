"""TLS on either plane: served with a certificate, refused with one that can't be used.

Makes its keys with the openssl command; where that is missing the tests are skipped and say so.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from server_process import run_atp, serving

SECONDS = 20.0
FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl command to make certificates with"
)


class Keys(NamedTuple):
    """Files: a server's certificate and key, a client's, and a key of neither."""

    cert: Path
    key: Path
    client_cert: Path
    client_key: Path
    other_key: Path
    locked_key: Path


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    folder = tmp_path_factory.mktemp("keys")
    made = Keys(*(folder / f"{name}.pem" for name in Keys._fields))
    for cert, key in ((made.cert, made.key), (made.client_cert, made.client_key)):
        openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost", "-keyout", key, "-out", cert),
            *("-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
        )
    curve = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
    openssl("genpkey", *curve, "-out", made.other_key)
    openssl("genpkey", *curve, "-aes256", "-pass", "pass:secret", "-out", made.locked_key)
    return made


def health(address: str, credentials: grpc.ChannelCredentials) -> int:
    """The overall health that a plane tells a TLS client."""
    port = address.rpartition(":")[2]
    with grpc.secure_channel(f"localhost:{port}", credentials) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status


def test_both_planes_serve_tls_on_any_interface_without_insecure(keys: Keys) -> None:
    options = []
    for plane in ("data_plane", "control_plane"):
        options += ["--set", f"{plane}.address=0.0.0.0:0"]
        options += ["--set", f"{plane}.tls.cert={keys.cert}"]
        options += ["--set", f"{plane}.tls.key={keys.key}"]
    with serving(*options) as process:
        trusted = grpc.ssl_channel_credentials(keys.cert.read_bytes())
        for address in (process.data_plane, process.control_plane):
            assert health(address, trusted) == health_pb2.HealthCheckResponse.SERVING


def test_a_client_without_an_accepted_certificate_is_refused(keys: Keys) -> None:
    with serving(
        *("--set", f"control_plane.tls.cert={keys.cert}"),
        *("--set", f"control_plane.tls.key={keys.key}"),
        *("--set", f"control_plane.tls.client_ca={keys.client_cert}"),
    ) as process:
        known = grpc.ssl_channel_credentials(
            keys.cert.read_bytes(), keys.client_key.read_bytes(), keys.client_cert.read_bytes()
        )
        assert health(process.control_plane, known) == health_pb2.HealthCheckResponse.SERVING
        unknown = grpc.ssl_channel_credentials(keys.cert.read_bytes())
        with pytest.raises(grpc.RpcError) as raised:
            health(process.control_plane, unknown)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_certificate_that_cannot_be_used_is_told_in_one_line(keys: Keys, tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing of the kind")
    for cert, key, client_ca, line in (
        (tmp_path / "no", keys.key, "", f"cert {tmp_path}/no can't be read: No such file"),
        (tmp_path, keys.key, "", f"cert {tmp_path} can't be read: Is a directory"),
        (keys.cert, tmp_path / "no", "", f"key {tmp_path}/no can't be read: No such file"),
        (keys.cert, keys.other_key, "", "unencrypted private key: key values mismatch"),
        (keys.cert, keys.locked_key, "", "with its unencrypted private key: "),
        (junk, keys.key, "", f"cert {junk} and control_plane.tls.key {keys.key} are no "),
        (keys.cert, keys.key, junk, f"client_ca {junk} has no certificate: "),
    ):
        done = run_atp(
            *("serve", *FREE),
            *("--set", f"control_plane.tls.cert={cert}"),
            *("--set", f"control_plane.tls.key={key}"),
            *("--set", f"control_plane.tls.client_ca={client_ca}"),
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("atp: control_plane.tls.")
        assert line in done.stderr
