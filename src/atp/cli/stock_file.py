"""A CSV file of stock: columns sku and quantity, checked line by line before any line is used.

Owns the reading (plain or gzip, with or without a header), and what can be wrong with a line. Talks
to no server. Never guesses: a line that is not understood is a problem with its number and reason.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# What the service accepts, as proto/atp/v1/stock_service.proto says.
SKU_BYTES_MAX = 64
ON_HAND_MAX = 1_000_000_000_000

LINE_BYTES_MAX = 64 * 1024
PROBLEMS_TOLD = 10
COLUMNS = ("sku", "quantity")
DELIMITERS = ",;\t"

_GZIP_MAGIC = b"\x1f\x8b"
_WHOLE_NUMBER = re.compile(r"-?[0-9]+", re.ASCII)


class Entry(NamedTuple):
    """One usable line."""

    sku: str
    quantity: int


class Problem(NamedTuple):
    """One line that cannot be used; line 0 is the file as a whole."""

    line: int
    reason: str


class StockFileInvalid(Exception):
    """A file that cannot be used. `problems` are the first of `count`."""

    def __init__(self, name: str, problems: list[Problem], count: int) -> None:
        self.name = name
        self.problems = problems
        self.count = count
        super().__init__("\n".join(self.lines()))

    def lines(self) -> list[str]:
        """One line of text for each problem, the file and the line number first."""
        told = [
            f"{self.name}:{problem.line}: {problem.reason}"
            if problem.line
            else f"{self.name}: {problem.reason}"
            for problem in self.problems
        ]
        if self.count > len(told):
            told.append(f"{self.name}: and {self.count - len(told):,} more bad lines")
        return told


class _Layout(NamedTuple):
    """Where a line has its columns."""

    delimiter: str
    sku: int
    quantity: int
    columns: int
    has_header: bool


def read(name: str, stream: io.BufferedReader) -> list[Entry]:
    """Reads every line. Raises StockFileInvalid if there is one that cannot be used, or none."""
    reader = _Reader()
    try:
        for number, line in _lines(stream):
            reader.take(number, line)
    except (OSError, EOFError, zlib.error) as error:
        reader.problem(0, f"cannot be read to its end: {error}")
    if not reader.entries and not reader.problem_count:
        reader.problem(0, "has no lines to load; each is a SKU and a quantity")
    if reader.problem_count:
        raise StockFileInvalid(name, reader.problems, reader.problem_count)
    return reader.entries


def _lines(stream: io.BufferedReader) -> Iterator[tuple[int, bytes]]:
    """Numbered lines; one that is too long is cut, and longer than LINE_BYTES_MAX still."""
    packed = stream.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
    source: io.BufferedIOBase = gzip.GzipFile(fileobj=stream) if packed else stream
    number = 0
    while line := source.readline(LINE_BYTES_MAX + 1):
        number += 1
        rest = line
        while len(rest) > LINE_BYTES_MAX and not rest.endswith(b"\n"):
            rest = source.readline(LINE_BYTES_MAX + 1)
        yield number, line


class _Reader:
    """Takes lines in order and keeps what they say, or what is wrong with them."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []
        self.problem_count = 0
        self._layout: _Layout | None = None
        self._lines_by_sku: dict[str, int] = {}
        self._unreadable = False

    def problem(self, line: int, reason: str) -> None:
        self.problem_count += 1
        if len(self.problems) < PROBLEMS_TOLD:
            self.problems.append(Problem(line, reason))

    def take(self, number: int, line: bytes) -> None:
        if self._unreadable:
            return
        try:
            text = _text(line, first=number == 1)
            if not text.strip():
                return
            if self._layout is None:
                # Without its columns no further line can be told right from wrong.
                self._unreadable = True
                self._layout = _layout(text)
                self._unreadable = False
                if self._layout.has_header:
                    return
            entry = _entry(text, self._layout)
            earlier = self._lines_by_sku.setdefault(entry.sku, number)
            if earlier != number:
                raise ValueError(f"SKU {entry.sku!r} is on line {earlier} already")
        except ValueError as error:
            self.problem(number, str(error))
        else:
            self.entries.append(entry)


def _text(line: bytes, *, first: bool) -> str:
    if len(line) > LINE_BYTES_MAX:
        raise ValueError(f"is longer than {LINE_BYTES_MAX} bytes")
    try:
        text = line.decode("utf-8-sig" if first else "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 (byte {error.start + 1} of the line)") from None
    return text.rstrip("\r\n")


def _layout(text: str) -> _Layout:
    """Where the columns are, told by the first line: a header, or else a first SKU and quantity."""
    for delimiter in DELIMITERS:
        names = [name.strip().lower() for name in _split(text, delimiter)]
        if all(names.count(column) == 1 for column in COLUMNS):
            sku, quantity = (names.index(column) for column in COLUMNS)
            return _Layout(delimiter, sku, quantity, len(names), has_header=True)
    for delimiter in DELIMITERS:
        fields = _split(text, delimiter)
        if len(fields) == len(COLUMNS) and _WHOLE_NUMBER.fullmatch(fields[1].strip()):
            return _Layout(delimiter, 0, 1, len(fields), has_header=False)
    raise ValueError(
        "neither names the columns sku and quantity nor is a SKU and a quantity; the first line"
        f" must be one of them, and is {_shortened(text)}"
    )


def _entry(text: str, layout: _Layout) -> Entry:
    fields = _split(text, layout.delimiter)
    if len(fields) != layout.columns:
        found = "1 column" if len(fields) == 1 else f"{len(fields)} columns"
        raise ValueError(f"has {found}; {layout.columns} are expected")
    sku, quantity = fields[layout.sku], fields[layout.quantity].strip()
    size = len(sku.encode())
    if not 1 <= size <= SKU_BYTES_MAX:
        raise ValueError(f"SKU has {size} bytes; 1 to {SKU_BYTES_MAX} are allowed")
    if not quantity:
        raise ValueError("quantity is missing")
    if not _WHOLE_NUMBER.fullmatch(quantity):
        raise ValueError(f"quantity {_shortened(quantity)} is not a whole number")
    digits = quantity.lstrip("-0")
    units = int(digits or "0") if len(digits) <= len(str(ON_HAND_MAX)) else ON_HAND_MAX + 1
    if units > ON_HAND_MAX or (units and quantity.startswith("-")):
        raise ValueError(f"quantity {_shortened(quantity)} is out of bounds; 0 to {ON_HAND_MAX}")
    return Entry(sku, units)


def _split(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return text.split(delimiter)
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True))
    except csv.Error:
        raise ValueError("has a quote that does not end, or ends in mid-column") from None


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")
