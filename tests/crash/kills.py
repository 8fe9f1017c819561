"""The ways in which a server is ended, each drawn from a seed.

Owns one table of kinds. A kind says which faults meet the life that is to end, whether it is ended
from outside if none of them did, and whether the next start is to be ended too.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from faults import Rule

SEGMENT, SNAPSHOT, MARK = "journal/*.segment", "snapshots/*", "journal/synced"
PIECES = (512, 4096)
Draw = Callable[[Random, Path], tuple[Rule, ...]]


class Kind(NamedTuple):
    """One way to end a server. `rules` meet it under load; `at_start` meet the starts after it."""

    name: str
    rules: Draw
    at_start: Draw | None = None
    padding: int = 1
    """Size of the padded caps that clients set: many fill a segment soon."""
    snapshots: bool = False
    """Clients ask for snapshots all the time."""
    quiet: bool = False
    """Ended when every call has been answered."""
    dies_itself: bool = False
    """The server is to end itself, saying why."""


def nothing(_random: Random, _armed: Path) -> tuple[Rule, ...]:
    """No fault: the life is ended from outside."""
    return ()


def at(do: str, call: str, file: str, most: int, **more: str) -> Draw:
    """Something done at the n-th such call under load, n drawn up to `most`."""

    def draw(random: Random, armed: Path) -> tuple[Rule, ...]:
        doing = random.choice(do.split("|"))
        power = {}
        if doing.startswith("cut"):
            power = {"lose": random.choice(["all", "some", "some"]), "piece": random.choice(PIECES)}
        nth = random.randint(1, most)
        return (Rule(doing, call=call, file=file, nth=nth, when=armed, **power, **more),)

    return draw


def either(*draws: Draw) -> Draw:
    """One of several, by chance."""

    def draw(random: Random, armed: Path) -> tuple[Rule, ...]:
        return random.choice(draws)(random, armed)

    return draw


def slow(draw: Draw) -> Draw:
    """The same on a disk whose syncs take their time, so that many answers wait."""

    def draw_slow(random: Random, armed: Path) -> tuple[Rule, ...]:
        late = Rule("delay", call="sync", chance=0.5, ms=random.choice([3, 15]), when=armed)
        return (late, *draw(random, armed))

    return draw_slow


def turning(do: str) -> Draw:
    """Something done while one segment is sealed and the next begun."""
    calls = "create|open|allocate|truncate|syncdir|rename|unlink"
    return either(at(do, calls, "journal*", 8), at(do, "write|sync", "journal/spare*", 12))


def starting(do: str, most: int) -> Draw:
    """Something done at the n-th call of a start."""

    def draw(random: Random, _armed: Path) -> tuple[Rule, ...]:
        (rule,) = at(do, "any", "", most)(random, Path())
        return (rule._replace(when=""),)

    return draw


CHANGES = "create|write|sync|syncdir|rename|truncate|allocate|unlink"
STARTS = 40
KINDS = (
    Kind("any-moment", nothing),
    Kind("quiet", nothing, quiet=True),
    Kind("before-write", at("kill", "write", SEGMENT, 200)),
    Kind("within-write", at("within", "write", SEGMENT, 200)),
    Kind("write-to-sync", at("kill", "sync", SEGMENT, 200)),
    Kind("after-sync", at("kill-after", "sync", SEGMENT, 200)),
    Kind("at-the-mark", at("kill|kill-after|within", "write", MARK, 200)),
    Kind("snapshot", at("kill|kill-after|within", CHANGES, SNAPSHOT, 40), snapshots=True),
    Kind("rotation", turning("kill|kill-after|within"), padding=1_000),
    Kind("recovery", nothing, starting("kill|kill-after|within", STARTS)),
    Kind("power", at("cut|cut-after", CHANGES, "", 400)),
    Kind("power-slow", slow(at("cut|cut-after", CHANGES, "", 150))),
    Kind("power-snapshot", at("cut|cut-after", CHANGES, SNAPSHOT, 40), snapshots=True),
    Kind("power-rotation", turning("cut|cut-after"), padding=1_000),
    Kind("power-recovery", at("kill", "sync", SEGMENT, 100), starting("cut|cut-after", STARTS)),
    Kind("write-error", at("error", "write", SEGMENT, 100, error="EIO"), dies_itself=True),
    Kind("sync-error", at("error", "sync", SEGMENT, 100, error="EIO"), dies_itself=True),
)
BY_NAME = {kind.name: kind for kind in KINDS}
