"""A server that is killed in the middle of a sale: who does it, and what is told of it afterwards.

Owns when, and the figures. The sale goes on calling meanwhile; who has the server's process kills
it and starts it again.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple, Protocol

from atp.client import AsyncClient
from atp.replay.clock import Clock
from atp.replay.ledger import Ledger
from atp.replay.score import Score


class Crash(NamedTuple):
    """What became of a server that was killed. Times in seconds.

    `after_s` and `events_done`: when, in the sale; `holds_answered`: grants answered by then.
    `away_s`: from the kill until it said that calls are answered. The rest is what its start found:
    changes replayed, the last of them, and the time that took.
    """

    after_s: float
    events_done: int
    holds_answered: int
    away_s: float
    replayed_records: int
    recovered_sequence: int
    recovery_s: float


class Killer(Protocol):
    """Who has the server's process."""

    def strike(self) -> None:
        """Kills the server and starts it again, without waiting for either."""

    def is_hopeless(self) -> bool:
        """True when the server has ended otherwise, so that no call will be answered any more."""

    def wait_back(self) -> float:
        """Blocks until the server serves again; returns how long it was away, in seconds.

        Raises what says why it does not.
        """


class Teller(Protocol):
    """Is told what happens."""

    def stage(self, text: str) -> None:
        """A new part of the work begins."""


class Blow:
    """One kill: struck by the sale when it is half done, looked at when the sale is over."""

    def __init__(
        self, killer: Killer, ledger: Ledger, score: Score, teller: Teller, clock: Clock
    ) -> None:
        self._killer = killer
        self._ledger = ledger
        self._score = score
        self._teller = teller
        self._clock = clock
        self._begin_ns = clock.elapsed_ns()
        self._struck: tuple[float, int, int] | None = None

    def strike(self) -> None:
        """Kills the server, now."""
        after_s = (self._clock.elapsed_ns() - self._begin_ns) / 1e9
        self._struck = (after_s, self._score.events_done, len(self._ledger.holds))
        self._killer.strike()
        self._teller.stage(f"killed the server (kill -9) after {self._score.events_done:,} events")

    async def crash(self, client: AsyncClient) -> Crash | None:
        """What became of it; None if the sale ended before. Raises AtpError, what Killer raises."""
        if self._struck is None:
            return None
        away_s = await asyncio.to_thread(self._killer.wait_back)
        status = await client.get_status()
        recovery = status.journal.last_recovery if status.journal is not None else None
        return Crash(
            *self._struck,
            away_s,
            recovery.replayed_records if recovery is not None else 0,
            recovery.sequence if recovery is not None else 0,
            recovery.duration_ns / 1e9 if recovery is not None else 0.0,
        )
