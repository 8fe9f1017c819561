"""Checks one answer at a time: does it agree with what was asked, and with itself?

Owns the rules that a single answer can break. Knows no totals: those are the ledger's. Each
function adds what it finds wrong to the findings and changes nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from google.protobuf.timestamp_pb2 import Timestamp

from atp.replay.findings import Findings, Law
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import Stock

if TYPE_CHECKING:
    from atp.replay.ledger import Hold

GRANTS = (pb.RESERVE_OUTCOME_GRANTED, pb.RESERVE_OUTCOME_GRANTED_PARTIALLY)

ReserveReply = pb.ReserveResponse
EndReply = pb.CommitResponse | pb.ReleaseResponse


def reserve_outcome(reply: ReserveReply) -> str:
    """The outcome's name, or its number where a newer or a wrong server sent one without a name."""
    return _short_name(pb.ReserveOutcome, reply.outcome, "RESERVE_OUTCOME_")


def change_outcome(reply: EndReply) -> str:
    """The outcome's name, or its number where a newer or a wrong server sent one without a name."""
    return _short_name(pb.ChangeOutcome, reply.outcome, "CHANGE_OUTCOME_")


def is_partial(reply: ReserveReply) -> bool:
    """True when less than asked for was granted."""
    return reply.outcome == pb.RESERVE_OUTCOME_GRANTED_PARTIALLY


def _short_name(kind: Any, number: int, prefix: str) -> str:
    if number not in kind.values():
        return f"outcome {number}"
    return str(kind.Name(number).removeprefix(prefix))


def time_ns(time: Timestamp) -> int:
    """Nanoseconds since the Unix epoch; 0 where the answer has no time."""
    return time.seconds * 1_000_000_000 + time.nanos


def check_stock(findings: Findings, sku: str, stock: Stock) -> None:
    """The counters of one SKU add up, and no more is held than is there."""
    if stock.sku != sku:
        findings.add(Law.ANSWERS, sku, f"answered about another SKU, {stock.sku!r}")
    if stock.on_hand != stock.received + stock.adjusted - stock.sold:
        text = (
            f"on hand {stock.on_hand:,} is not received {stock.received:,} "
            f"+ adjusted {stock.adjusted:,} - sold {stock.sold:,}"
        )
        findings.add(Law.CONSERVATION, sku, text)
    if stock.held > stock.on_hand:
        findings.add(Law.NO_OVERSELL, sku, f"held {stock.held:,} of {stock.on_hand:,} on hand")


def check_once(findings: Findings, repeated: bool, tries: int, what: str) -> None:
    """An answer may be called a repeat only if the request was sent more than once."""
    if repeated and tries == 1:
        findings.add(Law.ONE_HOLD, "", f"{what} was answered as a repeat, but was sent once")


def check_grant(
    findings: Findings, hold: Hold, asked: dict[int, int], names: list[str], reply: ReserveReply
) -> None:
    """A grant has every unit asked for, all held; a partial one no more than asked for."""
    who = f"order {hold.order.invoice}"
    granted = dict(zip(hold.skus, hold.quantities, strict=True))
    whole = reply.outcome == pb.RESERVE_OUTCOME_GRANTED
    if whole != (granted == asked):
        kind = "in full" if whole else "in part"
        text = f"{who} was granted {kind}, but not the units that this means"
        findings.add(Law.ALL_OR_NOTHING, "", text)
    for sku, quantity in granted.items():
        if quantity > asked.get(sku, 0):
            text = f"{who} asked for {asked.get(sku, 0):,} and was granted {quantity:,}"
            findings.add(Law.ALL_OR_NOTHING, names[sku], text)
    if len(granted) != len(reply.reservation.lines):
        findings.add(Law.ALL_OR_NOTHING, "", f"{who} was granted a SKU twice, or an unknown one")
    if reply.repeated:
        return  # The reservation is as it is now, which may be ended.
    if reply.reservation.state != pb.RESERVATION_STATE_HELD:
        findings.add(Law.ENDS_ONCE, "", f"{who} was granted, but is not held")
    for line in reply.reservation.lines:
        if line.held_quantity != line.quantity:
            text = f"{who} was granted {line.quantity:,}, of which {line.held_quantity:,} are held"
            findings.add(Law.ENDS_ONCE, line.sku, text)


