"""`atp journal dump`: what the records say, as lines of JSON, whoever wrote the line.

The lines are compared with what protobuf's own reader finds in the records.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from atp.cli.as_json import as_object
from atp.vocabulary import Cap, CapOverride, CapSubject, StockReason
from damaged import Past, a_bit, atp
from remembered import (
    AT_NOW,
    MINUTE_NS,
    NOW_NS,
    make_durable,
    make_store,
    opened,
    records_in,
    segments_of,
    shop,
)


@pytest.fixture
def past(tmp_path: Path) -> Past:
    """A store of several segments."""
    path = tmp_path / "data"
    digests = make_store(path)
    return Past(path, digests, [records_in(segment) for segment in segments_of(path)])


@pytest.fixture
def everything(tmp_path: Path) -> Path:
    """A store with a change of every kind, and odd names."""
    path = tmp_path / "everything"
    engine, journal, _ = opened(path, remember_ns=10**12)
    engine.set_stock('é"\\\n\x7f\t€😀', 10**6, **AT_NOW)
    engine.set_stock("apple", 10**6, now_ns=NOW_NS + 1)
    engine.set_cap(
        Cap("per-ip", CapSubject.IP, 5, overrides=(CapOverride("10.0.0.0/8", None),)), **AT_NOW
    )
    shop(engine, range(4))
    engine.adjust_stock("a-1", "apple", -3, StockReason.WRITTEN_OFF, **AT_NOW)
    who = {"customer_id": "änn", "client_ip": "2001:db8::1"}
    reply = engine.reserve("hold", [("apple", 1)], **AT_NOW, ttl_ns=MINUTE_NS // 2, **who)
    hold = reply.reservation.reservation_id
    engine.extend(hold, expire_time_ns=NOW_NS + MINUTE_NS, **AT_NOW)
    engine.reserve(
        "next",
        [("apple", 2), ("plum", 1), *((f"sku-{n}", 1) for n in (0, 2))],
        **AT_NOW,
        ttl_ns=5,
        allow_partial=True,
        replaces=hold,
        **who,
    )
    engine.remove_cap("per-ip", **AT_NOW)
    engine.sweep(now_ns=NOW_NS + 86_400_000_000_000)
    make_durable(engine, journal)
    journal.close(NOW_NS, snapshot=False)
    return path


def expected_lines(path: Path) -> list[dict[str, Any]]:
    """What a dump must say, by way of protobuf's own reader."""
    lines = []
    for segment in segments_of(path):
        for record in records_in(segment):
            kind = record.event.WhichOneof("change")
            fields = as_object(getattr(record.event, kind))
            lines.append({"sequence": record.sequence, "kind": kind, **fields})
    return lines


def test_a_dump_says_all_that_the_records_say(everything: Path) -> None:
    """Every kind of change with every field, whoever wrote the line."""
    ended = atp("journal", "dump", everything)
    assert (ended.status, ended.err) == (0, "")
    told = [json.loads(line) for line in ended.lines]
    times = [line.pop("time") for line in told]
    assert told == expected_lines(everything)
    assert {line["kind"] for line in told} == {
        *("reserved", "committed", "released", "expired", "extended"),
        *("stock_changed", "cap_set", "cap_removed"),
    }
    assert times[:2] == ["2023-11-14T22:13:20.000000000Z", "2023-11-14T22:13:20.000000001Z"]
    assert times[-1] == "2023-11-15T22:13:20.000000000Z"
    (cap,) = [time for time, line in zip(times, told, strict=True) if line["kind"] == "cap_set"]
    assert cap == "2023-11-14T22:13:20.000000001Z"


def test_a_dump_of_some_changes(past: Past) -> None:
    """From and to, each alone and both, over the borders of segments."""
    for first, last in ((1, past.last), (5, 5), (20, past.last), (1, 30), (17, 42), (70, 10**6)):
        words = ["--from", str(first), "--to", str(last)]
        ended = atp("journal", "dump", past.path, *words)
        assert ended.status == 0
        sequences = [json.loads(line)["sequence"] for line in ended.lines]
        assert sequences == list(range(first, min(last, past.last) + 1))


def test_a_dump_goes_on_after_what_is_damaged(past: Past) -> None:
    """What is there is printed, what is not is told on stderr."""
    lost = a_bit(past) + 1
    ended = atp("journal", "dump", past.path)
    assert ended.status == 1
    sequences = [json.loads(line)["sequence"] for line in ended.lines]
    assert sequences == [n for n in range(1, past.last + 1) if n != lost]
    assert f"change {lost} is lost" in ended.err
    assert ended.err.splitlines()[-1] == "atp: 1 places are damaged"
