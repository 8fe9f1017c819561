"""What an audit reads of a data directory: which store it is, and its segments.

Owns finding them as docs/journal-format.md says. Takes no lock and writes nothing, so that it works
beside a running server.
"""

from __future__ import annotations

import re
from pathlib import Path

from atp.audit.failed import AuditFailed

_SEGMENT = re.compile(r"(\d{20})\.segment")
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
    """(first change, path) of every segment, in order, from change 1 on.

    Raises AuditFailed when there is none, or when the first are gone.
    """
    folder = data / "journal"
    found = []
    for path in folder.glob("*.segment"):
        match = _SEGMENT.fullmatch(path.name)
        if match:
            found.append((int(match[1]), path))
    found.sort()
    if not found:
        raise AuditFailed(f"{folder} has no segment: there is no journal to audit")
    if found[0][0] != 1:
        raise AuditFailed(
            f"the journal in {folder} begins with change {found[0][0]:,}: the changes before it"
            " were removed. An audit needs all of them: run the sale with journal.keep longer"
            " than the sale, for example journal.keep = 1d"
        )
    return found
