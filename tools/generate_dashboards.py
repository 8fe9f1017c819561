"""Writes the dashboards of deploy/grafana from the tables below; a test compares.

Owns which questions a dashboard asks of Prometheus, and their order. The shape of the JSON is
Grafana's.
Run: python tools/generate_dashboards.py
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "grafana"
SOURCE = {"type": "prometheus", "uid": "${DS_PROMETHEUS}"}
AT = 'job="$job",instance=~"$instance"'
WIDTH, HEIGHT = 12, 8


class Panel(NamedTuple):
    """One chart: its title, its unit in Grafana's words, its questions with their legends."""

    title: str
    unit: str
    questions: tuple[tuple[str, str], ...]
    about: str = ""
    stacked: bool = False


SALE = (
    Panel(
        "Reserves: asked and granted",
        "reqps",
        (
            (f"sum(instance:atp_reserves_asked:rate1m{{{AT}}})", "asked"),
            (f"sum(instance:atp_reserves_granted:rate1m{{{AT}}})", "granted"),
        ),
    ),
    Panel(
        "Reserves refused, by outcome",
        "reqps",
        (
            (
                "sum by (outcome) (instance_outcome:atp_commands:rate1m"
                f'{{{AT},method="Reserve",outcome!~"GRANTED|GRANTED_PARTIALLY"}})',
                "{{outcome}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Sold and given back",
        "reqps",
        (
            (
                "sum by (method) (instance_outcome:atp_commands:rate1m"
                f'{{{AT},method!="Reserve",outcome="DONE"}})',
                "{{method}}",
            ),
            (f"sum(rate(atp_holds_expired_total{{{AT}}}[1m]))", "expired"),
        ),
    ),
    Panel(
        "Latency in the server",
        "s",
        (
            (
                "max by (method) (instance_method:atp_call_duration_seconds:p50_1m"
                f'{{{AT},method=~"Reserve|Commit|Execute"}})',
                "{{method}} p50",
            ),
            (
                "max by (method) (instance_method:atp_call_duration_seconds:p99_1m"
                f'{{{AT},method=~"Reserve|Commit|Execute"}})',
                "{{method}} p99",
            ),
        ),
    ),
    Panel(
        "SKUs asked for most",
        "short",
        ((f"topk(10, atp_sku_heat{{{AT}}})", "{{sku}}"),),
        "How often reserves asked for them of late, half of it forgotten every ten seconds.",
    ),
    Panel(
        "Available units of the hot SKUs",
        "short",
        ((f'bottomk(10, atp_sku_units{{{AT},state="available"}})', "{{sku}}"),),
        "Those of the hottest SKUs with the least left.",
    ),
    Panel(
        "Held units of the hot SKUs",
        "short",
        ((f'topk(10, atp_sku_units{{{AT},state="held"}})', "{{sku}}"),),
    ),
    Panel(
        "Units of all SKUs",
        "short",
        ((f"sum by (state) (atp_units{{{AT}}})", "{{state}}"),),
    ),
    Panel(
        "Caps at work",
        "reqps",
        ((f"topk(10, rate(atp_cap_refused_total{{{AT}}}[1m]))", "{{cap}}"),),
        "Commands refused by each cap.",
    ),
    Panel(
        "Caps on trial",
        "reqps",
        ((f"topk(10, rate(atp_cap_shadow_refused_total{{{AT}}}[1m]))", "{{cap}}"),),
        "Commands that caps in shadow mode would have refused.",
    ),
    Panel("Live holds", "short", ((f"sum(atp_holds{{{AT}}})", "holds"),)),
    Panel(
        "Calls refused as OVERLOADED",
        "reqps",
        ((f"sum by (reason) (rate(atp_calls_overloaded_total{{{AT}}}[1m]))", "{{reason}}"),),
        stacked=True,
    ),
)

SERVER = (
    Panel(
        "Up, and started",
        "short",
        (
            (f"up{{{AT}}}", "{{instance}} up"),
            (f"changes(process_start_time_seconds{{{AT}}}[10m])", "{{instance}} starts in 10 min"),
        ),
    ),
    Panel(
        "Calls by answer",
        "reqps",
        (
            (
                f"sum by (plane, code) (rate(atp_calls_total{{{AT}}}[1m]))",
                "{{plane}} {{code}}",
            ),
        ),
        stacked=True,
    ),
    Panel(
        "Durable lag",
        "s",
        ((f"max(atp_durable_lag_seconds{{{AT}}})", "oldest change that waits"),),
    ),
    Panel(
        "Changes and answers that wait",
        "short",
        (
            (f"sum(atp_durable_lag_changes{{{AT}}})", "changes"),
            (f"sum(atp_answers_parked{{{AT}}})", "answers"),
            (f"sum by (plane) (atp_calls_open{{{AT}}})", "calls open, {{plane}} plane"),
        ),
    ),
    Panel(
        "Syncs of the journal",
        "s",
        (
            (f"max(instance:atp_sync_duration_seconds:p99_1m{{{AT}}})", "p99"),
            (
                f"sum(rate(atp_sync_duration_seconds_sum{{{AT}}}[1m]))"
                f" / sum(rate(atp_sync_duration_seconds_count{{{AT}}}[1m]))",
                "mean",
            ),
        ),
    ),
    Panel(
        "Syncs and bytes written",
        "short",
        (
            (f"sum(rate(atp_sync_duration_seconds_count{{{AT}}}[1m]))", "syncs a second"),
            (f"sum(rate(atp_journal_written_bytes_total{{{AT}}}[1m]))", "bytes a second"),
        ),
    ),
    Panel(
        "Journal and disk",
        "bytes",
        (
            (f"sum(atp_journal_bytes{{{AT}}})", "journal"),
            (f"min(atp_journal_free_bytes{{{AT}}})", "free on the disk"),
            (f"max(atp_snapshot_bytes{{{AT}}})", "newest snapshot"),
        ),
    ),
    Panel(
        "Changes refused because of the disk",
        "short",
        (
            (f"max by (reason) (atp_journal_refusing{{{AT}}})", "{{reason}}"),
            (
                f"sum by (reason) (rate(atp_commands_refused_total{{{AT}}}[1m]))",
                "commands a second: {{reason}}",
            ),
        ),
    ),
    Panel(
        "Snapshots",
        "s",
        (
            (f"time() - max(atp_snapshot_timestamp_seconds{{{AT}}})", "age"),
            (f"max(atp_snapshot_duration_seconds{{{AT}}})", "time to write"),
            (f"max(atp_snapshot_stall_seconds{{{AT}}})", "longest wait of a call"),
            (f"max(atp_recovery_duration_seconds{{{AT}}})", "time of the last start"),
        ),
    ),
    Panel(
        "Memory",
        "bytes",
        (
            (f"sum(process_resident_memory_bytes{{{AT}}})", "process"),
            (f"sum(atp_engine_bytes{{{AT}}})", "engine's tables"),
            (f"sum(atp_message_buffer_bytes{{{AT}}})", "messages on their way"),
        ),
    ),
    Panel(
        "Bounds: how much is used",
        "percentunit",
        ((f"max by (limit) (instance_limit:atp_limit_used:ratio{{{AT}}})", "{{limit}}"),),
    ),
    Panel(
        "Processor, threads, files",
        "short",
        (
            (f"sum(rate(process_cpu_seconds_total{{{AT}}}[1m]))", "cores at work"),
            (f"sum(atp_threads{{{AT}}})", "threads"),
            (f"sum(process_open_fds{{{AT}}})", "open files"),
        ),
    ),
    Panel(
        "Overload and floods",
        "reqps",
        (
            (f"sum by (reason) (rate(atp_calls_overloaded_total{{{AT}}}[1m]))", "{{reason}}"),
            (f"sum(rate(atp_connections_refused_total{{{AT}}}[1m]))", "connections refused"),
            (
                f"sum by (reason) (rate(atp_connections_ended_total{{{AT}}}[1m]))",
                "connections ended: {{reason}}",
            ),
            (f"sum(rate(atp_tls_refused_total{{{AT}}}[1m]))", "TLS refused"),
        ),
    ),
    Panel(
        "Connections and traffic",
        "short",
        (
            (f"sum(atp_connections{{{AT}}})", "connections"),
            (f"sum(rate(atp_received_bytes_total{{{AT}}}[1m]))", "bytes in a second"),
            (f"sum(rate(atp_sent_bytes_total{{{AT}}}[1m]))", "bytes out a second"),
        ),
    ),
    Panel(
        "Clock and certificates",
        "s",
        (
            (f"max(atp_clock_drift_seconds{{{AT}}})", "system's clock ahead"),
            (
                f"min by (plane) (atp_certificate_expiry_timestamp_seconds{{{AT}}}) - time()",
                "certificate of {{plane}} ends in",
            ),
        ),
    ),
    Panel(
        "Cost of a scrape",
        "s",
        ((f"max(atp_scrape_duration_seconds{{{AT}}})", "gathering"),),
    ),
)


def panel(number: int, row: Panel) -> dict[str, Any]:
    """One panel as Grafana has it."""
    custom: dict[str, Any] = {"fillOpacity": 10, "showPoints": "never"}
    if row.stacked:
        custom["stacking"] = {"mode": "normal", "group": "A"}
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": row.title,
        "description": row.about,
        "datasource": SOURCE,
        "gridPos": {
            "h": HEIGHT,
            "w": WIDTH,
            "x": number % 2 * WIDTH,
            "y": number // 2 * HEIGHT,
        },
        "fieldConfig": {
            "defaults": {"unit": row.unit, "min": 0, "custom": custom},
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend,
            }
            for place, (expression, legend) in enumerate(row.questions)
        ],
    }


