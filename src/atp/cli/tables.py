"""What commands print for people: tables, lists of facts, times.

On a terminal, rich tables; into a pipe or a file, plain columns that neither wrap nor colour, with
numbers as digits alone. Whatever a SKU or a customer is called, no control character gets out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import IntEnum

import click

from atp.clock import Clock
from atp.units import format_duration

Cell = str | int | None
"""Text, a number, or None for nothing to say."""

NS_PER_SECOND = 1_000_000_000
COLUMN_GAP = "  "


def on_terminal() -> bool:
    """True when stdout is a terminal."""
    return sys.stdout.isatty()


def printable(text: str) -> str:
    """The text with control characters, line ends and the like written as escapes."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def show_table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str = "", header: bool = True
) -> None:
    """Prints rows under column names; numbers align right, None is empty."""
    table = [list(row) for row in rows]
    if on_terminal():
        _show_rich(columns, table, title, header)
    else:
        _show_plain(columns, table, title, header)


def show_facts(facts: Iterable[tuple[str, Cell]]) -> None:
    """Prints names and values, one pair a line."""
    pairs = [(name, value) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{name:<{width}}{COLUMN_GAP}{_text(value, grouped=on_terminal())}")


def instant(time_ns: int | None) -> str | None:
    """A time for people: UTC, and how far from now."""
    if time_ns is None:
        return None
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    try:
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError):  # beyond the year 9999
        text = f"{seconds}.{nanos:09d} s"
    return f"{text} ({distance(time_ns)})"


def distance(time_ns: int | None) -> str | None:
    """How far a time is from now: in 15m, or 3s ago."""
    if time_ns is None:
        return None
    ahead_s = round((time_ns - Clock().now_ns()) / NS_PER_SECOND)
    length = format_duration(abs(ahead_s) * NS_PER_SECOND)
    return f"in {length}" if ahead_s > 0 else f"{length} ago"


def word(value: IntEnum) -> str:
    """A word of the vocabulary for people."""
    return value.name.lower().replace("_", " ")


def _text(cell: Cell, *, grouped: bool) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return f"{cell:,}" if grouped else str(cell)
    return printable(cell)


def _show_plain(columns: Sequence[str], rows: list[list[Cell]], title: str, header: bool) -> None:
    texts = [[_text(cell, grouped=False) for cell in row] for row in rows]
    names = [name.upper() for name in columns]
    widths = [
        max([len(text[index]) for text in texts] + [len(name)]) for index, name in enumerate(names)
    ]
    if title:
        click.echo(f"\n{title}")
    if header:
        click.echo(_plain_line(names, widths, _numeric(columns, rows)))
    for row, text in zip(rows, texts, strict=True):
        click.echo(_plain_line(text, widths, [isinstance(cell, int) for cell in row]))


def _numeric(columns: Sequence[str], rows: list[list[Cell]]) -> list[bool]:
    """For each column, whether it has numbers."""
    return [any(isinstance(row[index], int) for row in rows) for index in range(len(columns))]


def _plain_line(texts: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    cells = [
        text.rjust(width) if to_right else text.ljust(width)
        for text, width, to_right in zip(texts, widths, right, strict=True)
    ]
    return COLUMN_GAP.join(cells).rstrip()


def _show_rich(columns: Sequence[str], rows: list[list[Cell]], title: str, header: bool) -> None:
    # Late, because a command in a pipe does without, and loading rich takes a tenth of a second.
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(
        box=SIMPLE_HEAD,
        title=title or None,
        title_justify="left",
        title_style="bold",
        show_edge=False,
        show_header=header,
        pad_edge=False,
    )
    for name, numeric in zip(columns, _numeric(columns, rows), strict=True):
        # A name must stay whole to be copied: it folds into the next line rather than being cut.
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_text(cell, grouped=True)) for cell in row))
    console = Console()
    if title:
        console.print()
    console.print(table)
