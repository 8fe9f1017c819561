"""A small sale for replays in tests, small enough to be followed by hand, and how to run it.

Owns rows with every kind of event in them: orders that fit and do not, repeats of a SKU, returns,
write-offs, shoppers without a name; and a watcher that keeps what it is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from atp.replay import run
from atp.replay.addresses import Addresses
from atp.replay.clock import Clock
from atp.replay.events import Plan
from atp.replay.options import Options
from atp.replay.plan import make_plan
from atp.replay.reader import Row
from atp.replay.score import Score
from replay_server import serving

CLIENTS = Addresses(["203.0.113.7", "203.0.113.9", "198.51.100.1", "2001:db8::1"], "test addresses")
SECOND_NS = 1_000_000_000
QUICK: dict[str, Any] = {
    "run_name": "test",
    "in_flight": 4,
    "abandon_ttl_ns": SECOND_NS // 20,
    "caps": (),
    "look_back": False,  # these servers have no journal
}


class Notes:
    """A watcher that keeps what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.done: list[int] = []

    def stage(self, text: str) -> None:
        """Keep it."""
        self.stages.append(text)

    def progress(self, score: Score, elapsed_s: float) -> None:
        """Keep it."""
        self.done.append(score.events_done)


def small_rows() -> list[Row]:
    """Forty orders of two customers and strangers over five SKUs, with returns and write-offs."""
    rows: list[Row] = []

    def add(invoice: str, code: str, quantity: int, customer: str) -> None:
        rows.append(Row(len(rows) + 2, invoice, code, quantity, len(rows) * 60, customer))

    for number in range(40):
        invoice = str(1000 + number)
        customer = ("ann", "bob", "", "")[number % 4]
        add(invoice, f"sku-{number % 5}", 1 + number % 7, customer)
        add(invoice, f"sku-{(number + 1) % 5}", 2, customer)
        if number % 6 == 0:
            add(invoice, f"sku-{number % 5}", 3, customer)
        if number % 8 == 0 and number:
            add(f"C{invoice}", "sku-0", -2, "ann")
            add(f"C{invoice}", "sku-1", -50, "ann")
        if number % 13 == 12:
            add(f"9{invoice}", "sku-2", -4, "")
    return rows


def order_file(folder: Path) -> Path:
    """A file of the small sale, whose SKUs no other folder's sale has."""
    path = folder / "orders.csv"
    lines = ["invoice,stock_code,quantity,invoice_date,customer_id,country"]
    for row in small_rows():
        minute = f"2010-12-01T{row.time_s // 3600:02}:{row.time_s // 60 % 60:02}:00"
        sku = f"{folder.name}-{row.stock_code}"
        lines.append(f"{row.invoice},{sku},{row.quantity},{minute},{row.customer_id},France")
    path.write_text("\n".join(lines) + "\n")
    return path


def small_plan(
    rows: Sequence[Row] | None = None, abandon_share: float = 0.1, release_share: float = 0.1
) -> Plan:
    """A plan of the small sale."""
    return make_plan(
        small_rows() if rows is None else rows,
        source="a small sale",
        addresses=CLIENTS,
        seed=1,
        abandon_share=abandon_share,
        release_share=release_share,
    )


def sell(engine: Any, plan: Plan, clock: Clock | None = None, **choices: Any) -> run.Result:
    """Replay a plan against an engine served in this process."""
    options = Options(**{**QUICK, **choices})

    async def main() -> run.Result:
        async with serving(engine) as target:
            return await run.replay(plan, options, target, Notes(), clock or Clock())

    return asyncio.run(main())
