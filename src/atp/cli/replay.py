"""The command `atp replay`: a year of real orders, sold on a server and audited.

Owns the options of a sale (shared with `atp demo`), where the data is looked for, and how a replay
ends. What a sale is, and whether the laws held, is for atp.replay to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from atp.cli.failed import BAD_INPUT, INTERRUPTED, NOT_JUDGED, REFUSED, Failed
from atp.cli.values import DURATION, Value

if TYPE_CHECKING:
    from atp.client import AtpError, Tls
    from atp.replay.crash import Killer
    from atp.replay.events import Plan
    from atp.replay.options import Options
    from atp.replay.reader import Row
    from atp.replay.run import Result, Target

AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

ACCESS_LOG_NAME = "access_elastic.log.gz"
MADE_UP = "made-up orders"
TRIES_OVER_A_KILL = 30
"""With two seconds between most of them, a call outlasts a server that takes a minute to start."""


def _read_speed(text: str) -> float:
    """Reads max, which is 0 here, or how many times faster than the data's clock."""
    if text == "max":
        return 0.0
    try:
        factor = float(text)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise ValueError(f"{text!r} is not a speed; write max, or a factor such as 500000")
    return factor


_SPEED = Value("speed", _read_speed, "max|FACTOR")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_SHARE = click.FloatRange(0.0, 1.0)
_SALE_OPTIONS: list[Callable[[Any], Any]] = [
    click.option("--made-up", is_flag=True, help="Sell made-up orders like a real year's."),
    click.option("--invoices", type=click.IntRange(1), help="Take only so many invoices."),
    click.option("--addresses", type=_FILE, help="Take shoppers' addresses from this access log."
                 f"  [default: {ACCESS_LOG_NAME} beside FILE, else made up]"),
    click.option("--stock-share", type=click.FloatRange(0.0, 100.0), default=0.8, show_default=True,
                 help="Units in stock at the start, as a share of all that is asked for."),
    click.option("--in-flight", type=click.IntRange(1, 10_000), default=16, show_default=True,
                 help="Orders under way at once, each with one call in flight."),
    click.option("--speed", type=_SPEED, default="max", show_default=True,
                 help="As fast as it goes, or the data's time compressed by a factor; at 500000 a"
                 " year takes a minute."),
    click.option("--abandon-share", type=_SHARE, default=0.05, show_default=True,
                 help="Share of orders that are never paid: their holds expire."),
    click.option("--release-share", type=_SHARE, default=0.05, show_default=True,
                 help="Share of orders whose holds are given back."),
    click.option("--repeat-share", type=_SHARE, default=0.01, show_default=True,
                 help="Share of granted orders sent a second time, which must change nothing."),
    click.option("--partial", "allow_partial", is_flag=True,
                 help="Take what is left of each line instead of all or nothing."),
    click.option("--ttl", type=DURATION, default="2m", show_default=True,
                 help="How long holds live that are to be paid or released."),
    click.option("--abandon-ttl", type=DURATION, default="2s", show_default=True,
                 help="How long abandoned holds live; short, so that others get the units."),
    click.option("--pay-after", type=DURATION, default="0s", show_default=True,
                 help="How long shoppers take from the hold to the payment."),
    click.option("--caps", "caps_file", type=_FILE,
                 help="Set the caps in this TOML file.  [default: four, see docs/replay.md]"),
    click.option("--no-caps", is_flag=True, help="Set no caps."),
    click.option("--seed", type=click.IntRange(0), default=1, show_default=True,
                 help="Decides who abandons, who comes from where, and made-up orders."),
    click.option("--report", "report_file", type=click.Path(dir_okay=False, path_type=Path),
                 help="Write the report to this file as JSON, too."),
    click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, for scripts."),
]  # fmt: skip


def sale_options(command: AnyFunction) -> AnyFunction:
    """Gives a command the options of a sale."""
    for option in reversed(_SALE_OPTIONS):
        command = option(command)
    return command


def _address(plane: str, default: str, meaning: str) -> Callable[[AnyFunction], AnyFunction]:
    return click.option(
        f"--{plane}-address",
        metavar="HOST:PORT",
        default=default,
        show_default=True,
        envvar=f"ATP_{plane.upper()}_ADDRESS",
        show_envvar=True,
        help=meaning,
    )


