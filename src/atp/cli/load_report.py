"""What a load came to, for people and for scripts, and how far it is while it runs.

Owns the words and their order. Counts nothing.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from atp.cli import tables
from atp.cli.session import Session
from atp.load import LoadPlan, LoadResult

SHARES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))


class ProgressLine:
    """One line on a terminal that is written over; nothing where there is no terminal."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()

    def show(self, result: LoadResult) -> None:
        """How far it is."""
        if self._is_shown:
            told = (
                f"\r{result.seconds:6.1f} s  {result.answered:,} answered, "
                f"{result.calls_per_s:,.0f} calls a second, p99 {result.latency_ms(0.99):.2f} ms"
            )
            click.echo(f"{told:<79}", err=True, nl=False)

    def end(self) -> None:
        """Makes room for the report."""
        if self._is_shown:
            click.echo(f"\r{'':79}\r", err=True, nl=False)


def show(session: Session, plan: LoadPlan, processes: int, result: LoadResult) -> None:
    """The report."""
    if session.show_json(as_object(plan, processes, result)):
        return
    click.echo(_headline(plan, processes))
    facts: list[tuple[str, str | int | None]] = [
        ("time", f"{result.seconds:.2f} s"),
        ("calls a second", round(result.calls_per_s)),
        ("of them good", None if plan.deadline_s is None else round(result.goodput_per_s)),
        ("commands a second", round(result.commands_per_s) if plan.batch else None),
    ]
    facts += [(f"latency {name}", f"{result.latency_ms(share):.3f} ms") for name, share in SHARES]
    facts += [("longest", f"{result.latency_most_ns / 1e6:.3f} ms")]
    tables.show_facts(facts)
    rows: list[tuple[str, int]] = [(f"calls {name}", n) for name, n in result.statuses.items()]
    rows += [(f"reserves {tables.word(outcome)}", n) for outcome, n in result.reserves.items()]
    rows += [
        (f"{name} {tables.word(outcome)}", n)
        for name, counts in result.changes()
        for outcome, n in counts.items()
    ]
    rows += [(f"commands {name}", n) for name, n in result.command_errors.items()]
    rows += [
        ("reserves repeated, and answered as before", result.repeats - result.forgotten),
        ("calls answered too late", result.late),
        ("calls too late to send", result.expired),
        ("calls without an answer", result.unanswered),
        ("connections made again", result.reconnects),
        ("commands sent again", result.tried_again),
        ("commands given up", result.given_up),
    ]
    tables.show_table(("answer", "count"), [row for row in rows if row[1]])


def _headline(plan: LoadPlan, processes: int) -> str:
    how = "by chance" if plan.by_chance else "by a schedule"
    if plan.curve is not None:
        rates = [rate for _, rate in plan.curve]
        loop = f"{min(rates):,g} to {max(rates):,g} calls a second {how}"
    else:
        loop = "closed loop" if plan.rate is None else f"{plan.rate:,g} calls a second {how}"
    batches = f", batches of {plan.batch:,}" if plan.batch else ""
    if plan.baskets is None:
        goods = f"{plan.spread} over {plan.skus:,} SKUs"
    else:
        goods = f"{len(plan.baskets.rows):,} baskets of {len(plan.baskets.skus):,} SKUs"
    made = "" if processes == 1 else f"{processes} processes, "
    return (
        f"{plan.address}: {plan.kind}{batches}, {made}{plan.connections:,} connections with"
        f" {plan.in_flight:,} in flight, {loop}, {goods}"
    )


def as_object(plan: LoadPlan, processes: int, result: LoadResult) -> dict[str, Any]:
    """The report for scripts."""
    return {
        "address": plan.address,
        "kind": plan.kind.value,
        "processes": processes,
        "connections": plan.connections,
        "in_flight": plan.in_flight,
        "rate": plan.rate,
        "rate_curve": plan.curve,
        "arrivals": "poisson" if plan.by_chance else "regular",
        "batch": plan.batch,
        "skus": plan.skus if plan.baskets is None else len(plan.baskets.skus),
        "spread": plan.spread if plan.baskets is None else None,
        "seconds": result.seconds,
        "calls_per_s": result.calls_per_s,
        "goodput_per_s": result.goodput_per_s,
        "commands_per_s": result.commands_per_s,
        "calls_sent": result.asked,
        "calls_answered": result.answered,
        "calls_unanswered": result.unanswered,
        "calls_good": result.good,
        "calls_late": result.late,
        "calls_expired_unsent": result.expired,
        "reconnects": result.reconnects,
        "commands_sent_again": result.tried_again,
        "commands_given_up": result.given_up,
        "reserves_repeated": result.repeats,
        "latency_ms": {name: result.latency_ms(share) for name, share in SHARES}
        | {"longest": result.latency_most_ns / 1e6},
        "statuses": dict(result.statuses),
        "reserves": {outcome.name: n for outcome, n in result.reserves.items()},
        **{
            name: {outcome.name: n for outcome, n in counts.items()}
            for name, counts in result.changes()
        },
        "command_errors": dict(result.command_errors),
    }
