"""Reads a year of orders from the UCI Online Retail data, line by line.

Owns the file's shape: gzip or not, UTF-8 or Latin-1, the compact form's columns or the
publisher's own. Refuses a file it cannot read with one line that names the file, the line and the
remedy. Judges no order: what a line means is for plan.py.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

LINES_MAX: Final = 20_000_000
"""Lines of a file: forty times the real year, so that a wrong file cannot fill the memory."""

COLUMN_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "invoice": ("invoice", "InvoiceNo", "Invoice"),
    "stock_code": ("stock_code", "StockCode"),
    "quantity": ("quantity", "Quantity"),
    "invoice_date": ("invoice_date", "InvoiceDate"),
    "customer_id": ("customer_id", "CustomerID", "Customer ID"),
}
"""The columns needed, each by its name in the compact form and in the publisher's files."""


class Row(NamedTuple):
    """One line of an invoice. `time_s` is the shop's own clock as seconds since the Unix epoch."""

    line_number: int
    invoice: str
    stock_code: str
    quantity: int
    time_s: int
    customer_id: str


class BadFile(ValueError):
    """The file cannot be read as orders; one line says where, what is wrong and what to do."""

    def __init__(self, path: Path, reason: str, line_number: int | None = None) -> None:
        where = str(path) if line_number is None else f"{path}, line {line_number}"
        super().__init__(f"{where}: {reason}")


def read_rows(path: Path) -> Iterator[Row]:
    """Yield the lines of a file in their order.

    Raises BadFile, at the first line that cannot be read.
    """
    try:
        encoding = _encoding_of(path)
        with _open_plain(path) as plain:
            text = io.TextIOWrapper(plain, encoding=encoding, newline="")
            yield from _parse(path, text)
    except OSError as error:
        # gzip.BadGzipFile is an OSError too, without an errno.
        reason = error.strerror or f"damaged gzip ({error}); get the file again"
        raise BadFile(path, reason) from error
    except (EOFError, zlib.error) as error:
        raise BadFile(path, f"damaged gzip ({error}); get the file again") from error


def _open_plain(path: Path) -> BinaryIO:
    """Open for reading the bytes inside, whether or not they are compressed."""
    with path.open("rb") as probe:
        magic = probe.read(4)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    if magic == b"PK\x03\x04":
        raise BadFile(path, "a spreadsheet or an archive, not CSV; save it as CSV first")
    return path.open("rb")


def _encoding_of(path: Path) -> str:
    """UTF-8 if every byte of the file agrees, else Latin-1, which any byte is."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with _open_plain(path) as plain:
        while block := plain.read(1 << 20):
            try:
                decoder.decode(block)
            except UnicodeDecodeError:
                return "latin-1"
    return "utf-8-sig"


def _parse(path: Path, text: io.TextIOWrapper) -> Iterator[Row]:
    lines = csv.reader(text)
    try:
        header = next(lines, None)
        if header is None:
            raise BadFile(path, "the file is empty; a header line with column names was expected")
        columns = _columns(path, header)
        widest = max(columns)
        invoice_at, code_at, quantity_at, date_at, customer_at = columns
        seconds = _date_reader()
        for count, fields in enumerate(lines):
            if not fields:
                continue
            if count >= LINES_MAX:
                raise BadFile(path, f"more than {LINES_MAX:,} lines", lines.line_num)
            if len(fields) <= widest:
                reason = f"{len(fields)} fields where the header has {len(header)}"
                raise BadFile(path, reason, lines.line_num)
            try:
                quantity, time_s = int(fields[quantity_at]), seconds(fields[date_at])
            except ValueError:
                raise BadFile(
                    path, _bad_field(header, fields, quantity_at, date_at), lines.line_num
                ) from None
            yield Row(
                lines.line_num,
                fields[invoice_at],
                fields[code_at],
                quantity,
                time_s,
                _whole_number(fields[customer_at]),
            )
    except csv.Error as error:
        raise BadFile(path, f"not CSV ({error})", lines.line_num) from error


def _columns(path: Path, header: list[str]) -> list[int]:
    """Where each needed column stands."""
    found: list[int] = []
    for wanted, names in COLUMN_NAMES.items():
        places = [header.index(name) for name in names if name in header]
        if not places:
            there = ", ".join(header)[:200]
            other = "" if len(names) == 1 else f" (or {names[1]})"
            raise BadFile(path, f"the column {wanted}{other} is missing; there are: {there}", 1)
        found.append(places[0])
    return found


def _bad_field(header: list[str], fields: list[str], quantity_at: int, date_at: int) -> str:
    try:
        int(fields[quantity_at])
    except ValueError:
        return f"{header[quantity_at]} {fields[quantity_at]!r} is not a whole number"
    return (
        f"{header[date_at]} {fields[date_at]!r} is not a date like 2010-12-01T08:26:00 "
        "or 12/1/2010 8:26"
    )


def _date_reader() -> Callable[[str], int]:
    """Parse dates of both forms; consecutive lines share theirs, so the last one is kept."""
    last_text, last_seconds = "", 0

    def seconds(text: str) -> int:
        nonlocal last_text, last_seconds
        if text != last_text:
            if "/" in text:
                moment = datetime.strptime(text, "%m/%d/%Y %H:%M")
            else:
                moment = datetime.fromisoformat(text)
            # The shop's clock has no zone; UTC makes differences of times right and nothing else.
            last_seconds = int(moment.replace(tzinfo=UTC).timestamp())
            last_text = text
        return last_seconds

    return seconds


def _whole_number(text: str) -> str:
    """Customers that a spreadsheet program wrote as 17850.0 are customer 17850."""
    return text[:-2] if text.endswith(".0") and text[:-2].isdigit() else text
