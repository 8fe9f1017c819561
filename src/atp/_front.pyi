"""The native gRPC front's face in Python."""

from typing import NamedTuple

from atp._core import Engine
from atp.journal._native import Writer

class Front:
    """Serves ReservationService and health on native threads."""

    def __init__(self, engine: Engine, writer: Writer | None) -> None: ...
    def publish_clock(self, wall_ns: int, steady_ns: int, ppm: int) -> None:
        """From here on the front's time is what atp.clock.Clock says: its anchor."""

    def now_ns(self) -> int:
        """The front's time: nanoseconds since the Unix epoch."""

class TlsCertificate(NamedTuple):
    """Whom a certificate is for, and from when until when; nanoseconds since the Unix epoch."""

    names: str
    not_before_ns: int
    expire_ns: int

class TlsRefused(ValueError):
    """A text in PEM can't be used; says why. `part` is "cert", "key" or "client_ca"."""

    part: str
    def __init__(self, part: str, reason: str) -> None: ...

def check_tls(cert: bytes, key: bytes, client_ca: bytes) -> TlsCertificate:
    """Looks whether TLS can be served with these; an empty `client_ca` asks no client for one.

    `cert` is a chain, the server's own first. All are PEM. Raises TlsRefused.
    """

class TlsServer:
    """The server's side of one connection over bytes, without a socket: for tests."""

    is_open: bool
    why: str
    def __init__(self, cert: bytes, key: bytes, client_ca: bytes) -> None: ...
    def begin_again(self) -> None:
        """From here on another connection, with the same certificate and secrets."""

    def receive(self, data: bytes) -> tuple[bool, bytes, bytes]:
        """Goes on?, what the client said, what to send. After False: send that, then close."""

    def send(self, data: bytes) -> tuple[bool, bytes]:
        """Can be sent?, what to send."""

    def close(self) -> bytes:
        """The farewell to send."""

def judge(
    engine: Engine, method: str, message: bytes, *, now_ns: int, default_ttl_ns: int
) -> tuple[int, bytes, str, bytes, int]:
    """One call of ReservationService as the front judges it, for tests: gRPC's code, the response,
    the error's text, a serialized google.rpc.Status, and the newest change that the answer reveals.

    Raises KeyError for an unknown method.
    """
