"""The command `atp demo`: a server of its own, a year of orders replayed against it, a verdict.

Owns the choice of orders, the real ones where they are, made-up ones elsewhere, and the data that
the server leaves. The server's process is supervisor.py's, the sale `atp replay`'s.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click

from atp.cli.failed import NOT_JUDGED, Failed
from atp.cli.replay import end, failing_as, prepare_and_run, sale_options

REAL_ORDERS = Path("../shared/data/online_retail.csv.gz")
DURABILITY = "sync"


@click.command(short_help="Start a server, replay a sale against it, and audit it.")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the report (report.json), the server's log (server.log) and its data.",
)
@click.option(
    "--kill/--no-kill",
    default=True,
    show_default=True,
    help="Kill the server (kill -9) in the middle of the sale, and start it again.",
)
@sale_options
def demo(*, file: Path | None, out: Path, kill: bool, **values: Any) -> None:
    """Start a server on loopback, replay FILE against it as a sale, audit it, and stop the server.

    The server makes every change durable before it answers. When half of the sale is done it is
    killed with kill -9 and started again, and the sale goes on; at the end, whatever it answered
    must be there.

    Without FILE, the real orders in ../shared/data/online_retail.csv.gz are replayed if they are
    there; otherwise a year of orders is made up with the same statistics.

    Exit status: 0 if every law held, 1 if one was broken, 3 if the server failed.

    \b
    Examples:
      $ atp demo --invoices 1000
      $ atp demo --invoices 500 --stock-share 0.2 --partial --no-kill
      $ atp demo --made-up --invoices 200 --speed 100000 --json
    """
    from atp.cli.supervisor import Supervisor  # noqa: PLC0415 - late, so that help stays fast
    from atp.replay.clock import Clock  # noqa: PLC0415
    from atp.replay.run import Target  # noqa: PLC0415

    # A demo that is told to end takes its server with it, as one that is interrupted does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file = _orders(file, values["made_up"])
    out.mkdir(parents=True, exist_ok=True)
    if values["report_file"] is None:
        values["report_file"] = out / "report.json"
    with failing_as(values["as_json"]), _data_folder(out) as data:
        server = Supervisor(out, data, {"journal.durability": DURABILITY}, Clock())
        server.on_start = partial(_tell_server, server.log_path)
        with server:
            target = Target(server.data_plane, server.control_plane)
            killer = server if kill else None
            result, report = prepare_and_run(file, target, values, killer=killer)
        end(result, report, values)
        if report["audit"]["not_looked_up"]:
            raise Failed(report["audit"]["not_looked_up"], NOT_JUDGED)


def _tell_server(log_path: Path, pid: int) -> None:
    click.echo(f"server: process {pid}, log in {log_path}", err=True)


def _orders(file: Path | None, made_up: bool) -> Path | None:
    """The file to replay, None for made-up orders; says which."""
    if file is not None and made_up:
        raise click.UsageError("give a FILE or --made-up, not both")
    if file is None and not made_up:
        if REAL_ORDERS.is_file():
            file = REAL_ORDERS
        else:
            click.echo(f"there are no real orders ({REAL_ORDERS}): making some up", err=True)
    if file is not None:
        click.echo(f"orders: {file}", err=True)
    return file


@contextlib.contextmanager
def _data_folder(out: Path) -> Iterator[Path]:
    """A data directory of the demo's own; gone when all is well, kept and named when it is not."""
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=out))
    try:
        yield folder
    except BaseException:
        click.echo(f"the server's data is kept in {folder}", err=True)
        raise
    shutil.rmtree(folder)
