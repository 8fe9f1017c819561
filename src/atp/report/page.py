"""The report as one HTML file: nothing is fetched, nothing is run, and a phone can show it.

Owns the page's parts and their order: verdict, figures, charts, tables. Everything that comes from
outside is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from atp.report import colours
from atp.report.charts import Chart

STYLE = """
*{box-sizing:border-box}
body{margin:0 auto;max-width:1280px;padding:16px;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,sans-serif}
h1{font-size:1.5rem;margin:.2em 0}h2{font-size:1.15rem;margin:1.6em 0 .5em}
p{margin:.3em 0}.quiet{color:var(--quiet)}
.verdict{border-left:6px solid var(--good);background:var(--card);padding:12px 16px;margin:12px 0}
.verdict.bad{border-color:var(--lost)}.verdict.none{border-color:var(--short)}
.verdict strong{font-size:1.15rem}
.numbers{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px}
.numbers div{background:var(--card);padding:10px 12px;border-radius:6px}
.numbers b{display:block;font-size:1.25rem;font-variant-numeric:tabular-nums}
.numbers span{color:var(--quiet);font-size:.85rem}
.charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,400px),1fr));gap:16px}
figure{margin:0;background:var(--card);border-radius:6px;padding:10px;min-width:0}
figure svg{display:block;width:100%;height:auto}
figcaption{color:var(--quiet);font-size:.85rem;padding-top:4px}
figure h3{font-size:1rem;margin:0 0 4px}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
th,td{text-align:right;padding:4px 10px;border-bottom:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left}
td.text,th.text{text-align:left;white-space:normal}
th{color:var(--quiet);font-weight:600}
pre{overflow-x:auto;background:var(--paper);padding:10px;font-size:.8rem;border-radius:6px}
"""
FINDINGS_SHOWN = 20


def html_of(figures: Mapping[str, Any], charts: Sequence[Chart]) -> str:
    """The whole page."""
    name = str(figures["settings"].get("profile") or "A sale")
    title = f"{name}: what was asked, and whether every answer was true"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="quiet">{escape(_when(figures))}</p>',
        *_verdict(figures["verdict"]),
        *_numbers(figures),
        "<h2>Over time</h2>",
        '<div class="charts">',
        *(_figure(chart) for chart in charts),
        "</div>",
        *_tables(figures),
    ]
    style = f"{colours.style()}\n{STYLE}"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        + "\n".join(parts)
        + "\n</body>\n</html>\n"
    )


def _when(figures: Mapping[str, Any]) -> str:
    made = f"{figures['begun'][:19].replace('T', ' ')} UTC, {figures['seconds']:,.1f} seconds"
    made += f", recorded by {', '.join(figures['recorders'])}"
    killed = figures["recorders_killed"]
    return made + (f"; {killed} recorders did not end in order" if killed else "")


def _verdict(verdict: Mapping[str, Any] | None) -> Iterable[str]:
    if verdict is None:
        yield '<div class="verdict none"><strong>Not audited</strong>'
        yield "<p>The server's journal was not at hand, so nothing is proved.</p></div>"
        return
    findings = verdict["findings"]
    if verdict["ok"]:
        yield '<div class="verdict"><strong>Clean: every answer was true.</strong>'
    else:
        yield '<div class="verdict bad"><strong>Violated: not every answer was true.</strong>'
    checked = verdict.get("figures", {})
    if "commands" in checked:
        yield f"<p>{checked['commands']:,} commands and {checked.get('changes', 0):,} changes were"
        yield " checked against each other.</p>"
    for finding in findings[:FINDINGS_SHOWN]:
        yield f"<h3>{escape(str(finding['name']))}</h3><p>{escape(str(finding['text']))}</p>"
        lines = "\n".join(str(line) for line in finding.get("slice", ()))
        if lines:
            yield f"<pre>{escape(lines)}</pre>"
    if len(findings) > FINDINGS_SHOWN:
        yield f"<p>And {len(findings) - FINDINGS_SHOWN:,} more.</p>"
    for note in verdict.get("notes", ()):
        yield f'<p class="quiet">{escape(str(note))}</p>'
    yield "</div>"


def _numbers(figures: Mapping[str, Any]) -> Iterable[str]:
    calls, rates, units = figures["calls"], figures["rates"], figures["units"]
    checkout = figures["latency_ms"].get("checkout", {})
    shown = [
        ("commands", f"{rates['commands']:,}"),
        ("commands a second", f"{rates['offered_per_s']:,.0f}"),
        ("at the height", f"{rates['offered_per_s_peak']:,.0f}"),
        ("calls sent", f"{calls['sent']:,}"),
        ("never answered", f"{calls['unanswered']:,}"),
        ("due and not sent", f"{calls['unsent']:,}"),
        *((f"{share} of checkouts", f"{checkout[share]:,.2f} ms")
          for share in ("p50", "p99", "p99.9") if share in checkout),
        ("units asked for", f"{units['asked']:,}"),
    ]  # fmt: skip
    if "sold" in units:
        shown.append(("units sold", f"{units['sold']:,}"))
    yield '<div class="numbers">'
    for name, value in shown:
        yield f"<div><b>{escape(value)}</b><span>{escape(name)}</span></div>"
    yield "</div>"


def _figure(chart: Chart) -> str:
    return (
        f"<figure><h3>{escape(chart.title)}</h3>{chart.svg}"
        f"<figcaption>{escape(chart.text)}</figcaption></figure>"
    )


def _tables(figures: Mapping[str, Any]) -> Iterable[str]:
    outcomes = [
        (command, word, f"{count:,}")
        for command, counts in figures["commands"].items()
        for word, count in sorted(counts.items(), key=lambda item: -item[1])
    ]
    yield _table("What became of every command", ("command", "ended as", "count"), outcomes)
    shares = ("p50", "p99", "p99.9", "longest")
    latencies = [
        (kind, f"{row['calls']:,}", *(f"{row[share]:,.3f}" for share in shares))
        for kind, row in figures["latency_ms"].items()
    ]
    heads = ("calls answered", "count", *shares)
    yield _table("Latency in milliseconds, from when a call was due", heads, latencies)
    caps = [(cap, f"{count:,}") for cap, count in figures["caps"].items()]
    yield _table("Refusals by cap", ("cap", "refusals"), caps)
    if figures["stock"]:
        rows = list(figures["stock"].items())
        levels = ("SKU", *(name.replace("_", " ") for name in rows[0][1]))
        stock = [(sku, *(f"{value:,}" for value in row.values())) for sku, row in rows]
        yield _table("Hot SKUs at the end, by the journal", levels, stock)
    faults = [
        (fault["kind"], f"{fault['begin_s']:.2f}", f"{fault['seconds']:.2f}", fault["text"])
        for fault in figures["faults"]
    ]
    broken = ("fault", "at second", "for seconds", "what")
    yield _table("What was broken", broken, faults, text_column=3)


def _table(
    title: str, heads: Sequence[str], rows: Sequence[Sequence[str]], text_column: int = -1
) -> str:
    if not rows:
        return ""

    def cells(tag: str, row: Sequence[str]) -> str:
        made = ""
        for place, text in enumerate(row):
            kind = ' class="text"' if place == text_column else ""
            made += f"<{tag}{kind}>{escape(text)}</{tag}>"
        return f"<tr>{made}</tr>"

    body = "".join(cells("td", row) for row in rows)
    table = f"<table><thead>{cells('th', heads)}</thead><tbody>{body}</tbody></table>"
    return f'<h2>{escape(title)}</h2><div class="wide">{table}</div>'
