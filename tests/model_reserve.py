"""Reserve of the reference engine: identity, expiry, replacement, lines, caps, limits, grant.

Owns the judging of a basket in the documented order. What becomes of a hold later is in
`model_changes` and, by the clock, in `model_state`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from atp.vocabulary import (
    CapRefusal,
    LineOutcome,
    LineResult,
    ReservationState,
    ReserveOutcome,
    ReserveReply,
)
from model_caps import Count, Grant, counts_of, judge_partial, judge_whole, tally
from model_fields import (
    Address,
    basket_of,
    check_expiration,
    check_name,
    check_reservation_id,
    parse_address,
)
from model_state import Hold, Line, State

REFUSED_BY_LINES = (
    (LineOutcome.SKU_UNKNOWN, ReserveOutcome.SKU_UNKNOWN),
    (LineOutcome.CAP_REACHED, ReserveOutcome.CAP_REACHED),
    (LineOutcome.STOCK_SHORT, ReserveOutcome.STOCK_SHORT),
)


@dataclass
class Asked:
    """One reserve as it is judged."""

    key: str
    content: object
    basket: dict[str, int]
    first_index: dict[str, int]
    address: Address | None
    customer_id: str
    end_ns: int
    allow_partial: bool
    replaces: str


@dataclass
class Judgement:
    """What was decided about the lines of a basket."""

    granted: dict[str, int]
    outcomes: dict[str, LineOutcome]
    results: tuple[LineResult, ...] = ()
    reports: tuple[CapRefusal, ...] = ()


def refuse(
    outcome: ReserveOutcome,
    results: tuple[LineResult, ...] = (),
    reports: tuple[CapRefusal, ...] = (),
    limit_name: str = "",
) -> ReserveReply:
    """A reserve that grants nothing."""
    return ReserveReply(outcome, None, 0, False, results, reports, limit_name)


class Reserves(State):
    """The command that grants holds."""

    live_holds_max: int

    def reserve(
        self,
        request_id: str,
        lines: Sequence[tuple[str, int]],
        *,
        now_ns: int,
        ttl_ns: int | None = None,
        expire_time_ns: int | None = None,
        client_ip: str = "",
        customer_id: str = "",
        allow_partial: bool = False,
        replaces: str = "",
        default_ttl_ns: int = 0,
    ) -> ReserveReply:
        """Set aside the lines of one basket."""
        check_name(request_id, "request_id")
        basket = basket_of(lines)
        address = parse_address(client_ip, "client_ip")
        check_name(customer_id, "customer_id", least=0)
        check_expiration(ttl_ns, expire_time_ns, default_ttl_ns)
        if replaces:
            check_reservation_id(replaces, "replaces_reservation_id")
        sent = (client_ip, customer_id, ttl_ns, expire_time_ns, allow_partial, replaces)
        content = ("reserve", tuple(lines), sent)
        now = self.advanced_to(now_ns)
        end_ns = self.end_asked(now, ttl_ns, expire_time_ns, default_ttl_ns)
        key = self.key_of(request_id)
        named = [sku for sku, _ in lines]
        asked = Asked(
            key=key,
            content=content,
            basket=basket,
            first_index={sku: named.index(sku) for sku in basket},
            address=address,
            customer_id=customer_id,
            end_ns=end_ns,
            allow_partial=allow_partial,
            replaces=replaces,
        )
        early = self.known_or_out_of_range(asked) or self.not_replaceable(asked)
        return early or self.judge_and_grant(asked)

    def known_or_out_of_range(self, asked: Asked) -> ReserveReply | None:
        """Steps 1 and 2: the answer, if the id is known or the end is out of range."""
        if asked.key in self.receipts:
            return refuse(ReserveOutcome.REQUEST_ID_REUSED)
        first = self.holds.get(asked.key)
        if first is not None:
            if first.content != asked.content:
                return refuse(ReserveOutcome.REQUEST_ID_REUSED)
            granted = ReserveOutcome.GRANTED
            outcome = ReserveOutcome.GRANTED_PARTIALLY if first.partial else granted
            return ReserveReply(outcome, first.view(), first.grant_sequence, True, (), (), "")
        if not self.time_ns < asked.end_ns <= self.time_ns + self.longest_life_ns:
            return refuse(ReserveOutcome.EXPIRY_OUT_OF_RANGE)
        return None

    def not_replaceable(self, asked: Asked) -> ReserveReply | None:
        """Step 3: the refusal, if a hold is to be replaced that cannot be."""
        if asked.replaces == "":
            return None
        replaced = self.holds.get(asked.replaces)
        if replaced is None:
            return refuse(ReserveOutcome.REPLACED_NOT_FOUND)
        if asked.customer_id == "" or replaced.customer_id != asked.customer_id:
            return refuse(ReserveOutcome.REPLACED_NOT_OWNED)
        if not replaced.live:
            return refuse(ReserveOutcome.REPLACED_ENDED)
        return None

    def judge_and_grant(self, asked: Asked) -> ReserveReply:
        """Steps 4 to 6: lines and caps, limits, the grant."""
        replaced = self.holds.get(asked.replaces)
        known = {sku: units for sku, units in asked.basket.items() if sku in self.skus}
        counts = counts_of(
            self.caps.values(),
            known,
            asked.address,
            asked.customer_id,
            grants=self.grants_without(replaced),
            now_ns=self.time_ns,
        )
        judge = self.judge_partial if asked.allow_partial else self.judge_whole
        judged = judge(asked.basket, counts, replaced)
        judged.results = self.line_results(asked, judged, replaced)
        nothing = sum(judged.granted.values()) == 0
        full = replaced is None and self.live_holds() >= self.live_holds_max
        judged.reports = tally(counts, refused=nothing)
        if nothing:
            worst = next(out for line, out in REFUSED_BY_LINES if line in judged.outcomes.values())
            return refuse(worst, judged.results, judged.reports)
        if full:
            return refuse(ReserveOutcome.LIMIT_REACHED, limit_name="live_holds_max")
        return self.grant(asked, judged, replaced)

    def grant(self, asked: Asked, judged: Judgement, replaced: Hold | None) -> ReserveReply:
        """Step 6: from here on nothing can fail."""
        sequence, now = self.next_sequence(), self.time_ns
        if replaced is not None:
            for sku, line in replaced.lines.items():
                if line.held:
                    self.take_from_line(replaced, sku, line.held, "released", sequence)
            self.end(replaced, ReservationState.RELEASED, now, sequence)
        partial = judged.granted != asked.basket
        hold = Hold(
            reservation_id=asked.key,
            content=asked.content,
            partial=partial,
            lines={sku: Line(units, units) for sku, units in judged.granted.items() if units},
            create_time_ns=now,
            expire_time_ns=asked.end_ns,
            grant_sequence=sequence,
            sequence=sequence,
            customer_id=asked.customer_id,
            client_ip="" if asked.address is None else str(asked.address),
        )
        self.holds[asked.key] = hold
        who = (asked.address, asked.customer_id)
        for sku, line in hold.lines.items():
            self.skus[sku].sequence = sequence
            self.grants.append(Grant(asked.key, sequence, now, *who, sku, line.quantity))
        if partial:
            outcome, told = ReserveOutcome.GRANTED_PARTIALLY, (judged.results, judged.reports)
        else:
            outcome, told = ReserveOutcome.GRANTED, ((), ())
        return ReserveReply(outcome, hold.view(), sequence, False, *told, "")

    def grants_without(self, replaced: Hold | None) -> list[Grant]:
        """The grants, the held units of a replaced hold taken as not in force."""
        if replaced is None:
            return self.grants
        return [
            replace(grant, units=grant.units - replaced.lines[grant.sku].held)
            if grant.reservation_id == replaced.reservation_id
            else grant
            for grant in self.grants
        ]

    def judge_whole(
        self, basket: dict[str, int], counts: list[Count], replaced: Hold | None
    ) -> Judgement:
        """Judge all or nothing."""
        capped = judge_whole(counts)
        outcomes: dict[str, LineOutcome] = {}
        for sku, units in basket.items():
            if sku not in self.skus:
                outcomes[sku] = LineOutcome.SKU_UNKNOWN
            elif sku in capped:
                outcomes[sku] = LineOutcome.CAP_REACHED
            elif units > self.available(sku, without=replaced):
                outcomes[sku] = LineOutcome.STOCK_SHORT
            else:
                outcomes[sku] = LineOutcome.GRANTED
        if set(outcomes.values()) == {LineOutcome.GRANTED}:
            return Judgement(dict(basket), outcomes)
        for sku, outcome in outcomes.items():
            if outcome == LineOutcome.GRANTED:
                outcomes[sku] = LineOutcome.NOT_ATTEMPTED
        return Judgement(dict.fromkeys(basket, 0), outcomes)

    def judge_partial(
        self, basket: dict[str, int], counts: list[Count], replaced: Hold | None
    ) -> Judgement:
        """Judge for what is left, line after line."""
        judged = Judgement({}, {})
        for sku, units in basket.items():
            if sku not in self.skus:
                judged.granted[sku], judged.outcomes[sku] = 0, LineOutcome.SKU_UNKNOWN
                continue
            allowed = judge_partial(counts, sku, units)
            available = self.available(sku, without=replaced)
            granted = min(units, allowed, available)
            if granted == units:
                outcome = LineOutcome.GRANTED
            elif allowed < units and allowed <= available:
                outcome = LineOutcome.CAP_REACHED
            else:
                outcome = LineOutcome.STOCK_SHORT
            judged.granted[sku], judged.outcomes[sku] = granted, outcome
            for count in counts:
                if sku in count.skus:
                    count.granted += granted
        return judged

    def line_results(
        self, asked: Asked, judged: Judgement, replaced: Hold | None
    ) -> tuple[LineResult, ...]:
        """Report each SKU as of before the grant, a replaced hold taken as free."""
        results = []
        for sku in asked.basket:
            index, outcome = asked.first_index[sku], judged.outcomes[sku]
            available, held, first = 0, 0, None
            if sku in self.skus:
                available = self.available(sku, without=replaced)
                held = self.held(sku, without=replaced)
                first = self.first_expire(sku, without=replaced)
            granted = judged.granted[sku]
            results.append(LineResult(index, outcome, granted, available, held, first))
        return tuple(results)
