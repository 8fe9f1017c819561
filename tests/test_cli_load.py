"""`atp load`: every kind of bad line is told with its number, and changes nothing; good files load.

Files are written by the test and loaded into a real server; a scripted one dies half-way.
"""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp import Client
from atp.cli import load as load_module
from atp.v1 import stock_service_pb2 as stock_pb
from command import Command
from scripted_server import Fault, scripted
from server_process import COMMAND, ServerProcess, clean_environment, serving

HEADER = b"sku,quantity\n"


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture
def atp(server: ServerProcess) -> Command:
    return Command(server)


@pytest.fixture
def client(server: ServerProcess) -> Iterator[Client]:
    with Client(server.data_plane, server.control_plane) as client:
        yield client


BAD_FILES: dict[str, tuple[bytes, list[str]]] = {
    "a SKU twice": (
        HEADER + b"A,1\nB,2\nA,3\n",
        [":4: SKU 'A' is on line 2 already"],
    ),
    "a column missing": (HEADER + b"A,1\nB\n", [":3: has 1 column; 2 are expected"]),
    "a column too many, as from 1,000": (
        HEADER + b"A,1,000\n",
        [":2: has 3 columns; 2 are expected"],
    ),
    "no number": (HEADER + b"A,ten\n", [":2: quantity 'ten' is not a whole number"]),
    "a fraction": (HEADER + b"A,1.0\n", [":2: quantity '1.0' is not a whole number"]),
    "digits of another script": (
        HEADER + "A,\u0663\n".encode(),
        [":2: quantity '\u0663' is not a whole number"],
    ),
    "an underscore": (HEADER + b"A,1_0\n", [":2: quantity '1_0' is not a whole number"]),
    "no quantity": (HEADER + b"A,\n", [":2: quantity is missing"]),
    "below 0": (HEADER + b"A,-1\n", [":2: quantity '-1' is out of bounds; 0 to 1000000000000"]),
    "above the bound": (
        HEADER + b"A,1000000000001\n",
        [":2: quantity '1000000000001' is out of bounds; 0 to 1000000000000"],
    ),
    "far above the bound": (
        HEADER + b"A," + b"9" * 5000 + b"\n",
        [f":2: quantity '{'9' * 40}...' is out of bounds; 0 to 1000000000000"],
    ),
    "no UTF-8": (HEADER + b"A,1\nB\xff,1\n", [":3: is not UTF-8 (byte 2 of the line)"]),
    "no SKU": (HEADER + b",1\n", [":2: SKU has 0 bytes; 1 to 64 are allowed"]),
    "a SKU too long in bytes": (
        HEADER + "\u00e9".encode() * 33 + b",1\n",
        [":2: SKU has 66 bytes; 1 to 64 are allowed"],
    ),
    "a quote that does not end": (
        HEADER + b'"A,1\n',
        [":2: has a quote that does not end, or ends in mid-column"],
    ),
    "an endless line": (HEADER + b"A" * 200_000 + b",1\nB,x\n", [
        ":2: is longer than 65536 bytes",
        ":3: quantity 'x' is not a whole number",
    ]),
    "no header and no numbers": (
        b"name,stock\nA,1\nB,x\n",
        [
            ":1: neither names the columns sku and quantity nor is a SKU and a quantity; the first"
            " line must be one of them, and is 'name,stock'",
        ],
    ),
    "two columns named sku": (b"sku,sku,quantity\n", [":1: neither names the columns"]),
    "nothing": (b"", [": has no lines to load; each is a SKU and a quantity"]),
    "a header alone": (HEADER, [": has no lines to load; each is a SKU and a quantity"]),
    "gzip that ends early": (
        gzip.compress(HEADER + b"A,1\nB,2\n")[:-12],
        [": cannot be read to its end: Compressed file ended before"],
    ),
    "all of it": (
        HEADER + b"A,1\nA,1\nB\n\nC,x\n",
        [
            ":3: SKU 'A' is on line 2 already",
            ":4: has 1 column; 2 are expected",
            ":6: quantity 'x' is not a whole number",
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_bad_line_is_told_and_nothing_is_changed(
    atp: Command, client: Client, tmp_path: Path, name: str
) -> None:
    content, reasons = BAD_FILES[name]
    file = tmp_path / "stock.csv"
    file.write_bytes(content)
    before = client.get_status().sequence
    ended = atp("load", file)
    assert (ended.status, ended.out) == (2, "")
    *told, last = ended.err.splitlines()
    assert last == f"atp: {file}: nothing was changed"
    assert len(told) == len(reasons)
    for line, reason in zip(told, reasons, strict=True):
        assert line.startswith(f"atp: {file}{reason}")
    assert client.get_status().sequence == before


def test_ten_bad_lines_are_told_and_the_others_counted(atp: Command, tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"A,x\n" * 1234)
    told = atp("load", file).err.splitlines()
    assert [line.split(":")[2] for line in told[:10]] == [str(number) for number in range(2, 12)]
    assert told[10:] == [
        f"atp: {file}: and 1,224 more bad lines",
        f"atp: {file}: nothing was changed",
    ]


def test_control_characters_of_a_file_do_not_reach_the_terminal(
    atp: Command, tmp_path: Path
) -> None:
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"A,1\nA\x1b[31m,\x1b]0;x\x07\n")
    ended = atp("load", file)
    assert ended.status == 2
    assert "\x1b" not in ended.err
    assert "\x07" not in ended.err


GOOD_FILES: dict[str, tuple[bytes, dict[str, int]]] = {
    "plain": (HEADER + b"A,1\nB,0\nC,1000000000000\n", {"A": 1, "B": 0, "C": 10**12}),
    "other columns, another order": (
        b'name,Quantity , SKU\nMug,3,A\n"Tea, pot",4,B\n',
        {"A": 3, "B": 4},
    ),
    "semicolons": (b"sku;quantity\nA,1;2\n", {"A,1": 2}),
    "tabs": (b"quantity\tsku\n7\tA\n", {"A": 7}),
    "a byte order mark": (b"\xef\xbb\xbf" + HEADER + b"A,1\n", {"A": 1}),
    "no header": (b"A,1\nB,2\n", {"A": 1, "B": 2}),
    "no header, semicolons": (b"A;1\nB;2\n", {"A": 1, "B": 2}),
    "line ends of Windows, none at the end": (b"sku,quantity\r\nA,1\r\nB,2", {"A": 1, "B": 2}),
    "quotes": (HEADER + b'"A ""1"", x", 5 \n', {'A "1", x': 5}),
    "blank lines": (b"\n" + HEADER + b"\n  \nA,1\n\n", {"A": 1}),
    "leading zeros": (HEADER + b"007,0012\n", {"007": 12}),
    "a SKU with blanks, as it is": (HEADER + b" A ,1\n", {" A ": 1}),
    "gzip": (gzip.compress(HEADER + b"A,1\n"), {"A": 1}),
    "64 bytes": (HEADER + b"A" * 64 + b",1\n", {"A" * 64: 1}),
}


@pytest.mark.parametrize("name", GOOD_FILES)
def test_a_good_file_is_loaded(name: str, tmp_path: Path) -> None:
    content, stock = GOOD_FILES[name]
    file = tmp_path / "stock.csv"
    file.write_bytes(content)
    with file.open("rb") as stream:
        assert dict(load_module.stock_file.read("stock.csv", stream)) == stock


def test_loading_creates_leaves_and_with_update_changes(
    atp: Command, client: Client, tmp_path: Path
) -> None:
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"load-1,5\nload-2,6\n")
    assert atp("load", file).out == (
        f"{file}: 2 lines: 2 created, 0 changed, 0 unchanged, 0 refused\n"
    )
    again = atp("load", file, "--json")
    assert (again.status, again.json) == (
        0,
        {
            "file": str(file),
            "line_count": 2,
            "created_count": 0,
            "changed_count": 0,
            "unchanged_count": 2,
            "refused": [],
            "refused_count": 0,
        },
    )

    file.write_bytes(HEADER + b"load-1,5\nload-2,7\nload-3,8\n")
    before = client.get_status().sequence
    refused = atp("load", file)
    assert refused.status == 1
    assert "1 of 3 SKUs with other quantities; --update" in refused.out
    assert "load-2        6            7" in refused.out
    known = atp("load", file, "--json")
    assert (known.status, known.json["known"]) == (
        1,
        [{"sku": "load-2", "on_hand_quantity": 6, "file_quantity": 7}],
    )
    assert client.get_status().sequence == before

    updated = atp("load", file, "--update", "--json").json
    assert [updated[f"{word}_count"] for word in ("created", "changed", "unchanged")] == [1, 1, 1]
    assert client.get_stock("load-2").on_hand == 7


def test_a_sku_of_which_more_is_held_is_refused_alone(
    atp: Command, client: Client, tmp_path: Path
) -> None:
    client.set_stock("held-1", 5)
    client.reserve({"held-1": 4})
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"held-1,3\nheld-2,9\n")
    ended = atp("load", file, "--update")
    assert ended.status == 1
    assert "1 created, 0 changed, 0 unchanged, 1 refused" in ended.out
    assert "held-1  STOCK_OUTCOME_BELOW_HELD" in ended.out
    assert client.get_stock("held-1").on_hand == 5
    assert client.get_stock("held-2").on_hand == 9
    listed = atp("load", file, "--update", "--json").json["refused"]
    assert listed == [{"sku": "held-1", "outcome": "STOCK_OUTCOME_BELOW_HELD"}]


