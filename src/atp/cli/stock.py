"""`atp stock`: units on hand of SKUs, shown and corrected.

Owns what is printed about stock. Judges nothing; a correction that would take units from under a
hold is refused by the server.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import click

from atp.cli import tables
from atp.cli.session import Answer, Session, asks, refused
from atp.cli.values import word_of
from atp.client import StockPage, control_calls
from atp.vocabulary import Stock, StockOutcome, StockReason, StockReply

PAGE_SIZE = 4_096
COLUMNS = ("sku", "on hand", "held", "available", "sold", "received", "adjusted", "first expiry")


@click.group(short_help="Show and correct units on hand.")
def stock() -> None:
    """Show and correct units on hand.

    \b
    on hand    units that exist and may be sold, held ones included
    held       units set aside by live holds
    available  on hand less held
    sold       units committed since the SKU was created
    received, adjusted   how they came: on hand = received + adjusted - sold

    \b
    Examples:
      $ atp stock set MUG 100
      $ atp stock show MUG
    """


@stock.command(name="set", short_help="Set the units on hand of a SKU.")
@click.argument("sku")
@click.argument("quantity", type=int)
@click.option("--expected", type=int, help="Only if this many are on hand now.")
@asks("control")
def set_(session: Session, *, sku: str, quantity: int, expected: int | None) -> None:
    """Set the units on hand of a SKU, held ones included; an unknown SKU is created.

    \b
    Exit status: 0 set; 1 refused (more are held, for example); 2 wrong usage; 3 not reached or not
    judged.

    \b
    Examples:
      $ atp stock set MUG 120
      $ atp stock set MUG 140 --expected 120
    """
    _finish(session, session.ask(control_calls.set_stock(sku, quantity, expected=expected)))


@stock.command(
    short_help="Add units to a SKU, or take them away.",
    context_settings={"ignore_unknown_options": True},  # so that -5 is a number
)
@click.argument("sku")
@click.argument("delta", type=int)
@click.option("--reason", type=word_of(StockReason), required=True, help="Why.")
@click.option("--request-id", default="", help="The same id is never done twice.")
@asks("control")
def adjust(session: Session, *, sku: str, delta: int, reason: StockReason, request_id: str) -> None:
    """Add units to a SKU or, with a negative DELTA, take them away.

    \b
    Exit status: 0 done; 1 refused; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp stock adjust MUG 20 --reason received
      $ atp stock adjust MUG -3 --reason written-off
    """
    call = control_calls.adjust_stock(sku, delta, reason, request_id=request_id)
    _finish(session, session.ask(call))


@stock.command(short_help="Show the stock of SKUs.")
@click.argument("skus", nargs=-1, required=True, metavar="SKU...")
@asks("control")
def show(session: Session, *, skus: tuple[str, ...]) -> None:
    """Show the stock of SKUs. With --json, one object a line.

    \b
    Exit status: 0 shown; 1 one is unknown; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp stock show MUG TEAPOT
      $ atp stock show MUG --json
    """
    answers = [session.ask(control_calls.get_stock(sku)) for sku in skus]
    for answer in answers:
        session.show_json(answer.message.stock)
    if not session.as_json:
        show_stocks(answer.reply for answer in answers)


@stock.command(name="list", short_help="Show the stock of all SKUs.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after this many.")
@asks("control")
def list_(session: Session, *, limit: int | None) -> None:
    """Show the stock of all SKUs, in no particular order. With --json, one object a line.

    \b
    Exit status: 0 shown; 2 wrong usage; 3 not reached or not judged.

    \b
    Examples:
      $ atp stock list --limit 20
      $ atp stock list --json
    """
    left = limit
    for page, answer in enumerate(_pages(session, limit)):
        for message in itertools.islice(answer.message.stocks, left):
            session.show_json(message)
        if not session.as_json:
            show_stocks(itertools.islice(answer.reply.stocks, left), header=page == 0)
        if left is not None:
            left -= len(answer.reply.stocks)
            if left <= 0:
                return


def show_stocks(stocks: Iterable[Stock], *, header: bool = True) -> None:
    """Prints a table of stock."""
    tables.show_table(
        COLUMNS,
        (
            (
                *(stock.sku, stock.on_hand, stock.held, stock.available, stock.sold),
                *(stock.received, stock.adjusted),
                tables.distance(stock.first_expire_time_ns),
            )
            for stock in stocks
        ),
        header=header,
    )


def _pages(session: Session, limit: int | None) -> Iterator[Answer[StockPage]]:
    page_size = PAGE_SIZE if limit is None else min(limit, PAGE_SIZE)
    page_token = ""
    while True:
        call = control_calls.list_stock(page_size=page_size, page_token=page_token)
        answer = session.ask(call)
        yield answer
        page_token = answer.reply.next_page_token
        if not page_token:
            return


def _finish(session: Session, answer: Answer[StockReply]) -> None:
    reply = answer.reply
    done = reply.outcome is StockOutcome.DONE
    if not session.show_json(answer.message):
        if not done:
            limit = f" ({reply.limit_name})" if reply.limit_name else ""
            click.echo(f"refused: {tables.word(reply.outcome)}{limit}")
        elif reply.repeated:
            click.echo("done before; nothing changed now")
        if reply.stock is not None:
            show_stocks((reply.stock,))
    if not done:
        raise refused()
