"""A TLS client over bytes, Python's own, against the front's session: no socket between them.

Owns the handing over of bytes, in pieces as small as a test likes. Judges nothing.
"""

from __future__ import annotations

import contextlib
import ssl

from atp._front import TlsServer
from tls_keys import Identity, Keys


def client_context(
    keys: Keys,
    *,
    alpn: tuple[str, ...] = ("h2",),
    version: ssl.TLSVersion | None = None,
    shows: Identity | None = None,
) -> ssl.SSLContext:
    """What a client is ready for: one TLS version or any, the names it offers, who it is."""
    context = ssl.create_default_context(cafile=str(keys.authority.cert))
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if version is not None:
        context.minimum_version = context.maximum_version = version
    if shows is not None:
        context.load_cert_chain(shows.cert, shows.key)
    return context


class Talk:
    """One connection: what the client writes reaches the server and the other way round."""

    def __init__(
        self, server: TlsServer, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        self.server = server
        self.told = b""
        """What the server was told, decrypted."""
        self.goes_on = True
        """What the server said last: False, the connection is to be closed."""
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self.client = context.wrap_bio(
            self._incoming, self._outgoing, server_hostname="localhost", session=session
        )

    def shake_hands(self, piece: int = 1 << 20) -> None:
        """Until both are ready. Raises ssl.SSLError as the client sees a refusal."""
        while not (done := self._step()) or self._outgoing.pending:
            self.carry(piece)
            if not self.goes_on:
                with contextlib.suppress(ssl.SSLWantReadError):
                    self.read()  # a client of TLS 1.3 was ready before it was refused
                break
        assert not self.goes_on or (done and self.server.is_open)

    def _step(self) -> bool:
        try:
            self.client.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def carry(self, piece: int = 1 << 20) -> None:
        """Hands what the client has to say to the server, and the answer back."""
        said = self._outgoing.read()
        for start in range(0, len(said), piece):
            self.push(said[start : start + piece])

    def take(self) -> bytes:
        """What the client has to say, for the test to change."""
        return self._outgoing.read()

    def push(self, wire: bytes) -> None:
        """Hands bytes to the server as if the client had sent them."""
        self.goes_on, plain, answer = self.server.receive(wire)
        self.told += plain
        self._incoming.write(answer)

    def tell(self, wire: bytes) -> None:
        """Hands bytes to the client as if the server had sent them."""
        self._incoming.write(wire)

    def read(self) -> bytes:
        """All that the client can read now. Raises ssl.SSLWantReadError where that is nothing."""
        found = self.client.read(1 << 20)
        with contextlib.suppress(ssl.SSLWantReadError):
            while more := self.client.read(1 << 20):
                found += more
        return found
