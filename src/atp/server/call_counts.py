"""How often each RPC of the control plane was answered with which gRPC code, since the start.

Owns the counts; edge.py says when. They are for operators, no law rests on them.
"""

from __future__ import annotations

from collections import Counter

OK = 0
"""This and the next are gRPC's codes by number."""
CANCELLED = 1
UNAVAILABLE = 14


class CallCounts:
    """Counted in the event loop's thread; read from any."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, int]] = Counter()

    def add(self, method: str, code: int) -> None:
        """One call of an RPC, by its name without the service's, has ended."""
        self._counts[method, code] += 1

    def by_code(self) -> dict[tuple[str, int], int]:
        """Calls by method and number of the code; none that never was."""
        return dict(self._counts)
