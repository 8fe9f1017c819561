"""The report's figures, against a sale that was made by hand; and what can't be read is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from atp import report
from atp.history import HistoryDamaged
from atp.report import percentiles
from atp.report.reading import JournalUnreadable, step_for
from sale_history import (
    Recording,
    batch,
    batch_answer,
    cap_set,
    ended,
    reserved,
    stock,
    write_journal,
)


@pytest.fixture
def figures(tmp_path: Path) -> dict[str, Any]:
    """The figures of a sale of twelve seconds, with a pause from second 2 to 4."""
    recording = Recording(tmp_path / "history", profile="by hand", seed=7)
    recording.at(-500)
    recording.call("BATCH_SET_STOCK", -500, 20)
    recording.reserve(0, 2, "GRANTED", units=3)
    recording.reserve(100, 4, "GRANTED", repeated=True)
    recording.reserve(1_000, 1, "CAP_REACHED", cap="customer", units=2)
    recording.reserve(1_010, 1, "STOCK_SHORT", sku="MUG")
    recording.at(2_000).writer.note("pause", "it stands still", 3 * 10**9)
    recording.reserve(2_100, 1_950, "GRANTED", due_ms=2_050)
    recording.at(4_000).writer.note("resume")
    recording.at(5_000).writer.note("kill", "killed")
    recording.at(5_700).writer.note("start")
    recording.reserve(6_000, 250, "GRANTED", status=14)
    recording.reserve(6_500, None, "GRANTED")
    recording.call("EXECUTE", 8_000, 10, request=batch(1, 1, 5), response=batch_answer(3))
    recording.call("EXECUTE", 8_100, None, request=batch(1))
    recording.at(9_000).writer.note("slow_disk", "slow", 2 * 10**9)
    recording.at(10_000).writer.unsent(17)
    recording.call("GET_AVAILABILITY", 11_990, 10)
    recording.writer.close()
    return report.make(tmp_path / "history", None, None).figures


def test_calls_are_counted_by_how_they_ended(figures: dict[str, Any]) -> None:
    assert figures["seconds"] == 12.0
    assert figures["settings"] == {"profile": "by hand", "seed": 7}
    assert figures["recorders_killed"] == 0
    assert figures["calls"] == {"sent": 11, "answered": 8, "unanswered": 2, "unsent": 17}
    assert figures["statuses"] == {"OK": 8, "UNAVAILABLE": 1, "UNANSWERED": 2}


def test_commands_are_counted_by_outcome_those_of_batches_too(figures: dict[str, Any]) -> None:
    assert figures["commands"]["Reserve"] == {
        "GRANTED": 5,
        "CAP_REACHED": 1,
        "STOCK_SHORT": 1,
        "UNAVAILABLE": 2,
        "UNANSWERED": 2,
    }
    assert figures["commands"]["Commit"] == {"DONE": 1, "UNANSWERED": 1}
    assert figures["commands"]["BatchSetStock"] == {"OK": 1}
    assert figures["commands"]["GetAvailability"] == {"OK": 1}
    assert figures["repeated"] == 1
    assert figures["caps"] == {"customer": 1}
    assert figures["units"] == {"asked": 3 + 1 + 2 + 1 + 1 + 1 + 1 + 7 + 1}


def test_rates_are_of_commands_by_when_they_were_due(figures: dict[str, Any]) -> None:
    series = figures["series"]
    assert series["step_s"] == 0.05
    assert len(series["time_s"]) == 240
    assert series["time_s"][0] == 0.025
    offered = np.array(series["offered_per_s"]) * 0.05
    assert offered.sum() == figures["rates"]["commands"] == 13
    assert {int(at): int(offered[at]) for at in np.flatnonzero(offered)} == {
        **{0: 1, 2: 1, 20: 2, 41: 1, 120: 1, 130: 1},
        **{160: 4, 162: 2},
    }
    assert figures["rates"]["offered_per_s"] == pytest.approx(13 / 12, abs=1e-3)
    assert figures["rates"]["offered_per_s_peak"] == 80.0
    assert figures["rates"]["by_tenth"] == [
        round(count / 1.2, 3) for count in (4, 1, 0, 0, 0, 2, 6, 0, 0, 0)
    ]
    refused = np.array(series["caps_per_s"]["customer"])
    assert list(np.flatnonzero(refused)) == [20]
    assert refused[20] == 20.0
    granted = np.array(series["reserves_per_s"]["GRANTED"]) * 0.05
    assert {int(at): round(granted[at]) for at in np.flatnonzero(granted)} == {
        **{0: 1, 2: 1, 81: 1, 160: 2},
    }


def test_latency_counts_from_when_a_call_was_due(figures: dict[str, Any]) -> None:
    reserve = figures["latency_ms"]["Reserve"]
    assert (reserve["calls"], reserve["longest"]) == (5, 2_000.0)
    assert reserve["p50"] == pytest.approx(2.0, rel=0.01)
    assert reserve["p99"] == 2_000.0
    assert figures["latency_ms"]["checkout"]["calls"] == 6
    p99 = figures["series"]["latency_ms"]["p99"]
    assert p99[41] == pytest.approx(2_000, rel=0.04)
    assert p99[0] == pytest.approx(2, rel=0.04)
    assert p99[100] is None, "nothing was due there"


def test_faults_are_spans_that_their_ends_cut_short(figures: dict[str, Any]) -> None:
    spans = [(each["kind"], each["begin_s"], each["seconds"]) for each in figures["faults"]]
    assert spans == [("pause", 2.0, 2.0), ("kill", 5.0, 0.7), ("slow_disk", 9.0, 2.0)]


def test_stock_over_time_is_the_journals(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "history")
    for number in range(3):
        recording.reserve(number * 1_000, 1, "GRANTED", units=9 - number)
    recording.reserve(2_399, 1, "GRANTED", sku="MUG")
    recording.writer.close()
    begun = report.make(tmp_path / "history", None, None)._sale.begun[0]
    wall_ns = begun.wall_time_ns - begun.time_ns + recording.now_ns - 2_400 * 10**6
    write_journal(
        tmp_path / "data",
        wall_ns,
        (-900, stock("TEA", 100, 100)),
        (-800, stock("MUG", 5, 5)),
        (-700, cap_set("customer")),
        (-600, reserved(7, TEA=30)),
        (-500, ended("committed", 7)),
        (-400, stock("TEA", 100, 130)),
        (5, reserved(1, TEA=10, MUG=2)),
        (505, ended("committed", 1, TEA=4)),
        (1_005, reserved(2, TEA=20)),
        (1_505, ended("released", 1)),
        (1_605, reserved(3, replaces=2, TEA=7)),
        (1_705, stock("TEA", 146, 180)),
        (2_005, ended("expired", 3)),
        (2_105, ended("committed", 99)),
    )
    figures = report.make(tmp_path / "history", tmp_path / "data", None).figures
    series = figures["series"]["stock"]
    assert list(series) == ["TEA", "MUG"], "most asked for first"
    assert figures["series"]["step_s"] == 0.01
    tea = series["TEA"]

    def at(ms: int) -> tuple[int, int, int]:
        return tea["on_hand"][ms // 10], tea["held"][ms // 10], tea["sold"][ms // 10]

    assert at(10) == (100, 10, 0)
    assert at(500) == (96, 6, 4)
    assert at(1_000) == (96, 26, 4)
    assert at(1_500) == (96, 20, 4)
    assert at(1_600) == (96, 7, 4)
    assert at(1_700) == (146, 7, 4)
    assert at(2_390) == (146, 0, 4)
    assert figures["stock"]["TEA"] == {
        **{"asked": 24, "on_hand": 146, "held": 0, "sold": 4, "received": 180},
        **{"adjusted": 0, "held_most": 30},
    }
    assert figures["units"]["sold"] == 4
    assert figures["changes"]["reserved"] == 4
    assert figures["changes"]["cap_set"] == 1


def test_a_recorder_that_was_killed_is_counted_and_its_whole_entries_too(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "whole")
    recording.reserve(0, 1, "GRANTED")
    recording.reserve(10, 1, "GRANTED")
    recording.writer.flush()
    (tmp_path / "torn.history").write_bytes(recording.writer.path.read_bytes()[:-5])
    recording.writer.close()
    figures = report.make(tmp_path, None, None).figures
    assert figures["recorders_killed"] == 1
    assert figures["commands"]["Reserve"] == {"GRANTED": 1, "UNANSWERED": 1}


def test_files_of_several_recorders_are_one_sale(tmp_path: Path) -> None:
    for name, from_ms in (("one", 0), ("two", 1_000)):
        recording = Recording(tmp_path, name)
        recording.reserve(from_ms, 1, "GRANTED")
        recording.reserve(from_ms + 500, 1, "STOCK_SHORT")
        recording.writer.close()
    figures = report.make(tmp_path, None, None).figures
    assert figures["seconds"] == 1.501
    assert figures["commands"]["Reserve"] == {"GRANTED": 2, "STOCK_SHORT": 2}


def test_files_of_several_clocks_are_no_one_sale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        monkeypatch.setattr("atp.history.clock.clock_name", lambda name=name: name)
        recording = Recording(tmp_path, name)
        recording.reserve(0, 1, "GRANTED")
        recording.writer.close()
    with pytest.raises(HistoryDamaged, match="several clocks"):
        report.make(tmp_path, None, None)


def test_what_is_no_history_is_told_with_its_file(tmp_path: Path) -> None:
    with pytest.raises(HistoryDamaged, match=r"no file \*\.history"):
        report.make(tmp_path, None, None)
    (tmp_path / "a.history").write_bytes(bytes(100))
    with pytest.raises(HistoryDamaged, match=r"a\.history"):
        report.make(tmp_path, None, None)


def test_a_damaged_entry_is_told_with_its_file_and_place(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.reserve(0, 1, "GRANTED")
    recording.writer.close()
    path = recording.writer.path
    whole = path.read_bytes()
    path.write_bytes(whole + b"\x05\xff\xff\xff\xff\xff")
    with pytest.raises(HistoryDamaged, match="by-hand"):
        report.make(tmp_path, None, None)


def test_a_history_in_which_nobody_came_is_no_sale(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.call("SET_CAP", 0, 1)
    recording.writer.close()
    with pytest.raises(HistoryDamaged, match="there is no sale in it"):
        report.make(tmp_path, None, None)


def test_what_is_no_journal_is_told_with_its_file(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "history")
    recording.reserve(0, 1, "GRANTED")
    recording.writer.close()
    with pytest.raises(JournalUnreadable, match="there is no journal"):
        report.make(tmp_path / "history", tmp_path / "data", None)
    (tmp_path / "data" / "journal").mkdir(parents=True)
    (tmp_path / "data" / "journal" / f"{1:020}.segment").write_bytes(b"nothing")
    with pytest.raises(JournalUnreadable, match="no segment"):
        report.make(tmp_path / "history", tmp_path / "data", None)


@pytest.mark.parametrize(
    ("seconds", "step_s"),
    [(1e-3, 5e-6), (1.0, 0.005), (12.0, 0.05), (24.0, 0.1), (120.0, 0.5), (86_400.0, 500.0)],
)
def test_steps_are_round_numbers_and_not_too_many(seconds: float, step_s: float) -> None:
    assert step_for(seconds) == pytest.approx(step_s)


def test_percentiles_are_those_of_the_durations_and_never_too_low() -> None:
    rng = np.random.default_rng(5)
    durations = np.sort((rng.lognormal(14, 2, 5_000)).astype(np.int64))
    for bits, width in ((percentiles.FINE_BITS, 0.008), (percentiles.COARSE_BITS, 0.032)):
        ends = percentiles.bucket_ends_ns(bits)
        assert (np.diff(ends) > 0).all()
        counts = np.bincount(np.searchsorted(ends, durations), minlength=len(ends))
        for share in (0.001, 0.5, 0.99, 0.999, 1.0):
            true = durations[max(1, int(np.ceil(share * len(durations)))) - 1]
            found = percentiles.percentile_ns(counts, share, bits)
            assert found is not None
            assert true <= found <= true * (1 + width) + 1
            rows = percentiles.percentiles_ms(np.array([counts, counts * 0]), share, bits)
            assert rows[0] == found / 1e6
            assert np.isnan(rows[1])
    assert percentiles.percentile_ns(np.zeros(10, np.int64), 0.5, 7) is None
