"""`atp report`: a sale as one HTML file, from its history and the server's journal.

Owns the options and the exit status. What is counted and drawn is report/, what is judged audit/.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from atp.cli.failed import BAD_INPUT, REFUSED, Failed

if TYPE_CHECKING:
    from atp.audit import Verdict
    from atp.report import Report

_FOLDER = click.Path(path_type=Path)
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(short_help="Make a page of a load: charts, figures, verdict.")
@click.argument("history", type=_FOLDER)
@click.option(
    "--data",
    type=_FOLDER,
    metavar="DIR",
    help="The server's data directory: it is audited, and stock is shown.  [default: neither]",
)
@click.option("--output", "-o", type=_FILE, metavar="FILE.html", help="Write the page there.")
@click.option("--json", "json_file", type=_FILE, metavar="FILE", help="Write the figures there.")
@click.option(
    "--picture", type=_FILE, metavar="FILE.svg", help="Write the main charts there, as one picture."
)
def report(
    *,
    history: Path,
    data: Path | None,
    output: Path | None,
    json_file: Path | None,
    picture: Path | None,
) -> None:
    """Make a page of HISTORY, the directory in which a load recorded every call.

    The page is one HTML file that fetches nothing and runs nothing: what was offered, granted and
    refused over time, how long answers took, stock and caps at work, what was broken meanwhile, and
    with --data the audit's verdict. The server must not be running on that directory.

    \b
    Exit status: 0 written, and the audit found nothing; 1 written, and the audit found that an
    answer was not true; 2 wrong usage, or a file that can't be read or written.

    \b
    Examples:
      $ atp load-test --calls 500 --history sale-history
      $ atp report sale-history -o sale.html --picture sale.svg
    """
    if output is None and json_file is None and picture is None:
        raise click.UsageError("nothing to write: give --output, --json or --picture")
    made, verdict = _make(history, data)
    for path, draw in (
        (output, made.as_html),
        (picture, made.as_picture),
        (json_file, lambda: json.dumps(made.figures, indent=1) + "\n"),
    ):
        if path is not None:
            _write(path, draw)
            click.echo(f"written: {path}")
    if verdict is not None and not verdict.ok:
        raise Failed(f"report: VIOLATED: {verdict.findings[0].text}", REFUSED)


def _make(history: Path, data: Path | None) -> tuple[Report, Verdict | None]:
    from atp import report as reports  # noqa: PLC0415 - late, so that help stays fast
    from atp.audit import AuditFailed, audit  # noqa: PLC0415
    from atp.history import HistoryDamaged  # noqa: PLC0415

    try:
        verdict = None if data is None else audit(history, data)
        return reports.make(history, data, verdict), verdict
    except (AuditFailed, HistoryDamaged, OSError, reports.JournalUnreadable) as error:
        raise Failed(f"report: {error}", BAD_INPUT) from None


def _write(path: Path, draw: Callable[[], str]) -> None:
    from atp.report import MatplotlibMissing  # noqa: PLC0415

    try:
        path.write_text(draw(), encoding="utf-8")
    except MatplotlibMissing as missing:
        raise Failed(f"report: {missing}", BAD_INPUT) from None
    except OSError as error:
        raise Failed(f"report: {path} can't be written: {error.strerror}", BAD_INPUT) from None
