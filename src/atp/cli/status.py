"""`atp status`: how a server is, and a recount of its laws.

Owns what is printed about a server: counters, bounds with their use, outcomes, settings; what there
is to say about its journal is status_journal.py's.
"""

from __future__ import annotations

import click

from atp.cli import status_journal, tables
from atp.cli.session import Session, asks, refused
from atp.client import ServerStatus, control_calls
from atp.units import format_duration
from atp.vocabulary import Limit

NS_PER_SECOND = 1_000_000_000


@click.command(short_help="Show counters, bounds and settings of a server.")
@click.option("--check", is_flag=True, help="Recount every law over the whole state instead.")
@asks("control")
def status(session: Session, *, check: bool) -> None:
    """Show a server's counters, its journal, its bounds with their names and use, its settings.

    With --check, recount every law over the whole state instead: calls wait meanwhile, a second or
    so for a million holds. It prints a digest, equal for equal states.

    \b
    Exit status: 0 shown, or every law holds; 1 a law is broken; 2 wrong usage; 3 not reached or not
    judged.

    \b
    Examples:
      $ atp status
      $ atp status --json
      $ atp status --check
    """
    if check:
        _check(session)
        return
    answer = session.ask(control_calls.get_status())
    if not session.show_json(answer.message):
        _show(answer.reply)


def _check(session: Session) -> None:
    answer = session.ask(control_calls.check_invariants())
    report = answer.reply
    if not session.show_json(answer.message):
        click.echo("BROKEN LAWS" if report.violations else "every law holds")
        for violation in report.violations:
            click.echo(tables.printable(f"  {violation}"))
        tables.show_facts(
            (
                ("SKUs recounted", report.skus),
                ("reservations recounted", report.reservations),
                ("sequence", report.sequence),
                ("digest", report.digest),
            )
        )
    if report.violations:
        raise refused()


def _show(status: ServerStatus) -> None:
    drift_s = round(status.clock_drift_ns / NS_PER_SECOND)
    tables.show_facts(
        (
            ("version", status.version),
            ("started", tables.instant(status.start_time_ns)),
            ("sequence", status.sequence),
            ("SKUs", status.skus),
            ("live holds", status.live_holds),
            ("ended reservations remembered", status.ended_reservations),
            ("request ids of other commands remembered", status.receipts),
            ("caps", status.caps),
            ("counters of caps", status.cap_counters),
            ("memory of the engine's tables", status_journal.size(status.engine_bytes)),
            ("metrics", status.metrics_address or "off"),
            (
                "system clock ahead by",
                format_duration(drift_s * NS_PER_SECOND) if drift_s else None,
            ),
        )
    )
    if status.journal is not None:
        status_journal.show(status.journal)
    if status.outcome_counts:
        tables.show_table(
            ("method", "outcome", "calls"), status.outcome_counts, title="Outcomes since the start"
        )
    tables.show_table(
        ("bound", "value", "in use", "of it", "meaning"),
        (_limit_row(limit) for limit in status.limits),
        title="Bounds",
    )
    tables.show_table(
        ("setting", "value", ""),
        (
            (setting.name, setting.value, "changed" if setting.changed else None)
            for setting in status.settings
        ),
        title="Settings",
    )


def _limit_row(limit: Limit) -> tuple[str, int, int | None, str | None, str]:
    if limit.used < 0:
        return limit.name, limit.value, None, None, limit.meaning
    share = f"{100 * limit.used / limit.value:.1f} %" if limit.value else None
    return limit.name, limit.value, limit.used, share, limit.meaning
