"""What writing and loading a snapshot tell of it.

Owns the shapes; does neither. Times are nanoseconds, sizes bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class SnapshotWritten(NamedTuple):
    """A snapshot that was written to its end, not yet synced.

    `time_ns` is the engine's time that it carries, `held_most_ns` the longest that a lock was held
    for it, `aside_bytes` what those who changed something meanwhile kept of the state before.
    """

    sequence: int
    time_ns: int
    size: int
    skus: int
    reservations: int
    live_holds: int
    receipts: int
    cap_counters: int
    caps: int
    held_most_ns: int
    aside_bytes: int


class SnapshotLoaded(NamedTuple):
    """What was loaded into an engine; `create_time_ns` is by the clock on the wall."""

    sequence: int
    time_ns: int
    create_time_ns: int
    skus: int
    reservations: int
    live_holds: int
    receipts: int
    cap_counters: int
    caps: int
