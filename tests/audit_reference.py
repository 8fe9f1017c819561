"""A plain auditor, written from docs/audit.md alone: slow, short, and without a thought for speed.

Owns its verdict as a set of names. Keeps the whole state after every change, and tries every
position for every answer. Knows what audit_small_shop.py does and no more: whole commits and
releases, one cap on customers.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from audit_recorded import Recorded
from audit_small_shop import METHODS, Hold, Shop, key_of

KINDS = {
    METHODS["reserve"]: ("reserve", pb.ReserveRequest, pb.ReserveResponse),
    METHODS["commit"]: ("commit", pb.CommitRequest, pb.CommitResponse),
    METHODS["release"]: ("release", pb.ReleaseRequest, pb.ReleaseResponse),
    METHODS["look"]: ("look", pb.GetAvailabilityRequest, pb.GetAvailabilityResponse),
    METHODS["show"]: ("show", pb.GetReservationRequest, pb.GetReservationResponse),
    METHODS["stock"]: ("stock", stock_pb.SetStockRequest, stock_pb.SetStockResponse),
    METHODS["cap"]: ("cap", cap_pb.SetCapRequest, cap_pb.SetCapResponse),
}


@dataclass
class Asked:
    kind: str
    request: Any
    sent: int
    ended: int | None = None
    response: Any = None
    is_refused: bool = False

    @property
    def changed(self) -> int:
        """The sequence that the answer claims for itself; 0: it claims none."""
        if self.response is None or self.kind in ("look", "show"):
            return 0
        if self.kind != "cap" and (self.response.outcome != 1 or self.response.repeated):
            return 0
        return int(self.response.sequence)


@dataclass
class Reference:
    """One audit; `found` has the names."""

    recorded: Recorded
    found: set[str] = field(default_factory=set)

    def judge(self) -> set[str]:
        self.calls = list(read_calls(self.recorded))
        self.states = [Shop()]
        for event in self.recorded.events:
            shop = copy.deepcopy(self.states[-1])
            self.apply(shop, event)
            self.states.append(shop)
        self.match()
        self.order()
        if not self.found and not self.place(0, [0] * len(self.calls)):
            self.found.add("untrue")
        return self.found

    def apply(self, shop: Shop, event: Any) -> None:
        shop.now = max(shop.now, event.time_ns)
        shop.events.append(event)
        kind = event.WhichOneof("change")
        if kind == "stock_changed":
            self.apply_stock(shop, event.stock_changed)
        elif kind == "reserved":
            self.apply_grant(shop, event)
        elif kind in ("committed", "released", "expired"):
            self.apply_end(shop, event, kind)
        for sku in shop.on_hand:
            if not 0 <= shop.held(sku) <= shop.on_hand[sku]:
                self.found.add("oversold")

    def apply_stock(self, shop: Shop, event: Any) -> None:
        totals = shop.totals.setdefault(event.sku, [0, 0, 0])
        totals[:2] = event.received_quantity, event.adjusted_quantity
        if event.on_hand_quantity != totals[0] + totals[1] - totals[2]:
            self.found.add("not_conserved")
        shop.on_hand[event.sku] = event.on_hand_quantity
        shop.touched[event.sku] = len(shop.events)

    def apply_grant(self, shop: Shop, event: Any) -> None:
        granted = event.reserved
        if granted.request_id in shop.holds:
            self.found.add("two_holds")
        if granted.expire_time_ns <= event.time_ns:
            self.found.add("bad_grant")
        for line in granted.lines:
            first = shop.first_expire(line.sku)
            if line.sku not in shop.on_hand or line.quantity < 1:
                self.found.add("bad_grant")
            if first and first <= event.time_ns:
                self.found.add("late_expiry")
        request = pb.ReserveRequest(
            request_id=granted.request_id,
            customer_id=granted.customer_id,
        )
        for line in granted.lines:
            request.lines.add(sku=line.sku, quantity=line.quantity)
        request.ttl.FromNanoseconds(granted.expire_time_ns - event.time_ns)
        hold = shop.holds[granted.request_id] = Hold(
            request, len(shop.events), event.time_ns, granted.expire_time_ns
        )
        shop.touch(hold)
        capped = any(each.WhichOneof("change") == "cap_set" for each in shop.events)
        if capped and granted.customer_id and shop.in_force(granted.customer_id) > limit(shop):
            self.found.add("cap_exceeded")

    def apply_end(self, shop: Shop, event: Any, kind: str) -> None:
        key = getattr(event, kind).reservation_key
        hold = next((h for name, h in shop.holds.items() if key_of(name) == key), None)
        if hold is None:
            self.found.add("unknown_hold")
            return
        if hold.state != 1:
            self.found.add("units_end_twice")
            return
        if kind == "expired" and event.time_ns < hold.expire_ns:
            self.found.add("early_expiry")
        if kind != "expired" and event.time_ns >= hold.expire_ns:
            self.found.add("late_change")
        state = {"committed": 2, "released": 3, "expired": 4}[kind]
        for line in hold.request.lines if state == 2 else ():
            shop.on_hand[line.sku] -= line.quantity
            shop.totals.setdefault(line.sku, [0, 0, 0])[2] += line.quantity
        shop.end(hold, state, hold.expire_ns if state == 4 else event.time_ns)

    # History against journal.

    def match(self) -> None:
        events = self.recorded.events
        self.sent: dict[int, int] = {}
        claims: dict[int, list[Asked]] = {}
        for call in self.calls:
            if call.changed:
                claims.setdefault(call.changed, []).append(call)
        first = min((sequence for sequence in claims), default=len(events) + 1)
        unused = [call for call in self.calls if call.response is None and not call.is_refused]
        for sequence, calls in claims.items():
            if sequence > len(events):
                self.found.add("lost_change")
            elif len(calls) > 1:
                self.found.add("one_change_two_answers")
            elif not self.is_this(calls[0], sequence) or not self.is_told(calls[0], sequence):
                self.found.add("other_change")
        for sequence, event in enumerate(events, 1):
            if sequence in claims:
                self.sent[sequence] = claims[sequence][0].sent
            elif event.WhichOneof("change") != "expired":
                asking = [call for call in unused if self.is_this(call, sequence)]
                if asking:
                    call = min(asking, key=lambda each: each.sent)
                    unused.remove(call)
                    self.sent[sequence] = call.sent
                elif sequence >= first:
                    refused = [c for c in self.calls if c.is_refused or not is_done(c)]
                    is_refusal = any(self.is_this(call, sequence) for call in refused)
                    self.found.add("refused_yet_done" if is_refusal else "never_asked")

    def is_this(self, call: Asked, sequence: int) -> bool:
        """Is the change what was asked for?"""
        event = self.recorded.events[sequence - 1]
        request = call.request
        kind = event.WhichOneof("change")
        if call.kind == "stock":
            changed = event.stock_changed
            return kind == "stock_changed" and (changed.sku, changed.on_hand_quantity) == (
                request.sku,
                request.on_hand_quantity,
            )
        if call.kind == "cap":
            return bool(kind == "cap_set" and event.cap_set.cap == request.cap)
        if call.kind == "reserve":
            granted = event.reserved
            lines = [(line.sku, line.quantity) for line in granted.lines]
            life = granted.expire_time_ns - event.time_ns
            return kind == "reserved" and (
                granted.request_id,
                granted.customer_id,
                lines,
                life,
            ) == (
                request.request_id,
                request.customer_id,
                [(line.sku, line.quantity) for line in request.lines],
                request.ttl.ToNanoseconds(),
            )
        words = {"commit": "committed", "release": "released"}
        return kind == words.get(call.kind) and (
            getattr(event, str(kind)).reservation_key.hex() == request.reservation_id
        )

    def is_told(self, call: Asked, sequence: int) -> bool:
        """Is what was told of the change so, after it?"""
        shop = self.states[sequence]
        if call.kind == "cap":
            return bool(call.response.cap == self.recorded.events[sequence - 1].cap_set.cap)
        if call.kind == "stock":
            sku, stock = call.request.sku, call.response.stock
            return (
                stock.on_hand_quantity,
                stock.held_quantity,
                stock.sequence,
                stock.received_quantity,
                stock.adjusted_quantity,
            ) == (shop.on_hand[sku], shop.held(sku), sequence, *shop.totals[sku][:2])
        hold = shop.find(call.response.reservation)
        return hold is not None and hold.told() == call.response.reservation

    # Order and truth.

    def order(self) -> None:
        for call in self.calls:
            for other in self.calls:
                if not (call.changed and other.changed) or call.ended is None:
                    continue
                if call.ended < other.sent and call.changed >= other.changed:
                    self.found.add("order_broken")
        for sequence, sent in self.sent.items():
            before = [
                call.changed
                for call in self.calls
                if call.changed and call.ended is not None and call.ended < sent
            ]
            if before and max(before) >= sequence:
                self.found.add("order_broken")

    def place(self, number: int, places: list[int]) -> bool:
        """Can this answer and those after it have a position each? Tries all of them."""
        if number == len(self.calls):
            return True
        call = self.calls[number]
        if call.ended is None or call.changed:
            return self.place(number + 1, places)
        low, high = 0, len(self.states) - 1
        for other, place in zip(self.calls, places, strict=True):
            if other.ended is not None and other.ended < call.sent:
                low = max(low, other.changed or place)
        for sequence, sent in self.sent.items():
            if sent > call.ended:
                high = min(high, sequence - 1)
        for position in range(low, high + 1):
            if self.is_true(call, position):
                places[number] = position
                if self.place(number + 1, places):
                    return True
                places[number] = 0
        return False

    def is_true(self, call: Asked, position: int) -> bool:
        """Would a shop in that state have said just this, and have changed nothing?"""
        shop = copy.deepcopy(self.states[position])
        if call.is_refused and call.response is None:
            return call.kind != "show" or shop.find(call.request) is None
        told = getattr(shop, call.kind)(call.request)
        if told is None or len(shop.events) != position:
            return False
        return bool(told == call.response) or is_same_but_unsaid(call, told)


def is_same_but_unsaid(call: Asked, told: Any) -> bool:
    """A stock answer tells more than an audit can know of a moment: received, adjusted."""
    if call.kind != "stock":
        return False
    for answer in (told, call.response):
        answer.stock.received_quantity = answer.stock.adjusted_quantity = 0
    return bool(told == call.response)


def is_done(call: Asked) -> bool:
    return (
        call.response is None
        or call.kind in ("look", "show", "cap")
        or (call.response.outcome == 1)
    )


def limit(shop: Shop) -> int:
    caps = [each.cap_set.cap for each in shop.events if each.WhichOneof("change") == "cap_set"]
    return int(caps[-1].limit_quantity)


def read_calls(recorded: Recorded) -> list[Asked]:
    """Every call, in the order of sending."""
    calls: dict[int, Asked] = {}
    for entry in recorded.files["shop"]:
        if entry.sent.number:
            kind, request, _ = KINDS[entry.sent.method]
            asked = request.FromString(entry.sent.request)
            calls[entry.sent.number] = Asked(kind, asked, entry.sent.time_ns)
        elif entry.ended.number:
            call = calls[entry.ended.number]
            call.ended = entry.ended.time_ns
            call.is_refused = entry.ended.refused_by_server
            if not entry.ended.status:
                answer = next(each for name, _, each in KINDS.values() if name == call.kind)
                call.response = answer.FromString(entry.ended.response)
    return sorted(calls.values(), key=lambda call: call.sent)
