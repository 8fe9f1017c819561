"""The charts, as SVG to stand in a page: drawn by matplotlib, coloured by the page's style.

Owns what is drawn and how it is described to those who don't see it. Draws what figures.py says
and computes nothing.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atp.report import colours, figures
from atp.report.colours import stand_in
from atp.report.reading import Fault, Sale
from atp.report.words import KINDS, RESERVE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE = (4.8, 2.7)
FONT_SIZE = 8.5
MARGINS = {"left": 0.125, "right": 0.97, "bottom": 0.16, "top": 0.85}
"""Of each chart, as shares of its size: room for two rows of legend, and for the axes' words."""
MOMENT_SHARE = 0.004
"""A fault that is but a moment is drawn this wide, as a share of the time."""
CAPS_SHOWN = 7
TIME_LABEL = "seconds into the sale"
LATENCY_LEAST_MS = 0.05
SETTINGS = {
    "svg.fonttype": "none",
    "font.size": FONT_SIZE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.titlesize": FONT_SIZE + 1,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": FONT_SIZE - 1,
    "legend.handlelength": 1.2,
    "text.color": stand_in("ink"),
    "axes.labelcolor": stand_in("quiet"),
    "axes.edgecolor": stand_in("line"),
    "xtick.color": stand_in("quiet"),
    "ytick.color": stand_in("quiet"),
    "grid.color": stand_in("line"),
    "grid.linewidth": 0.6,
}


class MatplotlibMissing(Exception):
    """There is nothing to draw with; says what to install."""

    def __init__(self) -> None:
        super().__init__("the report's charts need matplotlib: pip install 'atp[report]'")


class Chart(NamedTuple):
    """One chart: a title, what it shows for those who don't see it, and the drawing."""

    title: str
    text: str
    svg: str


Draw = Callable[["Axes"], None]


class Plan(NamedTuple):
    """A chart to be drawn."""

    title: str
    text: str
    unit: str
    draw: Draw


def plans(sale: Sale) -> list[Plan]:
    """Every chart of a sale, in the order of the page."""
    made = [_reserves(sale), _latency(sale), _calls(sale)]
    if any(counts.any() for counts in sale.caps.values()):
        made.append(_caps(sale))
    if sale.stock is not None:
        made += [_stock(sale, number) for number in range(len(sale.stock.hot))]
    return made


def drawn(sale: Sale) -> list[Chart]:
    """All of them. Raises MatplotlibMissing."""
    matplotlib, make_figure = _matplotlib()
    made = []
    for number, plan in enumerate(plans(sale)):
        # Names within a drawing come from its salt: drawings of one page must not share any.
        with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": f"chart {number}"}):
            drawing = make_figure(figsize=SIZE)
            drawing.subplots_adjust(**MARGINS)
            _draw_into(drawing.subplots(), sale, plan, columns=4)
            drawing.axes[0].set_xlabel(TIME_LABEL)
            made.append(Chart(plan.title, plan.text, _svg_of(drawing, plan)))
    return made


def picture(sale: Sale, title: str, count: int) -> str:
    """The first charts one above the other, as an SVG file that stands by itself."""
    matplotlib, make_figure = _matplotlib()
    wanted = [plan for plan in plans(sale) if plan.title != CALLS_TITLE][:count]
    with matplotlib.rc_context({**SETTINGS, "svg.hashsalt": "picture"}):
        drawing = make_figure(figsize=(7.6, 2.5 * len(wanted) + 0.3), layout="constrained")
        drawing.suptitle(title, fontsize=FONT_SIZE + 3)
        places = np.atleast_1d(drawing.subplots(len(wanted), 1, sharex=True))
        for axes, plan in zip(places, wanted, strict=True):
            _draw_into(axes, sale, plan, columns=7)
            axes.set_title(plan.title, loc="left", pad=FONT_SIZE * 2.2)
        places[-1].set_xlabel(TIME_LABEL)
        text = " ".join(plan.text for plan in wanted)
        svg = _svg_of(drawing, Plan(title, text, "", lambda axes: None))
    style = f"<style>{colours.style()}\nsvg{{background:var(--paper)}}</style>"
    begin = svg.index(">") + 1
    head = svg[:begin].replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}{style}{svg[begin:]}\n"


