"""Was every answer kept, and is all that is remembered something that was asked?

Owns the comparison of a ledger with a history: what is lost, what was invented, and what an answer
told that never was so. Asks nobody; all it needs is what was said and what the journal holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from atp.client.convert import reservation as reservation_of
from atp.v1 import reservation_pb2 as pb
from atp.v1.stock_service_pb2 import STOCK_OUTCOME_DONE, Stock
from crash.history import Figures, History
from crash.ledger import Said, sequences_in

LOST, INVENTED, WRONG = "lost", "invented", "wrong"
CHANGES = {"Commit": "committed", "Release": "released", "Extend": "extended"}


class Finding(NamedTuple):
    """Something that should not be."""

    kind: str
    text: str


class Judge:
    """Compares answers with what is remembered now."""

    def __init__(self, history: History) -> None:
        self.history = history

    def check(self, said: Said) -> list[Finding]:
        """What is wrong with one answer; a call without one can't be wrong."""
        if not said.is_answered:
            return []
        beyond = [s for s in sequences_in(said.answer) if s > self.history.end]
        if beyond:
            text = f"{said}: names {max(beyond)}, the last change is {self.history.end}"
            return [Finding(LOST, text)]
        judge: Callable[[Said], Iterator[str]] | None
        judge = getattr(self, f"check_{said.ask.method}", None)
        if judge is None:
            return []
        return [Finding(kind_of(text), f"{said}: {text}") for text in judge(said)]

    # Holds.

    def check_Reserve(self, said: Said) -> Iterator[str]:
        asked, answer = said.ask.request, said.answer
        if answer.HasField("reservation"):
            event = self.history.event(answer.sequence)
            if event is None or event.reserved.request_id != asked.request_id:
                yield f"lost: change {answer.sequence} is not this grant but {event}"
                return
            granted: dict[str, int] = {}
            for line in answer.reservation.lines:
                granted[line.sku] = line.quantity
            if {line.sku: line.quantity for line in event.reserved.lines} != granted:
                yield "the grant has other lines"
            yield from self.hold_was(answer.reservation, said.floor)
        elif answer.outcome == pb.RESERVE_OUTCOME_STOCK_SHORT:
            yield from self.shortage_was(said)
        elif answer.outcome == pb.RESERVE_OUTCOME_CAP_REACHED:
            yield from self.refusals_were(said)
        elif answer.outcome == pb.RESERVE_OUTCOME_REPLACED_NOT_FOUND:
            if asked.replaces_reservation_id in self.history.holds:
                yield from self.was_unknown(asked.replaces_reservation_id, said.floor)
        elif answer.outcome == pb.RESERVE_OUTCOME_SKU_UNKNOWN:
            for line in asked.lines:
                past = self.history.stock.get(line.sku)
                if past is not None and past.at(said.floor) is not None:
                    yield f"lost: {line.sku} was known"

    def check_Commit(self, said: Said) -> Iterator[str]:
        yield from self.check_change(said)

    def check_Release(self, said: Said) -> Iterator[str]:
        yield from self.check_change(said)

    def check_Extend(self, said: Said) -> Iterator[str]:
        yield from self.check_change(said)

    def check_change(self, said: Said) -> Iterator[str]:
        asked, answer = said.ask.request, said.answer
        if answer.outcome == pb.CHANGE_OUTCOME_NOT_FOUND:
            yield from self.was_unknown(asked.reservation_id, said.floor)
            return
        yield from self.hold_was(answer.reservation, said.floor)
        if answer.outcome != pb.CHANGE_OUTCOME_DONE or answer.repeated:
            return
        event = self.history.event(answer.sequence)
        change = getattr(event, CHANGES[said.ask.method], None)
        if event is None or event.WhichOneof("change") != CHANGES[said.ask.method]:
            yield f"lost: change {answer.sequence} is another: {event}"
        elif change.reservation_key.hex() != asked.reservation_id:
            yield f"lost: change {answer.sequence} is of another reservation"
        elif hasattr(asked, "lines") and units(asked.lines) != units(change.lines):
            yield f"change {answer.sequence} is of other units"

    def check_GetReservation(self, said: Said) -> Iterator[str]:
        yield from self.hold_was(said.answer.reservation, said.floor)

    def hold_was(self, told: pb.Reservation, floor: int) -> Iterator[str]:
        """A reservation as told was so after its last change, and that was not an old story."""
        past = self.history.holds.get(told.reservation_id)
        if past is None:
            yield f"lost: the reservation {told.reservation_id}"
            return
        was, is_told = past.at(told.sequence), reservation_of(told)
        if was != is_told:
            yield f"lost: {told.reservation_id} was never so; after {told.sequence} it was {was}"
        known = past.at(floor)
        if known is not None and known.sequence > told.sequence:
            yield f"stale: it had changed at {known.sequence} already"

    def was_unknown(self, key: str, floor: int) -> Iterator[str]:
        """Nobody knew a reservation before this."""
        past = self.history.holds.get(key)
        if past is not None and past.at(floor) is not None:
            yield f"lost: the reservation {key} was not found, and had been granted"

    # Stock.

    def check_SetStock(self, said: Said) -> Iterator[str]:
        yield from self.stock_was(said.answer.stock, said.floor)
        if said.answer.outcome == STOCK_OUTCOME_DONE and not said.answer.repeated:
            yield from self.stock_changed(said)

    def check_AdjustStock(self, said: Said) -> Iterator[str]:
        yield from self.stock_was(said.answer.stock, said.floor)
        if said.answer.outcome == STOCK_OUTCOME_DONE and not said.answer.repeated:
            yield from self.stock_changed(said)

    def stock_changed(self, said: Said) -> Iterator[str]:
        event = self.history.event(said.answer.sequence)
        if event is None or event.stock_changed.sku != said.ask.request.sku:
            yield f"lost: change {said.answer.sequence} is another: {event}"

    def check_GetStock(self, said: Said) -> Iterator[str]:
        yield from self.stock_was(said.answer.stock, said.floor)

    def check_ListStock(self, said: Said) -> Iterator[str]:
        for stock in said.answer.stocks:
            yield from self.stock_was(stock, said.floor)
        if said.ask.request.page_token or said.answer.next_page_token:
            return
        told = {stock.sku for stock in said.answer.stocks}
        for sku, past in self.history.stock.items():
            if sku not in told and past.at(said.floor) is not None:
                yield f"lost: the SKU {sku}"

    def stock_was(self, told: Stock, floor: int) -> Iterator[str]:
        """The counters of a SKU were so after its last change, and that was no old story."""
        was = self.history.stock[told.sku].at(told.sequence)
        figures = Figures(
            told.on_hand_quantity, told.held_quantity, told.sold_quantity, told.received_quantity,
            told.adjusted_quantity, told.sequence,
        )  # fmt: skip
        if was != figures:
            yield f"lost: {told.sku} was told {figures} and was {was}"
        yield from self.is_new(told.sku, told.sequence, floor)

    def is_new(self, sku: str, sequence: int, floor: int) -> Iterator[str]:
        known = self.history.stock[sku].at(floor)
        if known is not None and known.sequence > sequence:
            yield f"stale: {sku} had changed at {known.sequence} already"

    def check_GetAvailability(self, said: Said) -> Iterator[str]:
        for told in said.answer.availabilities:
            was = self.history.stock[told.sku].at(told.sequence)
            so = (told.on_hand_quantity, told.held_quantity, told.sequence)
            if told.known and (was is None or (was.on_hand, was.held, was.sequence) != so):
                yield f"lost: {told.sku} was told {so} and was {was}"
            yield from self.is_new(told.sku, told.sequence, said.floor)

    def shortage_was(self, said: Said) -> Iterator[str]:
        """What a refused line was told to be short of was so, at some time since it was asked."""
        if said.ask.request.replaces_reservation_id:
            return  # what the replaced hold would free is counted as available
        for result in said.answer.line_results:
            sku = said.ask.request.lines[result.line_index].sku
            told = (result.available_quantity, result.held_quantity)
            since = self.history.stock[sku].since(said.floor)
            if not any(was and (was.on_hand - was.held, was.held) == told for was in since):
                yield f"lost: {sku} never had {told} available and held"

    # Caps.

    def refusals_were(self, said: Said) -> Iterator[str]:
        """What a cap was told to have in force was so, at some time since it was asked."""
        if said.ask.request.replaces_reservation_id:
            return
        for refusal in said.answer.cap_refusals:
            caps = [cap for cap in self.history.caps[refusal.cap_id].since(said.floor) if cap]
            if any(cap.HasField("window") for cap in caps):
                continue
            key = (refusal.cap_id, refusal.subject, refusal.sku)
            since = {units or 0 for units in self.history.counts[key].since(said.floor)}
            if refusal.in_force_quantity not in since:
                yield f"lost: {key} never had {refusal.in_force_quantity} in force, but {since}"

    def check_SetCap(self, said: Said) -> Iterator[str]:
        event = self.history.event(said.answer.sequence)
        asked = said.ask.request.cap
        if event is None or event.cap_set.cap.cap_id != asked.cap_id:
            yield f"lost: change {said.answer.sequence} is another: {event}"
        elif not same_cap(event.cap_set.cap, asked):
            yield f"lost: change {said.answer.sequence} set another cap: {event.cap_set.cap}"

    def check_RemoveCap(self, said: Said) -> Iterator[str]:
        event = self.history.event(said.answer.sequence)
        if event is None or event.cap_removed.cap_id != said.ask.request.cap_id:
            yield f"lost: change {said.answer.sequence} is another: {event}"

    def check_ListCaps(self, said: Said) -> Iterator[str]:
        told = {cap.cap_id: cap for cap in said.answer.caps}
        for cap in told.values():
            event = self.history.event(int(cap.etag, 16))
            if event is None or not same_cap(event.cap_set.cap, cap):
                yield f"lost: {cap.cap_id} was never set so: {event}"
        for cap_id, past in self.history.caps.items():
            since = list(past.since(said.floor))
            if cap_id not in told and None not in since:
                yield f"lost: the cap {cap_id}"
            if cap_id in told and all(cap is None for cap in since):
                yield f"lost: the cap {cap_id} had been removed"


def kind_of(text: str) -> str:
    return LOST if text.startswith("lost: ") else WRONG


def units(lines: Any) -> dict[str, int]:
    """Units by SKU."""
    return {line.sku: line.quantity for line in lines}


def same_cap(one: Any, other: Any) -> bool:
    """Whether two messages define the same cap."""
    fields = ("cap_id", "subject", "ipv4_prefix_length", "ipv6_prefix_length", "per_sku", "mode")
    return (
        all(getattr(one, name) == getattr(other, name) for name in fields)
        and set(one.skus) == set(other.skus)
        and all(
            one.HasField(name) == other.HasField(name)
            and getattr(one, name) == getattr(other, name)
            for name in ("limit_quantity", "window")
        )
        and sorted(o.subject for o in one.overrides) == sorted(o.subject for o in other.overrides)
    )
