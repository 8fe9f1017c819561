"""Certificates replaced while a server serves: what new connections see, what open ones feel."""

from __future__ import annotations

import logging
import shutil
import signal
import socket
import ssl
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp._front import TlsCertificate, check_tls
from atp.server.certificates import Certificate, Pem, Renewal
from atp.settings import PLANES, load
from server_process import ServerProcess, serving, wait_until
from tls_keys import NEEDS_OPENSSL, Identity, Keys, make_keys
from tls_talk import client_context

pytestmark = NEEDS_OPENSSL
SECONDS = 20.0
OFTEN = ("--set", "server.tls_check_interval=100ms")
DAY_NS = 86_400 * 1_000_000_000


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


class Files:
    """The files that a server is told of, and what is put into them."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.cert, self.key, self.client_ca = (
            folder / name for name in ("cert.pem", "key.pem", "client_ca.pem")
        )
        self.put(keys.server)
        self.accept(keys.authority)

    def put(self, identity: Identity) -> None:
        """As certbot does: one file after the other, each by a rename."""
        for source, target in ((identity.cert, self.cert), (identity.key, self.key)):
            shutil.copy(source, target.with_suffix(".new"))
            target.with_suffix(".new").rename(target)

    def accept(self, authority: Identity) -> None:
        self.client_ca.write_bytes(authority.cert_pem)

    def options(self, *, mutual: bool = False, planes: Iterable[str] = PLANES) -> list[str]:
        """The planes with these files."""
        parts = {"cert": self.cert, "key": self.key}
        parts |= {"client_ca": self.client_ca} if mutual else {}
        return [
            word
            for plane in planes
            for part, path in parts.items()
            for word in ("--set", f"{plane}.tls.{part}={path}")
        ]


@pytest.fixture
def files(tmp_path: Path, keys: Keys) -> Files:
    return Files(tmp_path, keys)


def addresses(process: ServerProcess) -> dict[str, str]:
    return {"data_plane": process.data_plane, "control_plane": process.control_plane}


def shown(address: str, keys: Keys, shows: Identity | None = None) -> bytes:
    """The certificate that a new connection sees. Raises OSError where it is refused."""
    host, _, port = address.rpartition(":")
    context = client_context(keys, shows=shows)
    with (
        socket.create_connection((host, int(port)), timeout=SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
        assert certificate is not None
        # A refusal by a server of TLS 1.3 comes after the handshake; settings come otherwise.
        if not connection.recv(1):
            raise ConnectionRefusedError("closed after the handshake")
    return certificate


def der(identity: Identity) -> bytes:
    return ssl.PEM_cert_to_DER_cert(identity.cert.read_text())


class Channel:
    """One gRPC connection that is asked again and again, and watched for being cut."""

    def __init__(self, address: str, keys: Keys, shows: Identity | None) -> None:
        credentials = grpc.ssl_channel_credentials(
            keys.authority.cert_pem,
            None if shows is None else shows.key_pem,
            None if shows is None else shows.cert_pem,
        )
        port = address.rpartition(":")[2]
        options = [("grpc.use_local_subchannel_pool", 1)]
        self.channel = grpc.secure_channel(f"localhost:{port}", credentials, options=options)
        self.states: list[grpc.ChannelConnectivity] = []

    def ask(self) -> None:
        stub = health_pb2_grpc.HealthStub(self.channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING

    def assert_never_cut(self) -> None:
        self.ask()
        assert self.states
        assert set(self.states) == {grpc.ChannelConnectivity.READY}


@contextmanager
def channels(
    process: ServerProcess, keys: Keys, shows: Identity | None = None
) -> Iterator[list[Channel]]:
    """One to each plane, connected."""
    opened = [Channel(address, keys, shows) for address in addresses(process).values()]
    for one in opened:
        one.ask()
        one.channel.subscribe(one.states.append)
        wait_until(lambda one=one: bool(one.states), "the state of a channel")
    try:
        yield opened
    finally:
        for one in opened:
            one.channel.close()


def test_sighup_shows_the_new_certificate_and_cuts_no_connection(keys: Keys, files: Files) -> None:
    with serving(*files.options()) as process, channels(process, keys) as opened:
        for address in addresses(process).values():
            assert shown(address, keys) == der(keys.server)
        files.put(keys.renewed)
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = (
                f"{plane}: changed files of TLS are in use, the certificate is for localhost until "
            )
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys) == der(keys.renewed)
        for one in opened:
            one.assert_never_cut()


def test_files_that_cannot_be_used_are_told_and_the_old_ones_stand(
    keys: Keys, files: Files
) -> None:
    with serving(*files.options()) as process, channels(process, keys) as opened:
        shutil.copy(keys.renewed.cert, files.cert)  # and not its key: half of a renewal
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = (
                f"{plane}.tls.cert {files.cert} and {plane}.tls.key {files.key} are no certificate"
                " with its unencrypted private key: key values mismatch; the certificate in use"
                " stays -> "
            )
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys) == der(keys.server)
        files.key.unlink()
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = f"{plane}.tls.key {files.key} can't be read: No such file or directory; the cer"
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys) == der(keys.server)
        files.put(keys.renewed)
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = f"{plane}: changed files of TLS are in use"
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys) == der(keys.renewed)
        for one in opened:
            one.assert_never_cut()


def test_changed_files_are_noticed_without_a_signal_and_bad_ones_told_once(
    keys: Keys, files: Files, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Files(tmp_path / "other", keys)
    options = [*files.options(planes=("data_plane",)), *other.options(planes=("control_plane",))]
    taken_over = "{}: changed files of TLS are in use"
    with serving(*options, *OFTEN) as process:
        shutil.copy(keys.renewed.cert, files.cert)
        bad = f"data_plane.tls.cert {files.cert} and "
        wait_until(lambda: bad in process.stderr(), bad)
        for count in range(1, 4):  # so the bad files were looked at this often, at least
            other.put(keys.renewed if count % 2 else keys.server)
            line = taken_over.format("control_plane")
            wait_until(lambda line=line, count=count: process.stderr().count(line) == count, line)
        assert shown(process.control_plane, keys) == der(keys.renewed)
        assert shown(process.data_plane, keys) == der(keys.server)
        files.put(keys.renewed)
        line = taken_over.format("data_plane")
        wait_until(lambda: line in process.stderr(), line)
        assert shown(process.data_plane, keys) == der(keys.renewed)
        assert process.stderr().count(line) == 1
        assert process.stderr().count(bad) == 1


def test_the_authorities_of_clients_are_replaced_too(keys: Keys, files: Files) -> None:
    with (
        serving(*files.options(mutual=True)) as process,
        channels(process, keys, keys.client) as opened,
    ):
        for address in addresses(process).values():
            assert shown(address, keys, keys.client) == der(keys.server)
            with pytest.raises(OSError):  # noqa: PT011 - in which words is up to the client
                shown(address, keys, keys.stranger)
        files.accept(keys.stranger)
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = f"{plane}: changed files of TLS are in use"
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys, keys.stranger) == der(keys.server)
            with pytest.raises(OSError):  # noqa: PT011
                shown(address, keys, keys.client)
        for one in opened:
            one.assert_never_cut()


def test_an_emptied_file_of_authorities_does_not_open_the_door(keys: Keys, files: Files) -> None:
    with serving(*files.options(mutual=True)) as process:
        files.client_ca.write_bytes(b"")
        process.signal(signal.SIGHUP)
        for plane, address in addresses(process).items():
            line = f"{plane}.tls.client_ca {files.client_ca} has no certificate: the file is empty"
            wait_until(lambda line=line: line in process.stderr(), line)
            assert shown(address, keys, keys.client) == der(keys.server)
            with pytest.raises(OSError):  # noqa: PT011
                shown(address, keys)


def test_a_certificate_that_has_run_out_is_served_with_a_warning(keys: Keys, files: Files) -> None:
    files.put(keys.expired)
    with serving(*files.options()) as process:
        for plane in PLANES:
            line = f"{plane}: the certificate for localhost ran out at "
            wait_until(lambda line=line: line in process.stderr(), line)


class Nobody:
    """Shows no certificate to anybody."""

    def take_certificate(self, pem: Pem) -> None:
        raise AssertionError("nothing has changed")

    def tls_refusals(self) -> tuple[int, str]:
        return 0, ""


NOBODY = Nobody()


def test_an_operator_is_told_in_time_that_a_certificate_runs_out(
    files: Files, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    parts = (("cert", files.cert), ("key", files.key))
    overrides = [(f"data_plane.tls.{part}", str(path), "--set") for part, path in parts]
    certificate = Certificate(load(environment={}, overrides=overrides), "data_plane")
    begin, end = certificate.facts.not_before_ns, certificate.facts.expire_ns
    assert end - begin == 2 * DAY_NS

    def told(now_ns: int, *, years: int = 0) -> str:
        caplog.clear()
        if years:
            facts = TlsCertificate("localhost", end - years * 365 * DAY_NS, end)
            certificate.replace(certificate.pem, facts)
        with caplog.at_level(logging.INFO), ThreadPoolExecutor(1) as executor:
            Renewal(executor, lambda: now_ns).keep(certificate, NOBODY)
        return caplog.text

    assert told(begin) == ""
    assert told(end - DAY_NS // 5 - 1) == ""
    assert "data_plane: the certificate for localhost runs out at " in told(end - DAY_NS // 5)
    assert "is not valid before " in told(begin - 1)
    assert "ran out at " in told(end)
    assert told(end - 14 * DAY_NS - 1, years=10) == ""
    assert "runs out at " in told(end - 14 * DAY_NS, years=10)


def test_the_facts_that_are_told_are_those_of_the_first_certificate(keys: Keys) -> None:
    chain = keys.server.cert_pem + keys.expired.cert_pem
    facts = check_tls(chain, keys.server.key_pem, b"")
    assert facts == check_tls(keys.server.cert_pem, keys.server.key_pem, b"")
