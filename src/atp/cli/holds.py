"""The commands of a checkout: reserve, commit, release, extend, show.

Owns what they print: on success the reservation, on refusal what a checkout needs to go on (which
line, what is left, which cap, what may come back and when). Judges nothing.
"""

from __future__ import annotations

from datetime import datetime

import click

from atp.cli import tables
from atp.cli.session import NS_PER_SECOND, Answer, Session, asks, refused
from atp.cli.values import DURATION, INSTANT, LINE
from atp.client import data_calls
from atp.vocabulary import (
    ChangeOutcome,
    ChangeReply,
    LineOutcome,
    Reservation,
    ReserveOutcome,
    ReserveReply,
)

Line = tuple[str, int]

_TTL = click.option("--ttl", type=DURATION, help="How long to hold, such as 10m.")
_EXPIRE_TIME = click.option(
    "--expire-time", type=INSTANT, help="When the hold ends, such as 2026-11-27T09:00:00Z."
)
_REQUEST_ID = click.option(
    "--request-id", default="", help="The request's id; the same id is never done twice. Made up"
    " when left out.",
)  # fmt: skip


@click.command(short_help="Set units aside for a basket.")
@click.argument("lines", type=LINE, nargs=-1, required=True, metavar="SKU=QUANTITY...")
@click.option("--customer", default="", help="The shopper, for caps on customers.")
@click.option("--ip", default="", help="The shopper's address, for caps on addresses.")
@_TTL
@_EXPIRE_TIME
@click.option("--partial", is_flag=True, help="Take what is left instead of all or nothing.")
@click.option("--replaces", default="", help="A hold of the same customer to take the place of.")
@_REQUEST_ID
@asks("data")
def reserve(
    session: Session,
    *,
    lines: tuple[Line, ...],
    customer: str,
    ip: str,
    ttl: int | None,
    expire_time: datetime | None,
    partial: bool,
    replaces: str,
    request_id: str,
) -> None:
    """Set units aside for a basket, all or nothing, for a limited time.

    Prints the reservation to commit, release or extend. If it is refused, prints for every line
    what is available, which cap stands in the way, and when held units may come back.

    \b
    Exit status: 0 held; 1 refused; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp reserve MUG=2 TEAPOT=1 --customer alice --ip 203.0.113.7 --ttl 15m
      $ atp reserve TEAPOT=3 --partial
      $ atp reserve MUG=1 --request-id order-1001 --json
    """
    answer = session.ask(
        data_calls.reserve(
            lines,
            customer_id=customer,
            client_ip=ip,
            ttl=None if ttl is None else ttl / NS_PER_SECOND,
            expire_time=expire_time,
            allow_partial=partial,
            replaces=replaces,
            request_id=request_id,
        )
    )
    if not session.show_json(answer.message):
        _show_reserve(answer.reply, lines)
    granted = (ReserveOutcome.GRANTED, ReserveOutcome.GRANTED_PARTIALLY)
    if answer.reply.outcome not in granted:
        raise refused()


@click.command(short_help="Sell units that are held.")
@click.argument("reservation_id")
@click.argument("lines", type=LINE, nargs=-1, metavar="[SKU=QUANTITY...]")
@_REQUEST_ID
@asks("data")
def commit(session: Session, reservation_id: str, lines: tuple[Line, ...], request_id: str) -> None:
    """Sell units that are held: all that the hold still holds, or the lines named.

    \b
    Exit status: 0 sold; 1 refused (it expired, for example); 2 wrong usage; 3 not reached or not
    judged.

    \b
    Examples:
      $ atp reserve MUG=1 --request-id order-1002
      $ atp commit abee8c05c3b9d9eafaa360bad7db1d18
    """
    call = data_calls.commit(reservation_id, lines, request_id=request_id)
    _finish_change(session, session.ask(call), lines)


@click.command(short_help="Give held units back.")
@click.argument("reservation_id")
@click.argument("lines", type=LINE, nargs=-1, metavar="[SKU=QUANTITY...]")
@_REQUEST_ID
@asks("data")
def release(
    session: Session, *, reservation_id: str, lines: tuple[Line, ...], request_id: str
) -> None:
    """Give held units back: all that the hold still holds, or the lines named.

    Units given back are sellable at once and count against no cap any more.

    \b
    Exit status: 0 given back; 1 refused; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp reserve MUG=3 --request-id order-1003
      $ atp release 41907b3021740257501814cf4ba12072 MUG=1
      $ atp release 41907b3021740257501814cf4ba12072
    """
    call = data_calls.release(reservation_id, lines, request_id=request_id)
    _finish_change(session, session.ask(call), lines)


