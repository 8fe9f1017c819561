"""Shows a replay while it runs: a moving bar on a terminal, a line now and then elsewhere.

Owns what is written to the error stream, so that the report alone goes to the output. Counts
nothing.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from atp.replay.score import Score

LINE_EVERY_S: Final = 2.0


def watcher_for(console: Console) -> BarWatcher | LineWatcher:
    """The watcher that fits where the console writes to."""
    return BarWatcher(console) if console.is_terminal else LineWatcher(console)


def figures(score: Score, elapsed_s: float) -> dict[str, Any]:
    """The figures of a sale so far, as text: done, granted, refused, per second, time left."""
    rate = score.events_done / elapsed_s if elapsed_s > 0 else 0.0
    left = (score.events - score.events_done) / rate if rate else 0.0
    return {
        "done": f"{score.events_done:,} of {score.events:,}",
        "granted": f"{score.granted.orders:,}",
        "refused": f"{score.orders_refused:,}",
        "rate": f"{rate:,.0f}",
        "left": _span(left) if rate else "-",
    }


def _span(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class BarWatcher:
    """A moving bar for people."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[done]} done"),
            TextColumn("[green]{task.fields[granted]} granted"),
            TextColumn("[yellow]{task.fields[refused]} refused"),
            TextColumn("{task.fields[rate]} per second"),
            TextColumn("[cyan]{task.fields[left]} left"),
            console=console,
        )
        self._task = self._progress.add_task(
            "", start=False, visible=False, **figures(Score(), 0.0)
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def stage(self, text: str) -> None:
        self._console.print(text, style="dim", markup=False, highlight=False)

    def progress(self, score: Score, elapsed_s: float) -> None:
        self._progress.update(
            self._task,
            total=score.events,
            completed=score.events_done,
            visible=True,
            **figures(score, elapsed_s),
        )


class LineWatcher:
    """A plain line every two seconds for logs."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_s = LINE_EVERY_S

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    def stage(self, text: str) -> None:
        self._print(text)

    def progress(self, score: Score, elapsed_s: float) -> None:
        if elapsed_s < self._next_s and score.events_done < score.events:
            return
        self._next_s = elapsed_s + LINE_EVERY_S
        now = figures(score, elapsed_s)
        self._print(
            f"{elapsed_s:6.1f} s  {now['done']} done, {now['granted']} granted, "
            f"{now['refused']} refused, {now['rate']} per second, {now['left']} left"
        )

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
