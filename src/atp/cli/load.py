"""`atp load`: stock from a CSV file into a server.

Owns the order of things: the whole file is checked, then compared with what the server has, then
sent in batches. Nothing is sent from a file with a bad line.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import click

from atp.cli import stock_file, tables
from atp.cli.failed import BAD_INPUT, Failed
from atp.cli.session import Session, asks, failure, refused
from atp.cli.stock_file import Entry, StockFileInvalid
from atp.client import AtpError
from atp.vocabulary import StockOutcome

BATCH_ENTRIES = 4_096
PAGE_SIZE = 4_096
TOLD_MAX = 10


@dataclass
class Loaded:
    """What became of a file's lines."""

    file: str
    line_count: int
    created_count: int = 0
    changed_count: int = 0
    unchanged_count: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)

    def as_object(self) -> dict[str, Any]:
        """For --json."""
        return {**vars(self), "refused_count": len(self.refused)}


@click.command(short_help="Load stock from a CSV file.")
@click.argument("file", type=click.Path(allow_dash=True))
@click.option("--update", is_flag=True, help="Set SKUs that the server knows already, too.")
@asks("control")
def load(session: Session, *, file: str, update: bool) -> None:
    """Load stock from a CSV FILE with the columns sku and quantity; - reads standard input.

    The columns are named in a first line, in any order and among others, or the file has just these
    two without names. Gzip is recognised. Every line is checked before anything is changed: one bad
    line refuses the file, with its number and reason.

    A SKU that is on the server with another quantity refuses the file, so that an old file cannot
    undo a sale; --update sets it. Loading the same file again changes nothing.

    \b
    Exit status: 0 loaded; 1 refused, or a SKU was (more are held, for example); 2 wrong usage or a
    bad line, nothing changed; 3 not reached or not judged.

    \b
    Examples:
      $ atp load stock.csv
      $ atp load stock.csv --update --json
      $ printf 'sku,quantity\\nSAUCER,40\\n' | atp load -
    """
    entries = _read(file)
    present = _present(session, {entry.sku for entry in entries})
    if not update:
        _refuse_known(session, file, entries, present)
    loaded = Loaded(file, len(entries))
    _send(session, entries, present, loaded)
    if not session.show_json(loaded.as_object()):
        _show(loaded)
    if loaded.refused:
        raise refused()


def _read(file: str) -> list[Entry]:
    name = "standard input" if file == "-" else file
    try:
        with _opened(file) as stream:
            return stock_file.read(name, stream)
    except OSError as error:
        raise Failed(f"{name}: {error.strerror}", BAD_INPUT) from None
    except StockFileInvalid as error:
        lines = [tables.printable(line) for line in error.lines()]
        raise Failed("\n".join([*lines, f"{name}: nothing was changed"]), BAD_INPUT) from None


def _opened(file: str) -> contextlib.AbstractContextManager[io.BufferedReader]:
    if file == "-":
        return contextlib.nullcontext(cast(io.BufferedReader, sys.stdin.buffer))
    return open(file, "rb")


def _present(session: Session, skus: set[str]) -> dict[str, int]:
    """Units on hand of those of the SKUs that the server knows."""
    stocks = session.client.iterate_stock(page_size=PAGE_SIZE)
    return {stock.sku: stock.on_hand for stock in stocks if stock.sku in skus}


def _refuse_known(
    session: Session, file: str, entries: list[Entry], present: dict[str, int]
) -> None:
    """Refuses the file if it would change the quantity of a SKU that is there."""
    changed = [
        (sku, present[sku], quantity)
        for sku, quantity in entries
        if present.get(sku, quantity) != quantity
    ]
    if not changed:
        return
    if not session.show_json(
        {
            "file": file,
            "known": [
                {"sku": sku, "on_hand_quantity": on_hand, "file_quantity": quantity}
                for sku, on_hand, quantity in changed
            ],
        }
    ):
        click.echo(
            f"refused: the server has {len(changed):,} of {len(entries):,} SKUs with other"
            " quantities; --update sets them. Nothing was changed."
        )
        tables.show_table(("sku", "on hand", "in the file"), changed[:TOLD_MAX])
    raise refused()


def _send(session: Session, entries: list[Entry], present: dict[str, int], loaded: Loaded) -> None:
    with _progress(len(entries)) as advance:
        for start in range(0, len(entries), BATCH_ENTRIES):
            batch = entries[start : start + BATCH_ENTRIES]
            try:
                replies = session.client.batch_set_stock(batch)
            except AtpError as error:
                failed = failure(session, error)
                failed.message += (
                    f" ({start:,} of {len(entries):,} lines were loaded before; load the file"
                    " again with --update, which is harmless for those)"
                )
                raise failed from error
            for entry, reply in zip(batch, replies, strict=True):
                if reply.outcome is not StockOutcome.DONE:
                    loaded.refused.append(
                        {"sku": entry.sku, "outcome": f"STOCK_OUTCOME_{reply.outcome.name}"}
                    )
                elif entry.sku not in present:
                    loaded.created_count += 1
                elif present[entry.sku] != entry.quantity:
                    loaded.changed_count += 1
                else:
                    loaded.unchanged_count += 1
            advance(len(batch))


def _show(loaded: Loaded) -> None:
    click.echo(
        f"{tables.printable(loaded.file)}: {loaded.line_count:,} lines:"
        f" {loaded.created_count:,} created, {loaded.changed_count:,} changed,"
        f" {loaded.unchanged_count:,} unchanged, {len(loaded.refused):,} refused"
    )
    if loaded.refused:
        rows = [(refusal["sku"], refusal["outcome"]) for refusal in loaded.refused]
        tables.show_table(("sku", "refused as"), rows[:TOLD_MAX])


@contextlib.contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr if that is a terminal; gives the function that moves it."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console  # noqa: PLC0415 - late, see tables.py
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("loading", total=total)
        yield lambda done: progress.update(task, advance=done)
