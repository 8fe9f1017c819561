"""The table of metrics: one row each.

Owns names, kinds, labels and meanings. Reads no value: metrics_values.py does.
tools/generate_metrics_doc.py writes docs/metrics.md from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Metric(NamedTuple):
    """One row. `kind` is counter, gauge or histogram; a counter's name ends in _total."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


def _table(*rows: tuple[str, str, str, str]) -> Mapping[str, Metric]:
    table = {
        name: Metric(name, kind, tuple(labels.split()), meaning)
        for name, kind, labels, meaning in rows
    }
    assert len(table) == len(rows), "a metric is named twice"
    return MappingProxyType(table)


_CALLS = (
    (
        "atp_calls_total",
        "counter",
        "plane method code",
        "Calls that ended, by gRPC code. A call that its client left is CANCELLED; a stream of"
        " batches is one call; calls for health and of unknown methods are included.",
    ),
    (
        "atp_call_duration_seconds",
        "histogram",
        "method",
        "Time of calls of the data plane answered OK or DEADLINE_EXCEEDED, from when their first"
        " bytes were read to when the answer was handed to the socket; Execute's are of batches,"
        " from when their last bytes were read.",
    ),
    (
        "atp_commands_total",
        "counter",
        "method outcome",
        "Commands judged, by outcome; those of batches too.",
    ),
    (
        "atp_commands_refused_total",
        "counter",
        "reason",
        "Commands not judged because of the journal: JOURNAL_FULL, JOURNAL_BEHIND.",
    ),
    ("atp_calls_open", "gauge", "plane", "Calls that have come and are not answered."),
    ("atp_answers_parked", "gauge", "", "Answers that wait for the disk."),
    (
        "atp_calls_overloaded_total",
        "counter",
        "reason",
        "Calls of the data plane refused as OVERLOADED, by the setting that said so: calls_max,"
        " buffer_bytes_max, wait_max.",
    ),
    ("atp_connections", "gauge", "", "Connections of the data plane."),
    (
        "atp_connections_accepted_total",
        "counter",
        "",
        "Connections of the data plane that were accepted.",
    ),
    (
        "atp_connections_refused_total",
        "counter",
        "",
        "Connections of the data plane closed at once, because of server.connections_max.",
    ),
    (
        "atp_connections_ended_total",
        "counter",
        "reason",
        "Connections of the data plane ended as a flood or as too slow, by the guard that said so.",
    ),
    (
        "atp_tls_refused_total",
        "counter",
        "",
        "TLS connections of the data plane that were refused or broke off.",
    ),
    ("atp_received_bytes_total", "counter", "", "Bytes that the data plane received."),
    ("atp_sent_bytes_total", "counter", "", "Bytes that the data plane sent."),
    (
        "atp_message_buffer_bytes",
        "gauge",
        "",
        "Bytes of messages on their way in or out, which data_plane.buffer_bytes_max bounds.",
    ),
)

_JOURNAL = (
    ("atp_journal_info", "gauge", "durability", "1, with the setting journal.durability."),
    ("atp_sequence", "gauge", "", "Sequence of the newest change."),
    ("atp_durable_sequence", "gauge", "", "Sequence of the newest change that is durable."),
    ("atp_durable_lag_changes", "gauge", "", "Changes made and not yet durable."),
    ("atp_durable_lag_bytes", "gauge", "", "Bytes of those."),
    (
        "atp_durable_lag_seconds",
        "gauge",
        "",
        "How long the oldest change that is not durable has been waited for.",
    ),
    ("atp_sync_duration_seconds", "histogram", "", "Time that a sync of the journal took."),
    ("atp_journal_written_bytes_total", "counter", "", "Bytes of records written."),
    ("atp_journal_bytes", "gauge", "", "Bytes of records in all segments."),
    ("atp_journal_segments", "gauge", "", "Segment files."),
    (
        "atp_journal_free_bytes",
        "gauge",
        "",
        "Bytes free on the file system of the data directory.",
    ),
    (
        "atp_journal_refusing",
        "gauge",
        "reason",
        "1 while changes are refused: disk_low (new holds), disk_full and behind (all).",
    ),
    ("atp_watches", "gauge", "", "Open watches of the change feed."),
    (
        "atp_snapshot_timestamp_seconds",
        "gauge",
        "",
        "When the newest snapshot was taken; not there before the first.",
    ),
    ("atp_snapshot_sequence", "gauge", "", "The last change in it."),
    ("atp_snapshot_bytes", "gauge", "", "Size of it."),
    (
        "atp_snapshot_duration_seconds",
        "gauge",
        "",
        "How long writing it took; 0 if an earlier process wrote it.",
    ),
    ("atp_snapshot_stall_seconds", "gauge", "", "The longest that a command waited for it."),
    (
        "atp_snapshot_interval_seconds",
        "gauge",
        "",
        "The setting snapshot.every: how often one is taken if anything changes.",
    ),
    ("atp_snapshots_total", "counter", "result", "Snapshots tried: ok, failed."),
    ("atp_snapshot_failing", "gauge", "", "1 while the last try failed."),
    ("atp_snapshot_running", "gauge", "", "1 while one is written."),
    ("atp_recovery_duration_seconds", "gauge", "", "How long the start took to recover the state."),
    ("atp_recovery_replayed_changes", "gauge", "", "Changes that it replayed from the journal."),
    ("atp_recovery_expired_holds", "gauge", "", "Holds that expired while no server ran."),
    ("atp_recovery_torn_bytes", "gauge", "", "Bytes of a torn end that it cut."),
    ("atp_recovery_damaged_snapshots", "gauge", "", "Damaged snapshots that it passed over."),
)

