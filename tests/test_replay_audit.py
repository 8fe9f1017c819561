"""The audit must be able to fail: servers that lie, each in one way, and the law that names it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from atp.replay.findings import Law
from atp.vocabulary import (
    Cap,
    CapMode,
    CapStatus,
    CapSubject,
    ChangeOutcome,
    ChangeReply,
    CheckReport,
    Reservation,
    ReservationLine,
    ReservationState,
    ReserveOutcome,
    ReserveReply,
    Stock,
    StockReason,
    StockReply,
)
from model import ReferenceEngine
from replay_cases import sell, small_plan

CAPS = (
    Cap("customer", CapSubject.CUSTOMER, limit=6, per_sku=True),
    Cap("subnet", CapSubject.SUBNET, limit=90, ipv4_prefix_length=24, ipv6_prefix_length=56),
)
CHOICES: dict[str, Any] = {"caps": CAPS, "repeat_share": 0.5, "stock_share": 0.4}
"""With little in stock some orders are short in every run, and more is oversold than comes back."""
FAR = 10_000_000
"""Sequences that no honest change of a test reaches."""


def granted(reply: ReserveReply, lines: Sequence[tuple[str, int]], **how: Any) -> ReserveReply:
    """A forged grant of lines, at a sequence of its own."""
    basket: dict[str, int] = {}
    for sku, quantity in lines:
        basket[sku] = basket.get(sku, 0) + quantity
    now_ns, number = how["now_ns"], how["number"]
    reservation = Reservation(
        f"{number:032x}",
        ReservationState.HELD,
        tuple(ReservationLine(sku, units, units, 0, 0, 0) for sku, units in basket.items()),
        now_ns,
        now_ns + how["ttl_ns"],
        None,
        number,
        how.get("customer_id", ""),
        how.get("client_ip", ""),
    )
    return ReserveReply(ReserveOutcome.GRANTED, reservation, number, False, (), (), "")


def sold(reservation: Reservation, now_ns: int, number: int) -> ChangeReply:
    """A forged answer to a commit."""
    lines = tuple(
        ReservationLine(line.sku, line.quantity, 0, line.quantity, 0, 0)
        for line in reservation.lines
    )
    ended = reservation._replace(
        state=ReservationState.COMMITTED,
        lines=lines,
        expire_time_ns=None,
        end_time_ns=now_ns,
        sequence=number,
    )
    return ChangeReply(ChangeOutcome.DONE, ended, number, False, -1, None)


class Liar(ReferenceEngine):
    """An honest engine to begin with; lies number their changes from afar."""

    def __init__(self) -> None:
        super().__init__()
        self.forged = itertools.count(FAR)
        self.made_up: dict[str, Reservation] = {}
        self.calls = 0


class Oversells(Liar):
    """Grants and sells what is not there, and books none of it."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        reply = super().reserve(request_id, lines, **how)
        if reply.outcome is not ReserveOutcome.STOCK_SHORT:
            return reply
        reply = granted(reply, lines, number=next(self.forged), **how)
        self.made_up[reply.reservation.reservation_id] = reply.reservation
        return reply

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        if reservation_id in self.made_up:
            reservation = self.made_up[reservation_id]
            return sold(reservation, how["now_ns"], next(self.forged))
        return super().commit(reservation_id, lines, **how)


class SellsOneUnitTwice(Liar):
    """Adds the units that are short in secret, so that its counters stay consistent."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        reply = super().reserve(request_id, lines, **how)
        if reply.outcome is not ReserveOutcome.STOCK_SHORT:
            return reply
        for result in reply.line_results:
            sku = lines[result.line_index][0]
            self.skus[sku].adjusted += sum(units for name, units in lines if name == sku)
        return super().reserve(request_id, lines, **how)


class LosesACommit(Liar):
    """Says sold, and goes on holding."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        self.calls += 1
        reservation = self.get_reservation(reservation_id, now_ns=how["now_ns"])
        if self.calls == 3 and reservation is not None:
            return sold(reservation, how["now_ns"], next(self.forged))
        return super().commit(reservation_id, lines, **how)


