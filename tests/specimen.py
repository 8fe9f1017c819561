"""A small data directory whose past is known byte by byte, to be damaged in every way.

Owns making it with the project's own committer, and laying it out again and again. For each sync
that the committer did it knows how long the last segment was and what was durable from then on; for
each change the digest of the state after it.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from atp.journal import _native
from atp.journal.errors import FutureVersion, JournalDamaged, StoreDamaged
from atp.journal.journal import Journal, Options, open_journal
from atp.journal.segments import write_synced
from conftest import native_engine
from histories import BASE_NS, Command, History

BOUNDS = {"sku_max": 1_000, "live_holds_max": 1_000, "cap_counters_max": 1_000, "ended_max": 1_000}
REFUSALS = (JournalDamaged, FutureVersion, StoreDamaged)
SEGMENT_BYTES = 1_536
SNAPSHOT_EVERY = 40
NOW_NS = BASE_NS


class Synced(NamedTuple):
    """After one sync: the file in use, its bytes, and the last change that was durable."""

    segment: str
    size: int
    durable: int


class Outcome(NamedTuple):
    """What a start made of a directory: an error, or a state and how it came to it."""

    refused: Exception | None
    sequence: int = -1
    digest: str = ""
    report: Any = None


class Specimen(NamedTuple):
    """The files of a directory, and their past."""

    files: Mapping[str, bytes]
    syncs: tuple[Synced, ...]
    digests: tuple[str, ...]
    """By sequence; that of nothing first."""
    store_id: bytes

    @property
    def end(self) -> int:
        """The last change."""
        return len(self.digests) - 1

    @property
    def segments(self) -> list[str]:
        """The names of the segments, oldest first."""
        return sorted(name for name in self.files if name.endswith(".segment"))

    def lay(self, folder: Path, *, mark: int | None = None, **changed: bytes) -> Path:
        """Lays the directory out anew; `changed` by file name, / and . as _; returns it."""
        return lay(folder, self.files, self.store_id, mark, changed)


def lay(
    folder: Path,
    files: Mapping[str, bytes],
    store_id: bytes,
    mark: int | None,
    changed: Mapping[str, bytes],
) -> Path:
    """Writes files into an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, content in {**files, **changed}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if mark is not None:
        (folder / "journal" / "synced").unlink(missing_ok=True)
        write_synced(folder / "journal", store_id, mark)
    return folder


def start(folder: Path, look: Callable[[Any], None] | None = None) -> Outcome:
    """A start on a directory. Its expiries are not awaited."""
    options = Options(
        folder, segment_bytes=SEGMENT_BYTES, snapshot_bytes=1 << 40, snapshots_kept=100
    )
    try:
        engine, journal, report = open_journal(options, BOUNDS, now_ns=NOW_NS, owner_text="test")
    except REFUSALS as refused:
        return Outcome(refused)
    try:
        if look is not None:
            look(engine)
        return Outcome(None, report.sequence, report.digest, report)
    finally:
        journal.close(NOW_NS, snapshot=False)


def run(engine: Any, command: Command) -> None:
    """One command of a history; what it is answered does not matter here."""
    with contextlib.suppress(LookupError):  # a cap to be removed that is not there
        getattr(engine, command.name)(*command.words, **command.keywords)


def make(
    folder: Path,
    *,
    commands: int,
    seed: int,
    between: Callable[[Journal, int], None] = lambda journal, number: None,
) -> Specimen:
    """Runs a random history on a new directory, synced every few commands.

    `between` is called after each sync with the number of commands so far.
    """
    random = Random(seed)
    options = Options(
        folder,
        segment_bytes=SEGMENT_BYTES,
        snapshot_bytes=1 << 40,
        snapshots_kept=100,
        keep_segments_ns=1 << 60,
    )
    engine, journal, _ = open_journal(options, BOUNDS, now_ns=NOW_NS, owner_text="test")
    history = History(random, key_hex)
    syncs: list[Synced] = []
    for number, command in enumerate(history.commands(commands)):
        run(engine, command)
        if random.random() < 0.4:
            sync(engine, journal, folder, syncs)
            between(journal, number)
    sync(engine, journal, folder, syncs)
    store_id = journal.directory.store.store_id
    files = read_all(folder)
    journal.close(NOW_NS, snapshot=False)
    return Specimen(files, tuple(syncs), digests_of(folder), store_id)


def take_snapshots(journal: Journal, number: int) -> None:
    """For `between`: one now and then."""
    if number % SNAPSHOT_EVERY < 3:
        journal.snapshot(NOW_NS)


def key_hex(request_id: str) -> str:
    """The reservation that a request id stands for."""
    import xxhash  # noqa: PLC0415 - of the tests alone

    return xxhash.xxh3_128_hexdigest(request_id.encode())


def sync(engine: Any, journal: Journal, folder: Path, syncs: list[Synced]) -> None:
    """Makes all that was done durable."""
    sequence = engine.status().sequence
    if sequence and journal.writer.wait(sequence, 10**10) and sequence == journal.durable:
        last = sorted((folder / "journal").glob("*.segment"))[-1]
        used = journal.writer.statistics().segment_bytes
        syncs.append(Synced(f"journal/{last.name}", used, sequence))


def read_all(folder: Path) -> dict[str, bytes]:
    """Every file of a directory that says something."""
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name != "LOCK"]
    return {
        str(path.relative_to(folder)): path.read_bytes() for path in paths if path.suffix != ".part"
    }


def digests_of(folder: Path) -> tuple[str, ...]:
    """The digest after each change, from the records alone."""
    paths = sorted((folder / "journal").glob("*.segment"))
    segments = [(int(path.stem), path.read_bytes()) for path in paths]
    digests: list[str] = []
    while True:
        # A new engine for each: to ask for a digest is to let expire what is due.
        engine = native_engine(**BOUNDS)
        done = 0
        for first, data in segments:
            if first <= len(digests):
                replayed = _native.replay(
                    engine, data, offset=64, first_sequence=first, until=len(digests)
                )
                done += replayed.records
        if done < len(digests):
            return tuple(digests)
        digests.append(engine.digest(now_ns=engine.status().time_ns))
