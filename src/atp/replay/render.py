"""The report of a replay for people: tables on a terminal.

Owns the look and the words around the figures; every figure comes from report.py.
"""

from __future__ import annotations

from collections.abc import Iterable

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from atp.replay.report import Figures

FINDINGS_PRINTED = 20
FIRST_PRINTED = 5


def render(report: Figures, console: Console) -> None:
    """Print a report."""
    _heading(report, console)
    console.print(_orders(report))
    console.print(_stock(report))
    if report["data"]["unusable"] or report["data"]["kept"]:
        console.print(_lines(report))
    if report["sold_out"]["first"]:
        console.print(_sold_out(report))
    console.print(_latency(report))
    _memory(report, console)
    _verdict(report, console)


def _heading(report: Figures, console: Console) -> None:
    data, options, speed = report["data"], report["options"], report["speed"]
    pace = "as fast as it goes" if options["speed"] is None else f"{options['speed']:,.0f} x"
    early = "; stopped early" if report["interrupted"] else ""
    console.print()
    console.print(
        f"[bold]Sale[/] of {data['invoices']:,} invoices, {data['lines']:,} lines, "
        f"{data['skus']:,} SKUs"
    )
    console.print(_name(f"orders: {data['source']}"))
    console.print(
        f"stock: {options['stock_share']:.0%} of demand; {options['in_flight']} orders in flight, "
        f"{pace}; seed {options['seed']}",
        highlight=False,
    )
    console.print(_name(f"caps: {', '.join(options['caps']) or 'none'}"))
    console.print(
        f"[bold]{speed['events_done']:,}[/] of {data['events']:,} events in "
        f"[bold]{speed['sale_s']:.1f} s[/]{early}: {speed['calls_per_s']:,} calls, "
        f"{speed['orders_per_s']:,} orders, {speed['lines_per_s']:,} lines per second",
        highlight=False,
    )


def _table(title: str, first: str, columns: Iterable[str]) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _orders(report: Figures) -> Table:
    table = _table("Orders", "", ("orders", "lines", "units", "of units asked"))
    orders = report["orders"]
    asked = orders["asked"]

    def row(name: str, amount: Figures, style: str = "") -> None:
        share = amount["units"] / asked["units"] if asked["units"] else 0.0
        figures = [f"{amount[part]:,}" for part in ("orders", "lines", "units")]
        table.add_row(name, *figures, f"{share:.1%}", style=style)

    row("asked for", asked, "bold")
    row("granted", orders["granted"], "green")
    if orders["granted_partially"]["orders"]:
        row("  of them in part", orders["granted_partially"])
    row("  sold", orders["sold"])
    row("  released", orders["released"])
    row("  expired", orders["expired"])
    for outcome, amount in orders["refused"].items():
        row(f"refused: {outcome}", amount, "yellow")
        if outcome == "CAP_REACHED":
            for cap_id, count in orders["refused_by_cap"].items():
                table.add_row(_name(f"  by cap {cap_id}"), f"{count:,}")
    return table


def _stock(report: Figures) -> Table:
    columns = ("lines", "done", "in part", "not sold here", "refused", "units asked", "units done")
    table = _table("Changes of stock", "", columns)
    for name, key in (("returned", "returns"), ("written off", "write_offs")):
        count = report[key]
        figures = [count["lines"], count["done"], count["in_part"], count["not_sold_here"]]
        figures += [sum(count["refused"].values()), count["units_asked"], count["units_done"]]
        table.add_row(name, *(f"{figure:,}" for figure in figures))
    return table


def _lines(report: Figures) -> Table:
    data = report["data"]
    table = _table("Lines of the data", "", ("count", "units"))
    for reason, tally in data["unusable"].items():
        table.add_row(
            f"not used: {reason}", f"{tally['lines']:,}", f"{tally['units']:,}", style="yellow"
        )
    for quirk, count in data["kept"].items():
        table.add_row(quirk, f"{count:,}", "")
    return table


