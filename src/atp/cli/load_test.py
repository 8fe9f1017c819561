"""`atp load-test`: many calls at once, or so many a second, every answer checked; what it came to.

Owns the options, the goods that are sold, and the report; the load itself is load/. The data plane
is called over HTTP/2 without TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atp.cli import load_goods, tables
from atp.cli.failed import NOT_JUDGED, REFUSED, Failed
from atp.cli.session import AnyFunction, Session, asks
from atp.cli.values import DURATION
from atp.vocabulary import ReserveOutcome

if TYPE_CHECKING:
    from atp.load import LoadPlan, LoadResult

SKU_PREFIX = "LOAD-TEST-"
NS_PER_SECOND = 1_000_000_000
SHARES = (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999))
HONEST = frozenset((ReserveOutcome.GRANTED, ReserveOutcome.STOCK_SHORT, ReserveOutcome.CAP_REACHED))
"""What a server may decide here: others mean that it did not understand, or mixed requests up."""

_KINDS = click.Choice(["reserve", "pair", "availability"])
_SPREADS = click.Choice(["uniform", "zipf", "hot"])
_COUNT = click.IntRange(1)


_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--data-address", metavar="HOST:PORT", default="127.0.0.1:7300", show_default=True,
                 envvar="ATP_DATA_ADDRESS", show_envvar=True,
                 help="The data plane to put under load; without TLS."),
    click.option("--kind", type=_KINDS, default="reserve", show_default=True,
                 help="What each call is; a pair is a reserve and the commit of its hold."),
    click.option("--connections", type=_COUNT, default=8, show_default=True, help="Connections."),
    click.option("--in-flight", type=_COUNT, default=16, show_default=True,
                 help="Calls (batches) under way at once on each connection, at most."),
    click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="CALLS_A_SECOND",
                 help="Begin calls by a schedule, however slow answers are; times count from when a"
                 " call was due.  [default: each call follows the answer of one before]"),
    click.option("--calls", type=_COUNT, help="End after so many calls.  [default: no bound]"),
    click.option("--duration", type=DURATION, default="10s", show_default=True,
                 help="End after this time."),
    click.option("--deadline", type=DURATION, help="Tell the server that answers are of use for so"
                 " long only; later ones are not counted as good.  [default: none]"),
    click.option("--batch", type=click.IntRange(0, 65_536), default=0,
                 help="Commands in each batch of an Execute stream, one stream a connection."
                 "  [default: unary calls]"),
    click.option("--skus", type=_COUNT, default=1_000, show_default=True,
                 help=f"SKUs asked for: {SKU_PREFIX}00000000 and so on."),
    click.option("--spread", type=_SPREADS, default="uniform", show_default=True,
                 help="How calls are spread over the SKUs; hot: all for one."),
    click.option("--stock", type=click.IntRange(0, 10**15), default=10**9, show_default=True,
                 help="Units of each of these SKUs, set before."),
    click.option("--ttl", type=DURATION, default="1m", show_default=True,
                 help="How long holds live that are not committed."),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
                 help="Decides who asks for what."),
    click.option("--run", "run_name", help="Begins every request id.  [default: the time]"),
    click.option("--history", type=click.Path(file_okay=False, path_type=Path), metavar="DIRECTORY",
                 help="Record every call and its answer in files of this directory, for"
                 " an audit.  [default: nothing is recorded]"),
]  # fmt: skip


def load_options(command: AnyFunction) -> AnyFunction:
    """Gives a command the options of a load."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command(name="load-test", short_help="Put a server under load, and check every answer.")
