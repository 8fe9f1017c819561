"""`atp top`: a live view of a server, for whoever watches a sale.

Owns the loop: when the server is asked, which keys do what, and how the terminal is left. What a
frame says is top_frame.py's, how it looks top_view.py's.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from typing import NamedTuple, Protocol

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from atp.cli import as_json, top_frame
from atp.cli.session import Answer, Session, asks, failure
from atp.cli.tables import on_terminal
from atp.cli.top_frame import Frame, frame_of
from atp.cli.top_view import render
from atp.cli.values import DURATION
from atp.client import AtpError, control_calls
from atp.client.top import Top

NS_PER_SECOND = 1_000_000_000
INTERVAL_LEAST_NS = NS_PER_SECOND // 10
PATIENCE_S = 3.0
"""How long a live view waits for one answer before it says that there is none."""
PLAIN_WIDTH, PLAIN_HEIGHT = 160, 60
"""Of a frame that goes into a pipe or a file."""


class Rows(NamedTuple):
    """How many rows, and in which order."""

    skus: int
    caps: int
    sort: str


@click.command(short_help="Watch a server live: rates, hot SKUs, caps, holds that end.")
@click.option(
    "--interval", type=DURATION, default="1s", show_default=True, help="Time between frames."
)
@click.option("--once", is_flag=True, help="Print one frame over one interval, and end.")
@click.option(
    "--sort",
    type=click.Choice(top_frame.SORTS),
    default="heat",
    show_default=True,
    help="Order of SKUs; in the view, the key s changes it.",
)
@click.option("--skus", type=click.IntRange(1, 100), default=20, show_default=True,
              help="Hot SKUs to ask for.")  # fmt: skip
@click.option("--caps", type=click.IntRange(1, 100), default=20, show_default=True,
              help="Caps to ask for: those that refused most.")  # fmt: skip
@asks("control")
def top(session: Session, *, interval: int, once: bool, sort: str, skus: int, caps: int) -> None:
    """Watch a server live, as `top` shows processes: calls by answer and how long they took, the
    SKUs that are asked for most, the caps that refuse most, holds about to end, disk and memory.

    Keys: q quits, s changes the order of SKUs. Heat is how often reserves asked for a SKU of late;
    it fades. A line that ends is one SKU of a hold. With --json, one object for each frame: rates,
    and the server's whole answer. Into a pipe, frames without colours, one after another.

    A look costs the server about a millisecond of one core, and no checkout waits for it.

    \b
    Exit status: 0 ended by q, or the frame of --once is printed; 2 wrong usage; 3 not reached;
    130 Ctrl-C.

    \b
    Examples:
      $ atp top --once --interval 200ms
      $ atp top --once --json --interval 200ms --sort sold
    """
    if interval < INTERVAL_LEAST_NS:
        raise click.BadParameter("at least 100ms", param_hint="--interval")
    watching = Watching(session, interval / NS_PER_SECOND, Rows(skus, caps, sort))
    if once:
        watching.ask()
        Nobody().wait(watching.seconds)
        _print(session, watching, watching.ask())
    elif session.as_json or not on_terminal():
        while True:
            _print(session, watching, watching.ask())
            Nobody().wait(watching.seconds)
    else:
        _show(session, watching)


class Watching:
    """One server, looked at again and again."""

    def __init__(self, session: Session, seconds: float, rows: Rows) -> None:
        self.seconds = seconds
        self.rows = rows
        self._session = session
        self._before: Top | None = None
        self._answer: Answer[Top] | None = None

    def ask(self, timeout_s: float | None = None) -> Frame:
        """Looks again; a frame since the last look. Raises AtpError."""
        call = control_calls.get_top(skus=self.rows.skus, caps=self.rows.caps, timeout_s=timeout_s)
        answer = self._session.ask(call)
        self._before = None if self._answer is None else self._answer.reply
        self._answer = answer
        return self.frame()

    def frame(self) -> Frame:
        """The frame of the last look, in the order wanted now."""
        assert self._answer is not None
        return frame_of(self._before, self._answer.reply, self.rows.sort)

    def as_object(self, frame: Frame) -> dict[str, object]:
        """The frame for scripts."""
        assert self._answer is not None
        return top_frame.as_object(frame, as_json.as_object(self._answer.message))


def _print(session: Session, watching: Watching, frame: Frame) -> None:
    if session.as_json:
        session.show_json(watching.as_object(frame))
        return
    console = Console(soft_wrap=True, highlight=False)
    width, height = console.size if on_terminal() else (PLAIN_WIDTH, PLAIN_HEIGHT)
    console.print(render(frame, session.address, width, height))


class Keys(Protocol):
    """Where keys come from."""

    def wait(self, seconds: float) -> str:
        """The next key, or nothing once so much time has passed."""


class Nobody:
    """No keyboard: only time passes."""

    def wait(self, seconds: float) -> str:
        """Returns once the time has passed."""
        select.select((), (), (), seconds)
        return ""


class Keyboard:
    """The keys of a terminal, one at a time."""

    def wait(self, seconds: float) -> str:
        """The next key, or nothing once so much time has passed."""
        readable, _, _ = select.select((sys.stdin,), (), (), seconds)
        return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if readable else ""


@contextlib.contextmanager
def keys_of_terminal() -> Iterator[Keys]:
    """Has each key at once and unseen until the block ends; without a keyboard, none."""
    if not sys.stdin.isatty():
        yield Nobody()
        return
    kept = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield Keyboard()
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


def _show(session: Session, watching: Watching) -> None:
    """The view, until q. The first look must succeed; later ones are told when they don't."""
    frame, note = watching.ask(), ""
    console = Console(highlight=False)
    with keys_of_terminal() as keys, Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(_view(session, frame, note, console), refresh=True)
            key = keys.wait(watching.seconds)
            if key in ("q", "Q"):
                return
            if key == "s":
                watching.rows = watching.rows._replace(sort=_next(watching.rows.sort))
                frame = watching.frame()
            elif not key:
                try:
                    frame, note = watching.ask(min(PATIENCE_S, session.timeout_s)), ""
                except AtpError as error:
                    note = f"{failure(session, error).message}; what follows is the last answer"


def _view(session: Session, frame: Frame, note: str, console: Console) -> Text:
    width, height = console.size
    view = render(frame, session.address, width, height - 1, note)
    view.append("\nq quit  s order of SKUs", "dim")
    return view


def _next(sort: str) -> str:
    index = top_frame.SORTS.index(sort)
    return top_frame.SORTS[(index + 1) % len(top_frame.SORTS)]
