"""`atp journal check` and `repair`, as people run them: on sound stores and on damaged ones.

Each kind of damage is made once: check names it, a start is refused, repair shows what it would do,
does it, and loses no byte; after that check finds nothing and the start works.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from atp.journal.directory import Directory, Places
from atp.journal.errors import JournalDamaged, StoreDamaged
from atp.journal.repair import plan
from atp.journal.segments import MARK_NAME
from atp.journal.survey import survey
from damaged import (
    DAMAGE,
    Past,
    a_covered_bit,
    a_lost_end,
    atp,
    junk_between_records,
    the_newest_snapshot,
)
from remembered import (
    AT_NOW,
    NOW_NS,
    content,
    copied,
    make_durable,
    make_store,
    opened,
    overwrite,
    records_in,
    segments_of,
    shop,
    state,
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Past:
    path = tmp_path_factory.mktemp("past") / "data"
    digests = make_store(path, snapshots_after=(4, 9))
    return Past(path, digests, [records_in(segment) for segment in segments_of(path)])


@pytest.fixture
def past(sound: Past, tmp_path: Path) -> Past:
    return sound._replace(path=copied(sound.path, tmp_path / "data"))


# Check.


def test_a_sound_store_has_no_finding(past: Past) -> None:
    """One line that sums up what is there; nothing has changed."""
    before = content(past.path)
    ended = atp("journal", "check", past.path)
    assert (ended.status, ended.err) == (0, "")
    (line,) = ended.lines
    segments = len(segments_of(past.path))
    assert line == (f"{segments} segments with changes 1 to {past.last}, 2 snapshots: all sound")
    assert content(past.path) == before
    assert atp("journal", "repair", past.path, "--yes").out == "nothing to do\n"
    assert content(past.path) == before


def test_a_torn_tail_is_noted_and_is_nothing_wrong(past: Past) -> None:
    end = past.records[-1][-1].end
    overwrite(past.file(-1), end, b"garbage")
    ended = atp("journal", "check", past.path)
    assert ended.status == 0
    assert ended.lines[0].startswith(f"note: {past.file(-1)} at byte {end:,}: a crash broke off")
    assert ended.lines[-1].endswith("all sound")


def test_what_is_no_data_directory_is_told(tmp_path: Path) -> None:
    for command in ("check", "dump", "repair"):
        ended = atp("journal", command, tmp_path)
        assert (ended.status, ended.out) == (2, "")
        assert "is no data directory" in ended.err


def test_tools_and_the_owner_of_a_directory(past: Past, tmp_path: Path) -> None:
    """Beside it check and dump read; a repair is refused, but for a copy."""
    owner = Directory(past.path, now_ns=NOW_NS, owner_text="process 1 of this test")
    try:
        ended = atp("journal", "check", past.path)
        assert (ended.status, ended.err) == (0, "")
        assert "as far as they were written by now" in ended.lines[-1]
        assert len(atp("journal", "dump", past.path).lines) == past.last
        before = content(past.path)
        ended = atp("journal", "repair", past.path, "--yes")
        assert (ended.status, ended.out) == (2, "")
        assert "is in use by process 1 of this test" in ended.err
        copy = tmp_path / "copy"
        assert atp("journal", "repair", past.path, "--copy", copy).status == 0
        assert content(past.path) == before
        assert state(copy)[0] == past.last
        ended = atp("journal", "check", past.path, "--copy", copy)
        assert (ended.status, ended.out) == (2, "")
        assert "exists already" in ended.err
    finally:
        owner.close()


def test_an_end_that_is_being_written_is_no_finding(past: Past) -> None:
    """Half a record at the end, while another process has the directory: it goes on writing."""
    overwrite(past.file(-1), past.records[-1][-1].offset + 30, bytes(200))
    (past.path / "journal" / MARK_NAME).unlink()
    owner = Directory(past.path, now_ns=NOW_NS, owner_text="a test")
    try:
        assert atp("journal", "check", past.path).lines[0].endswith("all sound")
        ended = atp("journal", "dump", past.path)
        assert (ended.status, ended.err, len(ended.lines)) == (0, "", past.last - 1)
    finally:
        owner.close()


PASSED_BY_A_START = (a_covered_bit, the_newest_snapshot)


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda one: one.__name__)
def test_what_is_damaged_is_found_and_mended(past: Past, damage: Callable[[Past], int]) -> None:
    """From the finding to a start that works, with every byte still there."""
    last = damage(past)
    damaged = content(past.path)
    checked = atp("journal", "check", past.path)
    assert checked.status == 1
    assert checked.lines[-1].endswith(" findings")
    assert "atp journal repair" in checked.err
    assert content(past.path) == damaged
    if damage not in PASSED_BY_A_START:
        with pytest.raises((JournalDamaged, StoreDamaged)):
            opened(past.path)
    shown = atp("journal", "repair", past.path)
    assert shown.status == 1
    assert "nothing was changed" in shown.err
    assert f"change {last:,} would be the last one" in shown.lines[-1]
    lost = "no change is lost" if last == past.last else f" {last + 1}"
    assert lost in shown.lines[-1]
    assert content(past.path) == damaged
    done = atp("journal", "repair", past.path, "--yes")
    assert (done.status, done.err) == (0, "")
    assert done.lines[:-1] == shown.lines[:-1]
    assert_nothing_is_destroyed(damaged, content(past.path))
    checked = atp("journal", "check", past.path)
    assert (checked.status, checked.err) == (0, ""), checked.out
    assert atp("journal", "repair", past.path).out == "nothing to do\n"
    sequence, digest, report = state(past.path)
    assert sequence == last
    assert past.digests.get(last, digest) == digest
    assert (report.passed_damage, report.damaged_snapshots) == ((), ())
    engine, journal, _ = opened(past.path)
    shop(engine, range(1_000, 1_004))
    make_durable(engine, journal)
    digest = engine.digest(**AT_NOW)
    journal.close(NOW_NS, snapshot=False)
    assert state(past.path)[1] == digest


def assert_nothing_is_destroyed(before: dict[str, bytes], after: dict[str, bytes]) -> None:
    """Every file of before is there still, or its lines are pieces of files that are."""
    for name, data in before.items():
        if data == after.get(name) or name.endswith(MARK_NAME):
            continue
        kept = after.get(name, b"").rstrip(b"\0")
        whole = [piece for path, piece in after.items() if path.startswith("cut/")]
        rest = data[len(kept) :].rstrip(b"\0") if data.startswith(kept) else data.rstrip(b"\0")
        assert any(rest in piece or data in piece for piece in whole), name


def test_nothing_left_to_start_from(past: Past) -> None:
    """A repair that would empty the store is none."""
    for file in (past.path / "snapshots").iterdir():
        file.unlink()
    past.file(0).unlink()
    before = content(past.path)
    ended = atp("journal", "repair", past.path, "--yes")
    assert ended.status == 1
    assert "nothing is left to start from" in ended.err
    assert content(past.path) == before


def test_a_repair_that_was_interrupted_is_done_again(past: Past) -> None:
    """After each of its steps."""
    junk_between_records(past)
    a_lost_end(past)
    the_newest_snapshot(past)
    steps = len(plan(survey(Places(past.path)), now_ns=NOW_NS).steps)
    assert steps > 3
    wanted = None
    for done in reversed(range(steps + 1)):
        path = copied(past.path, past.path.parent / f"data-{done}")
        for step in plan(survey(Places(path)), now_ns=NOW_NS).steps[:done]:
            step.do()
        assert atp("journal", "repair", path, "--yes").status == 0
        assert atp("journal", "check", path).status == 0
        sequence, digest, _ = state(path)
        wanted = wanted or (sequence, digest)
        assert (sequence, digest) == wanted