def _matplotlib() -> tuple[Any, Any]:
    try:
        import matplotlib  # noqa: PLC0415 - late: figures alone need none
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError:
        raise MatplotlibMissing from None
    return matplotlib, Figure


def _draw_into(axes: Axes, sale: Sale, plan: Plan, *, columns: int) -> None:
    """The chart and its legend, which has so many columns at most."""
    axes.grid(axis="y")
    _shade(axes, sale.faults, sale.seconds)
    plan.draw(axes)
    axes.set_xlim(0, max(sale.seconds, sale.step_s))
    axes.set_ylabel(plan.unit)
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        axes.legend(
            handles,
            labels,
            loc="lower left",
            bbox_to_anchor=(0, 1.0),
            ncols=min(columns, len(labels)),
            borderaxespad=0.1,
            columnspacing=1.0,
        )


def _shade(axes: Axes, faults: Sequence[Fault], seconds: float) -> None:
    """Every fault as a span, with its kind written in it."""
    for fault in faults:
        width = max(fault.seconds, seconds * MOMENT_SHARE)
        axes.axvspan(
            fault.begin_s,
            fault.begin_s + width,
            color=stand_in("fault"),
            alpha=0.22,
            lw=0,
            zorder=3,  # over what is filled
        )
        axes.text(
            fault.begin_s + width,
            0.98,
            f" {fault.kind}",
            transform=axes.get_xaxis_transform(),
            va="top",
            fontsize=FONT_SIZE - 2,
            color=stand_in("fault"),
            clip_on=True,
        )


def _reserves(sale: Sale) -> Plan:
    ends = figures.reserve_ends(sale)
    words = sorted(ends, key=lambda word: (not word.startswith("GRANTED"), -ends[word].sum()))
    colour = colours.of_outcomes(words)
    offered = sale.counts["offered"][RESERVE] / sale.step_s
    times = figures.times_of(sale)

    def draw(axes: Axes) -> None:
        axes.stackplot(
            times,
            [ends[word] for word in words],
            labels=[_plain(word) for word in words],
            colors=[stand_in(colour[word]) for word in words],
            lw=0,
        )
        axes.plot(times, offered, color=stand_in("ink"), lw=0.9, label="offered")
        axes.set_ylim(bottom=0)

    shares = ", ".join(f"{_plain(word)} {ends[word].sum() * sale.step_s:,.0f}" for word in words)
    text = (
        f"Reserves a second: offered {offered.max():,.0f} at the height; in all {shares or 'none'}."
    )
    return Plan("Reserves: offered, granted, refused", text, "a second", draw)


def _latency(sale: Sale) -> Plan:
    rows = figures.latency_steps(sale)
    times = figures.times_of(sale)
    colour = {"p50": "good", "p99": "blue", "p99.9": "lost"}

    def draw(axes: Axes) -> None:
        for name, row in rows.items():
            axes.plot(times, row, label=name, color=stand_in(colour[name]), lw=1.1)
        axes.set_yscale("log")
        axes.set_ylim(bottom=LATENCY_LEAST_MS)
        axes.yaxis.set_major_formatter(lambda value, place: f"{value:g}")

    checkout = figures.latencies_of(sale).get("checkout")
    told = (
        ", ".join(f"{name} {checkout[name]:,.2f} ms" for name in (*rows, "longest"))
        if checkout
        else "no checkout was answered"
    )
    text = f"How long checkouts took, over time, on a logarithmic scale; over all: {told}."
    return Plan("Latency of checkouts", text, "milliseconds", draw)


CALLS_TITLE = "Commands of every kind"


