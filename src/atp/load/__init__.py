"""A load generator: calls of atp.v1 at rates that Python can't reach, every answer checked.

Owns running one LoadPlan against a server and telling what came of it. Knows the wire format and
nothing of the server; opens the sockets, while the native part does everything between.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from atp.load._native import Generator
from atp.load.plan import Kind, LoadPlan, Spread
from atp.load.recording import recorded
from atp.load.result import STATUS_NAMES, LoadResult
from atp.vocabulary import ChangeOutcome, ReserveOutcome

__all__ = ["Kind", "LoadFailed", "LoadPlan", "LoadResult", "Spread", "run"]

CONNECT_S = 10.0
STEP_S = 0.1
ENDLESS = 1 << 62
FOREVER_S = 10**8
NUMBERS = range(16)
"""Of outcomes, as the native part counts them."""
PLAIN_COUNTS = (
    *("asked", "answered", "good", "late", "expired", "commands", "repeated", "malformed"),
    *("unknown", "bytes_sent", "bytes_received", "first_error"),
)

Name = TypeVar("Name")


class LoadFailed(Exception):
    """A load that could not be run, or whose answers were not what its plan expects.

    `result` is what it came to, None if it never began.
    """

    def __init__(self, reason: str, result: LoadResult | None = None) -> None:
        super().__init__(reason)
        self.result = result


def run(plan: LoadPlan, *, on_step: Callable[[LoadResult], None] | None = None) -> LoadResult:
    """Runs a load to its end, without the GIL; LoadFailed says what was not as it should be.

    `on_step` is told every tenth of a second how far it is.
    """
    sockets: list[socket.socket] = []
    try:
        try:
            for _ in range(plan.connections):
                sockets.append(_connect(plan.address))
        except (OSError, ValueError) as error:
            raise LoadFailed(f"can't connect to {plan.address}: {error}") from error
        generator = _generator(plan, sockets)
        try:
            if not generator.greet(seconds=CONNECT_S):
                raise LoadFailed(f"{plan.address} does not speak HTTP/2 within {CONNECT_S:g} s")
            with recorded(plan, generator):
                _drive(plan, generator, on_step)
        except ConnectionError as error:
            raise LoadFailed(f"{plan.address}: {error}", _result(generator)) from error
        except OSError as error:
            raise LoadFailed(_history_fault(error), _result(generator)) from error
        result = _result(generator)
    finally:
        for each in sockets:
            each.close()
    faults = result.faults(plan)
    if faults:
        raise LoadFailed("; ".join(faults), result)
    return result


def _history_fault(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{error.filename}: there is a history already; name another folder, or another run"
    return f"{error.filename}: the history can't be written: {error.strerror}"


def _connect(address: str) -> socket.socket:
    host, _, port = address.rpartition(":")
    connection = socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection


def _generator(plan: LoadPlan, sockets: list[socket.socket]) -> Generator:
    return Generator(
        plan.draws(),
        sockets=[each.fileno() for each in sockets],
        authority=plan.address.encode(),
        request_id=plan.run_name.encode(),
        sku=plan.sku_prefix.encode(),
        sku_digits=plan.sku_digits,
        ttl_seconds=plan.ttl_s or 0,
        brief=plan.brief,
        is_availability=plan.kind is Kind.AVAILABILITY,
        commits=plan.kind is Kind.PAIR,
        batch=plan.batch,
        in_flight=plan.in_flight,
        deadline_ns=round((plan.deadline_s or 0) * 1e9),
        patience_ns=round((plan.patience_s or plan.deadline_s or 0) * 1e9),
    )


def _drive(
    plan: LoadPlan, generator: Generator, on_step: Callable[[LoadResult], None] | None
) -> None:
    """From the first call to the last answer, or until there were none for too long."""
    generator.begin(
        calls=ENDLESS if plan.calls is None else plan.calls,
        seconds=FOREVER_S if plan.duration_s is None else plan.duration_s,
        rate=plan.rate or 0.0,
    )
    moved, still_s = -1, 0.0
    while not generator.step(seconds=STEP_S):
        tally = generator.tally()
        now_moved = tally["answered"] + tally["expired"]
        is_waiting = tally["open"] or plan.rate is None
        still_s = still_s + STEP_S if now_moved == moved and is_waiting else 0.0
        moved = now_moved
        if still_s >= plan.stalled_s:
            open_calls = tally["open"]
            still = f"it stood still for {plan.stalled_s:g} s"
            raise ConnectionError(f"{still}, {open_calls:,} calls open")
        if on_step is not None:
            on_step(_result(generator))
    if plan.batch and not generator.close_streams(seconds=CONNECT_S):
        raise ConnectionError("the server did not end the stream of batches")


def _result(generator: Generator) -> LoadResult:
    tally = generator.tally()
    counts, most_ns = generator.latencies()
    return LoadResult(
        seconds=tally["taken_ns"] / 1e9,
        statuses=dict(_counted(STATUS_NAMES, tally["statuses"])),
        reserves={ReserveOutcome(n): count for n, count in _counted(NUMBERS, tally["reserves"])},
        changes={ChangeOutcome(n): count for n, count in _counted(NUMBERS, tally["changes"])},
        command_errors=dict(_counted(STATUS_NAMES, tally["command_errors"])),
        latency_counts=np.array(counts, np.int64),
        latency_most_ns=most_ns,
        **{name: tally[name] for name in PLAIN_COUNTS},
    )


def _counted(names: Sequence[Name], counts: list[int]) -> Iterator[tuple[Name, int]]:
    return ((name, count) for name, count in zip(names, counts, strict=True) if count)
