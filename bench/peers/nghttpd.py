"""nghttp2's own server with a small static file, under h2load: what HTTP/2 on this machine can do.

Owns the file, the server and reading what h2load says; every request must have got the whole file.
h2load also asks a gRPC server one thing over and over, to be compared with the generator here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from peers.processes import Pattern, accepts, folder_for, free_port, started, told, wait_for

CONTENT = b"x" * 100
"""As long as an answer to a reserve."""


class Nghttpd:
    """One server."""

    def __init__(self, port: int) -> None:
        self._port = port

    def load(self, pattern: Pattern, count: int) -> float:
        """Requests a second; every one answered with 200."""
        url = f"http://127.0.0.1:{self._port}/file"
        return h2load(url, pattern, count, [])


@contextmanager
def serving() -> Iterator[Nghttpd]:
    """Runs one until the block ends."""
    with folder_for("nghttpd") as folder:
        (folder / "file").write_bytes(CONTENT)
        port, log = free_port(), folder / "log"
        command = ["nghttpd", "--no-tls", "--address=127.0.0.1", "-d", str(folder), str(port)]
        with started(command, log=log) as process:
            wait_for(lambda: accepts(port), process, log, "answer of nghttpd")
            yield Nghttpd(port)


def h2load(url: str, pattern: Pattern, count: int, more: list[str]) -> float:
    """Requests a second as h2load tells, in this pattern; all must end with status 200."""
    said = told(
        [
            *("h2load", "-n", str(count), "-c", str(pattern.connections)),
            *("-m", str(pattern.in_flight), *more, url),
        ]
    )
    requests = (
        f"requests: {count} total, {count} started, {count} done, {count} succeeded, 0 failed"
    )
    assert requests in said, said
    assert f"status codes: {count} 2xx" in said, said
    rate = re.search(r"finished in [^,]*, ([\d.]+) req/s", said)
    assert rate is not None, said
    return float(rate[1])


def h2load_grpc(address: str, path: str, message: bytes, pattern: Pattern, count: int) -> float:
    """Unary gRPC calls a second with one message for all; HTTP statuses are all that is checked."""
    with folder_for("h2load") as folder:
        body = folder / "body"
        write_body(body, message)
        headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
        return h2load(f"http://{address}{path}", pattern, count, ["-d", str(body), *headers])


def write_body(path: Path, message: bytes) -> None:
    """A gRPC message with its prefix."""
    path.write_bytes(b"\x00" + len(message).to_bytes(4) + message)