@click.command(short_help="Replay real orders as a sale, and audit it.")
@click.argument("file", type=_FILE, required=False)
@sale_options
@click.option("--overwrite-stock", is_flag=True, help="Set stock of SKUs the server has already.")
@click.option("--run", "run_name", help="Begins every request id.  [default: the time]")
@_address("data", "127.0.0.1:7300", "Where checkouts call.")
@_address("control", "127.0.0.1:7301", "Where operators call.")
@click.option("--tls", is_flag=True, help="Encrypt; trust the system's authorities.")
@click.option("--tls-ca", type=_FILE, help="Encrypt; trust the authorities in this file.")
@click.option("--tls-cert", type=_FILE, help="Show this certificate to the server.")
@click.option("--tls-key", type=_FILE, help="The private key of --tls-cert.")
def replay(
    *,
    file: Path | None,
    data_address: str,
    control_address: str,
    tls: bool,
    tls_ca: Path | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    **values: Any,
) -> None:
    """Replay FILE as a sale: load its goods, place its orders, pay them, take its returns back.

    FILE is the UCI Online Retail data: the publisher's columns (InvoiceNo, StockCode, Quantity,
    InvoiceDate, CustomerID) or the compact form, gzip or not. Ends with a report and an audit: the
    units by the server's answers against the units by the server's counters, SKU by SKU. The server
    should have nobody else's sale at the same time.

    Exit status: 0 if every law held, 1 if one was broken, 2 for bad input, 3 if a call could not be
    judged.

    \b
    Examples:
      $ atp replay online_retail.csv.gz
      $ atp replay --made-up --invoices 1000 --in-flight 64
      $ atp replay online_retail.csv.gz --speed 500000 --caps caps.toml --json
    """
    from atp.replay.run import Target  # noqa: PLC0415 - late, so that help stays fast

    tls_files = _tls_of(tls, tls_ca, tls_key, tls_cert)
    target = Target(data_address, control_address, tls_files, tls_files)
    if file is None and not values["made_up"]:
        raise click.UsageError("name a FILE of orders, or give --made-up")
    if file is not None and values["made_up"]:
        raise click.UsageError("give a FILE or --made-up, not both")
    with failing_as(values["as_json"]):
        end(*prepare_and_run(file, target, values), values)


@contextlib.contextmanager
def failing_as(as_json: bool) -> Iterator[None]:
    """Tells failures as JSON where the report is asked for as JSON."""
    try:
        yield
    except Failed as failed:
        if not as_json or failed.details is not None:
            raise
        raise Failed(failed.message, failed.status, {}) from None


def prepare_and_run(
    file: Path | None, target: Target, values: dict[str, Any], *, killer: Killer | None = None
) -> tuple[Any, Any]:
    """Read or make the orders, sell them, and return the result and its report."""
    options = options_of(values)
    if killer is not None:
        options = replace(options, tries_max=TRIES_OVER_A_KILL)
    return run_sale(plan_of(file, values), options, target, killer=killer)


def options_of(values: dict[str, Any]) -> Options:
    """The options of a sale from those of a command."""
    from atp.replay.clock import Clock  # noqa: PLC0415
    from atp.replay.default_caps import DEFAULT_CAPS  # noqa: PLC0415
    from atp.replay.options import Options  # noqa: PLC0415

    if values["no_caps"] and values["caps_file"]:
        raise click.UsageError("give --caps or --no-caps, not both")
    caps = () if values["no_caps"] else DEFAULT_CAPS
    if values["caps_file"]:
        caps = _read_caps(values["caps_file"])
    try:
        return Options(
            run_name=values.get("run_name") or f"{Clock().now_ns() // 1_000_000:x}",
            seed=values["seed"],
            stock_share=values["stock_share"],
            in_flight=values["in_flight"],
            speed=values["speed"] or None,
            abandon_share=values["abandon_share"],
            release_share=values["release_share"],
            repeat_share=values["repeat_share"],
            allow_partial=values["allow_partial"],
            ttl_ns=values["ttl"],
            abandon_ttl_ns=values["abandon_ttl"],
            pay_after_ns=values["pay_after"],
            caps=caps,
            overwrite_stock=values.get("overwrite_stock", False),
        )
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        raise click.UsageError(f"--{name.replace('_', '-')} {rest}") from None


def _read_caps(path: Path) -> Any:
    from atp.capfile import CapFileInvalid, parse  # noqa: PLC0415

    try:
        return parse(path.read_bytes(), str(path))
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}", BAD_INPUT) from None
    except CapFileInvalid as error:
        raise Failed("\n".join(error.lines()), BAD_INPUT) from None


