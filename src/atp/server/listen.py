"""Where a plane listens: its address, and what it speaks TLS with.

Owns every check that can be made before gRPC is asked, because gRPC tells of a port in use or of a
key of another certificate in lines of its own on stderr. Opens nothing that stays open.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from typing import NamedTuple

from atp.server.certificates import Certificate, CertificateRefused
from atp.setting_values import parse_address
from atp.settings import Settings

METRICS = "metrics"
"""What is no plane, and listens like one."""


class StartFailed(Exception):
    """The server can't start; the message is one line that says what to change."""


class Listen(NamedTuple):
    """Where and how a plane will listen; `address` is numeric, as gRPC takes it."""

    address: str
    certificate: Certificate | None


def prepare(settings: Settings, plane: str) -> Listen:
    """Checks a plane's address and certificate. Raises StartFailed.

    A host name is looked up once and stands for its first address. A port found free here may be
    taken by the time that gRPC opens it, which is then told in gRPC's words.
    """
    name = f"{plane}.address"
    text = settings.text(name)
    host, port = parse_address(text)
    family, ip = _resolve(name, text, host, port)
    certificate = _certificate(settings, plane)
    if certificate is None and not _may_be_in_the_clear(settings, plane, ip):
        or_else = "say --insecure if every caller on that network may call"
        if plane == METRICS:
            or_else = "metrics.insecure=true if everyone on that network may read metrics"
        raise StartFailed(
            f"{name} {text} is not a loopback address and has no TLS: set {plane}.tls.cert and"
            f" {plane}.tls.key, or {or_else}"
        )
    if port != 0:
        _probe(name, text, family, (ip, port))
    return Listen(join_address(ip, port), certificate)


def join_address(host: str, port: int) -> str:
    """host:port, with brackets around an IPv6 host."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _may_be_in_the_clear(settings: Settings, plane: str, ip: str) -> bool:
    if settings["server.insecure"] or ipaddress.ip_address(ip).is_loopback:
        return True
    return plane == METRICS and bool(settings["metrics.insecure"])


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


def _certificate(settings: Settings, plane: str) -> Certificate | None:
    if not settings.text(f"{plane}.tls.cert"):
        return None
    try:
        return Certificate(settings, plane)
    except CertificateRefused as refused:
        raise StartFailed(str(refused)) from None
