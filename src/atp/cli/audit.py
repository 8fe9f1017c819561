"""`atp audit`: was every answer of a load true?

Owns the options and what is printed. What is right and wrong is the audit's own.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from atp.audit import ENDED_MAX, AuditFailed
from atp.audit import audit as run_audit
from atp.cli.failed import BAD_INPUT, REFUSED, Failed
from atp.cli.values import DURATION


@click.command(short_help="Prove from a history that every answer was true.")
@click.argument("history", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default="atp-data",
    show_default=True,
    metavar="DIR",
    help="The server's data directory, stopped or running; it is only read.",
)
@click.option(
    "--remember",
    type=DURATION,
    default="1h",
    show_default=True,
    metavar="TIME",
    help="The server's memory.remember: request ids may be used again after it.",
)
@click.option(
    "--ended-max",
    type=click.IntRange(min=64),
    default=ENDED_MAX,
    show_default=True,
    metavar="COUNT",
    help="The server's memory.ended_max: so many ended holds and request ids it remembers.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", is_flag=True, help="Say nothing of what is being done.")
def audit(
    *, history: Path, data: Path, remember: int, ended_max: int, as_json: bool, quiet: bool
) -> None:
    """Judge HISTORY, a directory of *.history files (or one of them), by the server's journal.

    Nothing of the engine's code is used: what was asked and answered, what the journal says, and
    the laws. Each finding comes with the few entries that show it; docs/audit.md says what each
    means and what is proven.

    Run the sale with journal.keep longer than the sale: of a journal whose first segments are gone
    only what came after the oldest snapshot is judged.

    \b
    Exit status: 0 every answer was true; 1 one was not; 2 wrong usage, or input that can't be
    judged.

    \b
    Examples:
      $ atp audit sale --data atp-data
      $ atp audit sale --json
    """

    def progress(step: str) -> None:
        if not quiet and not as_json:
            click.echo(f"{step}...", err=True)

    try:
        verdict = run_audit(
            history, data, remember_ns=remember, ended_max=ended_max, progress=progress
        )
    except AuditFailed as error:
        raise Failed(str(error), BAD_INPUT) from None
    except OSError as error:
        raise Failed(f"{error.filename}: {error.strerror}", BAD_INPUT) from None
    click.echo(json.dumps(verdict.as_json()) if as_json else verdict.text())
    if not verdict.ok:
        count = sum(verdict.counts.values())
        raise Failed(f"{count:,} findings: an answer was not true", REFUSED)