@click.command(short_help="Give a hold more time.")
@click.argument("reservation_id")
@_TTL
@_EXPIRE_TIME
@_REQUEST_ID
@asks("data")
def extend(
    session: Session,
    *,
    reservation_id: str,
    ttl: int | None,
    expire_time: datetime | None,
    request_id: str,
) -> None:
    """Give a hold more time: --ttl from now, until --expire-time, or the server's default from now.

    A hold's life is bounded, extensions included; one that is refused changes nothing, and the
    answer says what the latest end would be.

    \b
    Exit status: 0 extended; 1 refused; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp reserve MUG=1 --request-id order-1004
      $ atp extend 6ce554f46e4e04c01b629e9065123804 --ttl 20m
    """
    call = data_calls.extend(
        reservation_id,
        ttl=None if ttl is None else ttl / NS_PER_SECOND,
        expire_time=expire_time,
        request_id=request_id,
    )
    _finish_change(session, session.ask(call), ())


@click.command(short_help="Show reservations.")
@click.argument("reservation_ids", nargs=-1, required=True, metavar="RESERVATION_ID...")
@asks("data")
def show(session: Session, *, reservation_ids: tuple[str, ...]) -> None:
    """Show reservations, ended ones included for as long as the server remembers them.

    \b
    Exit status: 0 shown; 1 one is not remembered; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp reserve MUG=1 --request-id order-1005
      $ atp show 82f9685c205a53e43fc9a7e64d0e51a1
      $ atp show 82f9685c205a53e43fc9a7e64d0e51a1 --json
    """
    for reservation_id in reservation_ids:
        answer = session.ask(data_calls.get_reservation(reservation_id))
        if not session.show_json(answer.message.reservation):
            _show_reservation(answer.reply)


def _finish_change(session: Session, answer: Answer[ChangeReply], lines: tuple[Line, ...]) -> None:
    reply = answer.reply
    if not session.show_json(answer.message):
        repeated = " before; nothing changed now" if reply.repeated else ""
        about = f" ({lines[reply.line_index][0]})" if reply.line_index >= 0 else ""
        about += f" ({reply.limit_name})" if reply.limit_name else ""
        done = reply.outcome is ChangeOutcome.DONE
        verdict = tables.word(reply.outcome) if done else f"refused: {tables.word(reply.outcome)}"
        click.echo(tables.printable(f"{verdict}{repeated}{about}"))
        if not done and reply.latest_expire_time_ns is not None:
            click.echo(f"latest end  {tables.instant(reply.latest_expire_time_ns)}")
        if reply.reservation is not None:
            _show_reservation(reply.reservation)
    if reply.outcome is not ChangeOutcome.DONE:
        raise refused()


def _show_reserve(reply: ReserveReply, lines: tuple[Line, ...]) -> None:
    granted = reply.reservation is not None
    repeated = " before, by this request id" if reply.repeated else ""
    limit = f" ({reply.limit_name})" if reply.limit_name else ""
    verdict = tables.word(reply.outcome)
    click.echo(f"{verdict}{repeated}" if granted else f"refused: {verdict}{limit}")
    if reply.reservation is not None:
        _show_reservation(reply.reservation)
    if reply.line_results:
        _show_line_results(reply, lines)
    if reply.cap_refusals:
        tables.show_table(
            ("cap", "subject", "sku", "limit", "in force", "asked"),
            (
                (cap.cap_id, cap.subject, cap.sku, cap.limit, cap.in_force, cap.asked)
                for cap in reply.cap_refusals
            ),
        )


def _show_line_results(reply: ReserveReply, lines: tuple[Line, ...]) -> None:
    asked: dict[str, int] = {}
    for sku, quantity in lines:
        asked[sku] = asked.get(sku, 0) + quantity
    rows = []
    for result in reply.line_results:
        sku = lines[result.line_index][0]
        short = result.outcome is LineOutcome.STOCK_SHORT
        rows.append(
            (
                sku,
                asked[sku],
                tables.word(result.outcome),
                result.granted,
                result.available,
                result.held if short else None,
                tables.distance(result.first_expire_time_ns) if short else None,
            )
        )
    tables.show_table(
        ("sku", "asked", "outcome", "granted", "available", "may come back", "first of them"), rows
    )


def _show_reservation(reservation: Reservation) -> None:
    tables.show_facts(
        (
            ("reservation", reservation.reservation_id),
            ("state", tables.word(reservation.state)),
            ("created", tables.instant(reservation.create_time_ns)),
            ("expires", tables.instant(reservation.expire_time_ns)),
            ("ended", tables.instant(reservation.end_time_ns)),
            ("customer", reservation.customer_id or None),
            ("address", reservation.client_ip or None),
            ("sequence", reservation.sequence),
        )
    )
    tables.show_table(
        ("sku", "quantity", "held", "committed", "released", "expired"), reservation.lines
    )
