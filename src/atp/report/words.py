"""The numbers of the native pass, as words: kinds of commands, outcomes, gRPC statuses.

Owns that translation alone; the numbers are those of history_scan.h and of the protocol.
"""

from __future__ import annotations

from enum import IntEnum

from atp.vocabulary import CALL_CODES, ChangeOutcome, ReserveOutcome, StockOutcome

KINDS = (
    *("", "Reserve", "Commit", "Release", "Extend", "GetReservation", "GetAvailability"),
    *("Execute", "SetStock", "AdjustStock", "BatchSetStock", "SetCap", "RemoveCap"),
)
"""By number of the method; the commands of a batch are of their own kind."""
CHECKOUT_KINDS = (1, 2, 3, 4, 7)
"""What changes something for a customer: Reserve, Commit, Release, Extend, and batches of them."""
RESERVE = 1
STATUS_FROM, UNANSWERED = 16, 33
_OUTCOMES: dict[str, type[IntEnum]] = {
    "Reserve": ReserveOutcome,
    "Commit": ChangeOutcome,
    "Release": ChangeOutcome,
    "Extend": ChangeOutcome,
    "SetStock": StockOutcome,
    "AdjustStock": StockOutcome,
}


def code_word(kind: int, code: int) -> str:
    """How a command of this kind ended: an outcome, a gRPC status, OK, or UNANSWERED."""
    if code == UNANSWERED:
        return "UNANSWERED"
    if code >= STATUS_FROM:
        return CALL_CODES[code - STATUS_FROM]
    words = _OUTCOMES.get(KINDS[kind])
    if words is None:
        return "OK"
    return words(code).name if code in set(words) else "UNSPECIFIED"


def status_word(code: int) -> str:
    """How a call ended."""
    return "UNANSWERED" if code == UNANSWERED else CALL_CODES[code]
