"""`atp top`'s arithmetic and layout: rates between two looks, percentiles, frames that fit."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atp.cli import top_frame
from atp.cli.top_frame import frame_of, percentile, since
from atp.cli.top_view import length_of_life, rate, render
from atp.client.replies import CapUse, JournalStatus, OutcomeCount, Snapshot
from atp.client.top import CallTimes, HotSku, Top
from atp.vocabulary import CapMode, CapSubject, Stock

SECOND = 1_000_000_000
BOUNDS = (1_000_000, 2_000_000, 5_000_000)
JOURNAL = JournalStatus(
    "/data", "sync", 7, 0, 0, 200_000, 1_400_000, 9_000_000, 10, 1, 5 << 20, 1, 9 << 30, "",
    Snapshot("7.snapshot", 7, 60 * SECOND, 1, 1, 1), "", None, 0,
)  # fmt: skip


def stock(sku: str, held: int, sold: int, available: int = 5) -> Stock:
    return Stock(sku, held + available, held, available, sold, 0, 0, None, 1)


def look(**changed: Any) -> Top:
    """One look at a server, 100 s after its start."""
    plain: dict[str, Any] = dict.fromkeys(Top._fields, 0) | {
        "read_time_ns": 100 * SECOND, "outcome_counts": (), "call_times": (), "hot_skus": (),
        "cap_uses": (), "refused": {}, "journal": JOURNAL,
    }  # fmt: skip
    return Top(**(plain | changed))


def test_rates_are_between_two_looks_and_by_the_servers_time() -> None:
    before = look(sequence=100, outcome_counts=(OutcomeCount("Reserve", "GRANTED", 40),))
    now = look(
        sequence=400,
        read_time_ns=102 * SECOND,
        outcome_counts=(
            OutcomeCount("Reserve", "GRANTED", 60),
            OutcomeCount("Reserve", "STOCK_SHORT", 100),
        ),
        refused={"wait_max": 6},
    )
    frame = frame_of(before, now)
    assert (frame.seconds, frame.changes_per_s) == (2.0, 150.0)
    (reserve,) = frame.methods
    assert reserve.outcomes_per_s == {"STOCK_SHORT": 50.0, "GRANTED": 10.0}
    assert frame.refused_per_s == {"wait_max": 3.0}


def test_one_look_alone_has_no_rates() -> None:
    frame = frame_of(None, look(sequence=5, hot_skus=(HotSku(stock("A", 1, 2), 3),)))
    assert (frame.seconds, frame.changes_per_s, frame.skus[0].sold_per_s) == (0, 0, 0)


def test_a_server_that_was_started_anew_has_no_rates_below_zero() -> None:
    before = look(sequence=100, written_bytes=5_000)
    now = look(start_time_ns=99 * SECOND, sequence=10, written_bytes=10)
    frame = frame_of(before, now)
    assert (frame.seconds, frame.changes_per_s, frame.written_bytes_per_s) == (0, 0, 0)
    assert frame.alerts == ("the server was started anew",)


def test_skus_and_caps_have_rates_only_where_the_look_before_knew_them() -> None:
    def use(refused: int) -> CapUse:
        return CapUse("c", CapSubject.IP, 5, CapMode.ENFORCE, refused, refused // 2)

    before = look(hot_skus=(HotSku(stock("A", 1, 2), 3),), cap_uses=(use(10),))
    now = look(
        read_time_ns=101 * SECOND,
        hot_skus=(HotSku(stock("B", 9, 9), 9), HotSku(stock("A", 3, 6), 3)),
        cap_uses=(use(30), use(40)._replace(cap_id="new")),
    )
    frame = frame_of(before, now)
    assert [(row.hot.stock.sku, row.sold_per_s, row.taken_per_s) for row in frame.skus] == [
        ("B", 0, 0), ("A", 4, 6),
    ]  # fmt: skip
    assert [(row.refused_per_s, row.shadow_refused_per_s) for row in frame.caps] == [
        (20, 10), (0, 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("heat", ["B", "A", "C"]), ("sold", ["C", "A", "B"]), ("held", ["A", "B", "C"]),
        ("available", ["B", "C", "A"]), ("sku", ["A", "B", "C"]),
    ],
)  # fmt: skip
def test_skus_in_every_order(sort: str, order: list[str]) -> None:
    hot = (
        HotSku(stock("A", 5, 2, available=9), 2),
        HotSku(stock("B", 4, 1, available=0), 3),
        HotSku(stock("C", 3, 3, available=1), 1),
    )
    rows = frame_of(None, look(hot_skus=hot), sort).skus
    assert [row.hot.stock.sku for row in rows] == order


def times(*counts: int) -> CallTimes:
    return CallTimes("Reserve", counts, BOUNDS, 0)


def test_percentiles_lie_where_the_counts_are() -> None:
    assert percentile(times(0, 0, 0, 0), 0.5) is None
    assert percentile(times(10, 0, 0, 0), 0.5) == pytest.approx(0.5)
    assert percentile(times(50, 50, 0, 0), 0.99) == pytest.approx(1.98)
    assert percentile(times(0, 0, 0, 4), 0.5) == 5.0  # over the last bound
    assert percentile(times(99, 0, 0, 1), 0.99) == pytest.approx(1.0)


@given(st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_percentiles_grow_with_their_share(counts: list[int]) -> None:
    found = [percentile(times(*counts), share) for share in (0.01, 0.5, 0.9, 0.99, 1.0)]
    assert found == sorted(found, key=lambda each: each or 0)


def test_times_since_an_earlier_look() -> None:
    assert since(times(1, 2, 3, 4), times(5, 2, 3, 9)).counts == (4, 0, 0, 5)
    assert since(None, times(5, 2, 3, 9)).counts == (5, 2, 3, 9)
    frame = frame_of(
        look(call_times=(times(1, 0, 0, 0),)),
        look(read_time_ns=101 * SECOND, call_times=(times(1, 8, 0, 0),)),
    )
    assert frame.methods[0].calls_per_s == 8
    assert frame.methods[0].p50_ms == pytest.approx(1.5)


def test_what_an_operator_must_act_on_is_an_alert() -> None:
    journal = JOURNAL._replace(refusing_reason="the disk is full", snapshot_error="no room")
    assert frame_of(None, look(journal=journal)).alerts == (
        "the disk is full", "no snapshot: no room",
    )  # fmt: skip


def busy(skus: int, caps: int) -> top_frame.Frame:
    hot = tuple(
        HotSku(stock(f"SKU-{number:03}-{'x' * 50}", 10**9, 10**9), 10**6) for number in range(skus)
    )
    uses = tuple(
        CapUse(f"cap-{number}-{'y' * 50}", CapSubject.RESERVATION, None, CapMode.SHADOW, 10**9, 1)
        for number in range(caps)
    )
    counts = tuple(
        OutcomeCount(method, outcome, 10**6)
        for method in top_frame.METHODS
        for outcome in ("GRANTED", "STOCK_SHORT", "CAP_REACHED", "LIMIT_REACHED")
    )
    now = look(hot_skus=hot, cap_uses=uses, outcome_counts=counts, sequence=10**12)
    return frame_of(look(read_time_ns=99 * SECOND), now)


@pytest.mark.parametrize("height", [5, 24, 50])
@pytest.mark.parametrize("width", [20, 80, 139, 140, 300])
@pytest.mark.parametrize(("skus", "caps"), [(0, 0), (1, 1), (100, 100), (100, 0)])
def test_a_frame_fits_its_terminal(width: int, height: int, skus: int, caps: int) -> None:
    lines = render(busy(skus, caps), "127.0.0.1:7301", width, height, "a note").plain.split("\n")
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "a note" in lines[1]


def test_a_common_terminal_shows_the_hottest_skus_and_caps() -> None:
    text = render(busy(30, 30), "host:1", 80, 24).plain
    assert "HOT SKU" in text
    assert "SKU-000-" in text
    assert "SKU-005-" in text
    assert "cap-0-" in text
    assert "AVAILABLE" in text
    assert "LIMIT" in text
    wide = render(busy(30, 30), "host:1", 200, 50).plain
    assert "HEAT" in wide
    assert "SHADOW" in wide


def test_no_name_can_move_the_cursor() -> None:
    hot = (HotSku(stock("A\x1b[2J\n", 1, 1), 1),)
    assert "A\\x1b[2J\\n" in render(frame_of(None, look(hot_skus=hot)), "a", 120, 40).plain


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.25, "0.25"), (12.34, "12.3"), (1234.5, "1,234"), (-3, "-3.00")],
)
def test_rates_in_words(value: float, text: str) -> None:
    assert rate(value) == text


def test_lengths_of_life_in_words() -> None:
    told = [length_of_life(seconds * SECOND) for seconds in (5, 65, 3 * 3600 + 120, 100 * 3600)]
    assert told == ["5s", "1m05s", "3h02m", "4d04h"]


def test_a_frame_for_scripts_is_json() -> None:
    told = json.loads(json.dumps(top_frame.as_object(busy(2, 2), {"sequence": "1"})))
    assert told["skus"][0]["sku"].startswith("SKU-000-")
    assert told["read"] == {"sequence": "1"}
