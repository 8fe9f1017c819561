"""`atp snapshot`: has a server write a snapshot now.

Owns what is printed about it.
"""

from __future__ import annotations

import click

from atp.cli import status_journal, tables
from atp.cli.session import Session, asks
from atp.client import control_calls


@click.command(short_help="Have a server write a snapshot now.")
@asks("control")
def snapshot(session: Session) -> None:
    """Have a server write a snapshot of its whole state now, and wait until it is in place.

    Calls go on meanwhile. A server takes snapshots by itself (snapshot.every_bytes, snapshot.every,
    and when it stops); one by hand makes the next start shorter, or the data directory ready to be
    copied.

    \b
    Exit status: 0 written; 2 wrong usage; 3 not reached, or it could not be written.

    \b
    Examples:
      $ atp snapshot
      $ atp snapshot --json
    """
    answer = session.ask(control_calls.take_snapshot())
    if not session.show_json(answer.message):
        tables.show_facts(status_journal.snapshot_facts(answer.reply))