def _calls(sale: Sale) -> Plan:
    """Offered by kind, and above the line what was lost."""
    offered = sale.counts["offered"] / sale.step_s
    kinds = [kind for kind in np.argsort(-offered.sum(axis=1)) if offered[kind].any()]
    times = figures.times_of(sale)
    shown = kinds[: len(colours.SERIES)]

    def draw(axes: Axes) -> None:
        for kind, colour in zip(shown, colours.SERIES, strict=False):
            axes.plot(times, offered[kind], label=KINDS[kind], color=stand_in(colour), lw=1.0)
        axes.set_ylim(bottom=0)

    sums = ", ".join(f"{KINDS[kind]} {offered[kind].sum() * sale.step_s:,.0f}" for kind in shown)
    return Plan(CALLS_TITLE, f"Commands a second, by kind; in all {sums}.", "a second", draw)


def _caps(sale: Sale) -> Plan:
    rows = {cap: row / sale.step_s for cap, row in sale.caps.items() if row.any()}
    shown = sorted(rows, key=lambda cap: -rows[cap].sum())[:CAPS_SHOWN]
    others: NDArray[np.float64] = sum(
        (rows[cap] for cap in rows if cap not in shown), np.zeros(len(figures.times_of(sale)))
    )
    layers = {cap: rows[cap] for cap in shown} | ({"others": others} if others.any() else {})
    names = (*colours.SERIES[1:], colours.SERIES[0])

    def draw(axes: Axes) -> None:
        axes.stackplot(
            figures.times_of(sale),
            list(layers.values()),
            labels=list(layers),
            colors=[stand_in(name) for name in names[: len(layers)]],
            lw=0,
        )
        axes.set_ylim(bottom=0)

    sums = ", ".join(f"{cap} {row.sum() * sale.step_s:,.0f}" for cap, row in layers.items())
    return Plan("Caps at work", f"Refusals a second, by cap; in all {sums}.", "refusals/s", draw)


def _stock(sale: Sale, number: int) -> Plan:
    assert sale.stock is not None
    sku = sale.stock.hot[number]
    on_hand, held, sold = sale.stock.levels[number]
    times = figures.times_of(sale)

    def draw(axes: Axes) -> None:
        axes.stackplot(
            times,
            [sold, held, on_hand - held],
            labels=["sold", "held", "available"],
            colors=[stand_in(name) for name in ("good", "cap", "short")],
            step="mid",
            lw=0,
        )
        axes.set_ylim(bottom=0)

    text = (
        f"Units of {sku} by the journal; at the end {sold[-1]:,} sold, {held[-1]:,} held and"
        f" {on_hand[-1] - held[-1]:,} available."
    )
    return Plan(f"Stock of {sku}", text, "units", draw)


def _plain(word: str) -> str:
    return word.lower().replace("_", " ")


def _svg_of(drawing: Any, plan: Plan) -> str:
    """The drawing for a page: no prolog, no fixed size, a name and a description."""
    drawing.patch.set_alpha(0)
    for axes in drawing.axes:
        axes.patch.set_alpha(0)
    buffer = io.StringIO()
    drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    whole = buffer.getvalue()
    svg = whole[whole.index("<svg ") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Groups have the same names in every drawing, and nobody refers to them.
    svg = re.sub(r'<g id="[^"]*"', "<g", svg).replace("xlink:href", "href")
    svg = re.sub(r"font(?:-family)?: ([^;\"]*?)'DejaVu Sans'[^;\"]*", _font, svg)
    box = re.search(r'viewBox="[^"]*"', svg)
    assert box is not None
    head = f'<svg {box[0]} role="img" aria-label="{escape(f"{plan.title}. {plan.text}")}">'
    title = f"<title>{escape(plan.title)}</title><desc>{escape(plan.text)}</desc>"
    begin = svg.index(">") + 1
    return colours.with_variables(f"{head}{title}{svg[begin:]}")


def _font(found: re.Match[str]) -> str:
    size = found[1].strip()
    return f"font: {size} system-ui, sans-serif" if size else "font-family: system-ui, sans-serif"
