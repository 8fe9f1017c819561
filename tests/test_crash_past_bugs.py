"""Losses that the kills found, each as it happened."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from pathlib import Path

from crash.asks import Ask, ask
from crash.campaign import Broken, Round
from crash.clients import connected
from crash.kills import SEGMENT, Kind
from crash.ledger import Ledger
from crash.life import Life
from crash.script import LARGE_CAPS, large_cap
from faults import Rule
from server_process import wait_until


def lives(tmp_path: Path, *kinds: Kind) -> list[str]:
    """What was found after these kills, one after another on one data directory."""
    one = Round(tmp_path, 7)
    try:
        counts = one.run(kinds)
    except Broken as broken:
        counts = broken.counts
    assert all(count.missed == 0 for count in counts.values()), "each fault came up"
    return [finding.text for count in counts.values() for finding in count.findings]


def once(name: str, *rules: Rule, padding: int = 1, dies_itself: bool = False) -> Kind:
    """A kill by these rules, under load."""
    return Kind(
        name,
        lambda _, armed: tuple(rule._replace(when=armed) for rule in rules),
        padding=padding,
        dies_itself=dies_itself,
    )


POWER = once("power", Rule("cut", call="write", file=SEGMENT, nth=20))


def test_what_a_failed_sync_left_in_memory_is_told_after_a_start_and_lost_without_power(
    tmp_path: Path,
) -> None:
    """A sync fails: the system calls its pages clean, and a later sync passes them over."""
    failing = Rule("error", call="sync", file=SEGMENT, nth=20, error="EIO")
    assert lives(tmp_path, once("sync-error", failing, dies_itself=True), POWER) == []


def test_a_segment_whose_name_was_not_synced_is_gone_on_with_and_lost_without_power(
    tmp_path: Path,
) -> None:
    """Killed between giving a segment its name and syncing the folder."""
    named = once("named", Rule("kill-after", call="rename", file=SEGMENT), padding=1_000)
    assert lives(tmp_path, named, POWER) == []


async def sell(life: Life, ledger: Ledger, *asks: Ask) -> None:
    """Asks one thing after another, until there is nobody to answer."""
    async with connected(ledger, life.data_plane, life.control_plane) as connection:
        for asked in asks:
            if not (await connection.say(asked)).is_answered:
                return


def test_a_snapshot_whose_name_was_not_synced_replaced_the_segments_that_were_removed(
    tmp_path: Path,
) -> None:
    """Killed before the folder is synced; the next life lets go of what the snapshot has."""
    kept = {"snapshot.keep": "1", "journal.keep": "0s", "snapshot.every": "1s"}
    one = Round(tmp_path, 7, {**kept, "snapshot.every_bytes": "1GiB"})
    first = tmp_path / "data" / "journal" / f"{1:020}.segment"
    large = [ask("SetCap", cap=large_cap("a", number)) for number in range(LARGE_CAPS)]
    # A snapshot is taken within seconds.
    with ExitStack() as stack:
        rules = (Rule("kill-after", call="rename", file="snapshots/*", when=one.armed),)
        life = one.start(stack, rules)
        assert life.wait_ready()
        asyncio.run(sell(life, one.ledger, *large))
        one.armed.touch()
        asyncio.run(sell(life, one.ledger, large[0]))
        assert life.process.wait(20) == -9
    one.armed.unlink()
    assert first.exists()
    with ExitStack() as stack:
        one.trace = True
        life = one.start(stack, (Rule("cut", call="write", file=SEGMENT, when=one.armed),))
        assert life.wait_ready()
        log, removed = tmp_path / "faults.log", f"call unlink journal/{first.name}"
        wait_until(
            lambda: "call syncdir journal " in log.read_text().partition(removed)[2],
            "the segments to be let go for good",
        )
        assert not first.exists()
        one.armed.touch()
        asyncio.run(sell(life, one.ledger, ask("SetStock", sku="a", on_hand_quantity=1)))
        assert life.process.wait(20) == -9
    with ExitStack() as stack:
        life = one.start(stack, ())
        assert life.wait_ready(), life.stderr()
