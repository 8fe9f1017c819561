"""What each level of durability may lose, as the README has it: so much, from the end, no more.

The server is killed, or loses its power, at some moment under load; answers are noted with the time
at which they came.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import ExitStack
from pathlib import Path
from random import Random

import pytest

from crash.asks import Shopper, ask, opening
from crash.audit import Audit
from crash.campaign import Round
from crash.clients import Connection, ask_all, connected, shop
from crash.judge import LOST
from crash.ledger import Ledger, Said
from faults import Rule

INTERVAL_S = 0.2
SLACK_S = 0.5  # of a machine that has other things to do
ANSWERS = (150, 900)


class Timed(Ledger):
    """A ledger that knows when each answer came, by the steady clock."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[float, int]] = []

    def hears(self, said: Said, answer: object) -> None:
        super().hears(said, answer)
        self.heard.append((time.monotonic(), self.newest))


async def shop_and_die(one: Round, connection: Connection, is_alive: object) -> None:
    """Clients ask until the server is dead; it dies soon after the file `armed` is there."""
    assert callable(is_alive)
    await ask_all(connection, list(opening(one.random, 1)))
    shoppers = [Shopper(Random(number), f"s{number}") for number in range(4)]
    enough = one.random.randint(*ANSWERS)

    def until() -> bool:
        if one.ledger.answered > enough:
            one.armed.touch()
        return not is_alive()

    await shop(connection, shoppers, until=until)


def lose(tmp_path: Path, durability: str, rule: Rule, seed: int) -> tuple[Timed, float, int]:
    """One life and its end: what was told and when, when it ended, and the last change kept."""
    settings = {"journal.durability": durability, "journal.sync_interval": f"{INTERVAL_S * 1e3}ms"}
    one = Round(tmp_path, seed, settings)
    told = one.ledger = Timed()

    async def live() -> float:
        with ExitStack() as stack:
            life = one.start(stack, (rule._replace(when=one.armed),))
            assert life.wait_ready(), life.stderr()
            async with connected(told, life.data_plane, life.control_plane) as connection:
                await shop_and_die(one, connection, life.is_alive)
            assert life.process.wait(30) == -9, life.stderr()
            return max(when for when, _ in told.heard)

    async def look_back() -> int:
        with ExitStack() as stack:
            life = one.start(stack, ())
            assert life.wait_ready(), f"a state that was is always there: {life.stderr()}"
            async with connected(told, life.data_plane, life.control_plane) as connection:
                status = await connection.say(ask("GetStatus"))
                audit = Audit(told, one.random)
                audit.judged = len(told.said)  # what was lost is counted by the caller
                findings = await audit.run(connection, one.directory, None)
                assert [finding for finding in findings if finding.kind != LOST] == []
                return int(status.answer.journal.last_recovery.sequence)

    ended = asyncio.run(live())
    one.armed.unlink()
    return told, ended, asyncio.run(look_back())


KILL = Rule("kill", call="write|sync")
CUT_ALL = Rule("cut", call="write|sync", lose="all")
CUT_SOME = Rule("cut", call="write|sync", lose="some", piece=512)


@pytest.mark.parametrize(
    ("durability", "rule"),
    [
        ("interval", KILL),
        ("interval", CUT_ALL),
        ("interval", CUT_SOME),
        ("off", KILL),
    ],
)
@pytest.mark.parametrize("seed", range(2))
def test_no_more_is_lost_than_the_last_interval(
    tmp_path: Path, durability: str, rule: Rule, seed: int
) -> None:
    told, ended, last = lose(tmp_path, durability, rule, seed)
    first_lost = min((when for when, newest in told.heard if newest > last), default=ended)
    assert ended - first_lost < INTERVAL_S + SLACK_S


@pytest.mark.parametrize("seed", range(4))
def test_off_comes_to_a_state_that_was_whatever_the_disk_has_of_it(
    tmp_path: Path, seed: int
) -> None:
    """Pieces of what was never synced are there, others are not: the end is cut as torn."""
    told, _, last = lose(tmp_path, "off", CUT_SOME, seed)
    assert 0 <= last <= told.newest


def test_off_loses_all_that_the_system_had_not_written(tmp_path: Path) -> None:
    """So it is said, and so it is: this test could not find a loss otherwise."""
    told, _, last = lose(tmp_path, "off", CUT_ALL, 1)
    assert last < told.newest
