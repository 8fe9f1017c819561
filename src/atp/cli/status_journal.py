"""What `atp status` and `atp snapshot` print about how a server remembers.

Owns the lines about journal, snapshots and the last start. Asks no server.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click

from atp.cli import tables
from atp.client import JournalStatus, Recovery, Snapshot
from atp.units import SIZE_UNITS

NS_PER_MILLISECOND = 1_000_000
NS_PER_SECOND = 1_000_000_000
Fact = tuple[str, tables.Cell]


def show(journal: JournalStatus) -> None:
    """Prints how a server remembers: what is durable, what it costs, what a start found."""
    click.echo("\nJournal")
    tables.show_facts(_facts(journal))


def snapshot_facts(snapshot: Snapshot) -> Iterable[Fact]:
    """A snapshot, line by line."""
    return (
        ("snapshot", snapshot.name),
        ("sequence", snapshot.sequence),
        ("size", size(snapshot.size_bytes)),
        ("taken", tables.instant(snapshot.create_time_ns)),
        ("written in", length(snapshot.duration_ns)),
        ("longest stall of a call", length(snapshot.longest_stall_ns)),
    )


def _facts(journal: JournalStatus) -> Iterator[Fact]:
    yield "data directory", journal.directory
    yield "durability", journal.durability
    yield "refuses new holds", journal.refusing_reason or None
    yield "durable sequence", journal.durable_sequence
    waiting = f"{journal.waiting_records:,} changes, {size(journal.waiting_bytes)}"
    yield "waiting to be durable", waiting
    if journal.syncs:
        times = (journal.sync_p50_ns, journal.sync_p99_ns, journal.sync_most_ns)
        p50, p99, most = (length(time) for time in times)
        yield "syncs", f"{journal.syncs:,}: p50 {p50}, p99 {p99}, most {most}"
    segments = f"{journal.segments:,} with {size(journal.journal_bytes)} of changes"
    yield "segments", f"{segments}, the first of them {journal.first_sequence:,}"
    yield "free on the disk", size(journal.free_bytes)
    yield "watches", journal.watches
    yield "last snapshot", _snapshot(journal.last_snapshot)
    yield "last snapshot failed", journal.snapshot_error or None
    if journal.last_recovery is not None:
        yield from _recovery(journal.last_recovery)


def _snapshot(snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return "none yet"
    return (
        f"{snapshot.name}, {size(snapshot.size_bytes)}, {tables.distance(snapshot.create_time_ns)}:"
        f" written in {length(snapshot.duration_ns)}, longest stall"
        f" {length(snapshot.longest_stall_ns)}"
    )


def _recovery(found: Recovery) -> Iterator[Fact]:
    began = f"snapshot {found.snapshot}" if found.snapshot else "no snapshot"
    yield (
        "last start",
        f"{began} and {found.replayed_records:,} changes, in {length(found.duration_ns)}:"
        f" sequence {found.sequence:,}, {found.expired:,} holds expired meanwhile",
    )
    yield "digest at the start", found.digest
    for damaged in found.damaged_snapshots:
        yield "snapshot passed over", damaged
    for passed in found.passed_damage:
        yield "damage passed over", passed
    if found.torn_bytes:
        yield "torn tail cut", f"{size(found.torn_bytes)}, kept in {found.torn_copy}"


def length(nanoseconds: int) -> str:
    """A short time for people, in three digits or so: 0.124 ms, 3.4 s."""
    if nanoseconds >= 10 * NS_PER_SECOND:
        return f"{nanoseconds / NS_PER_SECOND:.0f} s"
    if nanoseconds >= NS_PER_SECOND:
        return f"{nanoseconds / NS_PER_SECOND:.1f} s"
    if nanoseconds >= 10 * NS_PER_MILLISECOND:
        return f"{nanoseconds / NS_PER_MILLISECOND:.0f} ms"
    digits = 2 if nanoseconds >= NS_PER_MILLISECOND else 3
    return f"{nanoseconds / NS_PER_MILLISECOND:.{digits}f} ms"


def size(size_bytes: int) -> str:
    """A size for people, rounded down: 412 MiB."""
    unit, factor = next(
        (unit, factor)
        for unit, factor in SIZE_UNITS.items()
        if size_bytes >= 10 * factor or factor == 1
    )
    return f"{size_bytes // factor:,} {unit}"
