"""The whole server: the only place with start and stop order.

Owns the event loop, the engine's periodic sweep, the signals, and what a live setting touches.
Start: data directory taken and recovered, journal written on, planes, ports, ready. Stop: health
says so, no new calls, calls under way finish within server.drain, ports closed, snapshot, journal
closed. SIGTERM and SIGINT stop, a second one at once; SIGHUP reloads settings and certificates.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import uvloop
from google.protobuf.descriptor import ServiceDescriptor

from atp.clock import Clock
from atp.journal.report import RecoveryReport
from atp.server import journaling, listen, log_events, logs, open_files
from atp.server.cap_servicer import CapServicer
from atp.server.certificates import Renewal
from atp.server.data_plane import DataPlane
from atp.server.durable import Durable
from atp.server.feed_servicer import FeedServicer
from atp.server.journaling import Opened, Tending
from atp.server.lookout import Load, Lookout
from atp.server.maintenance_servicer import MaintenanceServicer
from atp.server.notify import Notifier
from atp.server.outcome_counts import OutcomeCounts
from atp.server.plane import Plane
from atp.server.stock_servicer import StockServicer
from atp.server.top import Top
from atp.setting_values import OFF
from atp.settings import LISTENERS, Settings, SettingsInvalid, notify_address
from atp.v1 import (
    cap_service_pb2,
    maintenance_service_pb2,
    reservation_service_pb2,
    stock_service_pb2,
)

if TYPE_CHECKING:
    from atp.server.metrics import Metrics

SECOND = 1_000_000_000
DRIFT_NS = SECOND
"""A step of the system's clock that operators should hear of."""
COOL_SECONDS = 10.0
"""In so long half of a SKU's heat goes: see metrics_table.py."""


class Addresses(NamedTuple):
    """Where the planes really listen."""

    data_plane: str
    control_plane: str
    metrics: str | None
    """None: they are off."""


class Told(NamedTuple):
    """Who is told how a start goes on, one after the other."""

    opening: Callable[[Path], None]
    """The data directory, before anything is read in it."""
    recovered: Callable[[RecoveryReport], None]
    """What was found there."""
    ready: Callable[[Addresses], None]
    """Where calls are answered, once both ports are open."""


def run(settings: Settings, told: Told, *, reload: Callable[[], Settings]) -> int:
    """Serves until a signal says stop; returns how many calls were cut off by the drain's end.

    `reload` is called at each SIGHUP. Raises StartFailed. Ends the process with the status
    journaling.JOURNAL_FAILED when the journal can't be written.
    """
    logs.configure(settings)
    open_files.make_room(settings)
    for listener in LISTENERS:
        # What is wrong with an address is told before the data directory is touched.
        if settings.text(f"{listener}.address") != OFF:
            listen.prepare(settings, listener)
    told.opening(journaling.directory_of(settings))
    clock = Clock()
    opened = journaling.open_data(settings, clock)
    told.recovered(opened.report)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(App(settings, clock, opened).serve(told.ready, reload))


Planes = tuple[DataPlane | Plane, ...]


