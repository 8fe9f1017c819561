"""An engine's events as a journal's records, and engines made from them.

Owns the short way from a live engine to its journal in memory. Decides nothing about what is equal.
"""

from __future__ import annotations

from typing import Any

from atp.journal import _native
from conftest import native_engine

Events = list[tuple[int, bytes]]


def records_of(events: Events) -> bytes:
    """The records of events, one after another, as they lie in a segment."""
    return b"".join(_native.record_of(sequence, event) for sequence, event in events)


def replayed(events: Events, **bounds: Any) -> Any:
    """A new engine that has had these events applied, from the first change on."""
    engine = native_engine(**bounds)
    replay(engine, events)
    return engine


def replay(engine: Any, events: Events) -> None:
    """Apply events, all of them."""
    if events:
        done = _native.replay(engine, records_of(events), offset=0, first_sequence=events[0][0])
        assert done.sequence == events[-1][0]
        assert done.records == len(events)