def _sold_out(report: Figures) -> Table:
    sold_out = report["sold_out"]
    title = f"Sold out first ({sold_out['skus']:,} of {sold_out['of']:,} SKUs sold out)"
    columns = ("stock", "sold out after", "in the year at", "by", "units refused")
    table = _table(title, "SKU", columns)
    for entry in sold_out["first"][:FIRST_PRINTED]:
        table.add_row(*_sold_out_row(entry))
    table.add_section()
    large = sold_out["first_of_large_stock"]
    if large:
        table.add_row(f"of {sold_out['large_stock']:,} or more", style="dim")
    for entry in large:
        table.add_row(*_sold_out_row(entry))
    return table


def _sold_out_row(entry: Figures) -> tuple[Text | str, ...]:
    return (
        _name(entry["sku"]),
        f"{entry['stock']:,}",
        f"{entry['after_s']:.2f} s",
        entry["date"].replace("T", " "),
        entry["by"],
        f"{entry['units_refused']:,}",
    )


def _name(name: str) -> Text:
    """A SKU or the like: it may look like markup, and may have characters that move the cursor."""
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    return Text(shown)


def _latency(report: Figures) -> Table:
    table = _table("Latency", "call", ("calls", "p50 ms", "p99 ms", "p99.9 ms", "max ms"))
    for method, figures in report["latency"].items():
        times = (f"{figures[name]:.2f}" for name in ("p50_ms", "p99_ms", "p999_ms", "max_ms"))
        table.add_row(method, f"{figures['calls']:,}", *times)
    return table


def _memory(report: Figures, console: Console) -> None:
    """What a kill cost, and what was looked up of what had been answered."""
    crash, audit = report["crash"], report["audit"]
    if crash is not None:
        console.print(
            f"\n[bold]Killed[/] with kill -9 after {crash['after_s']:.1f} s, at "
            f"{crash['events_done']:,} events: it served again {crash['away_s']:.2f} s later, "
            f"{crash['replayed_records']:,} changes replayed in {crash['recovery_s']:.3f} s",
            highlight=False,
        )
    if audit["answers_looked_up"] or audit["holds_looked_up"]:
        console.print(
            f"looked up: {audit['answers_looked_up']:,} answered changes in its change feed, "
            f"{audit['holds_looked_up']:,} holds granted before it was killed",
            highlight=False,
        )
    if audit["not_looked_up"]:
        console.print(_name(f"answers not looked up: {audit['not_looked_up']}"), style="yellow")


def _verdict(report: Figures, console: Console) -> None:
    audit, orders = report["audit"], report["orders"]
    recount = audit["server_recount"]
    console.print(
        f"\n[bold]Audit[/] of {audit['skus_compared']:,} SKUs: {audit['changes_replayed']:,} "
        f"answered changes replayed, {audit['caps_recounted']} caps recounted, "
        f"{orders['sent_again']:,} orders sent twice, {orders['late_commits']:,} paid too late; "
        f"the server's own recount of "
        f"{recount['reservations']:,} reservations: {len(recount['violations'])} violations",
        highlight=False,
    )
    counts = [
        ("Oversold units", audit["oversold_units"]),
        ("Unexplained units", audit["unexplained_units"]),
    ]
    if audit["lost_answers"] is not None:
        counts.append(("Lost answers", audit["lost_answers"]))
    for name, units in (*counts, ("Findings", audit["findings"])):
        style = "bold red" if units else "bold green"
        console.print(f"{name + ':':18} [{style}]{units:,}[/]", highlight=False)
    for finding in audit["first_findings"][:FINDINGS_PRINTED]:
        about = f" {finding['sku']}:" if finding["sku"] else ""
        text = _name(f"  [{finding['law']}]{about} {finding['text']}")
        console.print(text, style="red", highlight=False, soft_wrap=True)
    if audit["findings"] > FINDINGS_PRINTED:
        console.print(f"  ... and {audit['findings'] - FINDINGS_PRINTED:,} more", style="red")
    if report["laws_held"]:
        console.print("[bold green]Every law held.")
    else:
        console.print("[bold red]A law was broken.")
