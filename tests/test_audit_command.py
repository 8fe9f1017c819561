"""`atp audit`: what it prints, how it ends, and that its examples run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audit_recorded import Recorded
from server_process import run_atp
from test_audit_property import shopped


def sold() -> Recorded:
    return shopped([("reserve", 0, 0, 0, 0, True), ("look", 0, 0, 0, 0, True)])


def audited(folder: Path, recorded: Recorded, *options: str) -> Any:
    """Runs the command on a history called `sale`, as the examples do."""
    told, data = recorded.write(folder)
    told.rename(folder / "sale")
    data.rename(folder / "atp-data")
    return run_atp("audit", "sale", *options, folder=folder)


def test_a_sound_sale_ends_with_0(tmp_path: Path) -> None:
    ended = audited(tmp_path, sold(), "--data", "atp-data", "--quiet")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.endswith("verdict: sound: every answer was true\n")
    assert "5 commands in 5 calls" in ended.stdout


def test_json_is_the_verdict(tmp_path: Path) -> None:
    ended = audited(tmp_path, sold(), "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    told = json.loads(ended.stdout)
    assert told["ok"] is True
    assert told["findings"] == []
    assert told["figures"]["commands"] == 5
    assert told["checks"]["truth"] == 1


def test_a_finding_ends_with_1_and_its_slice(tmp_path: Path) -> None:
    recorded = sold()
    recorded.events.pop()
    ended = audited(tmp_path, recorded, "--quiet")
    assert ended.returncode == 1
    assert ended.stderr == "atp: 2 findings: an answer was not true\n"
    assert "lost_change (law acknowledged: " in ended.stdout
    assert "change 4 was acknowledged and is not in the journal" in ended.stdout
    assert 'Reserve, call 4 of shop.history: sent at +0.000 ms: request_id: "r0"' in ended.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("nowhere",), "there is no history"),
        (("sale", "--data", "sale"), "is no data directory"),
        (("sale", "--remember", "soon"), '"soon" is not a duration'),
        (("sale", "--ended-max", "1"), "--ended-max"),
    ],
)
def test_input_that_cannot_be_judged_ends_with_2(
    arguments: tuple[str, ...], told: str, tmp_path: Path
) -> None:
    recorded_at, _ = sold().write(tmp_path)
    recorded_at.rename(tmp_path / "sale")
    ended = run_atp("audit", *arguments, folder=tmp_path)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_id_may_be_used_again_when_it_is_forgotten(tmp_path: Path) -> None:
    """A hold that ended long ago is not remembered, if the audit is told how long that is."""
    recorded = sold()
    grant = recorded.events[-1]
    recorded.add(grant)
    recorded.events[-1].ClearField("reserved")
    recorded.events[-1].released.reservation_key = grant.reserved.reservation_key
    recorded.add(grant)
    recorded.events[-1].time_ns += 10**9
    recorded.events[-1].reserved.expire_time_ns += 2 * 10**9
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    remembered = audited(tmp_path / "one", recorded.copy(), "--json")
    assert json.loads(remembered.stdout)["counts"]["two_holds"] == 1
    forgotten = audited(tmp_path / "two", recorded, "--json", "--remember", "1s")
    assert "two_holds" not in json.loads(forgotten.stdout)["counts"]