_STOCK = (
    ("atp_skus", "gauge", "", "SKUs known."),
    (
        "atp_units",
        "gauge",
        "state",
        "Units of all SKUs: on_hand, held (of those), available (the rest of those), sold (since"
        " each SKU was made).",
    ),
    (
        "atp_sku_units",
        "gauge",
        "sku state",
        "The same of the SKUs that reserves ask for most, at most metrics.top_skus.",
    ),
    (
        "atp_sku_heat",
        "gauge",
        "sku",
        "How much reserves ask for these SKUs: how often of late, half of it forgotten every"
        " ten seconds.",
    ),
    ("atp_holds", "gauge", "", "Live holds."),
    ("atp_holds_expired_total", "counter", "", "Holds that expired."),
    (
        "atp_reservations_remembered",
        "gauge",
        "",
        "Ended reservations whose repeats still get the first answer.",
    ),
    ("atp_receipts_remembered", "gauge", "", "Request ids of other commands that are remembered."),
    ("atp_caps", "gauge", "", "Caps."),
    ("atp_cap_counters", "gauge", "", "Counters of all caps."),
    (
        "atp_cap_refused_total",
        "counter",
        "cap",
        "Commands that a cap refused; of the caps at work of late, at most metrics.top_caps.",
    ),
    (
        "atp_cap_shadow_refused_total",
        "counter",
        "cap",
        "Commands that a cap in shadow mode would have refused; of the same caps.",
    ),
)

_SERVER = (
    ("atp_build_info", "gauge", "version", "1, with the version."),
    ("atp_limit", "gauge", "limit", "Bounds by name: those of memory, calls and connections."),
    (
        "atp_limit_used",
        "gauge",
        "limit",
        "How much of each is used; at the bound, what needs more is refused.",
    ),
    ("atp_engine_bytes", "gauge", "", "Memory of the engine's tables."),
    ("atp_threads", "gauge", "", "Threads of the process."),
    (
        "atp_clock_drift_seconds",
        "gauge",
        "",
        "How far the system's clock is ahead of the server's, which follows it slowly.",
    ),
    (
        "atp_certificate_expiry_timestamp_seconds",
        "gauge",
        "plane",
        "When the certificate in use runs out, of data_plane, control_plane and metrics.",
    ),
    (
        "atp_scrape_duration_seconds",
        "gauge",
        "",
        "How long gathering these values took, a wait for the disk included.",
    ),
    (
        "atp_scrapes_refused_total",
        "counter",
        "",
        "Scrapes refused because another was under way, and connections because of too many.",
    ),
)

GROUPS: Mapping[str, Mapping[str, Metric]] = MappingProxyType(
    {
        "Calls": _table(*_CALLS),
        "Journal and snapshots": _table(*_JOURNAL),
        "Stock, holds and caps": _table(*_STOCK),
        "The server": _table(*_SERVER),
    }
)
"""The rows in the order in which they are shown."""

METRICS: Mapping[str, Metric] = MappingProxyType(
    {name: metric for group in GROUPS.values() for name, metric in group.items()}
)
assert len(METRICS) == sum(map(len, GROUPS.values())), "a metric is named twice"
