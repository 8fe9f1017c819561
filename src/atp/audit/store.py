"""What an audit reads of a data directory: which store it is, its segments and its snapshots.

Owns finding them as docs/journal-format.md says. Takes no lock and writes nothing, so that it works
beside a running server.
"""

from __future__ import annotations

import re
from pathlib import Path

from atp.audit.failed import AuditFailed

_SEGMENT = re.compile(r"(\d{20})\.segment")
_SNAPSHOT = re.compile(r"(\d{20})\.snapshot")
_VERSION = 1


def store_id(data: Path) -> bytes:
    """The 16 bytes that name the store. Raises AuditFailed when STORE doesn't say them."""
    path = data / "STORE"
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except (OSError, ValueError) as error:
        raise AuditFailed(f"{data} is no data directory: {path} can't be read: {error}") from error
    if lines[0] != "atp store" or len(lines) < 3 or not lines[1].startswith("version "):
        raise AuditFailed(f"{path}: this is not how a data directory says what it is")
    if lines[1] != f"version {_VERSION}":
        raise AuditFailed(f"{path}: written by a newer atp ({lines[1]})")
    name = lines[2].removeprefix("id ")
    if not re.fullmatch(r"[0-9a-f]{32}", name):
        raise AuditFailed(f"{path}: the id of the store is damaged; atp journal check says more")
    return bytes.fromhex(name)


def segments(data: Path) -> list[tuple[int, Path]]:
    """(first change, path) of every segment, in order. Raises AuditFailed when there is none."""
    folder = data / "journal"
    found = _named(folder, _SEGMENT)
    if not found:
        raise AuditFailed(f"{folder} has no segment: there is no journal to audit")
    return found


def starts(data: Path, first: int) -> list[tuple[int, Path]]:
    """(last change, path) of the snapshots that a journal from that change on continues from, the
    oldest first.

    Raises AuditFailed when there is none.
    """
    found = [each for each in _named(data / "snapshots", _SNAPSHOT) if each[0] >= first - 1]
    if not found:
        raise AuditFailed(
            f"the journal in {data / 'journal'} begins with change {first:,}: the changes before it"
            f" were removed, and {data / 'snapshots'} has no snapshot that it continues from."
            " Run the sale with journal.keep longer than the sale, for example journal.keep = 1d"
        )
    return found


def from_start(journal: list[tuple[int, Path]], start: int) -> list[tuple[int, Path]]:
    """The segments from the one on that the change after `start` is in."""
    before = [index for index, (first, _) in enumerate(journal) if first <= start + 1]
    return journal[before[-1] :]


def _named(folder: Path, pattern: re.Pattern[str]) -> list[tuple[int, Path]]:
    found = []
    for path in folder.glob("*.*"):
        match = pattern.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    return sorted(found)
