"""Answers that only a server gives, for which the engine's vocabulary has no word.

Plain typed tuples; everything a reserve, a change of a hold, stock or a cap answers is in
`atp.vocabulary`. Times are nanoseconds since the Unix epoch, quantities whole units.
"""

from __future__ import annotations

from typing import NamedTuple

from atp.vocabulary import CapStatus, Limit, Stock


class Availability(NamedTuple):
    """What may be promised of one SKU. Unless `known`, everything else is 0.

    `first_expire_time_ns` is when the first held unit comes back unless sold or extended; None when
    none is held.
    """

    sku: str
    known: bool
    available: int
    on_hand: int
    held: int
    first_expire_time_ns: int | None
    sequence: int


class StockPage(NamedTuple):
    """Some of the stock; `next_page_token` is empty after the last page."""

    stocks: tuple[Stock, ...]
    next_page_token: str


class CapPage(NamedTuple):
    """Some of the caps; `next_page_token` is empty after the last page."""

    caps: tuple[CapStatus, ...]
    next_page_token: str


class CapChange(NamedTuple):
    """A cap as it was set, and the sequence from which it holds."""

    status: CapStatus
    sequence: int


class OutcomeCount(NamedTuple):
    """How often a method gave an outcome since the server started."""

    method: str
    outcome: str
    calls: int


class Setting(NamedTuple):
    """One setting of the server, in force; `changed` when it is not the default."""

    name: str
    value: str
    changed: bool


class ServerStatus(NamedTuple):
    """How a server is: counters, how often each outcome was given, bounds, settings.

    `clock_drift_ns`: how far the system's clock is ahead of the server's, which follows slowly.
    """

    version: str
    start_time_ns: int | None
    sequence: int
    skus: int
    live_holds: int
    ended_reservations: int
    receipts: int
    cap_counters: int
    caps: int
    engine_bytes: int
    outcome_counts: tuple[OutcomeCount, ...]
    limits: tuple[Limit, ...]
    settings: tuple[Setting, ...]
    clock_drift_ns: int
