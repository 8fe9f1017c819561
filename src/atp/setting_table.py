"""The table of settings: one row each.

Owns names, types, defaults, bounds and meanings. Reads no source and acts on no setting:
settings.py reads. tools/generate_settings_doc.py writes docs/settings.md from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from atp.setting_values import Setting

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
MIB = 1 << 20
GIB = 1 << 30


def _table(*rows: Setting) -> Mapping[str, Setting]:
    table = {row.name: row for row in rows}
    assert len(table) == len(rows), "a setting is named twice"
    return MappingProxyType(table)


def _plane(name: str, address: str, callers: str, *own: Setting) -> tuple[Setting, ...]:
    meaning = (
        f"Where {callers} call: host:port, [IPv6]:port; port 0 takes a free one. Other than a"
        " loopback address needs TLS, or server.insecure."
    )
    return (Setting(f"{name}.address", "address", address, meaning), *own, *_tls(name))


def _tls(name: str) -> tuple[Setting, ...]:
    return (
        Setting(f"{name}.tls.cert", "path", "", "File with the certificate chain, PEM."),
        Setting(f"{name}.tls.key", "path", "", "File with the certificate's private key, PEM."),
        Setting(
            f"{name}.tls.client_ca",
            "path",
            "",
            "File with the authorities whose client certificates are asked for and accepted, PEM;"
            " empty: clients need none.",
        ),
    )


_METRICS = (
    Setting(
        "metrics.address",
        "address or off",
        "127.0.0.1:7302",
        "Where Prometheus asks for /metrics, over HTTP: host:port, [IPv6]:port, port 0 for a free"
        " one, or off. Other than a loopback address needs TLS, metrics.insecure or"
        " server.insecure.",
    ),
    Setting(
        "metrics.insecure",
        "switch",
        False,
        "Serves metrics on other than loopback addresses without TLS: whoever reaches the port may"
        " read them, names of SKUs and caps included.",
    ),
    Setting(
        "metrics.top_skus",
        "integer",
        20,
        "SKUs whose units and heat metrics tell one by one: those asked for most.",
        0,
        1_000,
        live=True,
    ),
    Setting(
        "metrics.top_caps",
        "integer",
        50,
        "Caps whose refusals metrics tell one by one: those that refused most of late.",
        0,
        1_000,
        live=True,
    ),
    *_tls("metrics"),
)

_FRONT = (
    Setting(
        "data_plane.threads",
        "integer",
        0,
        "Threads that answer checkouts; 0: one for each core but one.",
        0,
        256,
    ),
    Setting(
        "data_plane.idle_timeout",
        "duration",
        600 * SECOND,
        "A connection without a call for so long is closed; clients connect again by themselves.",
        SECOND,
        DAY,
    ),
    Setting(
        "data_plane.request_timeout",
        "duration",
        10 * SECOND,
        "How long the message of a call may take to arrive whole, and the handshake of a"
        " connection.",
        SECOND // 10,
        HOUR,
    ),
    Setting(
        "data_plane.wait_max",
        "duration",
        SECOND,
        "A call that would be answered later than this, or later than its own deadline, because too"
        " much is asked at once, is refused as OVERLOADED without being judged.",
        SECOND // 1000,
        HOUR,
    ),
    Setting(
        "data_plane.keepalive",
        "duration",
        60 * SECOND,
        "A connection that was silent for so long is asked whether it is still there, and closed if"
        " it does not answer within 20 s.",
        SECOND,
        DAY,
    ),
    Setting(
        "data_plane.metadata_bytes_max",
        "size",
        16 << 10,
        "Largest metadata of a call, names and values and 32 bytes for each; more is refused.",
        1 << 10,
        MIB,
    ),
    Setting(
        "data_plane.buffer_bytes_max",
        "size",
        256 * MIB,
        "Bytes of messages that may be on their way in or out, over all connections; over it calls"
        " are refused as OVERLOADED.",
        64 * MIB,
        1 << 40,
    ),
)
"""What the data plane alone has."""

SETTINGS: Mapping[str, Setting] = _table(
    *_plane("data_plane", "127.0.0.1:7300", "checkouts", *_FRONT),
    *_plane("control_plane", "127.0.0.1:7301", "operators"),
    *_METRICS,
    Setting(
        "hold.default_ttl",
        "duration",
        600 * SECOND,
        "Time to live of a hold whose request names none.",
        SECOND,
        366 * DAY,
        live=True,
    ),
    Setting(
        "hold.longest_life",
        "duration",
        DAY,
        "Longest life of a hold, extensions included, counted from its creation.",
        SECOND,
        366 * DAY,
    ),
    Setting("memory.sku_max", "integer", 1 << 24, "SKUs that can be known.", 1, 1 << 31),
    Setting(
        "memory.live_holds_max", "integer", 1 << 24, "Holds that can be live at once.", 1, 1 << 31
    ),
    Setting(
        "memory.cap_counters_max",
        "integer",
        1 << 25,
        "Counters of all caps together: one for each subject (and SKU) in force.",
        1,
        1 << 31,
    ),
    Setting(
        "memory.ended_max",
        "integer",
        1_000_000,
        "Ended reservations, and request ids of other commands, that are remembered; over it the"
        " oldest go first.",
        64,
        1 << 31,
    ),
    Setting(
        "memory.remember",
        "duration",
        HOUR,
        "How long ended reservations and request ids are remembered, so that a repeat gets the"
        " first answer.",
        SECOND,
        366 * DAY,
    ),
    Setting(
        "data.directory",
        "path",
        "atp-data",
        "Directory of the journal and the snapshots, made if it is not there; of one server at a"
        " time. Relative to where the server is started.",
    ),
    Setting(
        "journal.durability",
        "choice",
        "sync",
        "When a change is answered: sync, once it is on disk; interval, at once, with all changes"
        " put on disk every journal.sync_interval; off, at once, and the system decides.",
        choices=("sync", "interval", "off"),
    ),
    Setting(
        "journal.sync_interval",
        "duration",
        SECOND // 20,
        "How often changes are put on disk when journal.durability is interval: so much may be lost"
        " when the machine stops.",
        SECOND // 1000,
        60 * SECOND,
    ),
    Setting(
        "journal.segment_bytes",
        "size",
        64 * MIB,
        "Size of a segment of the journal. Two are kept ready on disk: the one in use and a spare.",
        64 << 10,
        16 * GIB,
    ),
    Setting(
        "journal.backlog_bytes_max",
        "size",
        64 * MIB,
        "Bytes of changes that may wait to be written; over it changes are refused as"
        " JOURNAL_BEHIND.",
        2 * MIB,
        4 * GIB,
    ),
    Setting(
        "journal.keep",
        "duration",
        0,
        "How long segments are kept at least, for audit; 0: as long as a kept snapshot needs them.",
        0,
        3660 * DAY,
    ),
    Setting(
        "snapshot.every_bytes",
        "size",
        256 * MIB,
        "A snapshot is taken after so many bytes of journal: a start replays no more than about"
        " that.",
        MIB,
        1 << 40,
    ),
    Setting(
        "snapshot.every",
        "duration",
        HOUR,
        "A snapshot is taken after this time, if anything has changed.",
        SECOND,
        366 * DAY,
    ),
    Setting(
        "snapshot.keep",
        "integer",
        2,
        "Snapshots that are kept: if the newest is damaged, a start takes the one before it.",
        1,
        1_000,
    ),
    Setting("watch.max", "integer", 64, "Watches of the change feed open at once.", 1, 10_000),
    Setting(
        "server.insecure",
        "switch",
        False,
        "Serves on other than loopback addresses without TLS: whoever reaches the port may call.",
    ),
    Setting(
        "server.drain",
        "duration",
        10 * SECOND,
        "How long calls under way may take to finish after SIGTERM.",
        0,
        HOUR,
        live=True,
    ),
    Setting(
        "server.calls_max",
        "integer",
        10_000,
        "Calls open at once on each plane; over it a call is refused as OVERLOADED (on the control"
        " plane, while as many wait in gRPC's own queue, as CANCELLED). A refused call was not"
        " judged.",
        1,
        1_000_000,
    ),
    Setting(
        "server.connections_max",
        "integer",
        10_000,
        "Connections open at once on each plane; over it new ones are closed.",
        1,
        1_000_000,
    ),
    Setting(
        "server.streams_max",
        "integer",
        256,
        "Calls open at once on one connection; what is over it waits in the client. More"
        " connections, not more calls on one, are the way to more.",
        1,
        1_000_000,
    ),
    Setting(
        "server.message_bytes_max",
        "size",
        4 * MIB,
        "Largest request, a batch of Execute included; a larger one is refused unread as"
        " RESOURCE_EXHAUSTED.",
        MIB,
        64 * MIB,
    ),
    Setting(
        "server.sweep_interval",
        "duration",
        SECOND // 10,
        "How often expired holds and old memory are cleared; expiry is exact whatever it is.",
        SECOND // 100,
        SECOND,
        live=True,
    ),
    Setting(
        "server.tls_check_interval",
        "duration",
        60 * SECOND,
        "How often the files of TLS are looked at; changed ones are taken over, and"
        " SIGHUP looks at once.",
        SECOND // 10,
        DAY,
        live=True,
    ),
    Setting("server.reflection", "switch", True, "Lets tools such as grpcurl list the services."),
    Setting(
        "log.level",
        "choice",
        "info",
        "Least severe messages logged, on stderr.",
        choices=("debug", "info", "warning", "error"),
        live=True,
    ),
    Setting(
        "log.format",
        "choice",
        "text",
        "A line of text for each message, or a JSON object.",
        choices=("text", "json"),
        live=True,
    ),
    Setting(
        "log.lines_per_minute",
        "integer",
        20,
        "Lines of one event that are logged in a minute; one line says how many more there were.",
        1,
        1_000_000,
        live=True,
    ),
    Setting(
        "log.slow_sync",
        "duration",
        SECOND // 10,
        "When more than one in a hundred syncs of the journal takes longer than this, it is"
        " logged. They are counted by 1, 2, 5, 10, 20, ... ms: the next such bound counts.",
        SECOND // 1000,
        HOUR,
        live=True,
    ),
)
