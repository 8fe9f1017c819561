"""`atp journal check` and `atp journal dump` say what a reader of the page says."""

from __future__ import annotations

import ipaddress
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import format_reader
from format_reader import Record
from server_process import run_atp
from specimen import Specimen, make, take_snapshots

NS = 1_000_000_000


@pytest.fixture(scope="module")
def specimen(tmp_path_factory: pytest.TempPathFactory) -> Specimen:
    folder = tmp_path_factory.mktemp("made") / "data"
    return make(folder, commands=300, seed=4, between=take_snapshots)


def plain(message: Any) -> dict[str, Any]:
    """A message as JSON has it, every field of it."""
    return {field.name: plain_value(message, field) for field in message.DESCRIPTOR.fields}


def plain_value(message: Any, field: Any) -> Any:
    """One field: keys in hexadecimal, addresses and enumerations in words, None: it is unset."""
    value = getattr(message, field.name)
    if field.is_repeated:
        return [plain(each) if field.message_type else each for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    if field.message_type is not None:
        is_duration = field.message_type.name == "Duration"
        return value.seconds + Decimal(value.nanos).scaleb(-9) if is_duration else plain(value)
    if field.enum_type is not None:
        value = field.enum_type.values_by_number[value].name
    elif field.name == "client_ip":
        value = str(ipaddress.ip_address(value)) if value else ""
    return value.hex() if isinstance(value, bytes) else value


def expected_line(record: Record) -> dict[str, Any]:
    """What the dump is to say of a record."""
    kind = record.event.WhichOneof("change")
    seconds, ns = divmod(record.event.time_ns, NS)
    when = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    change = plain(getattr(record.event, kind))
    return {
        "sequence": record.sequence,
        "time": f"{when}.{ns:09}Z",
        "kind": kind,
        **change,
    }


def told_line(text: str) -> dict[str, Any]:
    """A line of the dump; windows as numbers."""
    line: dict[str, Any] = json.loads(text)
    cap = line.get("cap")
    if cap and cap["window"] is not None:
        cap["window"] = Decimal(cap["window"].removesuffix("s"))
    return line


def test_dump_says_what_the_reader_reads(specimen: Specimen, tmp_path: Path) -> None:
    folder = specimen.lay(tmp_path / "data")
    done = run_atp("journal", "dump", str(folder))
    assert (done.returncode, done.stderr) == (0, "")
    told = [told_line(text) for text in done.stdout.splitlines()]
    records = format_reader.read_journal(folder).records
    assert len({record.event.WhichOneof("change") for record in records}) == 8
    assert told == [expected_line(record) for record in records]
    some = run_atp("journal", "dump", str(folder), "--from", "5", "--to", "7")
    assert [told_line(text) for text in some.stdout.splitlines()] == told[4:7]


def test_check_finds_what_the_reader_finds(specimen: Specimen, tmp_path: Path) -> None:
    """All is well; then one bit of each segment is wrong, one after another."""
    folder = specimen.lay(tmp_path / "data")
    done = run_atp("journal", "check", str(folder))
    assert done.returncode == 0, done.stdout
    segments, last, snapshots = re.search(  # type: ignore[union-attr]
        r"(\d+) segments with changes 1 to (\d+), (\d+) snapshots: all sound", done.stdout
    ).groups()
    assert int(segments) == len(specimen.segments)
    assert int(last) == specimen.end
    assert int(snapshots) == sum(name.endswith(".snapshot") for name in specimen.files)
    for name in specimen.segments:
        content = bytearray(specimen.files[name])
        content[100] ^= 4
        specimen._replace(files={**specimen.files, name: bytes(content)}).lay(folder)
        done = run_atp("journal", "check", str(folder))
        assert done.returncode == 1
        sound = list(format_reader.walk(Path(name), bytes(content), int(Path(name).stem)))
        offset = sound[-1].end if sound else format_reader.HEADER.size
        assert f"{Path(name).name} at byte {offset:,}: " in done.stdout
        assert "atp journal repair" in done.stderr
