"""Every choice of a replay in one place, with its default and its bounds.

Owns the values; the command line gives them names and help. Refuses what makes no sense before
anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from atp.replay.default_caps import DEFAULT_CAPS
from atp.vocabulary import Cap

IN_FLIGHT_MAX: Final = 10_000
RUN_NAME_BYTES_MAX: Final = 16
SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How a sale is replayed. Shares are from 0 to 1 (stock: up to 100).

    `run_name` begins every request id, so that two replays against one server are two sales.
    `speed` is seconds of the data's time in one second, None for as fast as it goes.
    `overwrite_stock` allows to set the stock of SKUs that the server knows already. `look_back`
    has every answered change looked up in the server's change feed after the sale.

    Raises ValueError, naming the option.
    """

    run_name: str
    seed: int = 1
    stock_share: float = 0.8
    in_flight: int = 16
    speed: float | None = None
    abandon_share: float = 0.05
    release_share: float = 0.05
    repeat_share: float = 0.01
    allow_partial: bool = False
    ttl_ns: int = 120 * SECOND_NS
    abandon_ttl_ns: int = 2 * SECOND_NS
    pay_after_ns: int = 0
    caps: tuple[Cap, ...] = DEFAULT_CAPS
    overwrite_stock: bool = False
    look_back: bool = True
    call_timeout_s: float = 10.0
    tries_max: int = 6

    def __post_init__(self) -> None:
        for name in ("abandon_share", "release_share", "repeat_share"):
            _require(0 <= getattr(self, name) <= 1, name, "must be from 0 to 1")
        both = self.abandon_share + self.release_share
        _require(both <= 1, "abandon_share", "and release_share must not add up to more than 1")
        _require(0 <= self.stock_share <= 100, "stock_share", "must be from 0 to 100")
        _require(
            1 <= self.in_flight <= IN_FLIGHT_MAX, "in_flight", f"must be 1 to {IN_FLIGHT_MAX:,}"
        )
        _require(self.speed is None or self.speed > 0, "speed", "must be more than 0")
        hour, day = 3600 * SECOND_NS, 86_400 * SECOND_NS
        _require(0 < self.abandon_ttl_ns <= hour, "abandon_ttl", "must be more than 0, at most 1h")
        _require(0 < self.ttl_ns <= day, "ttl", "must be more than 0, at most 1d")
        _require(0 <= self.pay_after_ns < self.ttl_ns, "pay_after", "must be shorter than ttl")
        _require(
            0 < self.call_timeout_s <= 600, "call_timeout_s", "must be more than 0, at most 600"
        )
        _require(1 <= self.tries_max <= 100, "tries_max", "must be 1 to 100")
        size = len(self.run_name.encode())
        _require(
            0 < size <= RUN_NAME_BYTES_MAX, "run_name", f"must be 1 to {RUN_NAME_BYTES_MAX} bytes"
        )


def _require(holds: bool, name: str, what: str) -> None:
    if not holds:
        raise ValueError(f"{name} {what}")
