"""Reads changes from the segments, from a position on: the past and the present alike.

Owns the way from one segment to the next, and what it means when there is none. Keeps no change in
memory beyond one batch and takes no lock of the engine, so that a slow reader costs an open file.
Reads nothing that is not durable: whoever asks says up to where.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from atp.journal._native import pack_records
from atp.journal.segments import HEADER_BYTES, list_segments, segment_name

READ_BYTES = 128 << 10
"""Read at once; a batch is no larger, but for a single change that is."""
RECORD_BYTES_MOST = (1 << 20) + 24
"""No record is larger: record.h bounds an event."""


class PositionGone(LookupError):
    """The change at a position can't be read any more; the first one after it that can is named."""

    def __init__(self, position: int, first_sequence: int) -> None:
        super().__init__(
            f"change {position} is no longer in the journal; the first one that is there to be"
            f" read is {first_sequence}"
        )
        self.position = position
        self.first_sequence = first_sequence


class Batch(NamedTuple):
    """Changes in order; `message` is an atp.v1.WatchResponse on the wire, empty without changes."""

    message: bytes
    changes: int
    resume_sequence: int


class Feed:
    """One reader's place in the journal. Blocks on files, so it is for a thread; one at a time.

    Closes its file when told to; in between, a segment that retention removes stays readable.
    """

    def __init__(self, folder: Path, position: int) -> None:
        """`folder` has the segments; `position` is the first change wanted, 1 or more."""
        self._folder = folder
        self.position = position
        self._file = -1
        self._first = 0
        """Sequence of the open segment's first record, by its name."""
        self._next = 0
        """Sequence of the record at the offset."""
        self._offset = 0

    def read(self, last: int) -> Batch:
        """The next changes, at most one batch and none after `last`, which must be durable.

        A batch without changes: there is none yet. Raises PositionGone, OSError.
        """
        read_bytes = READ_BYTES
        while self.position <= last:
            if self._file < 0:
                self._open(last)
            data = os.pread(self._file, read_bytes, self._offset)
            message, count, self._next, used = pack_records(data, self._next, self.position, last)
            self._offset += used
            if count:
                self.position = self._next
                return Batch(message, count, self.position)
            if used:
                read_bytes = READ_BYTES
            elif len(data) == read_bytes < RECORD_BYTES_MOST:
                read_bytes = RECORD_BYTES_MOST
            else:
                self._leave(last)
        return Batch(b"", 0, self.position)

    def _open(self, last: int) -> None:
        """Opens the segment that has the position."""
        while True:
            firsts = self._firsts()
            before = [first for first in firsts if first <= self.position]
            if not before:
                raise PositionGone(self.position, min(firsts, default=last + 1))
            if self._try_open(before[-1]):
                return

    def _leave(self, last: int) -> None:
        """Goes on from where no record stands: the segment's end, if another begins right there."""
        self.close()
        if self._next != self._first and self._try_open(self._next):
            return
        after = [first for first in self._firsts() if first > self.position]
        raise PositionGone(self.position, min(after, default=last + 1))

    def _try_open(self, first: int) -> bool:
        """Opens the segment whose first change is this one; False if there is no such segment."""
        with contextlib.suppress(FileNotFoundError):
            self._file = os.open(self._folder / segment_name(first), os.O_RDONLY)
            self._first = self._next = first
            self._offset = HEADER_BYTES
            return True
        return False

    def _firsts(self) -> list[int]:
        """The first sequences of the segments that are there, in order."""
        return [segment.first_sequence for segment in list_segments(self._folder)]

    def close(self) -> None:
        """Closes the file, if one is open; reading again opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def __enter__(self) -> Feed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
