"""What a profile promises of its load, so that a sale that never was one is not called proven.

Owns the checks, over the report's figures (docs/sale-rehearsal.md names them). Whether the answers
were true is the audit's business, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

Figures = Mapping[str, Any]
"""The report's JSON object."""
Promise = Callable[[Figures], str]
"""What was not kept, in one line; empty when it was."""

LOST = frozenset({"CANCELLED", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "UNANSWERED"})
"""How a call may end when something is broken or slow on purpose."""
WRONG = frozenset(
    {
        *("REQUEST_ID_REUSED", "EXPIRY_OUT_OF_RANGE", "REPLACED_NOT_OWNED", "SKU_UNKNOWN"),
        *("LINE_NOT_FOUND", "LIMIT_REACHED", "OUT_OF_RANGE", "ON_HAND_CHANGED", "UNSPECIFIED"),
        *("INVALID_ARGUMENT", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "ABORTED"),
        *("FAILED_PRECONDITION", "UNIMPLEMENTED", "INTERNAL", "DATA_LOSS", "UNAUTHENTICATED"),
    }
)
"""Answers that no user of ours should meet: they would mean that somebody mixed things up."""
ALLOWED = frozenset({("RemoveCap", "NOT_FOUND")})
"""But for these: a cap is not there when it was removed, and the answer of that was lost."""
GRANTED_SHARE_LEAST = 0.9
PEAK_TIMES_LEAST = 1.5


def broken(
    figures: Figures, promised: Iterable[Promise], *, faults: Iterable[str], may_lose: bool
) -> list[str]:
    """Every promise that was not kept, those of every sale first.

    `faults` were asked for. `may_lose`: calls may go unanswered, by a fault or by impatience.
    """
    found = [*_strangers(figures)]
    seen = {fault["kind"] for fault in figures["faults"]}
    found += [f"the fault {kind} did not happen" for kind in faults if kind not in seen]
    if not may_lose:
        lost = {word: n for word, n in figures["statuses"].items() if word in LOST and n}
        if lost:
            found.append(f"nothing was broken, and yet calls were lost: {lost}")
    return found + [line for promise in promised if (line := promise(figures))]


def _strangers(figures: Figures) -> Iterable[str]:
    """Answers that nobody should get, and a load that was none."""
    if not figures["statuses"].get("OK"):
        yield "no call was answered"
    for command, words in figures["commands"].items():
        for word, count in words.items():
            if word in WRONG and (command, word) not in ALLOWED:
                yield f"{count:,} of {command} ended with {word}"


def sold_something(figures: Figures) -> str:
    """Holds were made, and units were sold; by the answers where the journal is not known."""
    sold = figures["units"].get("sold")
    if sold is None:
        sold = figures["commands"].get("Commit", {}).get("DONE", 0)
    return "" if sold > 0 else "nothing was sold"


def caps_worked(figures: Figures) -> str:
    """Caps refused somebody."""
    return "" if sum(figures["caps"].values()) else "no cap refused anybody"


def bots_were_stopped(figures: Figures) -> str:
    """The cap on subnets, or that on addresses, refused the bots."""
    refused = sum(figures["caps"].get(cap, 0) for cap in ("subnet", "address"))
    return "" if refused else "no bot was refused by its subnet or its address"


def demand_met_stock(figures: Figures) -> str:
    """More was asked for than there was, where the journal tells how much that is."""
    units = figures["units"]
    if "sold" not in units:
        return ""
    asked, there = units["asked"], units["on_hand"] + units["sold"]
    if asked > there:
        return ""
    return f"only {asked:,} units were asked for, and there were {there:,}: no drop"


def mostly_granted(figures: Figures) -> str:
    """Almost everybody got what they asked for."""
    reserves = figures["commands"].get("Reserve", {})
    judged = sum(n for word, n in reserves.items() if word not in LOST)
    granted = reserves.get("GRANTED", 0)
    if judged and granted >= GRANTED_SHARE_LEAST * judged:
        return ""
    return f"only {granted:,} of {judged:,} reserves were granted"


def requests_were_repeated(figures: Figures) -> str:
    """The same request came more than once, and got the first one's answer."""
    return "" if figures["repeated"] else "no request was repeated"


def peak_is_above_quiet(figures: Figures) -> str:
    """The rush is a rush beside the quiet hours."""
    offered = [n for n in figures["rates"]["by_tenth"] if n > 0]
    if offered and max(offered) >= PEAK_TIMES_LEAST * min(offered):
        return ""
    return f"the load was flat: {offered} commands a second in each tenth of the time"