@load_options
@asks("control")
def load_test(session: Session, *, stock: int, **values: Any) -> None:
    """Put a server under load: reserves of one unit each, from many customers and addresses.

    It sets the stock of SKUs of its own, sells those and no others, and checks every answer. Holds
    stay until they expire; units that were sold stay sold. The server's caps apply.

    \b
    Exit status: 0 every call was answered as it should be, or turned away (UNAVAILABLE) or too late
    (DEADLINE_EXCEEDED), which the report counts; 1 an answer was wrong; 2 wrong usage; 3 not
    reached, or not answered to the end.

    \b
    Examples:
      $ atp load-test --calls 500
      $ atp load-test --kind pair --duration 1s --json
      $ atp load-test --rate 100 --deadline 1s --duration 1s --spread zipf
    """
    from atp import load  # noqa: PLC0415 - late, so that help stays fast

    plan = _plan(values)
    goods = [(sku, stock) for sku in plan.sku_names()]
    load_goods.set_stock(session, goods, plan.history, f"{plan.run_name.strip('-')}-setup")
    try:
        result = load.run(plan)
    except load.LoadFailed as failed:
        if failed.result is None or failed.result.answered < failed.result.asked:
            raise Failed(f"load-test: {failed}", NOT_JUDGED) from None
        _show(session, plan, failed.result)
        raise Failed(f"load-test: {failed}", REFUSED) from None
    _show(session, plan, result)


def _plan(values: dict[str, Any]) -> LoadPlan:
    from atp.clock import Clock  # noqa: PLC0415
    from atp.load import Kind, LoadPlan, Spread  # noqa: PLC0415

    deadline_ns = values["deadline"]
    try:
        return LoadPlan(
            address=values["data_address"],
            run_name=values["run_name"] or f"{Clock().now_ns() // 1_000_000:x}-",
            kind=Kind(values["kind"]),
            connections=values["connections"],
            in_flight=values["in_flight"],
            calls=values["calls"],
            duration_s=values["duration"] / NS_PER_SECOND,
            rate=values["rate"],
            deadline_s=None if deadline_ns is None else deadline_ns / NS_PER_SECOND,
            batch=values["batch"],
            skus=values["skus"],
            sku_prefix=SKU_PREFIX,
            spread=Spread(values["spread"]),
            ttl_s=max(values["ttl"] // NS_PER_SECOND, 1),
            seed=values["seed"],
            outcomes=HONEST,
            allow_refused_calls=True,
            history=values["history"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _show(session: Session, plan: LoadPlan, result: LoadResult) -> None:
    if session.show_json(_as_object(plan, result)):
        return
    loop = "closed loop" if plan.rate is None else f"{plan.rate:,g} calls a second"
    batches = f", batches of {plan.batch:,}" if plan.batch else ""
    click.echo(
        f"{plan.address}: {plan.kind}{batches}, {plan.connections:,} connections with"
        f" {plan.in_flight:,} in flight, {loop}, {plan.spread} over {plan.skus:,} SKUs"
    )
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
    rows += [(f"commits {tables.word(outcome)}", n) for outcome, n in result.changes.items()]
    rows += [(f"commands {name}", n) for name, n in result.command_errors.items()]
    rows += [("calls answered too late", result.late), ("calls too late to send", result.expired)]
    tables.show_table(("answer", "count"), [row for row in rows if row[1]])


def _as_object(plan: LoadPlan, result: LoadResult) -> dict[str, Any]:
    return {
        "address": plan.address,
        "kind": plan.kind.value,
        "connections": plan.connections,
        "in_flight": plan.in_flight,
        "rate": plan.rate,
        "batch": plan.batch,
        "skus": plan.skus,
        "spread": plan.spread.value,
        "seconds": result.seconds,
        "calls_per_s": result.calls_per_s,
        "goodput_per_s": result.goodput_per_s,
        "commands_per_s": result.commands_per_s,
        "calls_sent": result.asked,
        "calls_answered": result.answered,
        "calls_good": result.good,
        "calls_late": result.late,
        "calls_expired_unsent": result.expired,
        "latency_ms": {name: result.latency_ms(share) for name, share in SHARES}
        | {"longest": result.latency_most_ns / 1e6},
        "statuses": dict(result.statuses),
        "reserves": {outcome.name: n for outcome, n in result.reserves.items()},
        "commits": {outcome.name: n for outcome, n in result.changes.items()},
        "command_errors": dict(result.command_errors),
    }
