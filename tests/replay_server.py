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
from google.protobuf.message import Message

from atp.clock import Clock
from atp.replay.run import Target
from atp.server.cap_servicer import CapServicer
from atp.server.durable import Durable
from atp.server.edge import add_servicer
from atp.server.maintenance_servicer import MaintenanceServicer
from atp.server.outcome_counts import OutcomeCounts
from atp.server.stock_servicer import StockServicer
from atp.settings import Settings
from atp.v1 import (
    cap_service_pb2,
    maintenance_service_pb2,
    reservation_service_pb2,
    stock_service_pb2,
)
from atp.v1 import reservation_pb2 as pb
from front_reference import Reference


@contextlib.asynccontextmanager
async def serving(engine: Any) -> AsyncIterator[Target]:
    """Serve both planes over an engine, which nobody remembers."""
    server = grpc.aio.server()
    clock, durable, settings = Clock(), Durable(NoJournal()), Settings()
    with ThreadPoolExecutor(1) as executor:
        servicers = (
            (reservation_service_pb2, SlowReservations(engine, clock)),
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
                    counts=OutcomeCounts(dict),
                    top=None,
                    settings=lambda: settings,
                    metrics_address=lambda: "",
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


class SlowReservations:
    """The data plane over any engine, such as one that lies, which the native front can't serve."""

    def __init__(self, engine: Any, clock: Clock) -> None:
        self._clock = clock
        self._reference = Reference(engine, Settings().integer("hold.default_ttl"))

    def Reserve(self, request: pb.ReserveRequest) -> Message:
        return self._judge("Reserve", request)

    def Commit(self, request: pb.CommitRequest) -> Message:
        return self._judge("Commit", request)

    def Release(self, request: pb.ReleaseRequest) -> Message:
        return self._judge("Release", request)

    def Extend(self, request: pb.ExtendRequest) -> Message:
        return self._judge("Extend", request)

    def GetReservation(self, request: pb.GetReservationRequest) -> Message:
        return self._judge("GetReservation", request)

    def GetAvailability(self, request: pb.GetAvailabilityRequest) -> Message:
        return self._judge("GetAvailability", request)

    def _judge(self, method: str, request: Message) -> Message:
        self._reference.now_ns = self._clock.now_ns()
        response, _ = self._reference.methods[method](request)
        return response


class NoJournal:
    """What stands in for a journal where nothing is remembered: no answer waits."""

    writer: Any = None

    def wait_for(self, _sequence: int) -> bool:
        return False