def variable(name: str, label: str, question: str, *, all_: bool) -> dict[str, Any]:
    """A choice at the top of a dashboard."""
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": question, "refId": name},
        "definition": question,
        "refresh": 2,
        "includeAll": all_,
        "multi": all_,
        "current": {"text": "All", "value": "$__all"} if all_ else {"text": "atp", "value": "atp"},
        "sort": 1,
    }


def dashboard(uid: str, title: str, rows: tuple[Panel, ...]) -> dict[str, Any]:
    """A whole dashboard, as it is imported."""
    return {
        "__inputs": [
            {
                "name": "DS_PROMETHEUS",
                "label": "Prometheus",
                "type": "datasource",
                "pluginId": "prometheus",
            }
        ],
        "uid": uid,
        "title": title,
        "tags": ["atp"],
        "timezone": "browser",
        "editable": True,
        "refresh": "5s",
        "time": {"from": "now-30m", "to": "now"},
        "schemaVersion": 39,
        "templating": {
            "list": [
                variable("job", "Job", "label_values(atp_build_info, job)", all_=False),
                variable(
                    "instance",
                    "Server",
                    'label_values(atp_build_info{job="$job"}, instance)',
                    all_=True,
                ),
            ]
        },
        "panels": [panel(number, row) for number, row in enumerate(rows)],
    }


DASHBOARDS = {
    "sale.json": dashboard("atp-sale", "atp: the sale", SALE),
    "server.json": dashboard("atp-server", "atp: the server", SERVER),
}


def render(name: str) -> str:
    """The text of one file."""
    return json.dumps(DASHBOARDS[name], indent=1) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    for file in DASHBOARDS:
        (FOLDER / file).write_text(render(file), encoding="utf-8")
        sys.stdout.write(f"{FOLDER / file}\n")