def test_more_lines_than_a_batch_has(atp: Command, client: Client, tmp_path: Path) -> None:
    count = 2 * load_module.BATCH_ENTRIES + 100
    file = tmp_path / "stock.csv.gz"
    lines = "".join(f"batch-{number},{number}\n" for number in range(count))
    file.write_bytes(gzip.compress(HEADER + lines.encode()))
    assert atp("load", file, "--json").json["created_count"] == count
    stocks = {stock.sku: stock.on_hand for stock in client.iterate_stock(page_size=4096)}
    assert all(stocks[f"batch-{number}"] == number for number in range(count))
    assert atp("load", file, "--json").json["unchanged_count"] == count


@pytest.mark.parametrize("packed", [False, True])
def test_standard_input(server: ServerProcess, client: Client, packed: bool) -> None:
    sku = f"stdin-{packed}"
    content = HEADER + f"{sku},3\n".encode()
    ended = subprocess.run(
        [sys.executable, "-c", COMMAND, "load", "-", "--control-address", server.control_plane],
        input=gzip.compress(content) if packed else content,
        capture_output=True,
        timeout=30,
        check=False,
        env=clean_environment(),
    )
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert client.get_stock(sku).on_hand == 3


@pytest.mark.parametrize("name", ["nosuch.csv", "."])
def test_a_file_that_cannot_be_read(
    atp: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = atp("load", name)
    assert ended.status == 2
    assert ended.err.startswith(f"atp: {name}: ")
    assert ended.err.count("\n") == 1


def test_a_server_that_dies_half_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says how far it came, and how to go on."""
    monkeypatch.setattr(load_module, "BATCH_ENTRIES", 2)
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"A,1\nB,2\nC,3\n")
    done = stock_pb.SetStockResponse(outcome=stock_pb.STOCK_OUTCOME_DONE)
    with scripted(
        stock_pb.ListStockResponse(),
        stock_pb.BatchSetStockResponse(responses=[done, done]),
        Fault(grpc.StatusCode.UNAVAILABLE, "gone", reason="DRAINING"),
    ) as server:
        ended = Command()("load", file, "--control-address", server.address)
    assert ended.status == 3
    assert "gone (2 of 3 lines were loaded before; load the file again with --update" in ended.err


def test_without_a_server_a_bad_file_is_still_told(tmp_path: Path) -> None:
    file = tmp_path / "stock.csv"
    file.write_bytes(HEADER + b"A,x\n")
    assert Command()("load", file).status == 2
    file.write_bytes(HEADER + b"A,1\n")
    ended = Command()("load", file, "--timeout", "1s")
    assert ended.status == 3
    assert ended.err.startswith("atp: no server answers at 127.0.0.1:1 (--control-address): ")
