"""The command `atp demo`: a server of its own, a year of orders replayed against it, a verdict.

Owns the server process from its start to its orderly end, whatever happens in between, and the
choice of orders: the real ones where they are, made-up ones elsewhere. The sale is `atp replay`'s.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atp.cli.failed import NOT_JUDGED, Failed
from atp.cli.replay import end, failing_as, prepare_and_run, sale_options

if TYPE_CHECKING:
    from atp.replay.run import Target

REAL_ORDERS = Path("../shared/data/online_retail.csv.gz")
START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 30.0
LOOK_EVERY_SECONDS = 0.02
LOG_TAIL_LINES = 5
SERVE = "from atp.cli import main; main()"


@click.command(short_help="Start a server, replay a sale against it, and audit it.")
@click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=False
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Folder for the report (report.json), the server's log (server.log) and its data (data).",
)
@sale_options
def demo(*, file: Path | None, out: Path, **values: Any) -> None:
    """Start a server on loopback, replay FILE against it as a sale, audit it, and stop the server.

    Without FILE, the real orders in ../shared/data/online_retail.csv.gz are replayed if they are
    there; otherwise a year of orders is made up with the same statistics.

    Exit status: 0 if every law held, 1 if one was broken, 3 if the server failed.

    \b
    Examples:
      $ atp demo --invoices 1000
      $ atp demo --invoices 500 --stock-share 0.2 --partial
      $ atp demo --made-up --invoices 200 --speed 100000 --json
    """
    # A demo that is told to end takes its server with it, as one that is interrupted does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file = _orders(file, values["made_up"])
    out.mkdir(parents=True, exist_ok=True)
    if values["report_file"] is None:
        values["report_file"] = out / "report.json"
    with failing_as(values["as_json"]):
        with _server(out) as target:
            result, report = prepare_and_run(file, target, values)
        end(result, report, values)


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
def _server(out: Path) -> Iterator[Target]:
    """A server in a process of its own, on free ports of the loopback address."""
    from atp.replay.run import Target  # noqa: PLC0415 - late, so that help stays fast

    log_path, ready_path = out / "server.log", out / "ready.json"
    ready_path.unlink(missing_ok=True)
    data = out / "data"
    shutil.rmtree(data, ignore_errors=True)  # of an earlier demo: each sells its own stock
    free_ports = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [
                *(sys.executable, "-c", SERVE, "serve", *free_ports, "--data", str(data)),
                *("--ready-file", str(ready_path)),
            ],
            stdout=log,
            stderr=subprocess.STDOUT,
            # Ctrl-C ends the sale in order; the server must be there until it has been audited.
            process_group=0,
        )
    try:
        facts = _wait_ready(process, ready_path, log_path)
        click.echo(f"server: process {facts['pid']}, log in {log_path}", err=True)
        yield Target(facts["data_plane"], facts["control_plane"])
    except Failed as failed:
        if (status := process.poll()) is None or failed.status != NOT_JUDGED:
            raise
        died = f"the server ended with status {status}; {_tail(log_path)}"
        raise Failed(f"{failed.message}\n{died}", NOT_JUDGED) from None
    finally:
        status = _stop(process)
        ready_path.unlink(missing_ok=True)
    if status != 0:
        raise Failed(f"the server ended with status {status}; {_tail(log_path)}", NOT_JUDGED)


def _wait_ready(process: subprocess.Popen[bytes], ready: Path, log_path: Path) -> dict[str, Any]:
    """What the server says when it answers calls."""
    for _ in range(round(START_SECONDS_MAX / LOOK_EVERY_SECONDS)):
        if ready.exists():
            facts: dict[str, Any] = json.loads(ready.read_text())
            return facts
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LOOK_EVERY_SECONDS)
            raise Failed(f"the server did not start: {_tail(log_path)}", NOT_JUDGED)
    raise Failed(
        f"the server was not ready in {START_SECONDS_MAX:.0f} s: {_tail(log_path)}", NOT_JUDGED
    )


def _stop(process: subprocess.Popen[bytes]) -> int:
    """End the server in order; by force if it takes too long."""
    process.terminate()
    try:
        return process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _tail(log_path: Path) -> str:
    lines = log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
    return f"{log_path} ends: {' | '.join(lines)}" if lines else f"{log_path} is empty"
