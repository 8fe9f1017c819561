"""A TCP proxy that can be told to cut every connection: the network between shop and server.

Owns passing bytes on, in a process of its own (`python -m loadtests.faults.proxy HOST:PORT`), so
that it takes no time from those who measure. Each line "cut" on its stdin resets all connections,
and is answered with how many; it ends with its stdin. Understands nothing of what it passes on.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import cast

import uvloop

CONNECT_S = 5.0
STOP_S = 5.0
ROOT = Path(__file__).resolve().parent.parent.parent


class Side(asyncio.Protocol):
    """One end of a connection: what it is told it passes to the other end, no faster than it is
    taken there."""

    def __init__(self, pairs: set[Side]) -> None:
        self._pairs = pairs
        self.other: Side | None = None
        self.transport: asyncio.Transport | None = None
        self._waiting = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._pairs.add(self)

    def pair(self, other: Side) -> None:
        """From now on what comes here goes there, and the other way round."""
        self.other, other.other = other, self
        for here, there in ((self, other), (other, self)):
            there.send(bytes(here._waiting))
            here._waiting.clear()

    def send(self, data: bytes) -> None:
        """Passes bytes to whoever is at this end."""
        if self.transport is not None and data:
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        if self.other is None:
            self._waiting += data
        else:
            self.other.send(data)

    def pause_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.other is not None and self.other.transport is not None:
            self.other.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._pairs.discard(self)
        if self.other is not None and self.other.transport is not None:
            if error is None:
                self.other.transport.close()
            else:
                self.other.transport.abort()

    def cut(self) -> None:
        """Ends this end at once, with a reset."""
        if self.transport is None:
            return
        end = cast("socket.socket", self.transport.get_extra_info("socket"))
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


async def serve(host: str, port: int) -> None:
    """Passes connections on until stdin ends; tells its own port in the first line."""
    loop = asyncio.get_running_loop()
    sides: set[Side] = set()
    pairing: set[asyncio.Task[None]] = set()

    async def connect(near: Side) -> None:
        far = Side(sides)
        try:
            async with asyncio.timeout(CONNECT_S):
                await loop.create_connection(lambda: far, host, port)
        except OSError:
            near.cut()  # whoever it is finds nobody there, as without the proxy
            return
        near.pair(far)

    class Near(Side):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            task = loop.create_task(connect(self))
            pairing.add(task)
            task.add_done_callback(pairing.discard)

    server = await loop.create_server(lambda: Near(sides), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while line := await lines.readline():
        if line.strip() == b"cut":
            cut = [side for side in sides if isinstance(side, Near)]
            for side in list(sides):
                side.cut()
            print(len(cut), flush=True)
    server.close()


class Proxy:
    """The proxy's process, for as long as a sale needs it; `address` is where to call."""

    def __init__(self, address: str) -> None:
        self._to = address
        self.address = ""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Proxy:
        """Starts it; what it passes on to need not be there yet."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.faults.proxy", self._to],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            process_group=0,
        )
        self.address = f"127.0.0.1:{int(self._told())}"
        return self

    def cut(self) -> int:
        """Cuts all connections; how many there were."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write("cut\n")
        self._process.stdin.flush()
        return int(self._told())

    def _told(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the proxy ended with status {self._process.wait()}")
        return line

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


if __name__ == "__main__":
    to_host, _, to_port = sys.argv[1].rpartition(":")
    uvloop.run(serve(to_host.strip("[]"), int(to_port)))
