"""The data plane: which engine call each RPC of ReservationService is.

Owns nothing but the time each call is judged at, the default time to live, the count of outcomes,
and what each answer waits for. Kept thin, because a native front will take its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atp.clock import Clock
from atp.server import convert
from atp.server.durable import Durable
from atp.server.outcome_counts import OutcomeCounts
from atp.server.status import ReservationNotFound, check_journal
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ChangeReply

if TYPE_CHECKING:
    from atp._core import Engine


class ReservationServicer:
    """Serves ReservationService. `default_ttl_ns` may be changed at any time."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        durable: Durable,
        counts: OutcomeCounts,
        default_ttl_ns: int,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._durable = durable
        self._counts = counts
        self.default_ttl_ns = default_ttl_ns

    async def Reserve(self, request: pb.ReserveRequest) -> pb.ReserveResponse:
        """Sets aside the lines of one basket."""
        ttl_ns, expire_time_ns = convert.expiration(request)
        reply = self._engine.reserve(
            request.request_id,
            convert.lines(request.lines),
            now_ns=self._clock.now_ns(),
            ttl_ns=ttl_ns,
            expire_time_ns=expire_time_ns,
            client_ip=request.client_ip,
            customer_id=request.customer_id,
            allow_partial=request.allow_partial,
            replaces=request.replaces_reservation_id,
            default_ttl_ns=self.default_ttl_ns,
        )
        check_journal(reply.limit_name)
        self._counts.count("Reserve", reply.outcome)
        return await self._durable.once(reply.reveals, convert.reserve_response(reply))

    async def Commit(self, request: pb.CommitRequest) -> pb.CommitResponse:
        """Sells held units."""
        reply = self._engine.commit(
            request.reservation_id,
            convert.lines(request.lines),
            now_ns=self._clock.now_ns(),
            request_id=request.request_id,
        )
        return await self._changed("Commit", pb.CommitResponse, reply)

    async def Release(self, request: pb.ReleaseRequest) -> pb.ReleaseResponse:
        """Gives held units back."""
        reply = self._engine.release(
            request.reservation_id,
            convert.lines(request.lines),
            now_ns=self._clock.now_ns(),
            request_id=request.request_id,
        )
        return await self._changed("Release", pb.ReleaseResponse, reply)

    async def Extend(self, request: pb.ExtendRequest) -> pb.ExtendResponse:
        """Gives a hold more time."""
        ttl_ns, expire_time_ns = convert.expiration(request)
        reply = self._engine.extend(
            request.reservation_id,
            now_ns=self._clock.now_ns(),
            ttl_ns=ttl_ns,
            expire_time_ns=expire_time_ns,
            request_id=request.request_id,
            default_ttl_ns=self.default_ttl_ns,
        )
        return await self._changed("Extend", pb.ExtendResponse, reply)

    async def GetReservation(self, request: pb.GetReservationRequest) -> pb.GetReservationResponse:
        """Reads one reservation."""
        found = self._engine.get_reservation(request.reservation_id, now_ns=self._clock.now_ns())
        if found is None:
            raise ReservationNotFound(request.reservation_id)
        response = pb.GetReservationResponse(reservation=convert.reservation(found))
        return await self._durable.once(found.sequence, response)

    async def GetAvailability(
        self, request: pb.GetAvailabilityRequest
    ) -> pb.GetAvailabilityResponse:
        """Reads what is available of many SKUs at one instant."""
        skus = list(request.skus)
        stocks = self._engine.get_availability(skus, now_ns=self._clock.now_ns())
        response = pb.GetAvailabilityResponse(
            availabilities=[
                convert.availability(sku, stock) for sku, stock in zip(skus, stocks, strict=True)
            ]
        )
        newest = max((stock.sequence for stock in stocks if stock is not None), default=0)
        return await self._durable.once(newest, response)

    async def _changed(
        self, method: str, kind: type[convert.ChangeResponse], reply: ChangeReply
    ) -> convert.ChangeResponse:
        """The answer to a change of a hold."""
        check_journal(reply.limit_name)
        self._counts.count(method, reply.outcome)
        return await self._durable.once(reply.reveals, convert.change_response(kind, reply))
