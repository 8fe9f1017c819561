"""gRPC with curl: a call as bytes on HTTP/2, and what came back as a person would see it.

Owns the command line and the reading of headers, trailers and body.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

from interop.programs import program
from others import unwatched

SECONDS = 20
GRPC = ("content-type: application/grpc", "te: trailers")


class Seen(NamedTuple):
    """What curl saw. `headers` and trailers are told together, names in lower case."""

    exit_status: int
    status: int
    headers: dict[str, str]
    body: bytes
    errors: str


def post(url: str, body: bytes, *headers: str, options: tuple[str, ...] = ()) -> Seen:
    """Posts a body; without another option on HTTP/2 that is spoken from the first byte."""
    with tempfile.TemporaryDirectory(prefix="atp-curl-") as name:
        folder = Path(name)
        (folder / "body").write_bytes(body)
        command = [program("curl"), "-sS", "--max-time", str(SECONDS), "--http2-prior-knowledge"]
        command += ["--dump-header", str(folder / "headers"), "--output", str(folder / "answer")]
        command += ["--data-binary", f"@{folder / 'body'}", "--noproxy", "*"]
        # What curl would say of itself, and a server of gRPC need not hear.
        for header in ("expect:", "accept:", "user-agent:", *headers):
            command += ["--header", header]
        done = subprocess.run(
            [*command, *options, url],
            capture_output=True,
            text=True,
            check=False,
            env=unwatched(),
        )
        answer, told = folder / "answer", folder / "headers"
        lines = told.read_text(encoding="latin-1").splitlines() if told.exists() else []
        return Seen(
            done.returncode,
            int(lines[0].split()[1]) if lines else 0,
            {
                name.strip().lower(): value.strip()
                for name, colon, value in (line.partition(":") for line in lines)
                if colon
            },
            answer.read_bytes() if answer.exists() else b"",
            done.stderr,
        )
