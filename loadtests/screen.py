"""What a rehearsal says at its end: one screen, the verdict last.

Owns the words and their places. Every number is one of the report's figures.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from loadtests.rehearsal import Ended

COMMANDS_SHOWN = ("Reserve", "Commit", "Release", "Extend")
OUTCOMES_SHOWN = 5
FINDINGS_SHOWN = 3
NAME_WIDTH = 11


def text_of(ended: Ended, out: Path, width: int) -> str:
    """The screen."""
    lines = []
    for name, text in facts(ended, out):
        indent = " " * (NAME_WIDTH + 1)
        whole = f"{name:{NAME_WIDTH}} {text}"
        lines += textwrap.wrap(whole, max(40, width), subsequent_indent=indent) or [name]
    return "\n".join(lines)


def facts(ended: Ended, out: Path) -> Iterator[tuple[str, str]]:
    """Each line: what it is about, and what there is to say."""
    figures = ended.figures
    calls, rates = figures["calls"], figures["rates"]
    yield "sale", f"{figures['settings'].get('profile')}, {figures['seconds']:.1f} s"
    yield (
        "load",
        f"{rates['commands']:,} commands, {rates['offered_per_s']:,.0f} a second,"
        f" {rates['offered_per_s_peak']:,.0f} at the height",
    )
    yield (
        "calls",
        f"{calls['sent']:,} sent, {calls['answered']:,} answered,"
        f" {calls['sent'] - calls['answered']:,} failed or never answered",
    )
    for command in COMMANDS_SHOWN:
        outcomes = figures["commands"].get(command)
        if outcomes:
            most = sorted(outcomes.items(), key=lambda item: -item[1])[:OUTCOMES_SHOWN]
            yield command.lower(), ", ".join(f"{word} {count:,}" for word, count in most)
    yield "latency", latency_text(figures)
    units = figures["units"]
    if "sold" in units:
        yield "units", f"{units['asked']:,} asked for, {units['sold']:,} sold"
    if any(figures["caps"].values()):
        caps = ", ".join(f"{cap} {count:,}" for cap, count in figures["caps"].items() if count)
        yield "caps", f"refused: {caps}"
    for fault in figures["faults"]:
        lasted = f" for {fault['seconds']:.2f} s" if fault["seconds"] else ""
        yield "fault", f"{fault['kind']} at {fault['begin_s']:.1f} s{lasted}"
    yield "report", str(out / "report.html")
    for line in ended.broken:
        yield "BROKEN", line
    yield from verdict_of(ended)


def latency_text(figures: dict[str, Any]) -> str:
    """Percentiles of checkouts."""
    checkout = figures["latency_ms"].get("checkout")
    if checkout is None:
        return "no checkout was answered"
    shares = ("p50", "p99", "p99.9", "longest")
    return ", ".join(f"{share} {checkout[share]:,.1f} ms" for share in shares) + " (checkouts)"


def verdict_of(ended: Ended) -> Iterator[tuple[str, str]]:
    """What the audit found, and what it comes to."""
    if ended.verdict is None:
        yield "verdict", "not audited, as was asked for"
        return
    for finding in ended.verdict.findings[:FINDINGS_SHOWN]:
        yield "VIOLATED", f"{finding.name}: {finding.text}"
    more = len(ended.verdict.findings) - FINDINGS_SHOWN
    if more > 0:
        yield "VIOLATED", f"and {more} more: see the report"
    commands = ended.verdict.figures.get("commands", 0)
    clean = f"clean: every answer was true ({commands:,} commands)"
    yield "verdict", clean if ended.verdict.ok else "VIOLATED: see the report"