class LosesAHold(Liar):
    """Grants a hold, and has forgotten it when it is paid."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        self.calls += 1
        if self.calls == 3:
            return ChangeReply(ChangeOutcome.NOT_FOUND, None, 0, False, -1, None)
        return super().commit(reservation_id, lines, **how)


class SellsPartOfAHold(Liar):
    """Says that a whole hold was sold, though its answer has fewer units."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        reply = super().commit(reservation_id, lines, **how)
        first, *rest = reply.reservation.lines
        less = (first._replace(committed=first.committed - 1), *rest)
        return reply._replace(reservation=reply.reservation._replace(lines=less))


class CountsAReturnTwice(Liar):
    """Puts returned goods on the shelf twice."""

    def adjust_stock(
        self, request_id: str, sku: str, delta: int, reason: StockReason, *, now_ns: int
    ) -> StockReply:
        if reason is StockReason.RETURNED:
            super().adjust_stock(f"{request_id} again", sku, delta, reason, now_ns=now_ns)
        return super().adjust_stock(request_id, sku, delta, reason, now_ns=now_ns)


class LosesAReturn(Liar):
    """Says that goods were put back, and puts none back."""

    def adjust_stock(
        self, request_id: str, sku: str, delta: int, reason: StockReason, *, now_ns: int
    ) -> StockReply:
        reply = super().adjust_stock(request_id, sku, delta, reason, now_ns=now_ns)
        if reason is StockReason.RETURNED:
            self.skus[sku].adjusted -= delta
        return reply


class HoldsTwice(Liar):
    """Forgets request ids: a retry is a second hold."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        self.calls += 1
        return super().reserve(f"{request_id} {self.calls}", lines, **how)


class AnswersTwoWithOne(Liar):
    """Gives every order the same reservation."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        reply = super().reserve(request_id, lines, **how)
        if reply.reservation is None:
            return reply
        return reply._replace(reservation=reply.reservation._replace(reservation_id="0" * 32))


class GrantsLess(Liar):
    """Says that all was granted, with a unit less."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        sku, quantity = lines[0]
        if quantity > 1:
            lines = [(sku, quantity - 1), *lines[1:]]
        return super().reserve(request_id, lines, **how)


class IgnoresCaps(Liar):
    """Sets every cap and enforces none."""

    def set_cap(self, cap: Cap, *, now_ns: int, etag: str = "") -> tuple[CapStatus, int]:
        return super().set_cap(cap._replace(mode=CapMode.OFF), now_ns=now_ns, etag=etag)


class SellsTheExpired(Liar):
    """Sells holds whose time is over."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        reply = super().commit(reservation_id, lines, **how)
        if reply.outcome is ChangeOutcome.ALREADY_EXPIRED:
            return sold(reply.reservation, how["now_ns"], next(self.forged))
        return reply


class ExpiresLate(Liar):
    """Says that a hold ended a little after its expire time."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        reply = super().commit(reservation_id, lines, **how)
        if reply.outcome is not ChangeOutcome.ALREADY_EXPIRED:
            return reply
        late = reply.reservation._replace(end_time_ns=reply.reservation.end_time_ns + 1)
        return reply._replace(reservation=late)


class SaysOneSequenceTwice(Liar):
    """Gives two changes one place."""

    def commit(self, reservation_id: str, lines: Any = (), **how: Any) -> Any:
        reply = super().commit(reservation_id, lines, **how)
        return reply._replace(sequence=FAR) if reply.sequence else reply


class SaysNoSequence(Liar):
    """Changes stock at no place at all."""

    def adjust_stock(self, *args: Any, **how: Any) -> StockReply:
        return super().adjust_stock(*args, **how)._replace(sequence=0)


class RefusesWithoutReason(Liar):
    """Says short of what it says is available."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        reply = super().reserve(request_id, lines, **how)
        more = tuple(result._replace(available=FAR) for result in reply.line_results)
        return reply._replace(line_results=more)


class KnowsNoSku(Liar):
    """Does not know what was loaded."""

    def reserve(self, request_id: str, lines: Sequence[tuple[str, int]], **how: Any) -> Any:
        return super().reserve(request_id, [(f"{sku}?", units) for sku, units in lines], **how)


class ListsWrongSums(Liar):
    """Lists counters that do not add up."""

    def list_stock(self, **how: Any) -> tuple[list[Stock], str]:
        stocks, token = super().list_stock(**how)
        return [stock._replace(on_hand=stock.on_hand + 1) for stock in stocks], token


