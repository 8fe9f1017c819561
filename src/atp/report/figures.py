"""The report's numbers as one JSON object: what the page shows, for scripts.

Owns the names and units of the figures (docs/sale-rehearsal.md has them all). Everything comes from
what was counted; nothing is judged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atp.report import percentiles
from atp.report.reading import STOCK_FIELDS, Sale
from atp.report.words import CHECKOUT_KINDS, KINDS, RESERVE, code_word, status_word

TENTHS = 10
CHANGE_FIELDS = {
    "reserved": 2,
    "committed": 3,
    "released": 4,
    "expired": 5,
    "extended": 6,
    "stock_changed": 7,
    "cap_set": 8,
    "cap_removed": 9,
}


def figures_of(sale: Sale, verdict: Mapping[str, Any] | None) -> dict[str, Any]:
    """Everything. `verdict` is the audit's, None when nobody asked it."""
    statuses = {
        status_word(code): int(count) for code, count in enumerate(sale.counts["statuses"]) if count
    }
    sent = sum(statuses.values())
    return {
        "history": str(sale.history),
        "begun": datetime.fromtimestamp(sale.wall_time_ns / 1e9, UTC).isoformat(),
        "recorders": sorted({each.recorder for each in sale.begun}),
        "recorders_killed": sale.unfinished,
        "settings": sale.settings(),
        "seconds": round(sale.seconds, 6),
        "calls": {
            "sent": sent,
            "answered": statuses.get("OK", 0),
            "unanswered": statuses.get("UNANSWERED", 0),
            "unsent": sale.unsent,
        },
        "statuses": statuses,
        "commands": commands_of(sale),
        "repeated": sale.totals["repeated"],
        "rates": _rates(sale),
        "latency_ms": latencies_of(sale),
        "units": _units(sale),
        "caps": {cap: int(counts.sum()) for cap, counts in sale.caps.items()},
        "stock": _stock(sale),
        "changes": None
        if sale.stock is None
        else {name: sale.stock.changes[number] for name, number in CHANGE_FIELDS.items()},
        "faults": [
            {
                "kind": fault.kind,
                "text": fault.text,
                "begin_s": round(fault.begin_s, 3),
                "seconds": round(fault.seconds, 3),
            }
            for fault in sale.faults
        ],
        "series": series_of(sale),
        "verdict": verdict,
    }


def commands_of(sale: Sale) -> dict[str, dict[str, int]]:
    """How many commands of each kind ended how."""
    made: dict[str, dict[str, int]] = {}
    sums = sale.counts["ended"].sum(axis=2)
    for kind, code in np.argwhere(sums):
        words = made.setdefault(KINDS[kind], {})
        word = code_word(int(kind), int(code))
        words[word] = words.get(word, 0) + int(sums[kind, code])
    return made


def checkout_offered(sale: Sale) -> NDArray[np.float64]:
    """Commands a second, in each step, by when they were due."""
    offered: NDArray[np.float64] = sale.counts["offered"][list(CHECKOUT_KINDS)].sum(axis=0)
    return offered / sale.step_s


def latencies_of(sale: Sale) -> dict[str, dict[str, float | int]]:
    """Percentiles of the calls answered OK, by kind; "checkout" has those that change something."""
    rows = {KINDS[kind]: [kind] for kind in range(1, len(KINDS))}
    rows["checkout"] = list(CHECKOUT_KINDS)
    made = {}
    for name, kinds in rows.items():
        counts = sale.counts["fine"][kinds].sum(axis=0)
        if not counts.any():
            continue
        longest_ns = int(sale.counts["longest"][kinds].max())
        one: dict[str, float | int] = {"calls": int(counts.sum())}
        for share, value in percentiles.SHARES.items():
            found = percentiles.percentile_ns(counts, value, percentiles.FINE_BITS)
            one[share] = min(found or 0, longest_ns) / 1e6
        made[name] = one | {"longest": longest_ns / 1e6}
    return made


def reserve_ends(sale: Sale) -> dict[str, NDArray[np.float64]]:
    """How reserves ended, a second, in each step, by outcome."""
    made: dict[str, NDArray[np.float64]] = {}
    ended = sale.counts["ended"][RESERVE]
    for code in np.flatnonzero(ended.any(axis=1)):
        word = code_word(RESERVE, int(code))
        made[word] = made.get(word, np.zeros(ended.shape[1])) + ended[code] / sale.step_s
    return made


def latency_steps(sale: Sale) -> dict[str, NDArray[np.float64]]:
    """Percentiles of checkouts in each step, by when they were due, in milliseconds; NaN: none."""
    return {
        name: percentiles.percentiles_ms(sale.counts["coarse"], share, percentiles.COARSE_BITS)
        for name, share in percentiles.SHARES.items()
    }


def times_of(sale: Sale) -> NDArray[np.float64]:
    """The middle of each step, in seconds."""
    count = sale.counts["offered"].shape[1]
    middles: NDArray[np.float64] = np.linspace(0.5, count - 0.5, count, dtype=np.float64)
    return middles * sale.step_s


def series_of(sale: Sale) -> dict[str, Any]:
    """What the charts show: a number for each step."""
    reserves = sale.counts["offered"][RESERVE] / sale.step_s
    return {
        "step_s": sale.step_s,
        "time_s": _rounded(times_of(sale)),
        "offered_per_s": _rounded(checkout_offered(sale)),
        "reserves_offered_per_s": _rounded(reserves),
        "reserves_per_s": {word: _rounded(row) for word, row in reserve_ends(sale).items()},
        "latency_ms": {name: _rounded(row) for name, row in latency_steps(sale).items()},
        "caps_per_s": {cap: _rounded(row / sale.step_s) for cap, row in sale.caps.items()},
        "stock": {}
        if sale.stock is None
        else {
            sku: {
                name: [int(value) for value in sale.stock.levels[number][row]]
                for row, name in enumerate(("on_hand", "held", "sold"))
            }
            for number, sku in enumerate(sale.stock.hot)
        },
    }


def _rounded(row: NDArray[Any]) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 4) for value in row]


def _rates(sale: Sale) -> dict[str, Any]:
    offered = checkout_offered(sale)
    granted = sum(
        (row for word, row in reserve_ends(sale).items() if word.startswith("GRANTED")),
        np.zeros(len(offered)),
    )
    edges = np.linspace(0, len(offered), TENTHS + 1).round().astype(int)
    tenths = [offered[a:b].mean() if b > a else 0.0 for a, b in pairwise(edges)]
    commands = offered.sum() * sale.step_s
    return {
        "commands": round(float(commands)),
        "offered_per_s": round(float(commands / sale.seconds), 3),
        "offered_per_s_peak": round(float(offered.max()), 3),
        "granted_per_s_peak": round(float(np.max(granted)), 3),
        "by_tenth": [round(float(value), 3) for value in tenths],
    }


def _units(sale: Sale) -> dict[str, int]:
    made = {"asked": sale.totals["units_asked"]}
    if sale.stock is not None:
        rows = sale.stock.at_end.values()
        for name in STOCK_FIELDS[:-1]:
            made[name] = sum(row[name] for row in rows)
    return made


def _stock(sale: Sale) -> dict[str, dict[str, int]] | None:
    """The hot SKUs at the end."""
    if sale.stock is None:
        return None
    made = {}
    for sku in sale.stock.hot:
        found = sale.stock.at_end.get(sku)
        if found is not None:
            made[sku] = {"asked": sale.asked[sku], **found}
    return made
