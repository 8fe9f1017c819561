"""Runs a sale: sends the plan's events, so many in flight, and hands every answer to the ledger.

Owns the order of calls, their retries (always with the same request id) and their times. Judges
no answer: that is the ledger's part. A call that gets no answer in all its tries stops the sale,
because nobody could say any more where its units are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any, Final

import grpc

from atp.client import AtpError, convert
from atp.replay import answers
from atp.replay.clock import Clock
from atp.replay.draw import draw
from atp.replay.events import Correction, Event, Fate, Order, Plan
from atp.replay.ledger import Hold, Ledger
from atp.replay.options import Options
from atp.replay.score import Score
from atp.replay.turns import Turns
from atp.v1 import reservation_pb2 as reservation_pb
from atp.v1 import reservation_service_pb2_grpc as reservation_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from atp.vocabulary import ReservationState, StockOutcome, StockReason, StockReply

BACKOFF_FIRST_S: Final = 0.05
BACKOFF_MAX_S: Final = 2.0
_RESERVATIONS: Any = reservation_grpc.ReservationServiceStub  # Generated code has no types.
_STOCK: Any = stock_grpc.StockServiceStub
_RETRIED: Final = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class Stopped(Exception):
    """The sale cannot go on; the text is one line that says why."""


class Sale:
    """One run of a plan. Channels are the caller's to open and close."""

    def __init__(
        self,
        plan: Plan,
        ledger: Ledger,
        score: Score,
        *,
        options: Options,
        clock: Clock,
        data_channel: grpc.aio.Channel,
        control_channel: grpc.aio.Channel,
        midway: Callable[[], None] | None = None,
        is_hopeless: Callable[[], bool] = lambda: False,
    ) -> None:
        """`midway` is called once, when half of the events are done; `is_hopeless` tells that no
        call will be answered any more, however often it is sent."""
        self._plan = plan
        self._ledger = ledger
        self._score = score
        self._options = options
        self._clock = clock
        self._data = _RESERVATIONS(data_channel)
        self._control = _STOCK(control_channel)
        self._ttl = convert.duration(options.ttl_ns)
        self._abandon_ttl = convert.duration(options.abandon_ttl_ns)
        self._midway = midway
        self._is_hopeless = is_hopeless
        self._turns = Turns()
        self._abandoned: list[Hold] = []
        self._start_ns = 0
        self.stopping = False
        score.events = len(plan.events)

    async def run(self) -> None:
        """Send every event; return when all are answered, or, told to stop, when those begun are.

        Raises Stopped, AtpError (an answer that this client does not know).
        """
        events = iter(self._plan.events)
        self._start_ns = self._clock.elapsed_ns()
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._options.in_flight):
                    group.create_task(self._work(events))
        except* (Stopped, AtpError) as several:
            raise several.exceptions[0] from None

    async def settle(self) -> None:
        """Wait until every abandoned hold's time is over, and try to buy each nevertheless.

        Raises Stopped.
        """
        left = [hold for hold in self._abandoned if hold.state is ReservationState.HELD]
        if not left:
            return
        last_ns = max(hold.expire_time_ns for hold in left)
        lead_ns = self._ledger.clock_lead_ns or 0
        while (wait_ns := last_ns - (self._clock.now_ns() - lead_ns)) > 0:
            await self._clock.sleep(wait_ns / 1e9)
        holds = iter(left)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._options.in_flight, len(left))):
                    group.create_task(self._come_late(holds))
        except* (Stopped, AtpError) as several:
            raise several.exceptions[0] from None

    async def _work(self, events: Iterator[Event]) -> None:
        for event in events:
            if self.stopping:
                return
            before, turn = self._turns.take(event)
            try:
                if self._options.speed is not None:
                    await self._until(event.time_s)
                if before:
                    # Not awaited one by one: a task that is cancelled would cancel what it awaits.
                    await asyncio.wait(before)
                if isinstance(event, Order):
                    await self._order(event)
                else:
                    await self._correct(event)
            finally:
                turn.set_result(None)
            self._score.events_done += 1
            if self._midway is not None and self._score.events_done * 2 >= self._score.events:
                midway, self._midway = self._midway, None
                midway()

    async def _until(self, time_s: int) -> None:
        """Wait for an event's moment in a sale that is paced."""
        assert self._options.speed is not None
        first_s = self._plan.events[0].time_s
        due_ns = self._start_ns + int((time_s - first_s) / self._options.speed * 1e9)
        while (wait_ns := due_ns - self._clock.elapsed_ns()) > 0 and not self.stopping:
            # In short naps, so that a sale told to stop does not sleep on.
            await self._clock.sleep(min(wait_ns / 1e9, 0.25))

    async def _order(self, order: Order) -> None:
        skus, options = self._plan.skus, self._options
        abandoned = order.fate is Fate.ABANDON
        request = reservation_pb.ReserveRequest(
            request_id=f"{options.run_name}-{order.invoice}",
            lines=[
                reservation_pb.Line(sku=skus[sku], quantity=quantity)
                for sku, quantity in zip(order.skus, order.quantities, strict=True)
            ],
            client_ip=order.client_ip,
            customer_id=order.customer_id,
            ttl=self._abandon_ttl if abandoned else self._ttl,
            allow_partial=options.allow_partial,
        )
        reply, tries = await self._call("Reserve", self._data.Reserve, request)
        hold = self._ledger.on_reserve(order, reply, tries, self._clock.now_ns())
        self._score.count_reserve(order, reply, hold)
        if hold is None:
            return
        if draw(options.seed, "repeat", order.invoice) < options.repeat_share:
            reply, _ = await self._call("Reserve", self._data.Reserve, request)
            self._ledger.on_repeat(hold, reply)
            self._score.repeats += 1
        if abandoned:
            self._abandoned.append(hold)
            return
        if options.pay_after_ns:
            await self._clock.sleep(options.pay_after_ns / 1e9)
        await self._end(hold)

    async def _end(self, hold: Hold) -> None:
        """Buy a hold, or give it back."""
        if hold.order.fate is Fate.RELEASE:
            release = reservation_pb.ReleaseRequest(reservation_id=hold.reservation_id)
            reply, tries = await self._call("Release", self._data.Release, release)
            done = self._ledger.on_release(hold, reply, tries)
        else:
            commit = reservation_pb.CommitRequest(reservation_id=hold.reservation_id)
            reply, tries = await self._call("Commit", self._data.Commit, commit)
            done = self._ledger.on_commit(hold, reply, tries)
        if not done:
            self._score.ends_refused[answers.change_outcome(reply)] += 1
        self._count_end(hold)

    def _count_end(self, hold: Hold) -> None:
        """Count a hold's units where the ledger has put them."""
        score, state = self._score, hold.state
        amount = hold.size()
        if state is ReservationState.COMMITTED:
            score.sold = score.sold.plus(*amount)
        elif state is ReservationState.RELEASED:
            score.released = score.released.plus(*amount)
        elif state is ReservationState.EXPIRED:
            score.expired = score.expired.plus(*amount)

    async def _come_late(self, holds: Iterator[Hold]) -> None:
        for hold in holds:
            request = reservation_pb.CommitRequest(reservation_id=hold.reservation_id)
            reply, tries = await self._call("Commit, too late", self._data.Commit, request)
            self._ledger.on_late_commit(hold, reply, tries)
            self._score.late_commits += 1
            self._count_end(hold)

    async def _correct(self, correction: Correction) -> None:
        lines = zip(correction.skus, correction.quantities, correction.line_ids, strict=True)
        for sku, quantity, line_id in lines:
            name = f"{self._options.run_name}-{correction.invoice}-{line_id}"
            if correction.is_return:
                await self._return(correction, sku, quantity, name)
            else:
                await self._write_off(correction, sku, quantity, name)

    async def _return(self, correction: Correction, sku: int, quantity: int, name: str) -> None:
        """Give back what the customer bought in this sale; a shop takes no other goods back."""
        count = self._score.returns
        count.lines += 1
        count.units_asked += quantity
        units = min(quantity, self._ledger.bought(correction.customer_id, sku))
        if not units:
            count.skipped += 1
            return
        reply = await self._adjust(correction, sku, units, name)
        if reply.outcome is StockOutcome.DONE:
            self._ledger.give_back(correction.customer_id, sku, units)
            count.count_done(units, quantity)
        else:
            count.refused[reply.outcome.name] += 1

    async def _write_off(self, correction: Correction, sku: int, quantity: int, name: str) -> None:
        """Write goods off; where not so many are there and free, as many as are."""
        count = self._score.write_offs
        count.lines += 1
        count.units_asked += quantity
        units = quantity
        reply = await self._adjust(correction, sku, -units, name)
        free = 0 if reply.stock is None else reply.stock.available
        if reply.outcome is StockOutcome.BELOW_HELD and 0 < free < quantity:
            units = free
            reply = await self._adjust(correction, sku, -units, f"{name}-clipped")
        if reply.outcome is StockOutcome.DONE:
            count.count_done(units, quantity)
        else:
            count.refused[reply.outcome.name] += 1

    async def _adjust(self, event: Correction, sku: int, delta: int, name: str) -> StockReply:
        """Correct the stock of a SKU; `name` is the request id."""
        reason = StockReason.RETURNED if event.is_return else StockReason.WRITTEN_OFF
        request = stock_pb.AdjustStockRequest(
            request_id=name,
            sku=self._plan.skus[sku],
            delta_quantity=delta,
            reason=stock_pb.StockReason.Name(reason),
        )
        answer, tries = await self._call("AdjustStock", self._control.AdjustStock, request)
        reply = convert.stock_reply(answer)
        self._ledger.on_adjust(sku, delta, event.time_s, reply, tries)
        return reply

    async def _call(self, method: str, send: Callable[..., Any], request: Any) -> tuple[Any, int]:
        """Send until answered; returns the answer and how often it was sent. Raises Stopped."""
        tries = 0
        begin_ns = self._clock.elapsed_ns()
        while True:
            tries += 1
            try:
                reply = await send(request, timeout=self._options.call_timeout_s)
            except grpc.aio.AioRpcError as error:
                is_last = tries >= self._options.tries_max or self._is_hopeless()
                if error.code() not in _RETRIED or is_last:
                    raise Stopped(_no_answer(method, request, error, tries)) from None
                self._score.retries += 1
                await self._clock.sleep(min(BACKOFF_FIRST_S * 2**tries, BACKOFF_MAX_S))
            else:
                self._score.time(method, self._clock.elapsed_ns() - begin_ns)
                return reply, tries


def _no_answer(method: str, request: Any, error: grpc.aio.AioRpcError, tries: int) -> str:
    name = getattr(request, "request_id", "") or getattr(request, "reservation_id", "")
    details = " ".join((error.details() or "").split())
    times = "once" if tries == 1 else f"{tries} times"
    return f"{method} of {name}, sent {times}, was not judged: {error.code().name}: {details}"
