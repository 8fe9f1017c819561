"""The native gRPC front's face in Python."""

from typing import NamedTuple

from atp._core import Engine
from atp.journal._native import Writer

class FrontOptions(NamedTuple):
    """How much a front takes, and for how long; nanoseconds and bytes."""

    calls_max: int
    """Open at once, over all connections; health is let through. Over it: UNAVAILABLE."""
    connections_max: int
    """Over it a connection is closed as soon as it is accepted."""
    streams_max: int
    """Calls at once of one connection; what is over it waits in the client."""
    message_bytes_max: int
    metadata_bytes_max: int
    buffer_bytes_max: int
    """Of messages on their way in or out, over all connections; over it calls are UNAVAILABLE."""
    idle_ns: int
    """A connection without a call for so long is told to go, and closed."""
    request_ns: int
    """A call's header block and message must have come by then."""
    keepalive_ns: int
    """A connection that is silent for so long is asked whether it is there, and has 20 s for it."""
    wait_ns: int
    """A call that would wait for longer, or past its own deadline, is UNAVAILABLE at once."""
    default_ttl_ns: int
    durable: bool
    """Answers wait until what they tell of is durable."""

TIME_BOUNDS_NS: tuple[int, ...]
"""Upper bounds of the counts of times, in order."""

class TimeCounts(NamedTuple):
    """How long things took."""

    counts: tuple[int, ...]
    """How many took no longer than each of the bounds and longer than the one before; the last:
    longer than all."""
    sum_ns: int

class FrontStatistics(NamedTuple):
    """Counts since the start, and how things are now."""

    connections: int
    accepted: int
    """Connections since the start."""
    open_calls: int
    parked: int
    """Answers that wait for the writer."""
    held_bytes: int
    """What buffer_bytes_max bounds."""
    received_bytes: int
    sent_bytes: int
    answered: dict[tuple[str, int], int]
    """Calls by method and gRPC's code; a call that its client has left counts as CANCELLED."""
    outcomes: dict[tuple[str, int], int]
    """Judged commands by method and outcome, as numbered in atp.vocabulary."""
    refused: dict[str, int]
    """Connections and calls turned away, by the option that said so."""
    journal_refused: dict[str, int]
    """Commands that were not judged because of the journal, by reason; those of batches too."""
    ended: dict[str, int]
    """Connections that were ended, by the reason of their guard."""
    latencies: dict[str, TimeCounts]
    """Of calls answered OK or DEADLINE_EXCEEDED, by method; Execute's are of batches answered. From
    when the first bytes (of a batch, the last) were read to when the answer was handed to the
    socket."""

class Front:
    """Serves ReservationService and health on native threads, one for each loop."""

    address: tuple[str, int]
    """Where it listens."""
    open_calls: int
    """Calls that have come and are not answered; those of health do not count."""

    def __init__(
        self,
        engine: Engine,
        writer: Writer | None,
        *,
        host: str,
        port: int,
        threads: int,
        options: FrontOptions,
    ) -> None:
        """Opens the port, a free one for 0; `host` is numeric. To be told the time before run().

        Raises OSError, and ValueError for what makes no sense.
        """

    def run(self, index: int) -> None:
        """Runs one loop, 0 to threads - 1, without the GIL, until stop(). Once for each, in a
        thread of its own, which asks the system for short turns from then on."""

    def stand_in(self, index: int) -> None:
        """Runs that loop whenever its own thread is at the disk for longer than 4 ms, so that calls
        which don't wait for the disk are answered while it stands still. Without the GIL; returns
        once run() has ended. Only of use where answers wait. Its thread is as run()'s."""

    def forerun(self) -> None:
        """Touches memory that holds will take soon, so that no command waits for the system to
        empty a page. Without the GIL, until stop(); once, in a thread of its own, which gives way
        to others from then on; for speed only."""

    def publish_clock(self, wall_ns: int, steady_ns: int, ppm: int) -> None:
        """From here on the front's time is what atp.clock.Clock says: its anchor."""

    def now_ns(self) -> int:
        """The front's time: nanoseconds since the Unix epoch."""

    def set_default_ttl(self, ns: int) -> None:
        """From the next call on a hold whose request names no time to live gets this."""

    def set_tls(self, cert: bytes, key: bytes, client_ca: bytes) -> None:
        """From the next connection on TLS is spoken, with these; see check_tls()."""

    def tls_refusals(self) -> tuple[int, str]:
        """TLS connections that were refused or broke off, and the latest: its client and why."""

    def retire(self) -> None:
        """Who asks for health or watches it is told NOT_SERVING; calls are still served."""

    def drain(self) -> None:
        """Takes no new connections and tells clients to go elsewhere; what is under way finishes.

        A stream of Execute answers the batches that it has judged, and ends as UNAVAILABLE.
        """

    def stop(self) -> None:
        """Closes everything at once; every run() returns."""

    def statistics(self) -> FrontStatistics:
        """Reads every count."""

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

def judge_all(
    engine: Engine, method: str, messages: list[bytes], *, now_ns: int, default_ttl_ns: int
) -> tuple[list[tuple[int, bytes]], int]:
    """Many calls of one method, one after another on one thread, for benchmarks: (gRPC's code, the
    response) of each, and the nanoseconds that judging took, Python's share left out.

    Raises KeyError for an unknown method.
    """
