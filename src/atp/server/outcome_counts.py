"""How often each outcome was given since the server started.

Owns the counters and nothing else; they are for operators, no law rests on them.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum

from atp.vocabulary import ChangeOutcome, ReserveOutcome

METHODS: dict[str, type[IntEnum]] = {
    "Reserve": ReserveOutcome,
    "Commit": ChangeOutcome,
    "Release": ChangeOutcome,
    "Extend": ChangeOutcome,
}


class OutcomeCounts:
    """One counter for each method and outcome."""

    def __init__(self) -> None:
        self._counts = {method: [0] * (max(words) + 1) for method, words in METHODS.items()}

    def count(self, method: str, outcome: int) -> None:
        """One more call of `method` was judged so."""
        self._counts[method][outcome] += 1

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """(method, outcome's name, calls) for every outcome, those never given included."""
        for method, words in METHODS.items():
            for word in words:
                yield method, word.name, self._counts[method][word]
