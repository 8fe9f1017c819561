"""The report of a sale: what was asked, how it went over time, and the audit's verdict.

Owns one HTML file, its figures as JSON, and a picture. Reads a history and, where it is at hand,
the server's journal; asks no server, and leaves judging to the audit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from atp.report import charts, page
from atp.report.charts import MatplotlibMissing
from atp.report.figures import figures_of
from atp.report.reading import JournalUnreadable, Sale, read_sale

__all__ = ["JournalUnreadable", "MatplotlibMissing", "Report", "Verdict", "make"]

PICTURE_CHARTS = 4


class Verdict(Protocol):
    """What the report asks of the audit's verdict: a JSON object with `ok` and `findings`."""

    def as_json(self) -> dict[str, Any]:
        """The verdict as a JSON object."""


class Report:
    """A sale that was read; `figures` is the JSON object."""

    def __init__(self, sale: Sale, figures: dict[str, Any]) -> None:
        self._sale = sale
        self.figures = figures

    def as_html(self) -> str:
        """The page. Raises MatplotlibMissing."""
        return page.html_of(self.figures, charts.drawn(self._sale))

    def as_picture(self) -> str:
        """The main charts as one SVG file. Raises MatplotlibMissing."""
        settings = self.figures["settings"]
        verdict = self.figures["verdict"]
        told = "" if verdict is None else "clean" if verdict["ok"] else "VIOLATED"
        title = f"{settings.get('profile', 'A sale')}, {self.figures['seconds']:.0f} seconds"
        return charts.picture(
            self._sale, f"{title}; audit: {told}" if told else title, PICTURE_CHARTS
        )


def make(history: Path, data: Path | None, verdict: Verdict | None) -> Report:
    """Reads a sale. `data` is the server's data directory, None: no stock over time.

    Raises HistoryDamaged, JournalUnreadable, and OSError when a file can't be read.
    """
    sale = read_sale(history, data)
    return Report(sale, figures_of(sale, None if verdict is None else verdict.as_json()))
