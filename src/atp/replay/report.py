"""The report of a replay as plain data, the same for people (render.py) and for scripts (JSON).

Owns which figures there are and what each is called. Quantities are units, times seconds unless the
name says otherwise, latencies milliseconds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from atp.replay.crash import Crash
from atp.replay.events import Tally
from atp.replay.findings import Law
from atp.replay.run import Result
from atp.replay.score import Amount, Corrections, Score

SOLD_OUT_SHOWN: Final = 10
LARGE_STOCK: Final = 100
"""Units: SKUs that began with fewer sell out early by nature, and are shown apart."""
FINDINGS_SHOWN: Final = 50

Figures = dict[str, Any]


def report_of(result: Result) -> Figures:
    """Everything that a reader of the report may want to know, as JSON takes it."""
    score, verdict = result.score, result.audit
    return {
        "laws_held": verdict.holds,
        "interrupted": result.interrupted,
        "data": _data(result),
        "options": _options(result),
        "orders": _orders(score),
        "returns": _corrections(score.returns),
        "write_offs": _corrections(score.write_offs),
        "sold_out": _sold_out(result),
        "speed": _speed(result),
        "crash": None if result.crash is None else _crash(result.crash),
        "latency": {method: latency(score, method) for method in sorted(score.latencies_ns)},
        "audit": _audit(result),
    }


def _data(result: Result) -> Figures:
    plan = result.plan
    return {
        "source": plan.source,
        "lines": plan.rows,
        "invoices": plan.invoices,
        "events": len(plan.events),
        "skus": len(plan.skus),
        "unusable": {reason: _tally(tally) for reason, tally in plan.unusable.items()},
        "no_product_codes": dict(plan.no_product.most_common()),
        "kept": plan.quirks,
    }


def _tally(tally: Tally) -> Figures:
    return {"lines": tally.lines, "units": tally.units}


def _options(result: Result) -> Figures:
    options = result.options
    return {
        "run": options.run_name,
        "seed": options.seed,
        "stock_share": options.stock_share,
        "in_flight": options.in_flight,
        "speed": options.speed,
        "abandon_share": options.abandon_share,
        "release_share": options.release_share,
        "repeat_share": options.repeat_share,
        "allow_partial": options.allow_partial,
        "ttl_s": options.ttl_ns / 1e9,
        "abandon_ttl_s": options.abandon_ttl_ns / 1e9,
        "pay_after_s": options.pay_after_ns / 1e9,
        "caps": [cap.cap_id for cap in options.caps],
    }


def _orders(score: Score) -> Figures:
    return {
        "asked": _amount(score.asked),
        "granted": _amount(score.granted),
        "granted_partially": _amount(score.granted_partially),
        "refused": {name: _amount(amount) for name, amount in sorted(score.refused.items())},
        "refused_by_cap": dict(score.refused_by_cap.most_common()),
        "sold": _amount(score.sold),
        "released": _amount(score.released),
        "expired": _amount(score.expired),
        "ends_refused": dict(score.ends_refused),
        "sent_again": score.repeats,
        "late_commits": score.late_commits,
    }


def _amount(amount: Amount) -> Figures:
    return {"orders": amount.orders, "lines": amount.lines, "units": amount.units}


def _corrections(count: Corrections) -> Figures:
    return {
        "lines": count.lines,
        "done": count.done,
        "in_part": count.clipped,
        "not_sold_here": count.skipped,
        "refused": dict(count.refused),
        "units_asked": count.units_asked,
        "units_done": count.units_done,
    }


def _sold_out(result: Result) -> Figures:
    """Which SKUs had nothing left on hand first, and when."""
    history, ledger = result.history, result.ledger
    rows = history.sold_out(ledger.opening)
    times = history.time_ns[history.time_ns > 0]
    begin_ns = int(times.min()) if len(times) else 0

    def entry(row: int) -> Figures:
        sku = int(history.sku[row])
        change = ledger.changes[int(history.change[row])]
        date = datetime.fromtimestamp(change.time_s, UTC)
        return {
            "sku": ledger.skus[sku],
            "stock": ledger.opening[sku],
            "after_s": round((int(history.time_ns[row]) - begin_ns) / 1e9, 3),
            "date": date.strftime("%Y-%m-%dT%H:%M:%S"),
            "by": "sale" if change.hold is not None else "write-off",
            "units_refused": result.score.unmet[sku],
        }

    large = [row for row in rows if ledger.opening[history.sku[row]] >= LARGE_STOCK]
    return {
        "skus": len(rows),
        "of": sum(stock > 0 for stock in ledger.opening),
        "first": [entry(row) for row in rows[:SOLD_OUT_SHOWN]],
        "large_stock": LARGE_STOCK,
        "first_of_large_stock": [entry(row) for row in large[:SOLD_OUT_SHOWN]],
    }


def _speed(result: Result) -> Figures:
    score, seconds = result.score, result.sale_s
    calls = score.calls - score.late_commits
    return {
        "sale_s": round(seconds, 3),
        "events_done": score.events_done,
        "calls": calls,
        "calls_per_s": round(calls / seconds) if seconds else 0,
        "orders_per_s": round(score.asked.orders / seconds) if seconds else 0,
        "lines_per_s": round(score.asked.lines / seconds) if seconds else 0,
        "retries": score.retries,
    }


def _crash(crash: Crash) -> Figures:
    return {
        "after_s": round(crash.after_s, 3),
        "events_done": crash.events_done,
        "holds_answered": crash.holds_answered,
        "away_s": round(crash.away_s, 3),
        "replayed_records": crash.replayed_records,
        "recovered_sequence": crash.recovered_sequence,
        "recovery_s": round(crash.recovery_s, 3),
    }


def latency(score: Score, method: str) -> Figures:
    """How long calls of a method took, from first send to answer, retries included."""
    times = np.asarray(score.latencies_ns[method], dtype=np.float64) / 1e6
    p50, p99, p999 = np.quantile(times, (0.5, 0.99, 0.999), method="inverted_cdf").tolist()
    return {
        "calls": len(times),
        "p50_ms": round(p50, 3),
        "p99_ms": round(p99, 3),
        "p999_ms": round(p999, 3),
        "max_ms": round(float(times.max()), 3),
    }


def _audit(result: Result) -> Figures:
    verdict = result.audit
    return {
        "oversold_units": verdict.oversold_units,
        "unexplained_units": verdict.unexplained_units,
        "lost_answers": None if verdict.memory is None else verdict.memory.lost,
        "answers_looked_up": 0 if verdict.memory is None else verdict.memory.answers,
        "holds_looked_up": 0 if verdict.memory is None else verdict.memory.holds,
        "not_looked_up": "" if verdict.memory is None else verdict.memory.gone,
        "findings": verdict.finding_count,
        "skus_compared": verdict.skus,
        "changes_replayed": verdict.changes,
        "caps_recounted": verdict.caps,
        "server_recount": {
            "violations": list(verdict.recount.violations),
            "digest": verdict.recount.digest,
            "sequence": verdict.recount.sequence,
            "skus": verdict.recount.skus,
            "reservations": verdict.recount.reservations,
        },
        "by_law": _by_law(result),
        "first_findings": [
            {"law": finding.law.value, "sku": finding.sku, "text": finding.text}
            for finding in verdict.findings[:FINDINGS_SHOWN]
        ],
    }


def _by_law(result: Result) -> dict[str, int]:
    counts = dict.fromkeys((law.value for law in Law), 0)
    for finding in result.audit.findings:
        counts[finding.law.value] += 1
    return counts
