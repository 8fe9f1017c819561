"""Commit, release and extend of the reference engine.

Owns what becomes of a hold after it was granted, by request. Grants nothing; see `model_reserve`.
"""

from __future__ import annotations

from collections.abc import Sequence

from atp.vocabulary import ChangeOutcome, ChangeReply, ReservationState
from model_fields import (
    check_change_lines,
    check_expiration,
    check_name,
    check_reservation_id,
)
from model_state import Hold, State

ALREADY = {
    ReservationState.COMMITTED: ChangeOutcome.ALREADY_COMMITTED,
    ReservationState.RELEASED: ChangeOutcome.ALREADY_RELEASED,
    ReservationState.EXPIRED: ChangeOutcome.ALREADY_EXPIRED,
}


def refuse(
    outcome: ChangeOutcome, hold: Hold | None, index: int = -1, latest: int | None = None
) -> ChangeReply:
    """A change that was refused."""
    return ChangeReply(outcome, None if hold is None else hold.view(), 0, False, index, latest)


def done(
    hold: Hold | None, sequence: int, *, repeated: bool, latest: int | None = None
) -> ChangeReply:
    """A change that is done, now or before."""
    view = None if hold is None else hold.view()
    return ChangeReply(ChangeOutcome.DONE, view, sequence, repeated, -1, latest)


class Changes(State):
    """The commands that change a hold."""

    def commit(
        self,
        reservation_id: str,
        lines: Sequence[tuple[str, int]] = (),
        *,
        now_ns: int,
        request_id: str = "",
    ) -> ChangeReply:
        """Sell held units: all, or the lines named."""
        state = ReservationState.COMMITTED
        return self.take(
            reservation_id, lines, now_ns, request_id, becomes="committed", end_state=state
        )

    def release(
        self,
        reservation_id: str,
        lines: Sequence[tuple[str, int]] = (),
        *,
        now_ns: int,
        request_id: str = "",
    ) -> ChangeReply:
        """Give held units back: all, or the lines named."""
        state = ReservationState.RELEASED
        return self.take(
            reservation_id, lines, now_ns, request_id, becomes="released", end_state=state
        )

    def take(
        self,
        reservation_id: str,
        lines: Sequence[tuple[str, int]],
        now_ns: int,
        request_id: str,
        *,
        becomes: str,
        end_state: ReservationState,
    ) -> ChangeReply:
        """Commit or release, by what the units become and the state after the last of them."""
        check_reservation_id(reservation_id, "reservation_id")
        check_change_lines(lines, request_id)
        content = (becomes, reservation_id, tuple(lines))
        now = self.advanced_to(now_ns)
        hold = self.holds.get(reservation_id)

        repeat = self.repeat_change(request_id, content, hold)
        if repeat is not None:
            return repeat
        if hold is None:
            return refuse(ChangeOutcome.NOT_FOUND, None)
        if not hold.live:
            if hold.state == end_state and not lines:
                return done(hold, hold.sequence, repeated=True)
            return refuse(ALREADY[hold.state], hold)
        fault = self.line_fault(hold, lines)
        if fault is not None:
            return fault

        # Point of no return.
        sequence = self.next_sequence()
        all_held = [(sku, line.held) for sku, line in hold.lines.items() if line.held]
        for sku, quantity in lines or all_held:
            self.take_from_line(hold, sku, quantity, becomes, sequence)
        hold.sequence = sequence
        if not any(line.held for line in hold.lines.values()):
            self.end(hold, end_state, now, sequence)
        self.remember(request_id, content, sequence)
        return done(hold, sequence, repeated=False)

    def line_fault(self, hold: Hold, lines: Sequence[tuple[str, int]]) -> ChangeReply | None:
        """The refusal of the first line that the hold cannot give, if there is one."""
        for index, (sku, quantity) in enumerate(lines):
            if sku not in hold.lines:
                return refuse(ChangeOutcome.LINE_NOT_FOUND, hold, index)
            if quantity > hold.lines[sku].held:
                return refuse(ChangeOutcome.QUANTITY_ABOVE_HELD, hold, index)
        return None

    def extend(
        self,
        reservation_id: str,
        *,
        now_ns: int,
        ttl_ns: int | None = None,
        expire_time_ns: int | None = None,
        request_id: str = "",
        default_ttl_ns: int = 0,
    ) -> ChangeReply:
        """Give a hold more time."""
        check_reservation_id(reservation_id, "reservation_id")
        check_expiration(ttl_ns, expire_time_ns, default_ttl_ns)
        check_name(request_id, "request_id", least=0)
        content = ("extend", reservation_id, ttl_ns, expire_time_ns)
        now = self.advanced_to(now_ns)
        hold = self.holds.get(reservation_id)
        latest = None if hold is None else hold.create_time_ns + self.longest_life_ns

        repeat = self.repeat_change(request_id, content, hold)
        if repeat is not None:
            return repeat._replace(latest_expire_time_ns=latest)
        if hold is None or latest is None:
            return refuse(ChangeOutcome.NOT_FOUND, None)
        if not hold.live:
            return refuse(ALREADY[hold.state], hold, latest=latest)
        end_ns = self.end_asked(now, ttl_ns, expire_time_ns, default_ttl_ns)
        if end_ns < hold.expire_time_ns or end_ns <= now or end_ns > latest:
            return refuse(ChangeOutcome.EXPIRY_OUT_OF_RANGE, hold, latest=latest)
        if end_ns == hold.expire_time_ns:
            return done(hold, hold.sequence, repeated=True, latest=latest)

        # Point of no return.
        sequence = self.next_sequence()
        hold.expire_time_ns, hold.sequence = end_ns, sequence
        for sku, line in hold.lines.items():
            if line.held:
                self.skus[sku].sequence = sequence  # its units come back at another time
        self.remember(request_id, content, sequence)
        return done(hold, sequence, repeated=False, latest=latest)

    def repeat_change(
        self, request_id: str, content: object, hold: Hold | None
    ) -> ChangeReply | None:
        """Answer a request id that is known; None when there is none or it is new."""
        key = self.key_of(request_id) if request_id else ""
        receipt = self.receipts.get(key)
        if receipt is not None and receipt.content == content:
            return done(hold, receipt.sequence, repeated=True)
        if receipt is not None or key in self.holds:
            return refuse(ChangeOutcome.REQUEST_ID_REUSED, hold)
        return None
