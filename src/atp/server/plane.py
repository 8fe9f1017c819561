"""One plane: a gRPC server with its services, its health, and the way it opens and drains.

Owns the options that gRPC is run with. Knows no servicer: app.py says what a plane serves.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from atp.server import open_files
from atp.server.call_counts import CallCounts
from atp.server.certificates import Pem
from atp.server.edge import CallGate, add_servicer
from atp.server.listen import Listen, StartFailed, join_address
from atp.settings import Settings

HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
UNGATED_CALLS_MAX = 1_000
"""Calls open beyond server.calls_max: those for health, and refusals being told. Over it gRPC
itself refuses, as RESOURCE_EXHAUSTED and without details."""


class Plane:
    """A gRPC server on one address."""

    def __init__(
        self,
        name: str,
        services: dict[ServiceDescriptor, object],
        settings: Settings,
        listed: Iterable[str] = (),
    ) -> None:
        """`services` gives the servicer of each service; `listed` names others that reflection
        tells of although they are served elsewhere. Needs a running event loop."""
        self.name = name
        self.address = ""
        """Where it listens, once opened."""
        self.counts = CallCounts()
        self._gate = CallGate(settings.integer("server.calls_max"), self.counts)
        self._health = health_aio.HealthServicer()
        self._server = grpc.aio.server(
            interceptors=[self._gate],
            options=_options(settings),
            maximum_concurrent_rpcs=settings.integer("server.calls_max") + UNGATED_CALLS_MAX,
        )
        for service, servicer in services.items():
            add_servicer(self._server, service, servicer, self.counts)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._service_names = [service.full_name for service in services]
        if settings["server.reflection"]:
            reflection.enable_server_reflection(
                (*self._service_names, *listed, HEALTH_SERVICE, reflection.SERVICE_NAME),
                self._server,
            )

    async def open(self, listen: Listen) -> None:
        """Opens the port and starts to answer. Raises StartFailed."""
        try:
            if listen.certificate is None:
                port = self._server.add_insecure_port(listen.address)
            else:
                credentials = listen.certificate.credentials()
                port = self._server.add_secure_port(listen.address, credentials)
        except RuntimeError as error:
            raise StartFailed(f"{self.name}.address {listen.address}: {error}") from None
        host = listen.address.rpartition(":")[0].strip("[]")
        self.address = join_address(host, port)
        for name in self._service_names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        await self._server.start()

    def take_certificate(self, pem: Pem) -> None:
        """Nothing to do: grpcio asks the certificate itself before each handshake."""

    def tls_refusals(self) -> tuple[int, str]:
        """None that are known of: grpcio does not tell."""
        return 0, ""

    @property
    def refused_calls(self) -> int:
        """Calls that were refused because too many were open, since the start."""
        return self._gate.refused_calls

    @property
    def open_calls(self) -> int:
        """Calls under way, those for health and streams apart."""
        return self._gate.open_calls

    async def retire(self) -> None:
        """Tells who asks or watches that no service is served any more; calls still are."""
        await self._health.enter_graceful_shutdown()

    def hurry(self) -> None:
        """Ends a drain that is under way without waiting further."""
        self._gate.stop_waiting()

    async def drain(self, seconds: float) -> int:
        """Refuses new calls, waits for those under way, and ends; returns how many were cut off."""
        # gRPC would wait for streams of health and reflection too, which end when their client
        # likes: so the wait is for the gate, and then all that is left is ended.
        refusing = asyncio.ensure_future(self._server.stop(seconds + 1))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._gate.wait_idle(), seconds)
        cut_off = self._gate.open_calls
        await self.close()
        await refusing
        return cut_off

    async def close(self) -> None:
        """Ends at once, calls under way included. Harmless when it has ended or never opened."""
        await self._server.stop(None)


def _options(settings: Settings) -> list[tuple[str, int]]:
    connections = open_files.connections_most(settings, "control_plane")
    return [
        # Off, so that a second server on the same port is refused instead of sharing its calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.integer("server.message_bytes_max")),
        ("grpc.max_concurrent_streams", settings.integer("server.streams_max")),
        ("grpc.max_allowed_incoming_connections", connections),
        # gRPC's own queue of calls that Python has not taken yet. It can't tell why it refuses: the
        # caller sees CANCELLED. So it starts no earlier than it must, and all at once.
        ("grpc.server.max_pending_requests", settings.integer("server.calls_max")),
        ("grpc.server.max_pending_requests_hard_limit", settings.integer("server.calls_max")),
    ]
