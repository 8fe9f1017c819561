"""The table of docs/performance.md and the picture docs/peers.svg, from a run of the peers.

Owns what is asked of each figure and how both look. Measures nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "performance.md"
PICTURE = ROOT / "docs" / "peers.svg"
BEGIN = "<!-- peers: written by make peers -->\n"
END = "<!-- peers: end -->\n"

Measured = Mapping[str, list[float]]
SERVERS = (
    ("nghttpd", "nghttpd, a static file"),
    ("atp_off", "atp, keeps nothing"),
    ("atp_sync", "atp, durable"),
    ("redis_nothing", "Redis, keeps nothing"),
    ("redis_always", "Redis, appendfsync always"),
)
COLOURS = ("#9aa5b1", "#7cb5a4", "#1b7f5f", "#e6a57e", "#c8553d")
PATTERN_TEXTS = ("A: 50 connections x 1", "B: 8 x 16", "C: 8 x 100")


WANTED = {
    "unary_A_vs_nghttpd": "at least 0.7",
    "unary_B_vs_nghttpd": "at least 0.6",
    "unary_A_vs_redis_always": "at least 1.4",
    "unary_B_vs_redis_always": "at least 1.8",
    "unary_C_vs_redis_always": "at least 3.5",
    "unary_A_vs_redis_nothing": "at least 0.8",
    "unary_B_vs_redis_nothing": "at least 1.2",
    "unary_C_vs_redis_nothing": "at least 2",
    "unary_hot_vs_postgres": "at least 25",
    "hot_vs_uniform": "at least 0.9",
    "unary_A_vs_grpc_aio": "at least 7",
    "execute_per_s": "at least 1.5 M",
    "latency_p99_ms": "at most 2",
    "latency_p999_ms": "at most 5",
    "latency_memory_p99_ms": "at most 2",
    "latency_memory_p999_ms": "at most 5",
    "durable_call_vs_fdatasync": "at most 2.5",
    "sold_out_vs_unary_B": "at least 1",
    "overload_goodput": "at least 0.8",
}


def write_report(measured: Measured, figures: Mapping[str, float]) -> None:
    """Writes the picture, and the tables between their marks on the page."""
    draw(measured, PICTURE)
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    assert after, f"{PAGE} has no marks for the table"
    PAGE.write_text(before + BEGIN + table(measured, figures) + END + after, encoding="utf-8")


def table(measured: Measured, figures: Mapping[str, float]) -> str:
    """What is asked and what came of it, and the rates: median, least and most of the rounds."""
    lines = ["| figure | measured | wanted |", "|---|---|---|"]
    for name, value in figures.items():
        shown = f"{value:,.0f}" if value >= 1_000 else f"{value:.2f}"
        lines.append(f"| `{name}` | {shown} | {WANTED.get(name, '–')} |")
    lines += ["", "| calls a second | " + " | ".join(PATTERN_TEXTS) + " |", "|---" * 4 + "|"]
    for key, name in SERVERS:
        cells = [_cell(measured[f"{key}_{pattern}"]) for pattern in "ABC"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    others = (
        ("grpc_aio_A", "grpc.aio that does nothing, pattern A"),
        ("atp_beside_A", "atp beside it, keeps nothing, pattern A"),
        ("postgres_hot", "PostgreSQL, one hot row, 50 clients"),
        ("postgres_uniform", "PostgreSQL, 10,000 rows, 50 clients"),
        ("hot_A", "atp, durable, one hot SKU, pattern A"),
        ("uniform_A", "atp, durable, 10,000 SKUs, pattern A"),
        ("sold_out_B", "atp, durable, refusals of what is sold out, pattern B"),
        ("execute_hot", "atp, durable, Execute, batches of 1,000, one hot SKU"),
        ("execute_uniform", "atp, durable, Execute, batches of 1,000, 10,000 SKUs"),
    )
    lines += ["", "| a second | median (least to most) |", "|---|---|"]
    lines += [f"| {name} | {_cell(measured[key])} |" for key, name in others]
    picture = f"![Reserves a second beside nghttpd and Redis]({PICTURE.name})"
    return "\n".join(["", picture, "", *lines, "", ""])


def _cell(values: list[float]) -> str:
    middle, least, most = statistics.median(values), min(values), max(values)
    return f"{middle:,.0f} ({least:,.0f} to {most:,.0f})"


def draw(measured: Measured, path: Path) -> None:
    """Bars of the three patterns, a group each, whiskers from the least to the most round."""
    import matplotlib as mpl  # noqa: PLC0415 - late: a run of small size draws nothing

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams["svg.hashsalt"] = "atp"
    mpl.rcParams["svg.fonttype"] = "none"
    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    width = 0.8 / len(SERVERS)
    for place, ((key, name), colour) in enumerate(zip(SERVERS, COLOURS, strict=True)):
        rounds = [[rate / 1_000 for rate in measured[f"{key}_{pattern}"]] for pattern in "ABC"]
        middles = [statistics.median(values) for values in rounds]
        whiskers = [
            [middle - min(values) for middle, values in zip(middles, rounds, strict=True)],
            [max(values) - middle for middle, values in zip(middles, rounds, strict=True)],
        ]
        positions = [group + (place - 2) * width for group in range(3)]
        axes.bar(positions, middles, width, label=name, color=colour)
        axes.errorbar(positions, middles, whiskers, fmt="none", ecolor="#444444", elinewidth=1)
        for position, middle, values in zip(positions, middles, rounds, strict=True):
            axes.text(position, max(values) + 5, f"{middle:.0f}", ha="center", fontsize=8)
    axes.set_xticks(range(3), PATTERN_TEXTS)
    axes.set_ylabel("thousand calls a second")
    axes.set_title("Reserves a second: one server thread each, client on the same two cores")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
