"""The certificates of the planes: read from their files, checked, and read again while serving.

Owns what is wrong with a file, as one line, and when files are looked at. Speaks no TLS: the front
and grpcio do, with what is handed to them here. Files that can't be used never replace good ones.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol

import grpc

from atp._front import TlsCertificate, TlsRefused, check_tls
from atp.server import log_events, logs
from atp.server.log_events import LogEvent
from atp.settings import TLS_PARTS, Settings

SECOND = 1_000_000_000
NOTICE_NS_MAX = 14 * 86_400 * SECOND
"""An operator is told so long before a certificate runs out; for one of less than 140 days, when a
tenth of its time is left."""


class CertificateRefused(Exception):
    """The files of a plane's TLS can't be used; the message is one line that says which and why."""


class Pem(NamedTuple):
    """What the files of a plane's TLS have; `client_ca` empty: clients need no certificate."""

    cert: bytes
    key: bytes
    client_ca: bytes


class Certificate:
    """What one plane shows its clients, as it was when its files were last good."""

    def __init__(self, settings: Settings, plane: str) -> None:
        """Reads and checks the files. Raises CertificateRefused."""
        self.plane = plane
        self._paths = {
            part: path for part in TLS_PARTS if (path := settings.text(f"{plane}.tls.{part}"))
        }
        self.pem, self.facts = self.read()

    def read(self) -> tuple[Pem, TlsCertificate]:
        """What the files have now, checked; keeps nothing. Raises CertificateRefused."""
        pem = Pem(*(self._read(part) for part in TLS_PARTS))
        if "client_ca" in self._paths and not pem.client_ca:
            # Which must not come to mean that every client may call.
            raise CertificateRefused(self._refusal(TlsRefused("client_ca", "the file is empty")))
        try:
            return pem, check_tls(*pem)
        except TlsRefused as refused:
            raise CertificateRefused(self._refusal(refused)) from None

    def replace(self, pem: Pem, facts: TlsCertificate) -> None:
        """From here on this is what new connections see."""
        self.pem, self.facts = pem, facts

    def credentials(self) -> grpc.ServerCredentials:
        """The same for grpcio, which asks before each handshake whether there is a new one."""
        told = self.pem

        def configuration() -> grpc.ServerCertificateConfiguration:
            return grpc.ssl_server_certificate_configuration(
                [(told.key, told.cert)], told.client_ca or None
            )

        def fetch() -> grpc.ServerCertificateConfiguration | None:
            nonlocal told
            if told is self.pem:
                return None
            told = self.pem
            return configuration()

        return grpc.dynamic_ssl_server_credentials(
            configuration(),
            fetch,  # type: ignore[arg-type]  # None says that nothing changed
            require_client_authentication=bool(told.client_ca),
        )

    def _read(self, part: str) -> bytes:
        if part not in self._paths:
            return b""
        try:
            return Path(self._paths[part]).read_bytes()
        except OSError as error:
            name = f"{self.plane}.tls.{part} {self._paths[part]}"
            raise CertificateRefused(f"{name} can't be read: {error.strerror}") from None

    def _refusal(self, refused: TlsRefused) -> str:
        cert, key, client_ca = (
            f"{self.plane}.tls.{part} {self._paths.get(part, '')}" for part in TLS_PARTS
        )
        if refused.part == "client_ca":
            return f"{client_ca} has no certificate: {refused}"
        return f"{cert} and {key} are no certificate with its unencrypted private key: {refused}"


class Shower(Protocol):
    """Who shows a certificate to clients."""

    def take_certificate(self, pem: Pem) -> None:
        """From here on new connections see this one."""

    def tls_refusals(self) -> tuple[int, str]:
        """Connections that were refused since the start, and the latest one's client and reason."""


class Renewal:
    """Looks at the files of the certificates in use, when asked and by the clock.

    At the same times it tells of clients that were refused: they may be strangers, so one line.
    """

    def __init__(self, executor: Executor, now_ns: Callable[[], int]) -> None:
        """Files are read on `executor`, so that a slow disk holds nobody up."""
        self._executor = executor
        self._now_ns = now_ns
        self._kept: list[tuple[Certificate, Shower]] = []
        self._told: dict[str, int] = {}
        self._asked = asyncio.Event()
        self._said: dict[str, str] = {}

    def keep(self, certificate: Certificate, shower: Shower) -> None:
        """Looks after this one too; `shower` takes what its files have when that has changed."""
        self._kept.append((certificate, shower))
        self._warn(certificate)

    def expiries(self) -> dict[str, int]:
        """When each certificate in use runs out, by who shows it: ns since the Unix epoch."""
        return {kept.plane: kept.facts.expire_ns for kept, _ in self._kept}

    def ask(self) -> None:
        """Has the files looked at now, and says so if they still can't be used."""
        self._asked.set()

    async def run(self, seconds: Callable[[], float]) -> None:
        """Looks every so many seconds, for ever."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), seconds())
            if self._asked.is_set():
                self._asked.clear()
                self._said.clear()
            for certificate, shower in self._kept:
                await self._look(certificate, shower)
                self._tell_refusals(certificate.plane, *shower.tls_refusals())

    async def _look(self, certificate: Certificate, shower: Shower) -> None:
        loop = asyncio.get_running_loop()
        plane = certificate.plane
        try:
            pem, facts = await loop.run_in_executor(self._executor, certificate.read)
            if pem != certificate.pem:
                shower.take_certificate(pem)
                certificate.replace(pem, facts)
                self._said.pop(plane, None)
                until = _text_of(facts.expire_ns)
                event = log_events.CERTIFICATE_RENEWED
                logs.tell(event, plane=plane, names=facts.names, until=until)
        except (CertificateRefused, TlsRefused) as refused:
            event = log_events.CERTIFICATE_REFUSED
            self._say(f"{plane} files", event, reason=str(refused))
            return
        self._said.pop(f"{plane} files", None)
        self._warn(certificate)

    def _tell_refusals(self, plane: str, count: int, latest: str) -> None:
        more = count - self._told.get(plane, 0)
        if more:
            self._told[plane] = count
            client, _, reason = latest.partition(": ")
            event = log_events.TLS_CLIENTS_REFUSED
            logs.tell(event, plane=plane, refused=more, reason=reason)
            logs.tell(log_events.TLS_CLIENT, plane=plane, client=client)

    def _warn(self, certificate: Certificate) -> None:
        """Says once that a certificate runs out soon, has run out, or is not valid yet."""
        plane, facts, now = certificate.plane, certificate.facts, self._now_ns()
        notice = min(NOTICE_NS_MAX, max(0, facts.expire_ns - facts.not_before_ns) // 10)
        about = {"plane": plane, "names": facts.names}
        if now >= facts.expire_ns:
            self._say(plane, log_events.CERTIFICATE_ENDED, **about, until=_text_of(facts.expire_ns))
        elif now < facts.not_before_ns:
            since = _text_of(facts.not_before_ns)
            self._say(plane, log_events.CERTIFICATE_NOT_YET, **about, since=since)
        elif now >= facts.expire_ns - notice:
            until = _text_of(facts.expire_ns)
            self._say(plane, log_events.CERTIFICATE_ENDS_SOON, **about, until=until)

    def _say(self, about: str, event: LogEvent, **fields: str) -> None:
        """Logs it, unless this was the last that was said about the same."""
        line = event.what.format(**fields)
        if self._said.get(about) != line:
            self._said[about] = line
            logs.tell(event, **fields)


def _text_of(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
