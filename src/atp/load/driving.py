"""Runs one load against a server, and tells what came of it.

Owns the order of it: connect, greet, record, drive, count. The native part does everything between
the sockets and the counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from atp.load._native import Generator, TlsRefused, now_ns
from atp.load.connecting import CONNECT_S, Connections, LoadFailed
from atp.load.plan import LoadPlan
from atp.load.recording import recorded
from atp.load.result import STATUS_NAMES, LoadResult
from atp.load.stopping import Interrupts
from atp.vocabulary import ChangeOutcome, ReserveOutcome

STEP_S = 0.1
ENDLESS = 1 << 62
FOREVER_S = 10**8
NUMBERS = range(16)
"""Of outcomes, as the native part counts them."""
PLAIN_COUNTS = (
    *("asked", "answered", "good", "late", "expired", "lost", "tried_again", "given_up"),
    *("commands", "repeats", "repeated", "forgotten", "malformed", "unknown"),
    *("bytes_sent", "bytes_received", "first_error"),
)

Name = TypeVar("Name")
OnStep = Callable[[LoadResult], bool | None]


def run(
    plan: LoadPlan,
    *,
    on_ready: Callable[[], None] | None = None,
    on_step: OnStep | None = None,
) -> LoadResult:
    """Runs a load to its end, without the GIL; LoadFailed says what was not as it should be.

    `on_ready` is called once all are connected, before the first call is due; `on_step` is told
    every tenth of a second how far it is, and gives True to have nothing more be due. Ctrl-C does
    the same, on the main thread.
    """
    with Connections(plan) as connections:
        try:
            generator = _generator(plan, connections)
        except TlsRefused as error:
            raise LoadFailed(f"{plan.address}: TLS: {error.part}: {error}") from error
        _greet(plan, generator)
        try:
            if on_ready is not None:
                on_ready()
            with recorded(plan, generator), Interrupts() as interrupts:
                _drive(
                    plan,
                    generator,
                    connections,
                    lambda result: bool(on_step is not None and on_step(result)) or interrupts.came,
                )
        except ConnectionError as error:
            reason = f"{plan.address}: {error}"
            raise LoadFailed(reason, _result(generator, connections)) from error
        except OSError as error:
            raise LoadFailed(_history_fault(error), _result(generator, connections)) from error
        result = _result(generator, connections)
    faults = result.faults(plan)
    if faults:
        raise LoadFailed("; ".join(faults), result)
    return result


def _greet(plan: LoadPlan, generator: Generator) -> None:
    try:
        is_ready = generator.greet(seconds=CONNECT_S)
    except ConnectionError as error:
        raise LoadFailed(f"{plan.address}: {error}") from error
    if not is_ready:
        raise LoadFailed(f"{plan.address} does not speak HTTP/2 within {CONNECT_S:g} s")


def _history_fault(error: OSError) -> str:
    if isinstance(error, FileExistsError):
        return f"{error.filename}: there is a history already; name another folder, or another run"
    return f"{error.filename}: the history can't be written: {error.strerror}"


def _generator(plan: LoadPlan, connections: Connections) -> Generator:
    return Generator(
        plan.wanted(),
        sockets=connections.files(),
        authority=plan.address.encode(),
        request_id=plan.run_name.encode(),
        ttl_seconds=plan.ttl_s or 0,
        brief=plan.brief,
        batch=plan.batch,
        in_flight=plan.in_flight,
        deadline_ns=round((plan.deadline_s or 0) * 1e9),
        patience_ns=round((plan.patience_s or plan.deadline_s or 0) * 1e9),
        tries_max=plan.tries,
        tls=plan.tls,
    )


def _drive(
    plan: LoadPlan,
    generator: Generator,
    connections: Connections,
    on_step: OnStep,
) -> None:
    """From the first call to the last answer, or until there were none for too long."""
    generator.begin(
        calls=ENDLESS if plan.calls is None else plan.calls,
        seconds=FOREVER_S if plan.duration_s is None else plan.duration_s,
        curve=plan.rate_curve(),
        by_chance=plan.by_chance,
        seed=plan.seed,
    )
    moved, moved_ns, told_ns = -1, now_ns(), now_ns()
    while not generator.step(seconds=STEP_S):
        now = now_ns()
        tally = generator.tally()
        now_moved = tally["answered"] + tally["expired"]
        if now_moved != moved or not (tally["open"] or tally["is_due"]):
            moved, moved_ns = now_moved, now
        if now - moved_ns >= plan.stalled_s * 1e9:
            open_calls = tally["open"]
            still = f"it stood still for {plan.stalled_s:g} s"
            raise ConnectionError(f"{still}, {open_calls:,} calls open{connections.told()}")
        if plan.tries:
            connections.mend(generator, now)
        if now - told_ns >= STEP_S * 1e9:
            told_ns = now
            if on_step(_result(generator, connections)):
                generator.stop()
    if plan.batch and not generator.close_streams(seconds=CONNECT_S):
        raise ConnectionError("the server did not end the stream of batches")


def _result(generator: Generator, connections: Connections) -> LoadResult:
    tally = generator.tally()
    counts, most_ns = generator.latencies()
    return LoadResult(
        seconds=tally["taken_ns"] / 1e9,
        statuses=dict(_counted(STATUS_NAMES, tally["statuses"])),
        reserves={ReserveOutcome(n): count for n, count in _counted(NUMBERS, tally["reserves"])},
        commits=_changes(tally["commits"]),
        releases=_changes(tally["releases"]),
        extends=_changes(tally["extends"]),
        command_errors=dict(_counted(STATUS_NAMES, tally["command_errors"])),
        latency_counts=np.array(counts, np.int64),
        latency_most_ns=most_ns,
        reconnects=connections.made_again,
        **{name: tally[name] for name in PLAIN_COUNTS},
    )


def _changes(counts: list[int]) -> dict[ChangeOutcome, int]:
    return {ChangeOutcome(number): count for number, count in _counted(NUMBERS, counts)}


def _counted(names: Sequence[Name], counts: list[int]) -> Iterator[tuple[Name, int]]:
    return ((name, count) for name, count in zip(names, counts, strict=True) if count)
