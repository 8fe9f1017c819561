"""Snapshots in memory: of an engine, and engines made from them.

Owns the short way there and back, and what must be equal of an engine and its copy. Names no file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from atp.journal import _native
from atp.journal.snapshot_facts import SnapshotLoaded, SnapshotWritten
from conftest import native_engine

STORE = bytes(range(16))
PATH = Path("1.snapshot")


def written(engine: Any, now_ns: int = 0) -> tuple[SnapshotWritten, bytes]:
    """A snapshot of the engine, and what writing it told."""
    fd = os.memfd_create("snapshot")
    try:
        told = _native.write_snapshot(engine, fd, store_id=STORE, now_ns=now_ns)
        data = os.pread(fd, told.size + 1, 0)
    finally:
        os.close(fd)
    assert len(data) == told.size
    return told, data


def loaded(data: bytes, **bounds: Any) -> Any:
    """A new engine with the snapshot's state."""
    engine = native_engine(**bounds)
    load(engine, data)
    return engine


def load(engine: Any, data: bytes) -> SnapshotLoaded:
    """Load the snapshot into a fresh engine."""
    return _native.load_snapshot(engine, data, store_id=STORE, path=PATH)


def assert_same(live: Any, copy: Any) -> None:
    """Both engines hold the same, as they are and once what is due has expired, and every law."""
    now_ns = live.status().time_ns
    assert _native.state_digest(copy) == _native.state_digest(live)
    assert copy.dump(now_ns=now_ns) == live.dump(now_ns=now_ns)  # and both forget what is over
    assert copy.list_caps() == live.list_caps()
    assert copy.check(now_ns=now_ns).violations == ()
    uncounted = {"bytes": 0, "cap_counters": 0}  # those that count nothing are not copied
    assert copy.status()._replace(**uncounted) == live.status()._replace(**uncounted)
