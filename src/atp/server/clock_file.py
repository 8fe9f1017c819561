"""The file `clock` in the data directory: what the server's time was, for the next start.

Owns how a clock's mark is written down. It is never synced: a mark is of use only while the machine
runs on, and then the system keeps what was written. What can't be read is as good as none.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

from atp.clock import Mark
from atp.server import log_events, logs

NAME = "clock"
TITLE = "atp-clock-1"
BYTES_MAX = 256


def read(directory: Path) -> Mark | None:
    """The last mark that a server left there; None if there is none, or none that is whole."""
    try:
        with (directory / NAME).open("rb") as file:
            return _parse(file.read(BYTES_MAX))
    except OSError:
        return None  # whoever takes the directory will say what is wrong with it, if anything is
    except ValueError as error:
        logs.tell(log_events.CLOCK_MARK_UNREADABLE, path=directory / NAME, reason=error)
        return None


def _parse(line: bytes) -> Mark:
    words = line.decode("ascii").split()
    if len(words) != 5 or words[0] != TITLE:
        raise ValueError("not a file of a clock")
    mark = Mark(words[1], int(words[2]), int(words[3]))
    if words[4] != _checksum(mark):
        raise ValueError("it is damaged")
    return mark


def _checksum(mark: Mark) -> str:
    return f"{zlib.crc32(repr(tuple(mark)).encode()):08x}"


class ClockFile:
    """Writes marks, one over the other, in place: a process that is killed leaves a whole one."""

    def __init__(self, directory: Path) -> None:
        """Opens the file, or makes it. Raises OSError."""
        self._fd = os.open(directory / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def write(self, mark: Mark) -> None:
        """Writes a mark; nothing if it would be of no use. Raises OSError."""
        if mark.boot:
            line = f"{TITLE} {mark.boot} {mark.steady_ns} {mark.time_ns} {_checksum(mark)}"
            os.pwrite(self._fd, line.ljust(BYTES_MAX - 1).encode("ascii") + b"\n", 0)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._fd)
