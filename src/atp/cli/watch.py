"""`atp watch`: what happens on a server, one line a change.

Owns the words of a line, and an end without noise: by Ctrl-C, a reader of the output that has gone,
or a feed that ends, each telling where to go on. Where the feed is, and that nothing is missing
from it, is the client's.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from datetime import UTC, datetime

import click

from atp.cli import tables
from atp.cli.failed import INTERRUPTED, READER_GONE, Failed
from atp.cli.session import Session, asks, failure
from atp.client import AtpError, OutOfRange, changes
from atp.client.changes import Change, Lines
from atp.units import format_duration
from atp.v1 import maintenance_service_pb2 as pb
from atp.vocabulary import Cap

NS_PER_SECOND = 1_000_000_000


@click.command(short_help="Show changes as they happen, and past ones.")
@click.option(
    "--from",
    "from_sequence",
    type=click.IntRange(min=1),
    metavar="SEQUENCE",
    help="Begin with this change of the past.  [default: what happens from now on]",
)
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many changes.")
@asks("control")
def watch(session: Session, *, from_sequence: int | None, limit: int | None) -> None:
    """Show every change of a server, one line each, in order and without gaps: those of the past
    from --from on, then each once it is durable, until Ctrl-C.

    A line has the server's time, the change's sequence, what happened, and to which reservation,
    SKU or cap. With --json, one object a line, as in the protos; keys and addresses are text.

    An interruption shorter than --timeout is bridged. Whatever ends it, the last line on stderr
    says where to go on.

    \b
    Exit status: 0 as many as --limit shown; 1 those changes are gone or lie in the future, or too
    many watch; 2 wrong usage; 3 not reached, or not for longer than --timeout; 130 Ctrl-C.

    \b
    Examples:
      $ atp watch --from 1 --limit 2
      $ atp watch --from 1 --json | head -n 1
    """
    told = _Told(from_sequence or 0)
    _end_with_the_reader()
    try:
        _show(session, told, limit)
    except AtpError as error:
        if isinstance(error, OutOfRange):
            told.next_sequence = error.resume_sequence
        failed = failure(session, error)
        message = failed.message + told.how_to_go_on()
        raise Failed(message, failed.status, failed.details) from error
    except BrokenPipeError:
        os._exit(READER_GONE)
    except KeyboardInterrupt:
        raise Failed("stopped" + told.how_to_go_on(), INTERRUPTED) from None


class _Told:
    """How far the output has come."""

    def __init__(self, next_sequence: int) -> None:
        self.next_sequence = next_sequence

    def how_to_go_on(self) -> str:
        """Words to end with; none where nothing was told."""
        return f"; to go on: --from {self.next_sequence}" if self.next_sequence else ""


def _show(session: Session, told: _Told, limit: int | None) -> None:
    shown = 0
    stream = session.client.watch_responses(told.next_sequence, resume_s=session.timeout_s)
    with contextlib.closing(stream) as responses:
        for response in responses:
            for event in response.events:
                if not session.show_json(event):
                    click.echo(line_of(event))
                told.next_sequence = event.sequence + 1
                shown += 1
                if shown == limit:
                    return
            told.next_sequence = response.resume_sequence


def _end_with_the_reader() -> None:
    """From now on, the process ends when nobody reads its output: the next change may be far off.

    Where the output is no file of the system's, nothing can be seen, and nothing is done.
    """
    try:
        output = sys.stdout.fileno()
    except (OSError, ValueError):
        return

    def look() -> None:
        poll = select.poll()
        poll.register(output, 0)  # what is told unasked: an error, a hang-up
        poll.poll()
        os._exit(READER_GONE)

    threading.Thread(target=look, daemon=True).start()


def line_of(event: pb.WatchedEvent) -> str:
    """One change as a line: time, sequence, what happened, to what, and the rest."""
    change = changes.change(event)
    word, name, rest = _words(change)
    line = f"{_instant(change.time_ns)}  {change.sequence:>9}  {word:<11}  {name}"
    return tables.printable(f"{line}  {rest}" if rest else line)


def _words(change: Change) -> tuple[str, str, str]:
    """What happened, to which reservation, SKU or cap, and the rest."""
    words: tuple[str, str, str]
    match change.what:
        case changes.Reserved() as reserved:
            words = "reserved", reserved.reservation_id, _reserved(reserved)
        case changes.Committed(reservation_id, lines):
            words = "committed", reservation_id, _lines(lines)
        case changes.Released(reservation_id, lines):
            words = "released", reservation_id, _lines(lines)
        case changes.Expired(reservation_id):
            words = "expired", reservation_id, "all it held"
        case changes.Extended(reservation_id, expire_time_ns):
            words = "extended", reservation_id, f"until {_instant(expire_time_ns)}"
        case changes.StockChanged(sku, on_hand, received, adjusted, reason):
            why = f", {tables.word(reason)}" if reason is not None else ""
            sums = f"received {received}, adjusted {adjusted}"
            words = "stock", sku, f"{on_hand} on hand ({sums}){why}"
        case changes.CapSet(cap, counts_reset):
            words = "cap set", cap.cap_id, _cap(cap, counts_reset)
        case changes.CapRemoved(cap_id):
            words = "cap removed", cap_id, ""
    return words


def _reserved(reserved: changes.Reserved) -> str:
    replaced = reserved.replaced_reservation_id
    parts = (
        _lines(reserved.lines) + (", less than asked for" if reserved.partial else ""),
        f"until {_instant(reserved.expire_time_ns)}",
        f"customer {reserved.customer_id}" if reserved.customer_id else "",
        f"address {reserved.client_ip}" if reserved.client_ip else "",
        f"in place of {replaced}" if replaced else "",
        f"request {reserved.request_id}",
    )
    return ", ".join(filter(None, parts))


def _lines(lines: Lines) -> str:
    return " ".join(f"{sku}={quantity}" for sku, quantity in lines) or "all it held"


def _cap(cap: Cap, counts_reset: bool) -> str:
    limit = "no limit" if cap.limit is None else f"limit {cap.limit}"
    parts = (
        f"{tables.word(cap.mode)} {limit} per {tables.word(cap.subject)}",
        "each SKU apart" if cap.per_sku else "",
        f"of {len(cap.skus)} SKUs" if cap.skus else "",
        f"in {format_duration(cap.window_ns)}" if cap.window_ns is not None else "",
        f"{len(cap.overrides)} overrides" if cap.overrides else "",
        "counting starts anew" if counts_reset else "",
    )
    return ", ".join(filter(None, parts))


def _instant(time_ns: int) -> str:
    """A time in UTC, to the microsecond."""
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (ValueError, OverflowError):  # beyond the year 9999
        return f"{seconds}.{nanos:09d} s"
    return f"{text}.{nanos // 1000:06d}Z"
