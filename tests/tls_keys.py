"""Certificates and keys for tests, made with the openssl command in a folder of the test's own.

Owns what is made and what it is for. Serves nothing; a test that needs another kind adds it here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from others import unwatched

NEEDS_OPENSSL = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl command to make certificates with"
)
NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1"


class Identity(NamedTuple):
    """Files in PEM: a certificate (with those between it and its root) and its private key."""

    cert: Path
    key: Path

    @property
    def cert_pem(self) -> bytes:
        return self.cert.read_bytes()

    @property
    def key_pem(self) -> bytes:
        return self.key.read_bytes()


class Keys(NamedTuple):
    """Who takes part in the tests of TLS."""

    authority: Identity
    """Issued all the others but the stranger."""
    server: Identity
    renewed: Identity
    """The server's next certificate, of another key."""
    client: Identity
    stranger: Identity
    """A client that no authority here knows."""
    expired: Identity
    """A client whose certificate has run out."""
    branch: Identity
    """An authority under the first."""
    branch_client: Identity
    """A client of the branch; its file has the branch's certificate too."""
    rsa: Identity
    """A server with an RSA key."""
    locked_key: Path
    """The server's key under a pass phrase."""


def openssl(*arguments: str | Path) -> None:
    """Runs the command to its end; raises where it fails."""
    words = ["openssl", *map(str, arguments)]
    subprocess.run(words, check=True, capture_output=True, env=unwatched())


def issue(
    folder: Path,
    name: str,
    *,
    by: Identity | None = None,
    days: int = 2,
    is_authority: bool = False,
    algorithm: tuple[str, ...] = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
) -> Identity:
    """Makes a key and its certificate, signed by its own key without `by`."""
    made = Identity(folder / f"{name}.pem", folder / f"{name}.key")
    request = folder / f"{name}.csr"
    about = ("-addext", "basicConstraints=critical,CA:TRUE") if is_authority else ()
    openssl(
        *("req", "-new", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", made.key, "-out", request, "-addext", NAMES, *about),
    )
    signer = ("-CA", by.cert, "-CAkey", by.key, "-CAcreateserial") if by else ("-key", made.key)
    openssl(
        *("x509", "-req", "-in", request, *signer, "-days", str(days)),
        *("-copy_extensions", "copyall", "-out", made.cert),
    )
    return made


def make_keys(folder: Path) -> Keys:
    """Makes everybody's certificates and keys."""
    authority = issue(folder, "authority", is_authority=True)
    branch = issue(folder, "branch", by=authority, is_authority=True)
    branch_client = issue(folder, "branch_client", by=branch)
    branch_client.cert.write_bytes(branch_client.cert_pem + branch.cert_pem)
    server = issue(folder, "server", by=authority)
    locked_key = folder / "locked.key"
    openssl("pkey", "-in", server.key, "-aes256", "-passout", "pass:secret", "-out", locked_key)
    return Keys(
        authority=authority,
        server=server,
        renewed=issue(folder, "renewed", by=authority),
        client=issue(folder, "client", by=authority),
        stranger=issue(folder, "stranger"),
        expired=issue(folder, "expired", by=authority, days=-1),
        branch=branch,
        branch_client=branch_client,
        rsa=issue(folder, "rsa", by=authority, algorithm=("rsa:2048",)),
        locked_key=locked_key,
    )
