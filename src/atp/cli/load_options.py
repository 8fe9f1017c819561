"""The options of `atp load-test`, and the plan that they make.

Owns what a user may choose of a load and its defaults. Judges no bounds: a plan does, and its word
is passed on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atp.cli.session import AnyFunction
from atp.cli.values import DURATION, Value
from atp.units import parse_duration
from atp.vocabulary import ChangeOutcome, ReserveOutcome

if TYPE_CHECKING:
    from atp.load import Baskets, LoadPlan, Shares, Tls

SKU_PREFIX = "LOAD-TEST-"
NS_PER_SECOND = 1_000_000_000
SURVIVE_STALLED_S = 60.0
HONEST = frozenset(
    (
        ReserveOutcome.GRANTED,
        ReserveOutcome.STOCK_SHORT,
        ReserveOutcome.CAP_REACHED,
        ReserveOutcome.LIMIT_REACHED,
    )
)
"""What a server may decide here: others mean that it did not understand, or mixed requests up."""
HONEST_CHANGES = frozenset(
    (ChangeOutcome.DONE, ChangeOutcome.ALREADY_EXPIRED, ChangeOutcome.LIMIT_REACHED)
)
HONEST_AGAIN = HONEST_CHANGES | {ChangeOutcome.ALREADY_COMMITTED, ChangeOutcome.ALREADY_RELEASED}
"""Of a change that is sent again because its first answer was lost."""


def _curve(text: str) -> tuple[tuple[float, float], ...]:
    """Reads a rate over time, such as "0s:1000,2s:50000,4s:1000"."""
    points = []
    for part in text.split(","):
        moment, colon, rate = part.strip().partition(":")
        try:
            points.append((parse_duration(moment) / NS_PER_SECOND, float(rate)))
        except ValueError:
            colon = ""
        if not colon:
            raise ValueError(
                f'"{part.strip()[:40]}" is no point of a curve; write times and calls a second,'
                ' such as "0s:1000,2s:50000,4s:1000"'
            )
    return tuple(points)


def _share(text: str) -> tuple[str, float]:
    """Reads a share of the shoppers, such as "bots=0.2"."""
    name, equals, number = text.partition("=")
    try:
        share = float(number)
    except ValueError:
        equals = ""
    if not equals or name not in SHARE_NAMES:
        known = ", ".join(SHARE_NAMES)
        raise ValueError(f'"{text[:40]}" is no share; write NAME=0.25, where NAME is of: {known}')
    return name, share


SHARE_NAMES = ("looks", "late", "releases", "extends", "abandons", "repeats", "bots")
_KINDS = click.Choice(["reserve", "pair", "availability", "sale"])
_SPREADS = click.Choice(["uniform", "zipf", "hot"])
_ARRIVALS = click.Choice(["regular", "poisson"])
_COUNT = click.IntRange(1)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--data-address", metavar="HOST:PORT", default="127.0.0.1:7300", show_default=True,
                 envvar="ATP_DATA_ADDRESS", show_envvar=True,
                 help="The data plane to put under load."),
    click.option("--kind", type=_KINDS, default="reserve", show_default=True,
                 help="What each call is; a pair is a reserve and the commit of its hold; a sale is"
                 " whole baskets, from the look to the payment."),
    click.option("--processes", type=_COUNT, default=1, show_default=True,
                 help="Make the load with so many processes, which share it."),
    click.option("--connections", type=_COUNT, default=8, show_default=True,
                 help="Connections, of all processes together."),
    click.option("--in-flight", type=_COUNT, default=16, show_default=True,
                 help="Calls (batches) under way at once on each connection, at most."),
    click.option("--rate", type=click.FloatRange(0, min_open=True), metavar="CALLS_A_SECOND",
                 help="Begin calls by a schedule, however slow answers are; times count from when a"
                 " call was due.  [default: each call follows the answer of one before]"),
    click.option("--rate-curve", type=Value("curve", _curve, "TIME:RATE,..."),
                 help="The same with a rate that changes: evenly from each point to the next;"
                 " two points of one time are a step."),
    click.option("--arrivals", type=_ARRIVALS, default="regular", show_default=True,
                 help="How calls with a rate are due: evenly, or by chance as people come."),
    click.option("--calls", type=_COUNT, help="End after so many calls.  [default: no bound]"),
    click.option("--duration", type=DURATION, default="10s", show_default=True,
                 help="End after this time."),
    click.option("--deadline", type=DURATION, help="Tell the server that answers are of use for so"
                 " long only; later ones are not counted as good.  [default: none]"),
    click.option("--batch", type=click.IntRange(0, 65_536), default=0,
                 help="Commands in each batch of an Execute stream, one stream a connection."
                 "  [default: unary calls]"),
    click.option("--skus", type=_COUNT, default=1_000, show_default=True,
                 help=f"SKUs asked for: {SKU_PREFIX}00000000 and so on; not in a sale."),
    click.option("--spread", type=_SPREADS, default="uniform", show_default=True,
                 help="How calls are spread over the SKUs; hot: all for one; not in a sale."),
    click.option("--orders", type=_FILE, help="Sell the baskets of this file, of the UCI Online"
                 " Retail data or like it.  [default: a sale has made-up ones]"),
    click.option("--share", "shares", type=Value("share", _share, "NAME=SHARE"), multiple=True,
                 help="How shoppers of a sale behave; NAME is one of looks, late, releases,"
                 " extends, abandons, repeats, bots; may be given several times."),
    click.option("--think", type=DURATION, default="2s", show_default=True,
                 help="How long shoppers of a sale think before they pay late, on average."),
    click.option("--stock", type=click.IntRange(0, 10**15), default=10**9, show_default=True,
                 help="Units of each of these SKUs, set before."),
    click.option("--stock-share", type=click.FloatRange(0, 1_000), metavar="SHARE",
                 help="In a sale, of each SKU that share of what its baskets ask for, instead."),
    click.option("--ttl", type=DURATION, default="1m", show_default=True,
                 help="How long holds live that are not committed."),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
                 help="Decides who asks for what."),
    click.option("--survive", is_flag=True, help="Go on when connections end or the server turns"
                 " calls away: connect again, and ask again with the same request ids."),
    click.option("--tries", type=click.IntRange(1, 100), default=20, show_default=True,
                 help="With --survive: how often a command is sent again, at most."),
    click.option("--run", "run_name", help="Begins every request id.  [default: the time]"),
    click.option("--history", type=_FOLDER, metavar="DIRECTORY",
                 help="Record every call and its answer in files of this directory, for"
                 " an audit.  [default: nothing is recorded]"),
]  # fmt: skip


def load_options(command: AnyFunction) -> AnyFunction:
    """Gives a command the options of a load."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def plan_of(values: dict[str, Any], tls: Tls | None) -> LoadPlan:
    """The plan that the options make. Raises UsageError, and Failed for a file of orders."""
    from atp.clock import Clock  # noqa: PLC0415 - late, so that help stays fast
    from atp.load import Kind, LoadPlan, Spread  # noqa: PLC0415

    kind, deadline_ns = Kind(values["kind"]), values["deadline"]
    if kind is not Kind.SALE and (values["orders"] or values["shares"] or values["stock_share"]):
        raise click.UsageError("--orders, --share and --stock-share are for --kind sale")
    try:
        return LoadPlan(
            address=values["data_address"],
            run_name=values["run_name"] or f"{Clock().now_ns() // 1_000_000:x}-",
            kind=kind,
            connections=values["connections"],
            in_flight=values["in_flight"],
            calls=values["calls"],
            duration_s=values["duration"] / NS_PER_SECOND,
            rate=values["rate"],
            curve=values["rate_curve"],
            by_chance=values["arrivals"] == "poisson",
            deadline_s=None if deadline_ns is None else deadline_ns / NS_PER_SECOND,
            batch=values["batch"],
            skus=values["skus"],
            sku_prefix=SKU_PREFIX,
            spread=Spread(values["spread"]),
            baskets=_baskets(values) if kind is Kind.SALE else None,
            ttl_s=max(values["ttl"] // NS_PER_SECOND, 1),
            seed=values["seed"],
            outcomes=HONEST,
            change_outcomes=HONEST_AGAIN if values["survive"] else HONEST_CHANGES,
            allow_refused_calls=True,
            tries=values["tries"] if values["survive"] else 0,
            stalled_s=SURVIVE_STALLED_S if values["survive"] else 10.0,
            tls=tls,
            history=values["history"],
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def _baskets(values: dict[str, Any]) -> Baskets:
    """The baskets of the orders, real or made up; SKUs get a prefix, to be no one else's."""
    from atp.cli import replay  # noqa: PLC0415
    from atp.load import Want, of_wants  # noqa: PLC0415
    from atp.replay.events import Order  # noqa: PLC0415

    choices = {"addresses": None, "invoices": None, "abandon_share": 0.0, "release_share": 0.0}
    sale = replay.plan_of(values["orders"], choices | {"seed": values["seed"]})
    names = [SKU_PREFIX + sku for sku in sale.skus]
    wants = (
        Want(
            order.customer_id,
            order.client_ip,
            [
                (names[sku], quantity)
                for sku, quantity in zip(order.skus, order.quantities, strict=True)
            ],
        )
        for order in sale.events
        if isinstance(order, Order)
    )
    return of_wants(
        wants,
        _shares(values["shares"]),
        think_s=values["think"] / NS_PER_SECOND,
        seed=values["seed"],
        looks=values["batch"] == 0,
    )


def _shares(given: tuple[tuple[str, float], ...]) -> Shares:
    from atp.load import Shares  # noqa: PLC0415

    return Shares(**dict(given))
