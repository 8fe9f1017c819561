"""A replay from beginning to end: prepare the server, run the sale, settle it, audit it.

Owns the order of these steps and the connections. Refuses to begin where the audit could not be
right, or where it would change stock that is not its own, with a line that says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import grpc

from atp.client import AsyncClient, AtpError, ChannelOptions, Tls
from atp.client.channel import credentials
from atp.replay.audit import Audit, audit
from atp.replay.clock import Clock
from atp.replay.crash import Blow, Crash, Killer
from atp.replay.events import Plan
from atp.replay.findings import Findings
from atp.replay.history import History
from atp.replay.ledger import Ledger
from atp.replay.memory import Memory, look_back
from atp.replay.options import Options
from atp.replay.sale import Sale, Stopped
from atp.replay.score import Score

BATCH_ENTRIES: Final = 4096
TICK_S: Final = 0.2
CALL_TIMEOUT_S: Final = 60.0


class CannotBegin(Exception):
    """The server is not fit for a replay; nothing was changed. The text is one line."""


class Watcher(Protocol):
    """Is told how a replay goes."""

    def stage(self, text: str) -> None:
        """A new part of the work begins."""

    def progress(self, score: Score, elapsed_s: float) -> None:
        """The sale has gone on; several times a second."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is."""

    data_address: str
    control_address: str
    data_tls: Tls | None = None
    control_tls: Tls | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What a replay leaves behind. `sale_s` is the sale alone, first call to last answer; `crash`
    tells of the kill in its middle, if there was one."""

    plan: Plan
    options: Options
    ledger: Ledger
    score: Score
    history: History
    audit: Audit
    sale_s: float
    interrupted: bool
    crash: Crash | None = None


async def replay(
    plan: Plan,
    options: Options,
    target: Target,
    watcher: Watcher,
    clock: Clock,
    *,
    killer: Killer | None = None,
) -> Result:
    """Replay a plan against a server, which `killer`, if given, kills once in the middle.

    Raises CannotBegin, Stopped (a call was not judged), AtpError (a control call failed), and what
    the killer raises.
    """
    ledger = Ledger(plan.skus, Findings())
    score = Score()
    async with _connect(target) as (client, data_channel, control_channel):
        await _prepare(client, plan, options, ledger, watcher)
        blow = None if killer is None else Blow(killer, ledger, score, watcher, clock)
        sale = Sale(
            plan,
            ledger,
            score,
            options=options,
            clock=clock,
            data_channel=data_channel,
            control_channel=control_channel,
            midway=None if blow is None else blow.strike,
            is_hopeless=(lambda: False) if killer is None else killer.is_hopeless,
        )
        watcher.stage(f"selling {len(plan.events):,} events of the year")
        begin_ns = clock.elapsed_ns()
        with _interruptible(sale):
            async with _ticking(score, watcher, clock):
                await sale.run()
            sale_s = (clock.elapsed_ns() - begin_ns) / 1e9
            crash = None if blow is None else await blow.crash(client)
            watcher.stage("waiting for abandoned holds to expire, then trying to buy them")
            await sale.settle()
        watcher.stage("comparing the answers with the server's counters")
        stocks = [stock async for stock in client.iterate_stock(page_size=BATCH_ENTRIES)]
        recount = await client.check_invariants()
        memory = await _look_back(client, ledger, options, crash, watcher)
    verdict, history = audit(ledger, stocks, recount, options.caps, memory)
    return Result(plan, options, ledger, score, history, verdict, sale_s, sale.stopping, crash)


async def _look_back(
    client: AsyncClient, ledger: Ledger, options: Options, crash: Crash | None, watcher: Watcher
) -> Memory | None:
    """Look up what was answered, and each hold that a killed server had granted."""
    if not options.look_back:
        return None
    watcher.stage("looking up every answer in the server's change feed")
    granted = list(ledger.holds.values())
    return await look_back(client, ledger, granted[: crash.holds_answered] if crash else [])


async def _prepare(
    client: AsyncClient, plan: Plan, options: Options, ledger: Ledger, watcher: Watcher
) -> None:
    """Look at what the server has, then set caps and stock."""
    watcher.stage("asking the server what it has")
    names = set(plan.skus)
    known = [
        stock async for stock in client.iterate_stock(page_size=BATCH_ENTRIES) if stock.sku in names
    ]
    if known and not options.overwrite_stock:
        raise CannotBegin(
            f"the server already has stock of {len(known):,} of the sale's {len(names):,} SKUs; "
            "use another server, or allow it with --overwrite-stock"
        )
    if held := [stock for stock in known if stock.held]:
        raise CannotBegin(
            f"{sum(stock.held for stock in held):,} units of {len(held):,} SKUs of the sale are "
            "held by others; the audit needs this stock to itself: wait until they have ended"
        )
    ledger.open_with(known)
    watcher.stage(f"setting {len(options.caps)} caps")
    for cap in options.caps:
        await client.set_cap(cap)
    watcher.stage(f"loading stock of {len(plan.skus):,} SKUs")
    stock = plan.stock(options.stock_share)
    for first in range(0, len(plan.skus), BATCH_ENTRIES):
        skus = range(first, min(first + BATCH_ENTRIES, len(plan.skus)))
        entries = [(plan.skus[sku], stock[sku]) for sku in skus]
        replies = await client.batch_set_stock(entries)
        for sku, reply in zip(skus, replies, strict=True):
            if not ledger.on_load(sku, stock[sku], reply):
                raise Stopped(f"stock of {plan.skus[sku]!r} was refused: {reply.outcome.name}")


@contextlib.asynccontextmanager
async def _connect(
    target: Target,
) -> AsyncIterator[tuple[AsyncClient, grpc.aio.Channel, grpc.aio.Channel]]:
    """A client for the calls around the sale, and bare channels for the sale's many."""
    async with (
        AsyncClient(
            target.data_address,
            target.control_address,
            timeout_s=CALL_TIMEOUT_S,
            data_tls=target.data_tls,
            control_tls=target.control_tls,
        ) as client,
        _channel(target.data_address, target.data_tls) as data_channel,
        _channel(target.control_address, target.control_tls) as control_channel,
    ):
        yield client, data_channel, control_channel


def _channel(address: str, tls: Tls | None) -> grpc.aio.Channel:
    options = ChannelOptions().as_grpc(tls)
    if tls is None:
        return grpc.aio.insecure_channel(address, options=options)
    return grpc.aio.secure_channel(address, credentials(tls), options=options)


@contextlib.asynccontextmanager
async def _ticking(score: Score, watcher: Watcher, clock: Clock) -> AsyncIterator[None]:
    """Tell the watcher, several times a second, how the sale goes."""
    begin_ns = clock.elapsed_ns()

    def tell() -> None:
        watcher.progress(score, (clock.elapsed_ns() - begin_ns) / 1e9)

    async def tick() -> None:
        while True:
            await asyncio.sleep(TICK_S)
            tell()

    ticker = asyncio.create_task(tick())
    try:
        yield
    finally:
        ticker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await ticker
        tell()


@contextlib.contextmanager
def _interruptible(sale: Sale) -> Iterator[None]:
    """The first Ctrl-C ends the sale in order, to be audited; the second one breaks it."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        sale.stopping = True
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, stop)
    except (NotImplementedError, RuntimeError, ValueError):
        # Not in the main thread (a test, an embedding program): Ctrl-C is not ours to take.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


__all__ = ["AtpError", "CannotBegin", "Result", "Stopped", "Target", "Watcher", "replay"]
