"""Where a plane listens: its address, and its certificate.

Owns every check that can be made before gRPC is asked, because gRPC tells of a port in use or of a
key of another certificate in lines of its own on stderr. Opens nothing that stays open.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
from pathlib import Path
from typing import NamedTuple

import grpc

from atp.setting_values import parse_address
from atp.settings import TLS_PARTS, Settings


class StartFailed(Exception):
    """The server can't start; the message is one line that says what to change."""


class Pem(NamedTuple):
    """The files of a plane's TLS; `client_ca` empty: clients need no certificate."""

    cert: bytes
    key: bytes
    client_ca: bytes


class Listen(NamedTuple):
    """Where and how a plane will listen; `address` is numeric, as gRPC takes it."""

    address: str
    credentials: grpc.ServerCredentials | None
    pem: Pem | None
    """The same for who does not speak through grpcio."""


def prepare(settings: Settings, plane: str) -> Listen:
    """Checks a plane's address and certificate. Raises StartFailed.

    A host name is looked up once and stands for its first address. A port found free here may be
    taken by the time that gRPC opens it, which is then told in gRPC's words.
    """
    name = f"{plane}.address"
    text = settings.text(name)
    host, port = parse_address(text)
    family, ip = _resolve(name, text, host, port)
    pem = _pem(settings, plane)
    if pem is None and not settings["server.insecure"] and not _is_loopback(ip):
        raise StartFailed(
            f"{name} {text} is not a loopback address and has no TLS: set {plane}.tls.cert and"
            f" {plane}.tls.key, or say --insecure if every caller on that network may call"
        )
    if port != 0:
        _probe(name, text, family, (ip, port))
    credentials = None
    if pem is not None:
        credentials = grpc.ssl_server_credentials(
            [(pem.key, pem.cert)], pem.client_ca or None, bool(pem.client_ca)
        )
    return Listen(join_address(ip, port), credentials, pem)


def join_address(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _is_loopback(ip: str) -> bool:
    return ipaddress.ip_address(ip).is_loopback


def _resolve(name: str, text: str, host: str, port: int) -> tuple[socket.AddressFamily, str]:
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_ADDRCONFIG
        )
    except OSError:
        found = []
    for family, _, _, _, address in sorted(found, key=lambda entry: entry[0] != socket.AF_INET):
        return family, str(address[0])
    raise StartFailed(f"{name} {text}: no address is known for the host {host}")


def _probe(name: str, text: str, family: socket.AddressFamily, address: tuple[str, int]) -> None:
    """Opens the port and closes it again. SO_REUSEADDR as gRPC has it; SO_REUSEPORT is not set."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            hint = "; choose another port, or end the process that has it"
            raise StartFailed(
                f"{name} {text} can't be opened: {(error.strerror or str(error)).lower()}"
                f"{hint if error.errno == errno.EADDRINUSE else ''}"
            ) from None


def _pem(settings: Settings, plane: str) -> Pem | None:
    cert, key, client_ca = (settings.text(f"{plane}.tls.{part}") for part in TLS_PARTS)
    if not cert:
        return None
    files = {
        part: _read(f"{plane}.tls.{part}", path)
        for part, path in zip(TLS_PARTS, (cert, key, client_ca), strict=True)
        if path
    }
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        # A key with a pass phrase is refused: nobody is there to type it.
        context.load_cert_chain(cert, key, password=lambda: b"")
    except (OSError, ValueError) as error:
        raise StartFailed(
            f"{plane}.tls.cert {cert} and {plane}.tls.key {key} are no certificate with its"
            f" unencrypted private key: {_reason(error)}"
        ) from None
    if client_ca:
        try:
            context.load_verify_locations(client_ca)
        except OSError as error:
            raise StartFailed(
                f"{plane}.tls.client_ca {client_ca} has no certificate: {_reason(error)}"
            ) from None
    return Pem(files["cert"], files["key"], files.get("client_ca", b""))


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StartFailed(f"{name} {path} can't be read: {error.strerror}") from None


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or str(error)
    return str(reason).replace("_", " ").lower()
