"""What a service manager hears: that the server is ready, how it is, that it stops.

Owns the few lines of systemd's protocol: a datagram to the socket that NOTIFY_SOCKET names. Says
nothing where nobody asked, and fails for nobody: whoever can't be told is not told.
"""

from __future__ import annotations

import contextlib
import socket


class Notifier:
    """Tells the manager at one address; the address empty: nobody."""

    def __init__(self, address: str) -> None:
        """`address` is a path, or begins with @ for a socket without one."""
        self._address = "\0" + address[1:] if address.startswith("@") else address

    def ready(self, status: str) -> None:
        """Calls are answered."""
        self._send(f"READY=1\nSTATUS={status}")

    def status(self, status: str) -> None:
        """How it is, in a few words."""
        self._send(f"STATUS={status}")

    def stopping(self, status: str) -> None:
        """No new calls are taken."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager,
        ):
            manager.setblocking(False)
            manager.connect(self._address)
            manager.send(message.encode())