class ForgetsASku(Liar):
    """Lists all SKUs but one."""

    def list_stock(self, **how: Any) -> tuple[list[Stock], str]:
        stocks, token = super().list_stock(**how)
        return stocks[1:], token


class HoldsTooMuch(Liar):
    """Lists more held than on hand."""

    def list_stock(self, **how: Any) -> tuple[list[Stock], str]:
        stocks, token = super().list_stock(**how)
        return [stock._replace(held=stock.on_hand + 5) for stock in stocks], token


class FindsItselfWrong(Liar):
    """Finds a law broken in its own recount."""

    def check(self, *, now_ns: int) -> CheckReport:
        return super().check(now_ns=now_ns)._replace(violations=("sku-0: held 2 of 1",))


LIES: list[tuple[type[Liar], Law]] = [
    (Oversells, Law.NO_OVERSELL),
    (SellsOneUnitTwice, Law.NO_OVERSELL),
    (HoldsTooMuch, Law.NO_OVERSELL),
    (Oversells, Law.CONSERVATION),
    (SellsOneUnitTwice, Law.CONSERVATION),
    (LosesACommit, Law.CONSERVATION),
    (CountsAReturnTwice, Law.CONSERVATION),
    (LosesAReturn, Law.CONSERVATION),
    (ListsWrongSums, Law.CONSERVATION),
    (ForgetsASku, Law.CONSERVATION),
    (LosesAHold, Law.ENDS_ONCE),
    (SellsPartOfAHold, Law.ENDS_ONCE),
    (HoldsTwice, Law.ONE_HOLD),
    (AnswersTwoWithOne, Law.ONE_HOLD),
    (GrantsLess, Law.ALL_OR_NOTHING),
    (IgnoresCaps, Law.CAPS),
    (SellsTheExpired, Law.EXPIRY),
    (ExpiresLate, Law.EXPIRY),
    (SaysOneSequenceTwice, Law.SEQUENCE),
    (SaysNoSequence, Law.SEQUENCE),
    (RefusesWithoutReason, Law.ANSWERS),
    (KnowsNoSku, Law.ANSWERS),
    (FindsItselfWrong, Law.RECOUNT),
]
OVERSELLING = {Oversells, SellsOneUnitTwice, HoldsTooMuch}
UNEXPLAINED = {law_and_lie[0] for law_and_lie in LIES if law_and_lie[1] is Law.CONSERVATION}


@pytest.mark.parametrize(("lie", "law"), LIES, ids=lambda word: getattr(word, "name", None))
def test_a_lie_is_found_and_named(lie: type[Liar], law: Law) -> None:
    result = sell(lie(), small_plan(), **CHOICES)
    named = {finding.law for finding in result.audit.findings}
    assert law in named, f"found only {result.audit.findings}"
    assert not result.audit.holds
    assert result.audit.finding_count == len(result.audit.findings)
    if lie in OVERSELLING:
        assert result.audit.oversold_units > 0
    if lie in UNEXPLAINED:
        assert result.audit.unexplained_units > 0


def test_the_same_sale_told_truly_is_clean() -> None:
    """The lies are found for what they are, not for the sale that they are told in."""
    result = sell(Liar(), small_plan(), **CHOICES)
    assert result.audit.findings == ()
    assert result.audit.oversold_units == 0
    assert result.audit.unexplained_units == 0
    assert result.audit.holds
    assert result.audit.skus == 5
    assert result.audit.caps == 2
    score = result.score
    assert min(score.repeats, score.late_commits, score.sold.orders, score.released.orders) > 0
    assert score.returns.units_done > 0
    assert score.write_offs.lines == 3
    assert set(score.refused) == {"CAP_REACHED", "STOCK_SHORT"}


def test_units_are_named_exactly() -> None:
    """So many units put back twice are so many units unexplained, and the SKUs are named."""
    result = sell(CountsAReturnTwice(), small_plan())
    named = [f for f in result.audit.findings if f.law is Law.CONSERVATION]
    assert {finding.sku for finding in named} == {"sku-0", "sku-1"}
    assert result.audit.unexplained_units == result.score.returns.units_done > 0
    for finding in named:
        assert finding.text.startswith("on hand ")
        assert "adjusted" in finding.text
        assert "by the answers" in finding.text
