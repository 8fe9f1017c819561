"""Made-up orders: their statistics against a real year's, figure by figure."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from atp.replay.generator import make_rows
from atp.replay.reader import Row, read_rows

REAL_ORDERS = (
    Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "online_retail.csv.gz"
)

# What the description of the real data says, and how far made-up data may be from it: a share of
# the figure, or 0 where the figure must be met.
FIGURES: dict[str, tuple[float, float]] = {
    "lines": (541_909, 0.01),
    "invoices": (25_900, 0),
    "stock codes": (4_070, 0.03),
    "customers": (4_372, 0),
    "days": (305, 0),
    "cancelled lines": (9_288, 0.06),
    "cancellations": (3_836, 0),
    "cancelled units": (277_574, 0.3),
    "bad debts": (3, 0),
    "write-offs": (1_336, 0),
    "lines of a sale, median": (15, 0.1),
    "lines of a sale, p90": (53, 0.05),
    "lines of a sale, p99": (217, 0.05),
    "lines of a sale, most": (1_114, 0.4),
    "units of a line, median": (3, 0),
    "units of a line, p99": (100, 0.15),
    "units of a line, most": (80_995, 0),
    "SKUs repeated in a sale": (9_599, 0.1),
    "exact duplicates": (5_268, 0.2),
    "invoices over minutes": (43, 0),
    "lines without a customer": (135_080, 0.03),
    "codes that differ by case": (112, 0.05),
    "lines of no product": (2_995, 0.05),
    "lines of the top SKU": (2_270, 0.1),
    "lines of the second SKU": (2_115, 0.1),
    "lines of the third SKU": (2_019, 0.1),
    "share of the top tenth": (0.45, 0.03),
    "lines of the busiest day": (5_331, 0.35),
    "invoices of the busiest minute": (6, 0.5),
}


def is_sale(row: Row) -> bool:
    """True for a line of an order."""
    return row.quantity > 0 and row.invoice[0] not in "CA"


def figures_of(rows: Iterable[Row]) -> dict[str, float]:
    """The figures of a year."""
    rows = list(rows)
    sales = [row for row in rows if is_sale(row)]
    cancelled = [row for row in rows if row.invoice.startswith("C")]
    of_sale = list(Counter(row.invoice for row in sales).values())
    by_sku = sorted(Counter(row.stock_code for row in sales).values(), reverse=True)
    pairs = Counter((row.invoice, row.stock_code) for row in sales)
    moments = {row.invoice: row.time_s for row in rows}
    minutes: dict[str, set[int]] = {}
    for row in rows:
        minutes.setdefault(row.invoice, set()).add(row.time_s)
    codes = {row.stock_code for row in rows}
    return {
        "lines": len(rows),
        "invoices": len(moments),
        "stock codes": len(codes),
        "customers": len({row.customer_id for row in rows} - {""}),
        "days": len({row.time_s // 86_400 for row in rows}),
        "cancelled lines": len(cancelled),
        "cancellations": len({row.invoice for row in cancelled}),
        "cancelled units": -sum(row.quantity for row in cancelled),
        "bad debts": len({row.invoice for row in rows if row.invoice.startswith("A")}),
        "write-offs": sum(row.quantity < 0 and row.invoice[0] != "C" for row in rows),
        "lines of a sale, median": float(np.quantile(of_sale, 0.5)),
        "lines of a sale, p90": float(np.quantile(of_sale, 0.9)),
        "lines of a sale, p99": float(np.quantile(of_sale, 0.99)),
        "lines of a sale, most": max(of_sale),
        "units of a line, median": float(np.quantile([row.quantity for row in sales], 0.5)),
        "units of a line, p99": float(np.quantile([row.quantity for row in sales], 0.99)),
        "units of a line, most": max(row.quantity for row in sales),
        "SKUs repeated in a sale": sum(count > 1 for count in pairs.values()),
        "exact duplicates": len(rows) - len({row[1:] for row in rows}),
        "invoices over minutes": sum(len(times) > 1 for times in minutes.values()),
        "lines without a customer": sum(not row.customer_id for row in rows),
        "codes that differ by case": len(codes) - len({code.lower() for code in codes}),
        "lines of no product": sum(not re.match(r"\d{5}", row.stock_code) for row in rows),
        "lines of the top SKU": by_sku[0],
        "lines of the second SKU": by_sku[1],
        "lines of the third SKU": by_sku[2],
        "share of the top tenth": sum(by_sku[: len(by_sku) // 10]) / len(sales),
        "lines of the busiest day": max(Counter(row.time_s // 86_400 for row in rows).values()),
        "invoices of the busiest minute": max(Counter(moments.values()).values()),
    }


def too_far(figures: dict[str, float], reference: dict[str, float]) -> dict[str, str]:
    """The figures that are further from the reference than they may be."""
    return {
        name: f"{figures[name]:,.6g} is not {reference[name]:,.6g} within {margin:.0%}"
        for name, (_, margin) in FIGURES.items()
        if abs(figures[name] - reference[name]) > margin * reference[name]
    }


@functools.cache
def year(seed: int) -> list[Row]:
    """A made-up year, made once."""
    return list(make_rows(seed))


@pytest.fixture(scope="module")
def made_up() -> dict[str, float]:
    return figures_of(year(1))


def test_made_up_orders_have_the_statistics_of_the_real_year(made_up: dict[str, float]) -> None:
    assert too_far(made_up, {name: value for name, (value, _) in FIGURES.items()}) == {}


def test_made_up_orders_against_the_real_ones(made_up: dict[str, float]) -> None:
    if not REAL_ORDERS.exists():
        pytest.skip(f"the real orders are not at {REAL_ORDERS}")
    assert too_far(made_up, figures_of(read_rows(REAL_ORDERS))) == {}


def test_the_seed_decides_everything() -> None:
    assert year(1) == list(make_rows(1))
    assert year(1) != year(2)


def test_a_made_up_year_reads_like_a_file() -> None:
    """In the order of the clock, one customer an invoice, negative exactly where it should be."""
    last_s, customers = 0, dict[str, str]()
    for number, row in enumerate(year(2), start=2):
        assert row.line_number == number
        assert customers.setdefault(row.invoice, row.customer_id) == row.customer_id
        assert row.quantity != 0
        assert (row.quantity < 0) >= row.invoice.startswith("C")
        assert row.time_s >= last_s - 60, "only an invoice over two minutes may step back"
        last_s = row.time_s
