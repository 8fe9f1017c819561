"""What can be broken during a sale, and when: the table of faults, and a seeded plan of them.

Owns the names, how long each lasts, and the moments. Breaks nothing itself: scene.py does.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

FIRST_SHARE, LAST_SHARE = 0.15, 0.9
"""Faults happen in this part of a sale: before it there is nothing to break, after it no time to
see that all goes on."""


class Kind(NamedTuple):
    """One thing that can be done. `most_s`: it lasts no longer; 0: a moment."""

    name: str
    text: str
    most_s: float
    ends_as: str = ""
    """The note that ends it, where its end is not known beforehand."""


KINDS = {
    kind.name: kind
    for kind in (
        Kind("kill", "the server is killed with kill -9, and started again", 0.0, "start"),
        Kind("pause", "the server stands still (SIGSTOP)", 2.0, "resume"),
        Kind("cut", "every connection to the data plane is cut", 0.0),
        Kind("slow_disk", "each sync of the journal takes 40 ms longer", 6.0),
        Kind("full_disk", "the disk has no room left", 4.0),
        Kind("clock_step", "the machine's clock goes an hour forward, and back", 6.0),
    )
}
"""Every fault, by the name that --faults takes and the history's notes have."""
NEED_SHIM = frozenset({"slow_disk", "full_disk", "clock_step"})
NEED_PROXY = frozenset({"cut"})


class Due(NamedTuple):
    """One fault of a plan, seconds into the sale."""

    at_s: float
    kind: Kind
    lasts_s: float


def parse(text: str) -> list[str]:
    """The kinds that a list such as "kill,pause,kill" names; ValueError names the one unknown."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in KINDS:
            raise ValueError(f"there is no fault {name}: choose from {', '.join(KINDS)}")
    return names


def plan(names: Sequence[str], seconds: float, seed: int) -> list[Due]:
    """A moment for each fault, each in a stretch of time of its own, in an order by chance."""
    rng = Random(f"faults {seed}")
    shuffled = rng.sample(list(names), len(names))
    width = seconds * (LAST_SHARE - FIRST_SHARE) / max(1, len(shuffled))
    planned = []
    for number, name in enumerate(shuffled):
        kind = KINDS[name]
        lasts_s = min(kind.most_s, width * 0.6)
        begin_s = seconds * FIRST_SHARE + number * width
        planned.append(Due(begin_s + rng.random() * (width * 0.9 - lasts_s), kind, lasts_s))
    return planned
