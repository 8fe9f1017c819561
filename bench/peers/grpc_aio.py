"""A server of grpc.aio on uvloop whose Reserve does nothing: what Python's gRPC costs by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from atp import load
from atp.load import LoadPlan
from peers.processes import Pattern, folder_for, started, wait_for

PROGRAM = """
import sys, grpc, uvloop
from atp.v1 import reservation_pb2 as messages, reservation_service_pb2_grpc as service

class Nothing(service.ReservationServiceServicer):
    async def Reserve(self, request, context):
        hold = messages.Reservation(reservation_id="nothing")
        return messages.ReserveResponse(outcome="RESERVE_OUTCOME_GRANTED", reservation=hold)

async def main():
    server = grpc.aio.server()
    service.add_ReservationServiceServicer_to_server(Nothing(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    with open(sys.argv[1], "x") as ready:
        ready.write(f"127.0.0.1:{port} ")
    await server.wait_for_termination()

uvloop.run(main())
"""


class GrpcAio:
    """One server."""

    def __init__(self, address: str) -> None:
        self._address = address

    def load(self, pattern: Pattern, count: int) -> float:
        """Calls a second, made as the server of this project gets them."""
        plan = LoadPlan(
            address=self._address,
            run_name="nothing-",
            connections=pattern.connections,
            in_flight=pattern.in_flight,
            calls=count,
        )
        return load.run(plan).calls_per_s


@contextmanager
def serving() -> Iterator[GrpcAio]:
    """Runs one until the block ends."""
    with folder_for("grpc-aio") as folder:
        log, ready = folder / "log", folder / "ready"
        with started([sys.executable, "-c", PROGRAM, str(ready)], log=log) as process:
            wait_for(
                lambda: ready.exists() and ready.read_text().endswith(" "),
                process, log, "address of grpc.aio",
            )  # fmt: skip
            yield GrpcAio(ready.read_text().strip())
