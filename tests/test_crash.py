"""Ten servers killed under load, each in another way; and that these tests can find a loss.

`make crash` does the same two hundred times and more.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from random import Random

import pytest

from crash import campaign
from crash.campaign import Broken, Count, Round
from crash.judge import INVENTED, LOST, WRONG
from crash.kills import BY_NAME, KINDS, Kind
from crash.life import Life
from faults import Rule

KILLS = 10


def findings(counts: dict[str, Count], kind: str) -> list[str]:
    """What was found of a kind."""
    return [f.text for count in counts.values() for f in count.findings if f.kind == kind]


def test_ten_kills_lose_and_invent_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    totals, failures = campaign.run(KILLS, Random().randrange(1 << 30))
    assert failures == []
    together = campaign.whole(totals)
    assert together.kills >= KILLS
    assert together.acknowledged > 20 * KILLS
    print(campaign.table(totals))
    assert capsys.readouterr().out.splitlines()[-1].split()[4:] == ["0", "0", "0"]


def one_death(tmp_path: Path, kind: Kind, **settings: str) -> dict[str, Count]:
    """One kill of a kind, and the audit after it."""
    one = Round(tmp_path, 7, settings)
    try:
        return one.run([kind])
    except Broken as broken:
        return broken.counts


def test_without_syncs_a_power_cut_loses_and_it_is_found(tmp_path: Path) -> None:
    kind = Kind("power", lambda _, armed: (Rule("cut", call="write", nth=60, when=armed),))
    counts = one_death(tmp_path, kind, **{"journal.durability": "off"})
    assert len(findings(counts, LOST)) > 10


def test_a_disk_that_lies_loses_and_it_is_found(tmp_path: Path) -> None:
    def lies(_random: Random, armed: Path) -> tuple[Rule, ...]:
        cut = Rule("cut", call="sync", file="*.segment", nth=60, when=armed)
        return Rule("lie", call="sync", when=armed), cut

    counts = one_death(tmp_path, Kind("lie", lies))
    assert len(findings(counts, LOST)) > 10


def test_a_byte_of_the_journal_that_is_gone_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damage(self: Life) -> None:
        kill(self)
        path = tmp_path / "data" / "journal" / "00000000000000000001.segment"
        content = path.read_bytes()
        middle = len(content.rstrip(b"\0")) // 2
        path.write_bytes(content[:middle] + content[middle + 1 :])

    kill = Life.kill
    monkeypatch.setattr(Life, "kill", damage)
    found = findings(one_death(tmp_path, BY_NAME["any-moment"]), LOST)
    assert len(found) == 1
    assert "there is no sound record of change" in found[0]


def test_a_change_that_nobody_asked_for_is_found(tmp_path: Path) -> None:
    one = Round(tmp_path, 7)
    one.audit.asked.calls = {}
    take_in = one.audit.asked.take_in

    def forget() -> None:
        take_in()
        for calls in one.audit.asked.calls.values():
            del calls[1::2]

    one.audit.asked.take_in = forget  # type: ignore[method-assign]
    counts = one.run([BY_NAME["quiet"]])
    assert findings(counts, INVENTED) != []


def test_an_error_of_the_disk_that_is_not_answered_by_the_end_is_found(tmp_path: Path) -> None:
    meek = BY_NAME["write-error"]._replace(
        rules=lambda _, armed: (Rule("delay", call="write", when=armed, nth=3),)
    )
    counts = one_death(tmp_path, meek)
    assert findings(counts, WRONG) != []


def test_the_live_state_is_compared_with_a_replay(tmp_path: Path) -> None:
    one = Round(tmp_path, 7)
    assert findings(one.run([BY_NAME["quiet"]] * 3), WRONG) == []
    assert one.compared > 0


def test_a_round_that_breaks_off_is_told_with_the_way_to_do_it_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(self: Round, kind: Kind) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr(Round, "after_death", fail)
    totals, failures = campaign.run(1, 5, (BY_NAME["any-moment"],), say=lambda line: None)
    assert campaign.whole(totals).number(WRONG) == 1
    assert "planted" in failures[0]
    kept = re.search(r"is (\S+); again: make crash CRASH=\"(.*)\"", failures[-1])
    assert kept is not None
    assert kept[2].endswith("--seed 5 --only any-moment")
    assert Path(kept[1], "STORE").exists()
    shutil.rmtree(Path(kept[1]).parent)


def test_every_kind_of_kill_has_a_name_of_its_own() -> None:
    assert len(BY_NAME) == len(KINDS)
