"""Two ways of one thing, measured in turn: without, with, with, without, and so on.

Owns the order, the medians and the folders. What the machine does to one of a pair it does to the
other a moment later, so the median of the pairs' ratios holds where neither figure does by itself.
Measures nothing itself.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

HOMES = {"disk": "", "memory": "_memory"}
"""Where a server's files are, and what the figure's name ends with."""
MEMORY = Path("/dev/shm")


class Pairs(NamedTuple):
    """What was measured, pair by pair."""

    without: list[float]
    beside: list[float]

    @property
    def ratio(self) -> float:
        """With over without: the median of the pairs' own."""
        return statistics.median(b / a for a, b in zip(self.without, self.beside, strict=True))


def in_turn(count: int, measure: Callable[[int, bool], float]) -> Pairs:
    """So many pairs; `measure` is told the number of the measurement and which of the two it is."""
    found: dict[bool, list[float]] = {False: [], True: []}
    for number in range(2 * count):
        is_beside = number % 4 in (1, 2)  # neither is always the first
        found[is_beside].append(measure(number, is_beside))
    return Pairs(found[False], found[True])


@contextmanager
def home(name: str, on_disk: Path) -> Iterator[Path]:
    """A folder of one of HOMES until the block ends: what a disk adds is not the server's."""
    if name == "disk":
        yield on_disk
        return
    with tempfile.TemporaryDirectory(prefix="atp-bench-", dir=MEMORY) as folder:
        yield Path(folder)
