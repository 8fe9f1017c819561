"""Who must wait for whom while many orders are in flight.

Owns one rule: a customer's events happen one after another, in the order of the data, so that a
cancellation never overtakes the order it cancels. Shoppers without a name are many: their orders
wait for nobody, and a cancellation without a name waits for all such orders before it.
"""

from __future__ import annotations

import asyncio

from atp.replay.events import Event, Order


class Turns:
    """Hands out turns; events must be taken in the order of the data."""

    def __init__(self) -> None:
        self._last: dict[str, asyncio.Future[None]] = {}
        self._nameless: set[asyncio.Future[None]] = set()

    def take(self, event: Event) -> tuple[list[asyncio.Future[None]], asyncio.Future[None]]:
        """What this event must wait for, and the future to finish when it is done."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if event.customer_id:
            before = self._last.get(event.customer_id)
            self._last[event.customer_id] = turn
            return ([before] if before is not None and not before.done() else []), turn
        if isinstance(event, Order):
            self._nameless.add(turn)
            turn.add_done_callback(self._nameless.discard)
            return [], turn
        return list(self._nameless), turn
