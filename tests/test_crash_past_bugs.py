"""Losses that the kills found, each as it happened."""

from __future__ import annotations

from pathlib import Path

from crash.campaign import Broken, Round
from crash.kills import SEGMENT, Kind
from faults import Rule


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