class App:
    """The server's parts, wired. Needs a running event loop from serve() on."""

    def __init__(self, settings: Settings, clock: Clock, opened: Opened) -> None:
        self._settings = settings
        self._clock = clock
        self._opened = opened
        self._engine = opened.engine
        # As many threads as there are kinds of work: a sweep must not wait for a recount of the
        # laws, a status not for a snapshot.
        self._executor = ThreadPoolExecutor(6, thread_name_prefix="atp-engine")
        self._durable = Durable(opened.journal)
        self._data_plane = DataPlane(settings, opened.journal, clock)
        self._renewal = Renewal(self._executor, clock.now_ns)
        self._notifier = Notifier(notify_address())
        self._metrics: Metrics | None = None

    async def serve(
        self, on_ready: Callable[[Addresses], None], reload: Callable[[], Settings]
    ) -> int:
        """Starts, serves until a signal says stop, and stops; returns the calls cut off."""
        stop = self._watch_signals(reload)
        self._opened.journal.start(journaling.end_process)
        self._durable.open()
        feed = self._make_feed()
        control_plane = self._make_control_plane(feed)
        planes: Planes = (self._data_plane, control_plane)
        look = self._make_lookout(control_plane).look
        tending = Tending(self._opened, self._clock, self._executor, look)
        endless = (
            self._sweep(),
            self._cool(),
            self._renewal.run(self._seconds("server.tls_check_interval")),
        )
        works = [asyncio.ensure_future(work) for work in (*endless, tending.run())]
        stopping = asyncio.ensure_future(stop.get())
        cut_off, in_order = 0, False
        try:
            # Both are checked before either is opened, so that a refused start has served nobody.
            prepared = [listen.prepare(self._settings, plane.name) for plane in planes]
            for plane, where in zip(planes, prepared, strict=True):
                await plane.open(where)
                if where.certificate is not None:
                    self._renewal.keep(where.certificate, plane)
            self._open_metrics(control_plane, feed)
            addresses = Addresses(
                self._data_plane.address, control_plane.address, self._metrics_address
            )
            self._opened.journal.directory.tell_owner(
                journaling.owner_text(filter(None, addresses))
            )
            on_ready(addresses)
            open_files.tell_if_few(self._settings)
            self._notifier.ready(f"serving on {addresses.data_plane}")
            await asyncio.wait((*works, stopping), return_when=asyncio.FIRST_COMPLETED)
            feed.stop()
            cut_off = await self._drain(planes, stop)
            in_order = True
        finally:
            stopping.cancel()
            feed.stop()
            for plane in planes:
                await plane.close()
            if self._metrics is not None:
                self._metrics.close()
            self._durable.close()
            tending.stop()
            for work in works[: len(endless)]:
                work.cancel()
            await asyncio.wait(works)
            await self._close_journal(stop, snapshot=in_order)
            self._executor.shutdown(wait=False, cancel_futures=True)
        for work in works:
            if not work.cancelled():
                work.result()  # none ends by itself: this raises what ended it
        return cut_off

    def _make_lookout(self, control_plane: Plane) -> Lookout:
        def load() -> Load:
            told = self._data_plane.statistics()
            refused = {"control_plane": control_plane.refused_calls}
            if told is None:
                return Load(refused, {})
            return Load({**told.refused, **refused}, told.ended)

        journal = self._opened.journal
        return Lookout(journal, load, self._engine.limits, lambda: self._settings)

    def _make_top(self, feed: FeedServicer, counts: OutcomeCounts) -> Top:
        return Top(
            self._engine,
            self._opened.journal,
            self._clock,
            counts=counts,
            front=self._data_plane.statistics,
            watch_count=lambda: feed.watch_count,
        )

    def _make_feed(self) -> FeedServicer:
        return FeedServicer(
            self._opened.journal.directory.places.journal,
            durable=lambda: self._opened.journal.tellable,
            newest=lambda: self._engine.status().sequence,
            watch_max=self._settings.integer("watch.max"),
        )

    @property
    def _metrics_address(self) -> str | None:
        return None if self._metrics is None else self._metrics.address

    def _open_metrics(self, control_plane: Plane, feed: FeedServicer) -> None:
        """Raises StartFailed."""
        if self._settings.text("metrics.address") == OFF:
            return
        # Who has them off does not wait for Prometheus's library to be loaded.
        from atp.server import metrics  # noqa: PLC0415

        sources = metrics.Sources(
            engine=self._engine,
            journal=self._opened.journal,
            clock=self._clock,
            settings=lambda: self._settings,
            front=self._data_plane.statistics,
            tls_refusals=self._data_plane.tls_refusals,
            control_calls=control_plane.counts.by_code,
            control_open=lambda: control_plane.open_calls,
            watches=lambda: feed.watch_count,
            certificates=self._renewal.expiries,
        )
        where = listen.prepare(self._settings, listen.METRICS)
        self._metrics = metrics.Metrics(sources)
        self._metrics.open(where)
        if where.certificate is not None:
            self._renewal.keep(where.certificate, self._metrics)

    def _make_control_plane(self, feed: FeedServicer) -> Plane:
        shared = (self._engine, self._clock, self._durable)
        counts = OutcomeCounts(self._data_plane.outcomes)
        maintenance = MaintenanceServicer(
            *shared,
            journal=self._opened.journal,
            feed=feed,
            counts=counts,
            top=self._make_top(feed, counts),
            settings=lambda: self._settings,
            metrics_address=lambda: self._metrics_address or "",
            executor=self._executor,
        )
        services: dict[ServiceDescriptor, object] = {
            pb.DESCRIPTOR.services_by_name[name]: servicer
            for pb, name, servicer in (
                (stock_service_pb2, "StockService", StockServicer(*shared)),
                (cap_service_pb2, "CapService", CapServicer(*shared)),
                (maintenance_service_pb2, "MaintenanceService", maintenance),
            )
        }
        # Tools ask here for the data plane's schema, too: the front speaks no reflection.
        listed = [
            service.full_name
            for service in reservation_service_pb2.DESCRIPTOR.services_by_name.values()
        ]
        return Plane("control_plane", services, self._settings, listed)

    async def _drain(self, planes: Planes, stop: asyncio.Queue[signal.Signals]) -> int:
        seconds = self._settings.integer("server.drain") / SECOND
        for plane in planes:
            await plane.retire()
        logs.tell(log_events.STOPPING, seconds=seconds)
        self._notifier.stopping(f"calls under way have {seconds:g} s to finish")
        draining = asyncio.gather(*(plane.drain(seconds) for plane in planes))
        again = asyncio.ensure_future(stop.get())
        await asyncio.wait((draining, again), return_when=asyncio.FIRST_COMPLETED)
        if not draining.done():
            logs.tell(log_events.STOP_HURRIED, what="calls under way")
            for plane in planes:
                plane.hurry()
        again.cancel()
        cut_off = sum(await draining)
        if cut_off:
            logs.tell(log_events.CALLS_CUT_OFF, calls=cut_off)
        return cut_off

    async def _close_journal(self, stop: asyncio.Queue[signal.Signals], *, snapshot: bool) -> None:
        """Takes the last snapshot, which makes the next start short, and closes the journal.

        A signal meanwhile leaves at once: everything is durable without the snapshot.
        """
        loop = asyncio.get_running_loop()
        journal = self._opened.journal
        self._notifier.status("closing the journal")
        close = partial(journal.close, self._clock.now_ns(), snapshot=snapshot and stop.empty())
        closing = loop.run_in_executor(self._executor, close)
        again = asyncio.ensure_future(stop.get())
        await asyncio.wait((closing, again), return_when=asyncio.FIRST_COMPLETED)
        if not closing.done():
            logs.tell(log_events.STOP_HURRIED, what="the snapshot")
            await loop.run_in_executor(self._executor, journal.writer.stop)
            logs.leave(0)
        again.cancel()
        closing.result()
        if journal.snapshots.error:
            logs.tell(log_events.STOPPED_WITHOUT_SNAPSHOT, reason=journal.snapshots.error)
        if snapshot:
            logs.tell(log_events.STOPPED, directory=self._opened.directory)
        logs.tell_left_out(at_once=True)

    async def _sweep(self) -> None:
        """Clears what has expired, and keeps the clock, for ever."""
        loop = asyncio.get_running_loop()
        drifted = abs(self._clock.drift_ns) > DRIFT_NS
        while True:
            drift_ns = self._clock.follow()
            self._data_plane.follow_clock()
            if drifted != (abs(drift_ns) > DRIFT_NS):
                drifted = not drifted
                event = log_events.CLOCK_APART if drifted else log_events.CLOCK_TOGETHER
                logs.tell(event, ahead=drift_ns / SECOND)
            await loop.run_in_executor(
                self._executor, partial(self._engine.sweep, now_ns=self._clock.now_ns())
            )
            await asyncio.sleep(self._seconds("server.sweep_interval")())

    async def _cool(self) -> None:
        """Lets what was hot grow cold, for ever."""
        while True:
            self._engine.cool_skus()
            await asyncio.sleep(COOL_SECONDS)

    def _seconds(self, name: str) -> Callable[[], float]:
        """Reads a duration that may change live."""
        return lambda: self._settings.integer(name) / SECOND

    def _watch_signals(self, reload: Callable[[], Settings]) -> asyncio.Queue[signal.Signals]:
        loop = asyncio.get_running_loop()
        stop: asyncio.Queue[signal.Signals] = asyncio.Queue()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.put_nowait, number)
        loop.add_signal_handler(signal.SIGHUP, self._reload, reload)
        return stop

    def _reload(self, reload: Callable[[], Settings]) -> None:
        """Takes over live settings; whatever is wrong with the new ones, the old ones stand.

        So it is with the files of TLS.
        """
        self._renewal.ask()
        try:
            wanted = reload()
            settings = self._settings.with_live(wanted)
        except SettingsInvalid as error:
            logs.tell(log_events.SETTINGS_REFUSED, reason=error)
            return
        changed = [name for name in settings if settings[name] != self._settings[name]]
        waiting = [name for name in settings if settings[name] != wanted[name]]
        self._settings = settings
        self._data_plane.take_settings(settings)
        logs.configure(settings)
        logs.tell(log_events.SETTINGS_RELOADED, changed=", ".join(changed) or "none")
        if waiting:
            logs.tell(log_events.SETTINGS_WAIT, names=", ".join(waiting))
