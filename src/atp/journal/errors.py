"""What can be wrong with what the journal remembers, as exceptions.

Owns the words; each message is one line that says what is wrong and where. Raises nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class EventRefused(Exception):
    """An event that cannot be applied: it does not fit the state before it, or is malformed.

    `sequence` is the event's, `reason` what is wrong with it, `offset` where its record begins.
    The engine is as it was before it.
    """

    def __init__(self, sequence: int, reason: str, offset: int = 0) -> None:
        super().__init__(f"change {sequence} {reason}")
        self.sequence = sequence
        self.reason = reason
        self.offset = offset


class JournalDamaged(Exception):
    """Changes that were made are missing, and no snapshot has them: nobody may go on without them.

    The place is `path` and `offset`; the changes from `first_lost` to `last_lost` are known to be
    lost (none if `last_lost` is less).
    """

    def __init__(
        self,
        directory: Path,
        what: str,
        *,
        path: Path,
        offset: int,
        first_lost: int,
        last_lost: int,
    ) -> None:
        super().__init__(f"{what}; to see what can be done: atp journal repair {directory}")
        self.directory = directory
        self.what = what
        self.path = path
        self.offset = offset
        self.first_lost = first_lost
        self.last_lost = last_lost

    def beside(self, damaged: Sequence[str]) -> JournalDamaged:
        """The same, and what is wrong with snapshots that would have helped."""
        what = "; ".join([self.what, *damaged])
        return JournalDamaged(
            self.directory,
            what,
            path=self.path,
            offset=self.offset,
            first_lost=self.first_lost,
            last_lost=self.last_lost,
        )


class DirectoryBusy(Exception):
    """Another process owns the data directory; `holder` is what it says of itself."""

    def __init__(self, path: Path, holder: str) -> None:
        said = holder or "another process, which does not say who it is"
        super().__init__(f"{path} is in use by {said}: stop it, or name another data directory")
        self.path = path
        self.holder = holder


class FutureVersion(Exception):
    """A file was written by a newer atp than this one, which does not guess what it means."""

    def __init__(self, path: Path, version: int, newest: int) -> None:
        super().__init__(
            f"{path} was written by a newer atp: its format is version {version}, and this one"
            f" reads up to {newest}: start the newer atp"
        )
        self.path = path
        self.version = version


class StoreDamaged(Exception):
    """The data directory can't be told to be one, or which one it is."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


class SnapshotBusy(Exception):
    """A snapshot of this engine is being written already."""


class SnapshotFailed(Exception):
    """A snapshot could not be written to its end; the engine is none the worse for it."""


class SnapshotDamaged(Exception):
    """A snapshot is not what was written. `offset` is of the first byte in doubt."""

    def __init__(self, offset: int, reason: str) -> None:
        super().__init__(f"at byte {offset}: {reason}")
        self.offset = offset
        self.reason = reason