def check_refusal(
    findings: Findings, invoice: str, asked: list[tuple[str, int]], reply: ReserveReply
) -> None:
    """A refusal gives a reason that is one: a SKU really short, a cap really reached.

    `asked` has the basket's lines as they were sent.
    """
    who = f"order {invoice}"
    if reply.HasField("reservation") or reply.sequence:
        findings.add(Law.ALL_OR_NOTHING, "", f"{who} was refused, but given a reservation")
    if reply.outcome == pb.RESERVE_OUTCOME_STOCK_SHORT:
        _check_short(findings, who, asked, reply)
    elif reply.outcome == pb.RESERVE_OUTCOME_CAP_REACHED:
        if not reply.cap_refusals:
            findings.add(Law.ANSWERS, "", f"{who} was refused by a cap that is not named")
        for cap in reply.cap_refusals:
            if cap.in_force_quantity + cap.asked_quantity <= cap.limit_quantity:
                text = (
                    f"{who} was refused by cap {cap.cap_id}, which had room: "
                    f"{cap.in_force_quantity:,} + {cap.asked_quantity:,} of {cap.limit_quantity:,}"
                )
                findings.add(Law.ANSWERS, cap.sku, text)
    elif reply.outcome != pb.RESERVE_OUTCOME_LIMIT_REACHED:
        text = f"{who} was refused with {reserve_outcome(reply)}, which nothing here explains"
        findings.add(Law.ANSWERS, "", text)


def _check_short(
    findings: Findings, who: str, asked: list[tuple[str, int]], reply: ReserveReply
) -> None:
    short = [line for line in reply.line_results if line.outcome == pb.LINE_OUTCOME_STOCK_SHORT]
    if not short:
        findings.add(Law.ANSWERS, "", f"{who} was refused as short, but no line is")
    for line in short:
        if not 0 <= line.line_index < len(asked):
            findings.add(Law.ANSWERS, "", f"{who}: line {line.line_index} is none of its lines")
            continue
        sku = asked[line.line_index][0]
        units = sum(quantity for name, quantity in asked if name == sku)
        if line.available_quantity >= units:
            there = line.available_quantity
            text = f"{who} was refused as short of {units:,}, with {there:,} available"
            findings.add(Law.ANSWERS, sku, text)


def check_end(findings: Findings, hold: Hold, committed: bool, reply: EndReply) -> None:
    """A commit sold, or a release gave back, every unit of the hold, and each once."""
    done = "committed" if committed else "released"
    who = f"order {hold.order.invoice}"
    state = pb.RESERVATION_STATE_COMMITTED if committed else pb.RESERVATION_STATE_RELEASED
    reservation = reply.reservation
    if reservation.reservation_id != hold.reservation_id or reservation.state != state:
        findings.add(Law.ENDS_ONCE, "", f"{who} was {done}, but the answer says otherwise")
    lines = reservation.lines
    if committed:
        units = tuple(line.committed_quantity for line in lines)
    else:
        units = tuple(line.released_quantity for line in lines)
    if units != hold.quantities:
        text = f"{who} held {sum(hold.quantities):,} units, of which {sum(units):,} were {done}"
        findings.add(Law.ENDS_ONCE, "", text)
    if time_ns(reservation.end_time) >= hold.expire_time_ns:
        findings.add(Law.EXPIRY, "", f"{who} was {done} at or after its expire time")
    if reply.sequence <= hold.sequence:
        text = f"{who} was {done} at sequence {reply.sequence}, before its grant, {hold.sequence}"
        findings.add(Law.SEQUENCE, "", text)


def check_end_refusal(findings: Findings, hold: Hold, what: str, reply: EndReply) -> None:
    """A live hold may refuse its end for one reason only: it has expired, at its expire time."""
    who = f"{what} of order {hold.order.invoice}"
    if reply.outcome not in (pb.CHANGE_OUTCOME_ALREADY_EXPIRED, pb.CHANGE_OUTCOME_LIMIT_REACHED):
        findings.add(Law.ENDS_ONCE, "", f"{who} was refused with {change_outcome(reply)}")
    elif reply.outcome == pb.CHANGE_OUTCOME_ALREADY_EXPIRED:
        check_expired(findings, hold, reply)


def check_expired(findings: Findings, hold: Hold, reply: EndReply) -> None:
    """An expired hold ended at its expire time, with every unit given back."""
    reservation = reply.reservation
    who = f"order {hold.order.invoice}"
    late_ns = time_ns(reservation.end_time) - hold.expire_time_ns
    if late_ns:
        findings.add(Law.EXPIRY, "", f"{who} expired {late_ns:,} ns after its expire time")
    units = tuple(line.expired_quantity for line in reservation.lines)
    if units != hold.quantities:
        text = f"{who} held {sum(hold.quantities):,} units, of which {sum(units):,} expired"
        findings.add(Law.ENDS_ONCE, "", text)
