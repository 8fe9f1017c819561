"""Segments read back by the tests, byte by byte as docs/journal-format.md has them.

Owns a reader that shares nothing with the writer but the checksum; says where something is wrong.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any, NamedTuple

from atp.journal._native import Writer, checksum
from atp.v1.event_pb2 import Event

STORE_ID = bytes(range(16))


class Read(NamedTuple):
    """One record, and where it was."""

    sequence: int
    behind: int
    event: Event
    segment: str
    offset: int
    end: int


def make_folder(path: Path) -> Path:
    """A data directory as bare as the committer needs it."""
    (path / "journal").mkdir(parents=True)
    return path


def writer_of(engine: Any, path: Path, **more: Any) -> Writer:
    """A committer on this data directory that goes on after the engine's last change."""
    options: dict[str, Any] = {
        "next_sequence": engine.status().sequence + 1,
        "now_ns": 7,
        "segment_bytes": 1 << 16,
        "durability": "sync",
        "sync_interval_ns": 10_000_000,
        "backlog_bytes_max": 1 << 24,
    }
    return Writer(engine, path, STORE_ID, **(options | more))


def read_segment(path: Path) -> list[Read]:
    """The records of one segment; after them nothing but zeros may stand."""
    data = path.read_bytes()
    magic, version, zero, store_id, first, _, zeros, told = struct.unpack_from("<8sII16sqqQQ", data)
    assert (magic, version, zero, zeros) == (b"ATPSEGMT", 1, 0, 0), path.name
    assert (store_id, path.name) == (STORE_ID, f"{first:020}.segment")
    assert told == checksum(data[:56]), path.name
    found, offset = [], 64
    while offset + 24 <= len(data):
        told, sequence, size, behind = struct.unpack_from("<QqII", data, offset)
        if told == 0:
            break
        body = data[offset + 8 : offset + 24 + size]
        assert told == checksum(body), f"{path.name} at {offset}"
        end = offset + 24 + size
        found.append(Read(sequence, behind, Event.FromString(body[16:]), path.name, offset, end))
        offset = end
    assert not any(data[offset:]), f"{path.name} has no zeros after its last record"
    assert first == (found[0].sequence if found else first)
    return found


def read_journal(path: Path) -> list[Read]:
    """All records of a data directory, in order and without a gap."""
    segments = sorted((path / "journal").glob("*.segment"))
    found = [record for segment in segments for record in read_segment(segment)]
    first = found[0].sequence if found else 1
    assert [record.sequence for record in found] == list(range(first, first + len(found)))
    assert all(1 <= record.behind <= record.sequence for record in found)
    return found


def read_mark(path: Path) -> int:
    """The last sequence known to be durable, as the mark has it."""
    data = (path / "journal" / "synced").read_bytes()
    magic, store_id, sequence, told = struct.unpack("<8s16sqQ", data)
    assert (magic, store_id, told) == (b"ATPSYNCD", STORE_ID, checksum(data[:32]))
    return int(sequence)
