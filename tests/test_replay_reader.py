"""Reading orders: both forms of the file, every way to be wrong, and the addresses."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from atp.replay.addresses import make_addresses, read_addresses
from atp.replay.reader import BadFile, Row, read_rows

COMPACT = "invoice,stock_code,quantity,invoice_date,customer_id,country\n"
PUBLISHED = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
MOMENT_S = int(datetime(2010, 12, 1, 8, 26, tzinfo=UTC).timestamp())
LOG_LINE = '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n'


def written(folder: Path, content: str | bytes, *, packed: bool = False) -> Path:
    """A file with that content."""
    path = folder / "orders.csv"
    raw = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if packed else raw)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_compact_form(tmp_path: Path, packed: bool) -> None:
    text = COMPACT + "536365,85123A,6,2010-12-01T08:26:00,17850,United Kingdom\n"
    path = written(tmp_path, text, packed=packed)
    assert list(read_rows(path)) == [Row(2, "536365", "85123A", 6, MOMENT_S, "17850")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_publishers_own_columns(tmp_path: Path, encoding: str, line_end: str) -> None:
    text = PUBLISHED + (
        '536365,85123A,"TEA, FOR ONE £2 DÉCOR",6,12/1/2010 8:26,2.55,17850,United Kingdom\n'
        'C536366,85123a,"A ""QUOTE""",-1,12/1/2010 8:26,2.55,,United Kingdom\n'
    )
    path = written(tmp_path, text.replace("\n", line_end).encode(encoding))
    assert list(read_rows(path)) == [
        Row(2, "536365", "85123A", 6, MOMENT_S, "17850"),
        Row(3, "C536366", "85123a", -1, MOMENT_S, ""),
    ]


def test_second_edition_and_spreadsheet_numbers(tmp_path: Path) -> None:
    text = (
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
        "536365,BANK CHARGES,x,1,2010-12-01 08:26:00,1,17850.0,France\n"
    )
    path = written(tmp_path, text)
    assert list(read_rows(path)) == [Row(2, "536365", "BANK CHARGES", 1, MOMENT_S, "17850")]


def test_a_field_may_span_lines_and_blank_lines_are_nothing(tmp_path: Path) -> None:
    text = PUBLISHED + '1,A,"TWO\nLINES",1,12/1/2010 8:26,1,,UK\n\n2,B,x,2,12/1/2010 8:26,1,,UK\n'
    assert [(row.invoice, row.line_number) for row in read_rows(written(tmp_path, text))] == [
        ("1", 3),
        ("2", 5),
    ]


GOOD = "1,A,1,2010-12-01T08:26:00,,UK\n"
BAD_FILES = {
    "empty": ("", "orders.csv: the file is empty"),
    "column": (
        COMPACT.replace("quantity", "qty"),
        "line 1: the column quantity (or Quantity) is missing; there are: invoice,",
    ),
    "fields": (COMPACT + GOOD + "2,A,1\n", "line 3: 3 fields where the header has 6"),
    "quantity": (COMPACT + "1,A,six,2010-12-01T08:26:00,,UK\n", "line 2: quantity 'six' is not a"),
    "date": (COMPACT + "1,A,6,yesterday,,UK\n", "line 2: invoice_date 'yesterday' is not a date"),
    "slashes": (COMPACT + "1,A,6,31/12/2010 8:26,,UK\n", "'31/12/2010 8:26' is not a date like"),
    "spreadsheet": (b"PK\x03\x04rest", "a spreadsheet or an archive, not CSV; save it as CSV"),
    "cut": (gzip.compress((COMPACT + GOOD * 99).encode())[:-12], "damaged gzip"),
    "flipped": (b"\x1f\x8b" + b"\x00" * 30, "damaged gzip"),
    "quotes": (COMPACT + '1,"A' + "x" * 140_000, "not CSV"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, name: str) -> None:
    content, expected = BAD_FILES[name]
    with pytest.raises(BadFile) as told:
        list(read_rows(written(tmp_path, content)))
    message = str(told.value)
    assert expected in message
    assert message.startswith(str(tmp_path))
    assert "\n" not in message


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="No such file"):
        list(read_rows(tmp_path / "none.csv"))


@pytest.mark.parametrize("packed", [False, True])
def test_addresses_of_a_log(tmp_path: Path, packed: bool) -> None:
    text = LOG_LINE * 3 + LOG_LINE.replace("83.149.9.216", "2001:db8::1")
    path = written(tmp_path, text, packed=packed)
    addresses = read_addresses(path)
    assert list(addresses.pool) == ["83.149.9.216"] * 3 + ["2001:db8::1"]
    assert addresses.source == "2 real addresses from orders.csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [("", "the log is empty"), (LOG_LINE + "GET / HTTP/1.1\n", "line 2: 'GET' is no IP address")],
)
def test_a_bad_log(tmp_path: Path, content: str, expected: str) -> None:
    with pytest.raises(BadFile, match=expected):
        read_addresses(written(tmp_path, content))


def test_a_customer_keeps_one_address() -> None:
    addresses = make_addresses(7)
    homes = {addresses.of(1, "17850", str(invoice)) for invoice in range(50)}
    assert len(homes) == 1
    strangers = {addresses.of(1, "", str(invoice)) for invoice in range(50)}
    assert len(strangers) > 25
    assert addresses.of(1, "", "9") == addresses.of(1, "", "9")
    assert addresses.of(1, "", "9") != addresses.of(2, "", "9")


def test_made_up_addresses_are_spread_as_in_the_real_log() -> None:
    pool = list(make_addresses(7).pool)
    counts = sorted((pool.count(address) for address in set(pool)), reverse=True)
    assert len(counts) == 1_753
    assert counts[0] == 482
    assert 9_000 < len(pool) < 11_000
    subnets = {address.rpartition(".")[0] for address in pool}
    assert len(subnets) < 1_600, "some addresses share a subnet"
