"""What one frame of `atp top` says: counts of a server become rates, histograms become percentiles.

Owns the arithmetic between two looks at a server. Asks nobody and prints nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from atp.client.replies import CapUse, JournalStatus
from atp.client.top import CallTimes, HotSku, Top

NS_PER_SECOND = 1_000_000_000
METHODS = ("Reserve", "Commit", "Release", "Extend")
SORTS = ("heat", "sold", "held", "available", "sku")
"""What SKUs can be in order of; `sold` is by units sold a second, then in all."""


class MethodRates(NamedTuple):
    """A method: calls a second, how long they took (None: none did), and what was answered."""

    method: str
    calls_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    outcomes_per_s: dict[str, float]


class SkuRow(NamedTuple):
    """A hot SKU, its units that were sold a second, and those that were taken: held or sold, less
    those given back."""

    hot: HotSku
    sold_per_s: float
    taken_per_s: float


class CapRow(NamedTuple):
    """A cap, and how often a second it refused, or would have in shadow mode."""

    use: CapUse
    refused_per_s: float
    shadow_refused_per_s: float


class Frame(NamedTuple):
    """One frame; `seconds` lie between the two looks, 0: there was one alone, and all rates are 0.

    `alerts` are what an operator must act on, in words.
    """

    now: Top
    seconds: float
    changes_per_s: float
    written_bytes_per_s: float
    syncs_per_s: float
    expired_per_s: float
    refused_per_s: dict[str, float]
    methods: tuple[MethodRates, ...]
    skus: tuple[SkuRow, ...]
    caps: tuple[CapRow, ...]
    alerts: tuple[str, ...]


def frame_of(before: Top | None, now: Top, sort: str = "heat") -> Frame:
    """What happened between two looks. A server that was started anew meanwhile counts from then
    on: there is no rate over its start."""
    restarted = before is not None and before.start_time_ns != now.start_time_ns
    old = now if before is None or restarted else before
    seconds = (now.read_time_ns - old.read_time_ns) / NS_PER_SECOND

    def rate(new: float, was: float) -> float:
        return (new - was) / seconds if seconds > 0 else 0.0

    stocks = {hot.stock.sku: hot.stock for hot in old.hot_skus}
    refused = {use.cap_id: (use.refused, use.shadow_refused) for use in old.cap_uses}
    rows = []
    for hot in now.hot_skus:
        new, was = hot.stock, stocks.get(hot.stock.sku, hot.stock)
        sold_per_s = rate(new.sold, was.sold)
        rows.append(SkuRow(hot, sold_per_s, rate(new.held + new.sold, was.held + was.sold)))
    caps = []
    for use in now.cap_uses:
        hits = refused.get(use.cap_id, (use.refused, use.shadow_refused))
        caps.append(CapRow(use, rate(use.refused, hits[0]), rate(use.shadow_refused, hits[1])))
    return Frame(
        now=now,
        seconds=seconds,
        changes_per_s=rate(now.sequence, old.sequence),
        written_bytes_per_s=rate(now.written_bytes, old.written_bytes),
        syncs_per_s=rate(now.journal.syncs, old.journal.syncs),
        expired_per_s=rate(now.expired_holds, old.expired_holds),
        refused_per_s={
            name: rate(count, old.refused.get(name, 0)) for name, count in now.refused.items()
        },
        methods=tuple(_methods(old, now, seconds)),
        skus=tuple(sorted(rows, key=_ORDERS[sort])),
        caps=tuple(caps),
        alerts=(*(("the server was started anew",) if restarted else ()), *_alerts(now.journal)),
    )


_ORDERS: dict[str, Any] = {
    "heat": lambda row: (-row.hot.heat, row.hot.stock.sku),
    "sold": lambda row: (-row.sold_per_s, -row.hot.stock.sold, row.hot.stock.sku),
    "held": lambda row: (-row.hot.stock.held, row.hot.stock.sku),
    "available": lambda row: (row.hot.stock.available, row.hot.stock.sku),
    "sku": lambda row: row.hot.stock.sku,
}
assert tuple(_ORDERS) == SORTS


def _methods(old: Top, now: Top, seconds: float) -> list[MethodRates]:
    """Every method that was ever called, the four that change something first."""
    was = {times.method: times for times in old.call_times}
    times = {one.method: since(was.get(one.method), one) for one in now.call_times}
    judged = Counter({(one.method, one.outcome): one.calls for one in now.outcome_counts})
    judged.subtract({(one.method, one.outcome): one.calls for one in old.outcome_counts})
    names = [*METHODS, *(name for name in times if name not in METHODS)]
    rates = []
    for name in names:
        outcomes = {
            outcome: count / seconds if seconds > 0 else 0.0
            for (method, outcome), count in judged.most_common()
            if method == name
        }
        one = times.get(name)
        counted = sum(one.counts) if one is not None else 0
        calls = counted / seconds if seconds > 0 else 0.0
        if one is None and not outcomes:
            continue
        p50, p99 = (None if one is None else percentile(one, share) for share in (0.5, 0.99))
        rates.append(MethodRates(name, calls, p50, p99, outcomes))
    return rates


def since(was: CallTimes | None, now: CallTimes) -> CallTimes:
    """What was added after an earlier look."""
    if was is None or was.bounds_ns != now.bounds_ns:
        return now
    counts = tuple(new - old for new, old in zip(now.counts, was.counts, strict=True))
    return now._replace(counts=counts, sum_ns=now.sum_ns - was.sum_ns)


def percentile(times: CallTimes, share: float) -> float | None:
    """The time in ms that this share of the calls did not exceed, evenly spread within a bucket;
    over the last bound that bound. None when there were no calls."""
    wanted = share * sum(times.counts)
    if wanted <= 0:
        return None
    bounds: Sequence[int] = (0, *times.bounds_ns, times.bounds_ns[-1])
    passed = 0
    for count, (low, high) in zip(times.counts, pairwise(bounds), strict=True):
        if count and passed + count >= wanted:
            return (low + (high - low) * (wanted - passed) / count) / 1e6
        passed += count
    return times.bounds_ns[-1] / 1e6


def _alerts(journal: JournalStatus) -> list[str]:
    alerts = []
    if journal.refusing_reason:
        alerts.append(journal.refusing_reason)
    if journal.snapshot_error:
        alerts.append(f"no snapshot: {journal.snapshot_error}")
    return alerts


def as_object(frame: Frame, read: dict[str, Any]) -> dict[str, Any]:
    """A frame for scripts; `read` is the server's answer as it came."""
    return {
        "seconds": round(frame.seconds, 3),
        "changes_per_s": frame.changes_per_s,
        "written_bytes_per_s": frame.written_bytes_per_s,
        "syncs_per_s": frame.syncs_per_s,
        "expired_holds_per_s": frame.expired_per_s,
        "refused_per_s": frame.refused_per_s,
        "methods": [rates._asdict() for rates in frame.methods],
        "skus": [
            {
                "sku": row.hot.stock.sku,
                "heat": row.hot.heat,
                "sold_per_s": row.sold_per_s,
                "taken_per_s": row.taken_per_s,
            }
            for row in frame.skus
        ],
        "caps": [
            {
                "cap_id": row.use.cap_id,
                "refused_per_s": row.refused_per_s,
                "shadow_refused_per_s": row.shadow_refused_per_s,
            }
            for row in frame.caps
        ],
        "alerts": list(frame.alerts),
        "read": read,
    }
