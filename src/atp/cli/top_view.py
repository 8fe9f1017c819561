"""How a frame of `atp top` looks: lines of text that fit a terminal, whatever its size.

Owns the layout: what matters most is at the top, SKUs and caps share what is left, and columns give
way from the right. Computes nothing: top_frame.py does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from rich.text import Text

from atp.cli.status_journal import length, size
from atp.cli.tables import printable, word
from atp.cli.top_frame import CapRow, Frame, MethodRates, SkuRow

WIDE_COLUMNS = 140
"""From here on caps stand beside SKUs instead of under them."""
AIRY_LINES = 30
"""From here on there are lines between the parts."""
NAME_LEAST = 12
GAP = "  "
NS_PER_SECOND = 1_000_000_000


class Column(NamedTuple):
    """A column: its title and its cells; the first one of a table takes what is left."""

    title: str
    cells: Sequence[str]


def render(frame: Frame, address: str, width: int, height: int, note: str = "") -> Text:
    """The frame as at most `height` lines of at most `width` characters. `note` is said first."""
    gap = [Text()] if height >= AIRY_LINES else []
    lines = [*_head(frame, address, note), *gap, *_methods(frame.methods), *gap]
    left = height - len(lines)
    if width >= WIDE_COLUMNS:
        half = (width - len(GAP)) // 2
        skus = _table(_sku_columns(frame.skus), half, left)
        caps = _table(_cap_columns(frame.caps), width - half - len(GAP), left)
        lines += _beside(skus, caps, half)
    else:
        for_caps = min(len(frame.caps) + 1, max(2, left // 3)) if frame.caps else 0
        lines += _table(_sku_columns(frame.skus), width, left - for_caps - len(gap))
        lines += [*gap, *_table(_cap_columns(frame.caps), width, for_caps)] if for_caps else []
    for line in lines:
        line.truncate(width, overflow="ellipsis")
        line.rstrip()
    return Text("\n").join(lines[:height])


def _head(frame: Frame, address: str, note: str) -> Iterator[Text]:
    now, journal = frame.now, frame.now.journal
    clock = datetime.fromtimestamp(now.read_time_ns // NS_PER_SECOND, UTC)
    up = length_of_life(now.read_time_ns - now.start_time_ns)
    yield Text.assemble(
        (f"atp {address}", "bold"), f"{GAP}{clock:%H:%M:%S} UTC{GAP}up {up}{GAP}change"
        f" {now.sequence:,} (+{rate(frame.changes_per_s)}/s)",
    )  # fmt: skip
    for alert in (*((note,) if note else ()), *frame.alerts):
        yield Text(printable(alert), "bold red")
    calls = sum(rates.calls_per_s for rates in frame.methods)
    refused = {name: count for name, count in frame.refused_per_s.items() if count}
    turned_away = ", ".join(f"{name} {rate(count)}/s" for name, count in refused.items())
    yield _fact(
        "calls", f"{rate(calls)}/s", f"{now.open_calls:,} open",
        f"{now.connections:,} connections", f"turned away: {turned_away or 'none'}",
    )  # fmt: skip
    yield _fact(
        "holds", f"{now.live_holds:,} live", f"lines ending in 10 s {now.ending_soon_lines:,}",
        f"in 60 s {now.ending_minute_lines:,}", f"expired {rate(frame.expired_per_s)}/s",
    )  # fmt: skip
    yield _fact(
        "units", f"{now.on_hand:,} on hand", f"{now.held:,} held", f"{now.sold:,} sold",
        f"{now.skus:,} SKUs", f"memory {size(now.resident_bytes)}",
        f"(engine {size(now.engine_bytes)})",
    )  # fmt: skip
    lag = length(now.durable_lag_ns) if now.durable_lag_ns else "none"
    syncs = f"p50 {length(journal.sync_p50_ns)} p99 {length(journal.sync_p99_ns)}"
    yield _fact(
        "disk", f"lag {lag}", f"sync {syncs}" if journal.syncs else "no sync yet",
        f"{rate(frame.syncs_per_s)} syncs/s", f"{now.parked_answers:,} answers wait",
    )  # fmt: skip
    taken = journal.last_snapshot
    age = length_of_life(now.read_time_ns - taken.create_time_ns) + " ago" if taken else "none yet"
    yield _fact(
        "journal", f"{size(round(frame.written_bytes_per_s))}/s",
        f"{size(journal.journal_bytes)} kept", f"{size(journal.free_bytes)} free",
        f"snapshot {age}",
    )  # fmt: skip


def _fact(name: str, *facts: str) -> Text:
    return Text.assemble((f"{name:<8}", "bold"), GAP.join(facts))


def _methods(methods: Iterable[MethodRates]) -> list[Text]:
    """A row for each method; what was answered takes what is left of the line."""
    rows = list(methods)
    columns = [
        Column("CALLS", [one.method for one in rows]),
        Column("PER S", [rate(one.calls_per_s) for one in rows]),
        Column("P50", [_time(one.p50_ms) for one in rows]),
        Column("P99", [_time(one.p99_ms) for one in rows]),
    ]
    lines = _lines(columns, NAME_LEAST + 3)
    told = [_outcomes(one) for one in rows]
    lines[0].append(f"{GAP}ANSWERED PER S", "bold")
    for line, answered in zip(lines[1:], told, strict=True):
        line.append(GAP + answered)
    return lines if rows else [Text("no calls yet", "dim")]


def _outcomes(one: MethodRates) -> str:
    answered = [(name, count) for name, count in one.outcomes_per_s.items() if count]
    return ", ".join(f"{name.lower().replace('_', ' ')} {rate(count)}" for name, count in answered)


def _sku_columns(rows: Sequence[SkuRow]) -> list[Column]:
    stocks = [row.hot.stock for row in rows]
    return [
        Column("HOT SKU", [printable(stock.sku) for stock in stocks]),
        Column("AVAILABLE", [f"{stock.available:,}" for stock in stocks]),
        Column("HELD", [f"{stock.held:,}" for stock in stocks]),
        Column("SOLD", [f"{stock.sold:,}" for stock in stocks]),
        Column("TAKEN/S", [rate(row.taken_per_s) for row in rows]),
        Column("SOLD/S", [rate(row.sold_per_s) for row in rows]),
        Column("ON HAND", [f"{stock.on_hand:,}" for stock in stocks]),
        Column("HEAT", [f"{row.hot.heat:,}" for row in rows]),
    ]


def _cap_columns(rows: Sequence[CapRow]) -> list[Column]:
    uses = [row.use for row in rows]
    return [
        Column("CAP", [printable(use.cap_id) for use in uses]),
        Column("LIMIT", ["none" if use.limit is None else f"{use.limit:,}" for use in uses]),
        Column("REFUSED", [f"{use.refused:,}" for use in uses]),
        Column("PER S", [rate(row.refused_per_s) for row in rows]),
        Column("SHADOW", [f"{use.shadow_refused:,}" for use in uses]),
        Column("PER S", [rate(row.shadow_refused_per_s) for row in rows]),
        Column("MODE", [word(use.mode) for use in uses]),
        Column("PER", [word(use.subject) for use in uses]),
    ]


def _table(columns: list[Column], width: int, height: int) -> list[Text]:
    """A table of at most so many lines; columns that find no room are left out, from the right."""
    rows = max(0, height - 1)
    columns = [Column(column.title, column.cells[:rows]) for column in columns]
    while len(columns) > 2 and width - _width(columns[1:]) < NAME_LEAST:
        columns = columns[:-1]
    return _lines(columns, max(NAME_LEAST, width - _width(columns[1:])))


def _width(columns: Iterable[Column]) -> int:
    return sum(len(GAP) + _column_width(column) for column in columns)


def _column_width(column: Column) -> int:
    return max([len(column.title), *map(len, column.cells)])


def _lines(columns: Sequence[Column], name_width: int) -> list[Text]:
    """Title and rows; the first column is so wide, the others as wide as they must be."""
    name, *numbers = columns
    widths = [_column_width(column) for column in numbers]
    titles = [f"{column.title:>{width}}" for column, width in zip(numbers, widths, strict=True)]
    lines = [Text(GAP.join([f"{name.title:<{name_width}}", *titles]), "bold")]
    for index, cell in enumerate(name.cells):
        cut = cell if len(cell) <= name_width else cell[: name_width - 1] + "…"
        cells = [
            f"{column.cells[index]:>{width}}" for column, width in zip(numbers, widths, strict=True)
        ]
        lines.append(Text(GAP.join([f"{cut:<{name_width}}", *cells])))
    return lines


def _beside(left: list[Text], right: list[Text], width: int) -> Iterator[Text]:
    for index in range(max(len(left), len(right))):
        line = left[index].copy() if index < len(left) else Text()
        line.truncate(width, overflow="ellipsis", pad=True)
        line.append(GAP)
        if index < len(right):
            line.append_text(right[index])
        yield line


def rate(per_s: float) -> str:
    """A rate in three digits or so: 0, 0.25, 12.5, 1,234."""
    if per_s == 0:
        return "0"
    digits = 0 if abs(per_s) >= 100 else 1 if abs(per_s) >= 10 else 2
    return f"{per_s:,.{digits}f}"


def _time(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else length(round(milliseconds * 1e6))


def length_of_life(nanoseconds: int) -> str:
    """How long something has been, in its two largest units: 3d4h, 2h03m, 45s."""
    minutes, seconds = divmod(max(0, nanoseconds) // NS_PER_SECOND, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds:02}s" if minutes else f"{seconds}s"
