"""The whole server: the only place with start and stop order.

Owns the event loop, the engine's periodic sweep, the signals, and what a live setting touches.
Start: engine, planes, ports, ready. Stop: health says so, no new calls, calls under way finish
within server.drain, ports closed. SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import uvloop
from google.protobuf.descriptor import ServiceDescriptor

from atp.clock import Clock
from atp.server import listen, logs
from atp.server.cap_servicer import CapServicer
from atp.server.listen import StartFailed
from atp.server.maintenance_servicer import MaintenanceServicer
from atp.server.outcome_counts import OutcomeCounts
from atp.server.plane import Plane
from atp.server.reservation_servicer import ReservationServicer
from atp.server.stock_servicer import StockServicer
from atp.settings import Settings, SettingsInvalid
from atp.v1 import (
    cap_service_pb2,
    maintenance_service_pb2,
    reservation_service_pb2,
    stock_service_pb2,
)

if TYPE_CHECKING:
    from atp._core import Engine

EngineFactory = Callable[..., "Engine"]
SECOND = 1_000_000_000
DRIFT_NS = SECOND
"""A step of the system's clock that operators should hear of."""
_LOG = logging.getLogger(__name__)


class Addresses(NamedTuple):
    """Where the planes really listen."""

    data_plane: str
    control_plane: str


def native_engine(**bounds: Any) -> Engine:
    """The engine that is served unless told otherwise."""
    from atp._core import Engine  # noqa: PLC0415 - tools that only read settings need no engine

    return Engine(**bounds)


def run(
    settings: Settings,
    *,
    on_ready: Callable[[Addresses], None],
    reload: Callable[[], Settings],
    engine_factory: EngineFactory | None = None,
) -> int:
    """Serves until a signal says stop; returns how many calls were cut off by the drain's end.

    `on_ready` is called once both ports are open, `reload` at each SIGHUP; `engine_factory` takes
    the engine's bounds by name and makes another than the native engine. Raises StartFailed.
    """
    logs.configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(
            App(settings, Clock(), engine_factory or native_engine).serve(on_ready, reload)
        )


class App:
    """The server's parts, wired. Needs a running event loop from serve() on."""

    def __init__(self, settings: Settings, clock: Clock, engine_factory: EngineFactory) -> None:
        self._settings = settings
        self._clock = clock
        self._engine = _make_engine(settings, engine_factory)
        # Two threads: a sweep must not wait for a recount of the laws.
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="atp-engine")
        counts = OutcomeCounts()
        self._reservations = ReservationServicer(
            self._engine, clock, counts, settings.integer("hold.default_ttl")
        )
        self._maintenance = MaintenanceServicer(
            self._engine, clock, counts, lambda: self._settings, self._executor
        )

    async def serve(
        self, on_ready: Callable[[Addresses], None], reload: Callable[[], Settings]
    ) -> int:
        """Starts, serves until a signal says stop, and stops; returns the calls cut off."""
        stop = self._watch_signals(reload)
        data_plane, control_plane = planes = self._make_planes()
        # Both are checked before either is opened, so that a refused start has served nobody.
        prepared = [listen.prepare(self._settings, plane.name) for plane in planes]
        sweeping = asyncio.ensure_future(self._sweep())
        stopping = asyncio.ensure_future(stop.get())
        try:
            for plane, where in zip(planes, prepared, strict=True):
                await plane.open(where)
            on_ready(Addresses(data_plane.address, control_plane.address))
            await asyncio.wait((sweeping, stopping), return_when=asyncio.FIRST_COMPLETED)
            cut_off = await self._drain(planes, stop)
            if sweeping.done():
                sweeping.result()  # it never ends by itself: this raises what ended it
            return cut_off
        finally:
            stopping.cancel()
            sweeping.cancel()
            for plane in planes:
                await plane.close()
            self._executor.shutdown(wait=False, cancel_futures=True)

    def _make_planes(self) -> tuple[Plane, Plane]:
        services: dict[ServiceDescriptor, object] = {
            pb.DESCRIPTOR.services_by_name[name]: servicer
            for pb, name, servicer in (
                (stock_service_pb2, "StockService", StockServicer(self._engine, self._clock)),
                (cap_service_pb2, "CapService", CapServicer(self._engine, self._clock)),
                (maintenance_service_pb2, "MaintenanceService", self._maintenance),
            )
        }
        data = reservation_service_pb2.DESCRIPTOR.services_by_name["ReservationService"]
        return (
            Plane("data_plane", {data: self._reservations}, self._settings),
            Plane("control_plane", services, self._settings),
        )

    async def _drain(self, planes: tuple[Plane, ...], stop: asyncio.Queue[signal.Signals]) -> int:
        seconds = self._settings.integer("server.drain") / SECOND
        for plane in planes:
            await plane.retire()
        _LOG.info("stopping; calls under way have %g s to finish", seconds)
        draining = asyncio.gather(*(plane.drain(seconds) for plane in planes))
        again = asyncio.ensure_future(stop.get())
        await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            _LOG.warning("told to stop again: not waiting for calls under way")
            for plane in planes:
                plane.hurry()
        again.cancel()
        cut_off = sum(await draining)
        if cut_off:
            _LOG.warning("%d calls were cut off", cut_off)
        return cut_off

    async def _sweep(self) -> None:
        """Clears what has expired, and keeps the clock, for ever."""
        loop = asyncio.get_running_loop()
        drifted = False
        while True:
            drift_ns = self._clock.follow()
            if drifted != (abs(drift_ns) > DRIFT_NS):
                drifted = not drifted
                _LOG.warning(
                    "the system's clock is %.3f s ahead of the server's, which %s",
                    drift_ns / SECOND,
                    "follows it slowly, by 0.5 ms a second" if drifted else "has caught up",
                )
            await loop.run_in_executor(
                self._executor, partial(self._engine.sweep, now_ns=self._clock.now_ns())
            )
            await asyncio.sleep(self._settings.integer("server.sweep_interval") / SECOND)

    def _watch_signals(self, reload: Callable[[], Settings]) -> asyncio.Queue[signal.Signals]:
        loop = asyncio.get_running_loop()
        stop: asyncio.Queue[signal.Signals] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.put_nowait, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload, reload)
        return stop

    def _reload(self, reload: Callable[[], Settings]) -> None:
        """Takes over live settings; whatever is wrong with the new ones, the old ones stand."""
        try:
            wanted = reload()
            settings = self._settings.with_live(wanted)
        except SettingsInvalid as error:
            _LOG.error("settings not reloaded: %s", error)
            return
        changed = [name for name in settings if settings[name] != self._settings[name]]
        waiting = [name for name in settings if settings[name] != wanted[name]]
        self._settings = settings
        self._reservations.default_ttl_ns = settings.integer("hold.default_ttl")
        logs.configure(settings)
        _LOG.info("settings reloaded; changed: %s", ", ".join(changed) or "none")
        if waiting:
            _LOG.warning("these change with the next start only: %s", ", ".join(waiting))


def _make_engine(settings: Settings, engine_factory: EngineFactory) -> Engine:
    bounds: dict[str, Any] = {
        "longest_life_ns": settings.integer("hold.longest_life"),
        "remember_ns": settings.integer("memory.remember"),
    }
    for name in ("sku_max", "live_holds_max", "cap_counters_max", "ended_max"):
        bounds[name] = settings.integer(f"memory.{name}")
    try:
        return engine_factory(**bounds)
    except (MemoryError, ValueError) as error:
        reason = str(error) or "out of memory"
        raise StartFailed(f"no engine can be made with these memory settings: {reason}") from None
