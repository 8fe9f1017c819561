"""The other client: makes ordinary calls without a pause and tells, window by window, how it fared.

Owns its calls (reserve and release of a SKU with much stock, each with a deadline) and their times.
Run as a program it prints one line of JSON for each window until its stdin is closed.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc

DEADLINE_SECONDS = 5.0
WINDOW_SECONDS = 0.5
CALLERS = 4
LINE_SECONDS = 30.0


class Window(NamedTuple):
    """What was seen in half a second."""

    calls: int
    failures: dict[str, int]
    p50_ms: float
    p99_ms: float


class Bystander:
    """Callers over one connection each, with what they have seen since the last window."""

    def __init__(self, address: str, sku: str, authority: Path | None) -> None:
        self.address = address
        self.authority = authority
        self.sku = sku
        self.times: list[float] = []
        self.failures: Counter[str] = Counter()
        self.lock = threading.Lock()

    def call_forever(self) -> None:
        """One caller's life."""
        with self.channel() as channel:
            stub = pb_grpc.ReservationServiceStub(channel)
            while True:
                began = time.perf_counter()
                failure = self.call_once(stub)
                taken = time.perf_counter() - began
                with self.lock:
                    self.times.append(taken * 1e3)
                    if failure:
                        self.failures[failure] += 1

    def channel(self) -> grpc.Channel:
        """A connection of its own."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        if self.authority is None:
            return grpc.insecure_channel(self.address, options=options)
        trusted = grpc.ssl_channel_credentials(self.authority.read_bytes())
        return grpc.secure_channel(self.address, trusted, options=options)

    def call_once(self, stub: pb_grpc.ReservationServiceStub) -> str:
        """Holds and gives back; what went wrong, if anything."""
        try:
            held = stub.Reserve(
                pb.ReserveRequest(
                    request_id=uuid.uuid4().hex, lines=[pb.Line(sku=self.sku, quantity=1)]
                ),
                timeout=DEADLINE_SECONDS,
            )
            if held.outcome != pb.RESERVE_OUTCOME_GRANTED:
                return pb.ReserveOutcome.Name(held.outcome)
            given = stub.Release(
                pb.ReleaseRequest(reservation_id=held.reservation.reservation_id),
                timeout=DEADLINE_SECONDS,
            )
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
        return "" if given.outcome == pb.CHANGE_OUTCOME_DONE else "not released"

    def window(self) -> Window:
        """What was seen since the last one."""
        with self.lock:
            times, self.times = sorted(self.times), []
            failures, self.failures = dict(self.failures), Counter()
        if not times:
            return Window(0, failures, 0.0, 0.0)
        p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
        return Window(len(times), failures, times[len(times) // 2], p99)


class Watched:
    """A bystander in a process of its own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def window(self) -> Window:
        """The next half second."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(LINE_SECONDS), "the bystander says nothing"
        return Window(**json.loads(self._process.stdout.readline()))


@contextmanager
def bystander(address: str, sku: str, authority: Path | None = None) -> Iterator[Watched]:
    """Another client of the server, until the block ends; it has begun to call. With an authority
    of the server's certificate it speaks TLS."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, __file__, address, sku, *([str(authority)] if authority else [])]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        watched = Watched(process)
        try:
            while not watched.window().calls:
                pass  # its first calls are on their way
            yield watched
        finally:
            process.kill()


def main() -> None:
    """Calls until it is killed, or whoever started it is gone."""
    address, sku, *authority = sys.argv[1:]
    callers = Bystander(address, sku, Path(authority[0]) if authority else None)
    for _ in range(CALLERS):
        threading.Thread(target=callers.call_forever, daemon=True).start()
    threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    while True:
        time.sleep(WINDOW_SECONDS)  # a window's length, and nothing is waited for
        print(json.dumps(callers.window()._asdict()), flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    main()
