"""The sockets of a load: opened before it begins, and again when they end, if the plan says so.

Owns every socket and how long to wait before another attempt. What is said on them is the native
part's.
"""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType
from typing import Self

from atp.load._native import Generator
from atp.load.encrypting import host_of
from atp.load.plan import LoadPlan
from atp.load.result import LoadResult

CONNECT_S = 10.0
AGAIN_FIRST_NS = 20_000_000
AGAIN_MOST_NS = 1_000_000_000
SOUND_NS = 1_000_000_000
"""A connection that lasted so long has its next attempts counted anew."""


class LoadFailed(Exception):
    """A load that could not be run, or whose answers were not what its plan expects.

    `result` is what it came to, None if it never began.
    """

    def __init__(self, reason: str, result: LoadResult | None = None) -> None:
        super().__init__(reason)
        self.result = result


class _Place:
    """One connection's socket, and when it is to be made again."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.made_ns = 0
        self.attempts = 0
        self.again_ns: int | None = None


class Connections:
    """As many as a plan says; a context manager, which closes them. Raises LoadFailed."""

    def __init__(self, plan: LoadPlan) -> None:
        self.made_again = 0
        self._silent_ns = round(plan.silent_s * 1e9)
        self._places: list[_Place] = []
        self._last_reason = ""
        try:
            address = (host_of(plan.address), int(plan.address.rpartition(":")[2]))
            for _ in range(plan.connections):
                connection = socket.create_connection(address, timeout=CONNECT_S)
                self._places.append(_Place(connection))
                _prepare(connection)
            self._family = self._places[0].socket.family
            self._peer = self._places[0].socket.getpeername()
        except (OSError, ValueError) as error:
            self.close()
            raise LoadFailed(f"can't connect to {plan.address}: {error}") from error

    def files(self) -> list[int]:
        """The sockets' file descriptors."""
        return [place.socket.fileno() for place in self._places]

    def mend(self, generator: Generator, now: int) -> None:
        """Makes those again that have ended, each after a pause that doubles while it fails."""
        for index, reason in generator.ended(silent_ns=self._silent_ns).items():
            place = self._places[index]
            if place.again_ns is None:
                self._last_reason = reason
                if now - place.made_ns > SOUND_NS:
                    place.attempts = 0
                place.again_ns = now + min(AGAIN_FIRST_NS << place.attempts, AGAIN_MOST_NS)
                place.attempts = min(place.attempts + 1, 10)
            if now >= place.again_ns:
                place.again_ns, place.made_ns = None, now
                place.socket.close()
                place.socket = socket.socket(self._family, socket.SOCK_STREAM)
                _prepare(place.socket)
                with contextlib.suppress(OSError):  # told by its first read
                    place.socket.connect(self._peer)
                generator.replace(index, place.socket.fileno())
                self.made_again += 1

    def told(self) -> str:
        """Why the last connection ended, for a message."""
        return f"; the last connection ended: {self._last_reason}" if self._last_reason else ""

    def close(self) -> None:
        """Closes all."""
        for place in self._places:
            place.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _prepare(connection: socket.socket) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
