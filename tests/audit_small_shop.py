"""A shop small enough to see through, whose every answer is true: random histories for auditors.

Owns one plain engine for a few SKUs, one cap on customers, and the two times of every call. Knows
neither the native engine nor any auditor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import xxhash

from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import event_pb2
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from audit_recorded import Recorded

BEGUN_NS = 1_800_000_000_000_000_000
STEP_NS = 1_000
CAP_LIMIT = 3
STORE = b"atp store\nversion 1\nid " + b"0" * 32 + b"\ncreated 0\nchecksum 0\n"
METHODS = {
    "reserve": history.HISTORY_METHOD_RESERVE,
    "commit": history.HISTORY_METHOD_COMMIT,
    "release": history.HISTORY_METHOD_RELEASE,
    "look": history.HISTORY_METHOD_GET_AVAILABILITY,
    "show": history.HISTORY_METHOD_GET_RESERVATION,
    "stock": history.HISTORY_METHOD_SET_STOCK,
    "cap": history.HISTORY_METHOD_SET_CAP,
}


def key_of(request_id: str) -> bytes:
    return bytes(xxhash.xxh3_128_digest(request_id.encode()))


@dataclass
class Hold:
    request: Any
    grant: int
    grant_ns: int
    expire_ns: int
    state: int = 1
    sequence: int = 0
    end_ns: int = 0

    def told(self) -> Any:
        """As an answer has it."""
        request = self.request
        told = pb.Reservation(
            reservation_id=key_of(request.request_id).hex(),
            state=self.state,
            sequence=self.sequence,
            customer_id=request.customer_id,
        )
        for line in request.lines:
            one = told.lines.add(sku=line.sku, quantity=line.quantity)
            words = ("", "held", "committed", "released", "expired")
            setattr(one, f"{words[self.state]}_quantity", line.quantity)
        told.create_time.FromNanoseconds(self.grant_ns)
        if self.state == 1:
            told.expire_time.FromNanoseconds(self.expire_ns)
        else:
            told.end_time.FromNanoseconds(self.end_ns)
        return told


@dataclass
class Shop:
    """Carries commands out one after the other, `STEP_NS` apart."""

    events: list[event_pb2.Event] = field(default_factory=list)
    entries: list[tuple[int, history.HistoryEntry]] = field(default_factory=list)
    on_hand: dict[str, int] = field(default_factory=dict)
    touched: dict[str, int] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    now: int = BEGUN_NS
    calls: int = 0

    def held(self, sku: str) -> int:
        lines = [
            line for hold in self.holds.values() if hold.state == 1 for line in hold.request.lines
        ]
        return sum(line.quantity for line in lines if line.sku == sku)

    def first_expire(self, sku: str) -> int:
        ends = [
            hold.expire_ns
            for hold in self.holds.values()
            if hold.state == 1 and any(line.sku == sku for line in hold.request.lines)
        ]
        return min(ends, default=0)

    def do(self, kind: str, request: Any, before: int, after: int, *, answered: bool) -> None:
        """One command: sent `before` steps earlier and answered `after` steps later."""
        self.now += STEP_NS
        for hold in sorted(self.holds.values(), key=lambda hold: hold.expire_ns):
            if hold.state == 1 and hold.expire_ns <= self.now:
                event = self.record()
                event.expired.reservation_key = key_of(hold.request.request_id)
                self.end(hold, 4, hold.expire_ns)
        response = getattr(self, kind)(request)
        self.calls += 1
        sent = history.CallSent(
            number=self.calls,
            time_ns=self.now - STEP_NS * before - self.calls % 7,
            method=METHODS[kind],
            request=request.SerializeToString(),
        )
        self.entries.append((sent.time_ns, history.HistoryEntry(sent=sent)))
        if not answered:
            return
        ended = history.CallEnded(number=self.calls, time_ns=self.now + STEP_NS * after + 10)
        if response is None:
            ended.status, ended.refused_by_server = 5, True
        else:
            ended.response = response.SerializeToString()
        self.entries.append((ended.time_ns, history.HistoryEntry(ended=ended)))

    def record(self) -> event_pb2.Event:
        event = event_pb2.Event(time_ns=self.now)
        self.events.append(event)
        return event

    def touch(self, hold: Hold) -> None:
        hold.sequence = len(self.events)
        for line in hold.request.lines:
            self.touched[line.sku] = hold.sequence

    def end(self, hold: Hold, state: int, end_ns: int) -> None:
        hold.state, hold.end_ns = state, end_ns
        self.touch(hold)

    def stock(self, request: Any) -> Any:
        sku, units = request.sku, request.on_hand_quantity
        response = stock_pb.SetStockResponse(outcome=1)
        if sku in self.on_hand and units < self.held(sku):
            response.outcome = stock_pb.STOCK_OUTCOME_BELOW_HELD
        elif sku in self.on_hand and units == self.on_hand[sku]:
            response.repeated, response.sequence = True, self.touched[sku]
        else:
            received, adjusted, _ = self.totals.setdefault(sku, [units, 0, 0])
            adjusted += units - self.on_hand.get(sku, units)
            self.totals[sku][1] = adjusted
            self.on_hand[sku] = units
            self.record().stock_changed.CopyFrom(
                event_pb2.StockChangedEvent(
                    sku=sku,
                    on_hand_quantity=units,
                    received_quantity=received,
                    adjusted_quantity=adjusted,
                )
            )
            self.touched[sku] = response.sequence = len(self.events)
        stock = response.stock
        stock.sku, stock.on_hand_quantity, stock.held_quantity = (
            sku,
            self.on_hand[sku],
            (self.held(sku)),
        )
        stock.received_quantity, stock.adjusted_quantity, _ = self.totals[sku]
        stock.sequence = self.touched[sku]
        return response

    totals: dict[str, list[int]] = field(default_factory=dict)

    def cap(self, request: Any) -> Any:
        self.record().cap_set.CopyFrom(event_pb2.CapSetEvent(cap=request.cap, counts_reset=True))
        return cap_pb.SetCapResponse(cap=request.cap, sequence=len(self.events))

    def in_force(self, customer: str) -> int:
        return sum(
            line.quantity
            for hold in self.holds.values()
            if hold.state in (1, 2) and hold.request.customer_id == customer
            for line in hold.request.lines
        )

    def reserve(self, request: Any) -> Any:
        hold = self.holds.get(request.request_id)
        if hold is not None:
            if hold.request != request:
                return pb.ReserveResponse(outcome=pb.RESERVE_OUTCOME_REQUEST_ID_REUSED)
            return pb.ReserveResponse(
                outcome=1, repeated=True, sequence=hold.grant, reservation=hold.told()
            )
        response = self.refusal(request)
        if response is not None:
            return response
        event = self.record()
        expire_ns = self.now + request.ttl.ToNanoseconds()
        hold = Hold(request, len(self.events), self.now, expire_ns)
        event.reserved.CopyFrom(
            event_pb2.ReservedEvent(
                reservation_key=key_of(request.request_id),
                expire_time_ns=expire_ns,
                customer_id=request.customer_id,
                request_id=request.request_id,
            )
        )
        for line in request.lines:
            event.reserved.lines.add(sku=line.sku, quantity=line.quantity)
        self.holds[request.request_id] = hold
        self.touch(hold)
        return pb.ReserveResponse(outcome=1, reservation=hold.told(), sequence=hold.grant)

    def refusal(self, request: Any) -> Any:
        """Why not, or None."""
        response = pb.ReserveResponse()
        asked = sum(line.quantity for line in request.lines if line.sku in self.on_hand)
        in_force = self.in_force(request.customer_id)
        is_capped = bool(request.customer_id and asked and in_force + asked > CAP_LIMIT)
        outcomes = []
        for index, line in enumerate(request.lines):
            held = self.held(line.sku)
            left = self.on_hand.get(line.sku, 0) - held
            unknown = line.sku not in self.on_hand
            outcome = 2 if unknown else 3 if is_capped else 4 if line.quantity > left else 5
            outcomes.append(outcome)
            one = response.line_results.add(line_index=index, outcome=outcome)
            one.available_quantity, one.held_quantity = left, held
            if self.first_expire(line.sku):
                one.first_expire_time.FromNanoseconds(self.first_expire(line.sku))
        if min(outcomes) == 5:
            return None
        response.outcome = min(outcomes) + 6
        if is_capped:
            response.cap_refusals.add(
                cap_id="c",
                subject=request.customer_id,
                asked_quantity=asked,
                limit_quantity=CAP_LIMIT,
                in_force_quantity=in_force,
            )
        return response

    def commit(self, request: Any) -> Any:
        return self.finish(request, "committed", 2, pb.CommitResponse)

    def release(self, request: Any) -> Any:
        return self.finish(request, "released", 3, pb.ReleaseResponse)

    def finish(self, request: Any, word: str, state: int, kind: Any) -> Any:
        hold = self.find(request)
        if hold is None:
            return kind(outcome=pb.CHANGE_OUTCOME_NOT_FOUND)
        if hold.state == 1:
            getattr(self.record(), word).reservation_key = key_of(hold.request.request_id)
            self.end(hold, state, self.now)
            for line in hold.request.lines if state == 2 else ():
                self.on_hand[line.sku] -= line.quantity
            return kind(outcome=1, reservation=hold.told(), sequence=hold.sequence)
        if hold.state == state:
            return kind(outcome=1, reservation=hold.told(), sequence=hold.sequence, repeated=True)
        return kind(outcome=hold.state + 2, reservation=hold.told())

    def find(self, request: Any) -> Hold | None:
        ids = {key_of(name).hex(): hold for name, hold in self.holds.items()}
        return ids.get(request.reservation_id)

    def look(self, request: Any) -> Any:
        response = pb.GetAvailabilityResponse()
        for sku in request.skus:
            one = response.availabilities.add(sku=sku, known=sku in self.on_hand)
            if one.known:
                one.on_hand_quantity, one.held_quantity = self.on_hand[sku], self.held(sku)
                one.available_quantity = one.on_hand_quantity - one.held_quantity
                one.sequence = self.touched[sku]
                if self.first_expire(sku):
                    one.first_expire_time.FromNanoseconds(self.first_expire(sku))
        return response

    def show(self, request: Any) -> Any:
        hold = self.find(request)
        return None if hold is None else pb.GetReservationResponse(reservation=hold.told())

    def recorded(self) -> Recorded:
        """The history and the journal."""
        begun = history.HistoryBegun(format_version=1, clock_name="clock")
        entries = [history.HistoryEntry(begun=begun)]
        entries += [entry for _, entry in sorted(self.entries, key=lambda pair: pair[0])]
        entries.append(
            history.HistoryEntry(finished=history.HistoryFinished(time_ns=self.now + 10**9))
        )
        return Recorded(STORE, list(self.events), {"shop": entries})
