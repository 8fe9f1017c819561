"""Reads files of histories, entry by entry.

Owns telling a torn end, which a killed recorder leaves, from damage, which nobody may read past.
Pairs no calls and judges no answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from google.protobuf.message import DecodeError

from atp.history.writer import FORMAT_VERSION, SUFFIX
from atp.v1.history_pb2 import HistoryEntry

ENTRY_BYTES_MAX = 64 * 1024 * 1024
"""A size above this is damage: no message of a call is that large."""
_CHUNK_BYTES = 1024 * 1024
_VARINT_BYTES_MAX = 5


class HistoryDamaged(Exception):
    """A file of a history that can't be read: which, where, and what is wrong with it."""

    def __init__(self, path: Path, offset: int, what: str) -> None:
        super().__init__(f"{path}, byte {offset:,}: {what}")
        self.path = path
        self.offset = offset
        self.what = what


def list_files(history: Path | str) -> list[Path]:
    """The files of a history, by name: those of a directory, or the one file that was named.

    Raises HistoryDamaged when there is none.
    """
    path = Path(history)
    if path.is_file():
        return [path]
    files = sorted(path.glob(f"*{SUFFIX}"))
    if not files:
        raise HistoryDamaged(path, 0, f"there is no history: no file *{SUFFIX}")
    return files


def read(path: Path | str) -> HistoryReader:
    """The entries of one file, in the order in which they were recorded."""
    return HistoryReader(Path(path))


class HistoryReader:
    """Iterates over the entries of one file; each iteration starts anew.

    `torn_bytes` and `is_finished` tell, after an iteration, how many bytes at the end are no whole
    entry and whether the recorder said that it had written all. Iterating raises HistoryDamaged
    at anything that is neither an entry nor a torn end, and OSError when the file can't be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.torn_bytes = 0
        self.is_finished = False

    def __iter__(self) -> Iterator[HistoryEntry]:
        self.torn_bytes = 0
        self.is_finished = False
        with self.path.open("rb") as file:
            yield from self._entries(file)

    def _entries(self, file: BinaryIO) -> Iterator[HistoryEntry]:
        is_first = True
        offset = 0
        for offset, body in self._bodies(file):
            if self.is_finished:
                raise HistoryDamaged(self.path, offset, "there are entries after the last one")
            entry = self._parse(offset, body, is_first)
            is_first = False
            self.is_finished = entry.WhichOneof("entry") == "finished"
            yield entry
        if is_first:
            raise HistoryDamaged(self.path, offset, "there is no entry at all")
        if self.is_finished and self.torn_bytes:
            raise HistoryDamaged(
                self.path, self.path.stat().st_size, "there are bytes after the last entry"
            )

    def _parse(self, offset: int, body: bytes, is_first: bool) -> HistoryEntry:
        try:
            entry = HistoryEntry.FromString(body)
        except DecodeError as error:
            raise HistoryDamaged(self.path, offset, f"this is no entry: {error}") from error
        kind = entry.WhichOneof("entry")
        if kind is None:
            raise HistoryDamaged(self.path, offset, "an entry of a kind that this reader knows not")
        if (kind == "begun") != is_first:
            what = "the file does not begin as one" if is_first else "the file begins twice"
            raise HistoryDamaged(self.path, offset, what)
        if is_first and entry.begun.format_version != FORMAT_VERSION:
            version = entry.begun.format_version
            what = f"the format's version is {version}; this reader knows {FORMAT_VERSION}"
            raise HistoryDamaged(self.path, offset, what)
        return entry

    def _bodies(self, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
        """Every whole entry's bytes after the offset at which its size begins."""
        held = b""
        offset = 0
        while chunk := file.read(_CHUNK_BYTES):
            held += chunk
            place = 0
            while found := self._size_at(held, place, offset):
                begin, size = found
                if begin + size > len(held):
                    break
                yield offset + place, held[begin : begin + size]
                place = begin + size
            held = held[place:]
            offset += place
        self.torn_bytes = len(held)

    def _size_at(self, held: bytes, place: int, offset: int) -> tuple[int, int] | None:
        """Where the entry's bytes begin and how many they are; None: more must be read first."""
        size = 0
        for index, byte in enumerate(held[place : place + _VARINT_BYTES_MAX]):
            size |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                if size == 0 or size > ENTRY_BYTES_MAX:
                    what = f"no entry has {size:,} bytes"
                    raise HistoryDamaged(self.path, offset + place, what)
                return place + index + 1, size
        if len(held) - place >= _VARINT_BYTES_MAX:
            raise HistoryDamaged(self.path, offset + place, "no size of an entry is that long")
        return None
