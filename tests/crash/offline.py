"""A full replay from the first record, without a server and without snapshots.

Owns the copy that it works on: the data directory itself is never touched. What it comes to is what
every start must come to, whatever snapshot it began with.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import NamedTuple

from atp.journal.journal import Options, open_journal
from atp.settings import load


class Replayed(NamedTuple):
    """What the journal alone comes to."""

    sequence: int
    digest: str
    violations: tuple[str, ...]


def bounds() -> dict[str, int]:
    """The engine's bounds as a server has them by default."""
    settings = load(environment={})
    chosen = {
        name: settings.integer(f"memory.{name}")
        for name in ("sku_max", "live_holds_max", "cap_counters_max", "ended_max")
    }
    return chosen | {
        "longest_life_ns": settings.integer("hold.longest_life"),
        "remember_ns": settings.integer("memory.remember"),
    }


def copy_of(directory: Path, into: Path, *, snapshots: bool) -> Path:
    """A copy of a data directory that nobody works in."""
    shutil.rmtree(into, ignore_errors=True)
    left_out = ["LOCK"] if snapshots else ["LOCK", "snapshots"]
    shutil.copytree(directory, into, ignore=shutil.ignore_patterns(*left_out))
    return into


def replay_all(directory: Path, into: Path) -> Replayed:
    """Replays a copy of the journal from its first record. Raises what a start would raise."""
    copy = copy_of(directory, into, snapshots=False)
    engine, journal, report = open_journal(
        Options(copy, segment_bytes=2 << 20), bounds(), now_ns=time.time_ns(), owner_text="a test"
    )
    try:
        found = engine.check(now_ns=engine.status().time_ns)
        return Replayed(report.sequence, report.digest, found.violations)
    finally:
        journal.close(time.time_ns(), snapshot=False)
