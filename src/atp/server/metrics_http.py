"""The HTTP port of /metrics: Prometheus's library answers, behind bounds of its own.

Owns the port, its TLS, and that whoever speaks to it can't have more than a few threads, a few
kilobytes and a few seconds of the process, whatever they send. Knows no metric.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import os
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TextIO
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from atp.journal._native import monotonic_ns
from atp.server.certificates import Pem
from atp.server.listen import Listen, StartFailed, join_address

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

SECOND = 1_000_000_000
CONNECTIONS_MAX = 8
"""At once, a thread each; what comes meanwhile is closed."""
REQUEST_NS_MAX = 5 * SECOND
"""From the arrival of a connection to its end: the request, the scrape, and its answer taken."""
HEAD_BYTES_MAX = 16_384
"""Of a request; longer ones are refused."""
LOOK_SECONDS = 0.25
PATH = "/metrics"


class MetricsPort:
    """Serves one application at /metrics until it is closed."""

    def __init__(self, application: WSGIApplication, on_refused: Callable[[], None]) -> None:
        """`on_refused` is told of each connection that was closed because there were too many."""
        self._application = application
        self._on_refused = on_refused
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def open(self, listen: Listen) -> str:
        """Opens the port and serves on threads; returns the address. Raises StartFailed."""
        host, _, port = listen.address.rpartition(":")
        try:
            server = _Server((host.strip("[]"), int(port)), self._on_refused)
        except OSError as error:
            raise StartFailed(
                f"metrics.address {listen.address} can't be opened:"
                f" {(error.strerror or str(error)).lower()}"
            ) from None
        server.set_app(only_metrics(self._application))
        if listen.certificate is not None:
            server.tls = tls_context(listen.certificate.pem)
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(LOOK_SECONDS,), name="metrics", daemon=True
        )
        self._thread.start()
        return join_address(host.strip("[]"), server.server_port)

    def take_certificate(self, pem: Pem) -> None:
        """New connections see this one."""
        if self._server is not None:
            self._server.tls = tls_context(pem)

    def close(self) -> None:
        """Ends; answers under way are cut off. Harmless when it has ended or never opened."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.shutdown()
            self._thread.join()
            server.server_close()
            server.end_all()


def only_metrics(application: WSGIApplication) -> WSGIApplication:
    """The application at /metrics for GET, and a line of text for all else."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return told(start_response, "404 Not Found", f"metrics are at {PATH}")
        if environ.get("REQUEST_METHOD") != "GET":
            return told(start_response, "405 Method Not Allowed", "metrics are read with GET")
        return application(environ, start_response)

    return answer


def told(start_response: StartResponse, status: str, line: str) -> list[bytes]:
    """A line of text as an answer."""
    start_response(status, [("Content-Type", "text/plain; charset=utf-8")])
    return [f"{line}\n".encode()]


def tls_context(pem: Pem) -> ssl.SSLContext:
    """What the port shows and asks for; `pem` has been checked before."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # From memory alone, by the only way that Python has: a file that is no file.
    with _in_memory(pem.cert) as cert, _in_memory(pem.key) as key:
        context.load_cert_chain(cert, key)
    if pem.client_ca:
        context.load_verify_locations(cadata=pem.client_ca.decode("ascii", "replace"))
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@contextlib.contextmanager
def _in_memory(data: bytes) -> Any:
    fd = os.memfd_create("pem", os.MFD_CLOEXEC)
    try:
        os.write(fd, data)
        yield f"/proc/self/fd/{fd}"
    finally:
        os.close(fd)


class _Head:
    """A request as it comes in; says when it is longer than any honest one."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._left = HEAD_BYTES_MAX

    def readline(self, most: int = -1) -> bytes:
        room = self._left + 1
        line: bytes = self._stream.readline(room if most < 0 else min(most, room))
        self._left -= len(line)
        if self._left < 0:
            raise http.client.LineTooLong("request")  # http.server tells it as 431
        return line

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class _Handler(WSGIRequestHandler):
    """One connection, one request."""

    timeout = REQUEST_NS_MAX / SECOND

    def setup(self) -> None:
        if isinstance(self.request, ssl.SSLSocket):
            self.request.settimeout(self.timeout)
            self.request.do_handshake()
        super().setup()
        self.rfile = _Head(self.rfile)  # type: ignore[assignment]

    def handle(self) -> None:
        try:
            super().handle()
        except http.client.LineTooLong:
            self.requestline, self.request_version, self.command = "", "HTTP/1.0", ""
            self.send_error(431)

    def get_stderr(self) -> TextIO:
        """Nowhere: what a client does to its connection is no news."""
        return io.StringIO()

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing: strangers don't write into the log."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    """A thread for each connection, a few at once, each ended when its time is up."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], on_refused: Callable[[], None]) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        self.tls: ssl.SSLContext | None = None
        self._on_refused = on_refused
        self._open: dict[socket.socket, int] = {}
        self._guard = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without asking anybody for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Takes a connection, if there is a thread for it."""
        with self._guard:
            is_room = len(self._open) < CONNECTIONS_MAX
        if not is_room:
            self._on_refused()
            self.shutdown_request(request)
            return
        if self.tls is not None:
            try:
                # The handshake is for the connection's own thread.
                request = self.tls.wrap_socket(
                    request, server_side=True, do_handshake_on_connect=False
                )
            except OSError:
                self.shutdown_request(request)
                return
        with self._guard:
            self._open[request] = monotonic_ns()
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no thread could be started
            self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Ends one connection."""
        with self._guard:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """Every so often: who takes too long, over the request or the answer, is cut off."""
        with self._guard:
            late = [
                request
                for request, since in self._open.items()
                if monotonic_ns() - since > REQUEST_NS_MAX
            ]
        self._cut(late)

    def end_all(self) -> None:
        """Cuts off whoever is there."""
        with self._guard:
            requests = list(self._open)
        self._cut(requests)

    def _cut(self, requests: Iterable[socket.socket]) -> None:
        for request in requests:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(request, socket.SHUT_RDWR)  # wakes its thread

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: a client that went away or spoke no HTTP is no fault of this server's."""
