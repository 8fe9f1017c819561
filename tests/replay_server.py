"""A server inside the test process, for replays: the real servicers over any engine.

Owns starting and stopping it on a free port of the loopback address. The engine may be one that
lies.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor

from atp.clock import Clock
from atp.replay.run import Target
from atp.server.cap_servicer import CapServicer
from atp.server.durable import Durable
from atp.server.edge import add_servicer
from atp.server.maintenance_servicer import MaintenanceServicer
from atp.server.outcome_counts import OutcomeCounts
from atp.server.reservation_servicer import ReservationServicer
from atp.server.stock_servicer import StockServicer
from atp.v1 import (
    cap_service_pb2,
    maintenance_service_pb2,
    reservation_service_pb2,
    stock_service_pb2,
)

DEFAULT_TTL_NS = 600 * 1_000_000_000


@contextlib.asynccontextmanager
async def serving(engine: Any) -> AsyncIterator[Target]:
    """Serve both planes over an engine on one port."""
    server = grpc.aio.server()
    clock, counts, durable = Clock(), OutcomeCounts(), Durable(NoJournal())
    reservations = ReservationServicer(engine, clock, durable, counts, DEFAULT_TTL_NS)
    with ThreadPoolExecutor(1) as executor:
        servicers = (
            (reservation_service_pb2, reservations),
            (stock_service_pb2, StockServicer(engine, clock, durable)),
            (cap_service_pb2, CapServicer(engine, clock, durable)),
            (
                maintenance_service_pb2,
                MaintenanceServicer(
                    engine,
                    clock,
                    durable,
                    journal=NoJournal(),
                    feed=None,
                    counts=counts,
                    settings=_no_settings,
                    executor=executor,
                ),
            ),
        )
        for module, servicer in servicers:
            descriptor: FileDescriptor = module.DESCRIPTOR
            (service,) = descriptor.services_by_name.values()
            add_servicer(server, service, servicer)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield Target(f"127.0.0.1:{port}", f"127.0.0.1:{port}")
        finally:
            await server.stop(grace=None)


class NoJournal:
    """What stands in for a journal where nothing is remembered: no answer waits."""

    writer: Any = None

    def wait_for(self, _sequence: int) -> bool:
        return False


def _no_settings() -> Any:
    raise AssertionError("a replay asks for no settings")
