"""A server to attack, and what an attack may cost it.

Owns the bounds of memory and how they are looked at; attacks nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import stock_service_pb2 as stock_pb
from front_attacks import IDLE_CONNECTIONS, SKU
from front_tls_attacks import HALF_OPEN, TLS_ATTACKS
from server_process import ServerProcess, serving
from server_stubs import SECONDS, Stubs, stubs_to
from tls_keys import make_keys

MIB = 1 << 20
BUFFER_BYTES_MAX = 64 * MIB
CONNECTIONS_MAX = 10_000  # server.connections_max as it is without another word
CONNECTION_BYTES_MAX = 24 * 1024
HALF_OPEN_BYTES_MAX = 96 * 1024
"""Of a connection in its handshake: at most 64 KiB of that, and what OpenSSL keeps beside it."""
OTHER_BYTES_MAX = 64 * MIB
HOLDING = {"zero_window", "unread_answers", "many_large_messages", "giant_messages"}
"""Attacks that make the server keep messages: data_plane.buffer_bytes_max bounds these."""


def bytes_allowed(attack: str) -> int:
    """What an attack may add to the server's memory, the bystander's holds included."""
    if attack in HOLDING:
        return BUFFER_BYTES_MAX + OTHER_BYTES_MAX
    if attack == "idle_connections":
        return IDLE_CONNECTIONS * CONNECTION_BYTES_MAX
    if attack == "tls_hello_flood":
        return CONNECTIONS_MAX * CONNECTION_BYTES_MAX + OTHER_BYTES_MAX
    if attack in TLS_ATTACKS:
        return HALF_OPEN * HALF_OPEN_BYTES_MAX
    return OTHER_BYTES_MAX


class Target:
    """A running server."""

    def __init__(self, server: ServerProcess, stubs: Stubs, authority: Path | None) -> None:
        self._server = server
        self._stubs = stubs
        self.address = server.data_plane
        self.authority = authority
        """Whose certificate the data plane shows; None: it speaks no TLS."""

    def resident_bytes(self) -> int:
        """What it has in memory."""
        return self._status("VmRSS")

    def peak_bytes(self) -> int:
        """The most that it had in memory since the peak was forgotten."""
        return self._status("VmHWM")

    def forget_peak(self) -> None:
        """From here on the peak is counted anew."""
        Path(f"/proc/{self._server.process.pid}/clear_refs").write_text("5")

    def violations(self) -> list[str]:
        """The laws recounted: what is broken. The server must be there."""
        assert self._server.process.poll() is None, "the server is gone"
        reply = self._stubs.maintenance.CheckInvariants(
            maintenance_pb.CheckInvariantsRequest(), timeout=SECONDS
        )
        return list(reply.violations)

    def _status(self, what: str) -> int:
        path = Path(f"/proc/{self._server.process.pid}/status")
        for line in path.read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) << 10
        raise AssertionError(f"no {what}")


@contextmanager
def serving_target(keys_folder: Path | None = None) -> Iterator[Target]:
    """A server with much stock of one SKU, until the block ends. With a folder for its keys the
    data plane speaks TLS."""
    words = ["--set", f"data_plane.buffer_bytes_max={BUFFER_BYTES_MAX >> 20}MiB"]
    authority = None
    if keys_folder is not None:
        keys = make_keys(keys_folder)
        authority = keys.authority.cert
        for part, path in zip(("cert", "key"), keys.server, strict=True):
            words += ["--set", f"data_plane.tls.{part}={path}"]
    with serving(*words) as server, stubs_to(server) as stubs:
        stubs.stock.SetStock(
            stock_pb.SetStockRequest(sku=SKU, on_hand_quantity=1_000_000), timeout=SECONDS
        )
        yield Target(server, stubs, authority)
