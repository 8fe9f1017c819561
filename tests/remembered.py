"""Data directories with a past, for tests of starts, checks and repairs.

Owns making one in a few segments, in batches that were each synced at once, and opening it again as
a server does. Damages nothing: each test does its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Container
from pathlib import Path
from typing import Any

from atp.journal._native import write_snapshot
from atp.journal.directory import Store, store_text
from atp.journal.journal import Journal, Options, open_journal
from atp.journal.report import RecoveryReport
from atp.journal.segments import Segment, list_segments
from atp.journal.snapshots import snapshot_name
from journal_files import STORE_ID, Read, read_segment

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
MINUTE_NS = 60 * 10**9
LONG_NS = 60 * 10**9
BOUNDS = {"longest_life_ns": MINUTE_NS}
SEGMENT_BYTES = 1024


def opened(path: Path, **more: Any) -> tuple[Any, Journal, RecoveryReport]:
    """Engine, journal and report of a directory, its committer without threads."""
    now_ns = more.pop("now_ns", NOW_NS)
    if not path.exists():
        path.mkdir()
        (path / "STORE").write_bytes(store_text(Store(STORE_ID, 1, NOW_NS)))
    options = Options(path, segment_bytes=more.pop("segment_bytes", SEGMENT_BYTES))
    return open_journal(options, BOUNDS | more, now_ns=now_ns, owner_text="a test")


def make_durable(engine: Any, journal: Journal) -> None:
    """One batch: all that was changed since the last one."""
    assert journal.writer.wait(engine.status().sequence, LONG_NS)


def shop(engine: Any, rounds: range) -> None:
    """Holds made, changed and ended: three changes a round, and now and then a cap."""
    for number in rounds:
        who = {"customer_id": f"c{number % 3}", "client_ip": "10.0.0.1"}
        reply = engine.reserve(f"r{number}", [("apple", 2)], **AT_NOW, ttl_ns=MINUTE_NS, **who)
        hold = reply.reservation.reservation_id
        engine.commit(hold, [("apple", 1)], **AT_NOW, request_id=f"x{number}")
        if number % 2:
            engine.release(hold, **AT_NOW)
        else:
            engine.set_stock(f"sku-{number}", number, **AT_NOW)


def make_store(
    path: Path,
    batches: int = 20,
    rounds: int = 1,
    snapshots_after: Container[int] = (),
    **more: Any,
) -> dict[int, str]:
    """A store with a past of so many batches; returns the digest after the last change of each."""
    engine, journal, _ = opened(path, **more)
    engine.set_stock("apple", 10**6, **AT_NOW)
    digests = {}
    for batch in range(batches):
        shop(engine, range(batch * rounds, (batch + 1) * rounds))
        make_durable(engine, journal)
        digests[engine.status().sequence] = engine.digest(**AT_NOW)
        if batch in snapshots_after:
            snapshot(path, engine)
    journal.close(NOW_NS, snapshot=False)
    return digests


def snapshot(path: Path, engine: Any) -> Path:
    """A snapshot of the engine, which is of the store in this directory."""
    part = path / "snapshots" / "1.part"
    with part.open("wb") as file:
        told = write_snapshot(engine, file.fileno(), store_id=STORE_ID, now_ns=NOW_NS)
    return part.rename(path / "snapshots" / snapshot_name(told.sequence))


def state(path: Path, **more: Any) -> tuple[int, str, RecoveryReport]:
    """Start on the directory and stop again: the last sequence, the digest, the report."""
    engine, journal, report = opened(path, **more)
    found = engine.status().sequence, engine.digest(**AT_NOW), report
    assert engine.check(**AT_NOW).violations == ()
    journal.close(NOW_NS, snapshot=False)
    return found


def copied(path: Path, to: Path) -> Path:
    """The same store elsewhere."""
    shutil.copytree(path, to)
    return to


def content(path: Path) -> dict[str, bytes]:
    """Every file of a directory but its lock, by its path within it."""
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in sorted(path.rglob("*"))
        if file.is_file() and file.name != "LOCK"
    }


def segments_of(path: Path) -> list[Segment]:
    """The segments of a data directory."""
    return list_segments(path / "journal")


def records_in(segment: Segment) -> list[Read]:
    """The records of a segment, where they are."""
    return read_segment(segment.path)


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Other bytes at one place of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)