def plan_of(file: Path | None, values: dict[str, Any]) -> Plan:
    """Read a file of orders, or make orders up if there is none."""
    from atp.replay.addresses import make_addresses, read_addresses  # noqa: PLC0415
    from atp.replay.generator import make_rows  # noqa: PLC0415
    from atp.replay.plan import make_plan  # noqa: PLC0415
    from atp.replay.reader import BadFile, read_rows  # noqa: PLC0415

    seed, log = values["seed"], values["addresses"]
    if log is None and file is not None and (file.parent / ACCESS_LOG_NAME).is_file():
        log = file.parent / ACCESS_LOG_NAME
    try:
        addresses = make_addresses(seed) if log is None else read_addresses(log)
        rows = make_rows(seed) if file is None else read_rows(file)
        origin = f"{MADE_UP}, seed {seed}" if file is None else str(file)
        plan = make_plan(
            rows if values["invoices"] is None else _first(rows, values["invoices"]),
            source=f"{origin}; {addresses.source}",
            addresses=addresses,
            seed=seed,
            abandon_share=values["abandon_share"],
            release_share=values["release_share"],
        )
    except BadFile as error:
        raise Failed(str(error), BAD_INPUT) from None
    if not plan.events:
        raise Failed(f"{file}: has no order that could be sold", BAD_INPUT)
    return plan


def _first(rows: Iterator[Row], invoices: int) -> Iterator[Row]:
    """The lines before the first one of the next invoice."""
    seen: set[str] = set()

    def wanted(row: Row) -> bool:
        seen.add(row.invoice)
        return len(seen) <= invoices

    return itertools.takewhile(wanted, rows)


def run_sale(
    plan: Plan, options: Options, target: Target, *, killer: Killer | None = None
) -> tuple[Result, dict[str, Any]]:
    """Run a sale, showing how it goes; returns the result and its report."""
    import uvloop  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from atp.client import AtpError  # noqa: PLC0415
    from atp.replay import run  # noqa: PLC0415
    from atp.replay.clock import Clock  # noqa: PLC0415
    from atp.replay.report import report_of  # noqa: PLC0415
    from atp.replay.watch import watcher_for  # noqa: PLC0415

    try:
        with watcher_for(Console(stderr=True)) as watcher:
            sale = run.replay(plan, options, target, watcher, Clock(), killer=killer)
            result = uvloop.run(sale)
    except run.CannotBegin as error:
        raise Failed(str(error), BAD_INPUT) from None
    except run.Stopped as error:
        raise Failed(f"the sale stopped: {error}", NOT_JUDGED) from None
    except AtpError as error:
        raise Failed(_not_judged(error), NOT_JUDGED) from None
    except asyncio.CancelledError:
        raise click.Abort from None
    return result, report_of(result)


def _not_judged(error: AtpError) -> str:
    """One line about a call around the sale; those of the sale itself end as Stopped."""
    from atp.client import Unavailable  # noqa: PLC0415

    message = " ".join(str(error).split())
    if isinstance(error, Unavailable) and not error.answered:
        cause = error.message.rpartition("last error: ")[2]
        message = f"no server answers at {error.address} (--control-address): {cause}"
    return message


def end(result: Result, report: dict[str, Any], values: dict[str, Any]) -> None:
    """Print and write the report; end with the exit status that the audit deserves."""
    from rich.console import Console  # noqa: PLC0415

    from atp.replay.render import render  # noqa: PLC0415

    if path := values["report_file"]:
        try:
            path.write_text(json.dumps(report, indent=2) + "\n")
        except OSError as error:
            raise Failed(f"{path}: {error.strerror}; the report is lost", BAD_INPUT) from None
    if values["as_json"]:
        click.echo(json.dumps(report))
    else:
        console = Console()
        render(report, console if console.is_terminal else Console(width=120, no_color=True))
    if not result.audit.holds:
        raise click.exceptions.Exit(REFUSED)
    if result.interrupted:
        raise click.exceptions.Exit(INTERRUPTED)


def _tls_of(tls: bool, ca: Path | None, key: Path | None, cert: Path | None) -> Tls | None:
    from atp.client import Tls  # noqa: PLC0415

    def read(path: Path | None) -> bytes | None:
        return None if path is None else path.read_bytes()

    return Tls(read(ca), read(key), read(cert)) if tls or ca or key or cert else None
