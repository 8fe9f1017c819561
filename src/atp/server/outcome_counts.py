"""How often each outcome was given since the server started.

Owns the names of the counters; the front counts. They are for operators, no law rests on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum

from atp.vocabulary import ChangeOutcome, ReserveOutcome

METHODS: dict[str, type[IntEnum]] = {
    "Reserve": ReserveOutcome,
    "Commit": ChangeOutcome,
    "Release": ChangeOutcome,
    "Extend": ChangeOutcome,
}


class OutcomeCounts:
    """One counter for each method and outcome; commands of batches count as calls."""

    def __init__(self, read: Callable[[], Mapping[tuple[str, int], int]]) -> None:
        """`read` gives calls by method and number of the outcome; what it leaves out is 0."""
        self._read = read

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """(method, outcome's name, calls) for every outcome, those never given included."""
        counts = self._read()
        for method, words in METHODS.items():
            for word in words:
                yield method, word.name, counts.get((method, word.value), 0)
