"""A disk that says it has synced, and has not, until the power goes.

What it loses nobody can bring back; but it is told, as far as the disk kept the mark of what had
been called durable, and nothing is made up: after a repair the state is one that really was.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from crash.asks import Shopper, ask, opening
from crash.audit import Audit
from crash.campaign import Round
from crash.clients import ask_all, connected, shop
from crash.judge import LOST, Finding
from crash.kills import MARK, SEGMENT
from faults import Rule
from server_process import run_atp

LIES = Rule("lie", call="sync|syncdir")
LOST_CHANGES = re.compile(r"changes? (\d+)(?: to (\d+))? (?:is|are) lost")
ANSWERS = 4_000


async def live_and_lose(one: Round, cut: Rule) -> None:
    """A life on a disk that lies from some moment on, up to the power cut."""
    with ExitStack() as stack:
        rules = (LIES._replace(when=one.armed), cut._replace(when=one.armed))
        life = one.start(stack, rules)
        assert life.wait_ready()
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            await ask_all(connection, list(opening(one.random, 1)))
            shoppers = [Shopper(Random(number), f"s{number}") for number in range(6)]
            before = one.ledger.answered + 50

            def until() -> bool:
                if one.ledger.answered > before:
                    one.armed.touch()
                return not life.is_alive() or one.ledger.answered > ANSWERS

            await shop(connection, shoppers, until=until)
        assert life.process.wait(30) == -9, "the power went"
    one.armed.unlink()


def told_lost(one: Round) -> range:
    """The changes that a start says are lost; none when it starts."""
    with ExitStack() as stack:
        life = one.start(stack, ())
        if life.wait_ready():
            return range(0)
        line = life.stderr().strip().splitlines()[-1]
    assert life.process.returncode == 2, line
    found = LOST_CHANGES.search(line)
    assert found is not None, line
    assert f"atp journal repair {one.directory}" in line
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def repaired(one: Round, told: range) -> range:
    """Repairs, and returns all that it says is lost: what comes after the first gap is too."""
    done = run_atp("journal", "repair", str(one.directory), "--yes")
    assert done.returncode == 0, done.stderr
    found = LOST_CHANGES.search(done.stdout)
    assert found is not None, done.stdout
    lost = range(int(found[1]), int(found[2] or found[1]) + 1)
    assert set(told) <= set(lost)
    return lost


async def look_back(one: Round) -> tuple[int, list[Finding]]:
    """The last change that is there, and what the audit finds."""
    with ExitStack() as stack:
        life = one.start(stack, ())
        assert life.wait_ready(), life.stderr()
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            status = await connection.say(ask("GetStatus"))
            checked = await connection.say(ask("CheckInvariants"))
            assert list(checked.answer.violations) == []
            audit = Audit(one.ledger, one.random)
            audit.judged = len(one.ledger.said)  # what was lost is judged below
            return status.answer.sequence, await audit.run(connection, one.directory, None)


def not_told(one: Round, last: int, told: range) -> Iterable[int]:
    """Changes that clients were told of, that are gone, and that no start has told to be lost."""
    answered = {getattr(said.answer, "sequence", 0) for said in one.ledger.said}
    return sorted(sequence for sequence in answered if sequence > last and sequence not in told)


@pytest.mark.parametrize("seed", range(6))
def test_what_a_lying_disk_loses_is_told_and_nothing_is_made_up(tmp_path: Path, seed: int) -> None:
    random = Random(seed)
    lose, piece = random.choice([("all", 4096), ("some", 512), ("some", 4096)])
    cut = Rule("cut", call="write", file=SEGMENT, nth=random.randint(2, 150), lose=lose)
    one = Round(tmp_path, seed)
    asyncio.run(live_and_lose(one, cut._replace(piece=piece, keep=MARK)))
    answered = one.ledger.newest
    told = told_lost(one)
    if told:
        told = repaired(one, told)
    last, findings = asyncio.run(look_back(one))
    assert [finding for finding in findings if finding.kind != LOST] == []
    assert not_told(one, last, told) == []
    assert answered <= max(last, *told, 0)


def test_a_lying_disk_that_kept_nothing_comes_to_a_state_that_was(tmp_path: Path) -> None:
    """Not even the mark is left: nobody can tell, but nothing is made up."""
    one = Round(tmp_path, 1)
    cut = Rule("cut", call="write", file=SEGMENT, nth=40, lose="all")
    asyncio.run(live_and_lose(one, cut))
    assert told_lost(one) == range(0)
    last, findings = asyncio.run(look_back(one))
    assert [finding for finding in findings if finding.kind != LOST] == []
    assert last < one.ledger.newest, "it has lost something"
