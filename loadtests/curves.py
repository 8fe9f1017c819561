"""How many of a sale's users are there at each moment: the shapes of load, as plain functions.

Owns the shapes alone: a curve says which share of the users (or of the highest rate) is there
`at_s` seconds into a sale that lasts `of_s`. Knows no user, no Locust and no server.
"""

from __future__ import annotations

import math
from collections.abc import Callable

Curve = Callable[[float, float], float]
"""(seconds into the sale, seconds it lasts) -> share of the users that are there, 0 to 1."""

HOURS = 24
SPIKE_SHARE = 0.35
"""So much of each hour of the day belongs to the rush for its deal."""
RUSH_S = 2.0
"""A drop's crowd is there within so many seconds."""
ARRIVAL_SHARE = 0.1
"""A steady crowd arrives within this share of the sale, so that it does not begin as a drop."""


def hour_of(at_s: float, of_s: float) -> int:
    """The hour of the compressed day: 0 to 23."""
    return min(HOURS - 1, max(0, int(at_s / of_s * HOURS)))


def is_rush(at_s: float, of_s: float) -> bool:
    """True in the first part of each hour, when its deal has just begun."""
    return at_s / of_s * HOURS % 1.0 < SPIKE_SHARE


def day(at_s: float, of_s: float) -> float:
    """A day of a shop in little: quiet before dawn, most in the evening, a spike at each hour."""
    hours = at_s / of_s * HOURS
    # Lowest at four in the morning, highest twelve hours later and a little on.
    base = 0.35 - 0.25 * math.cos((hours - 4.0) / HOURS * 2 * math.pi)
    return min(1.0, base + (0.4 if is_rush(at_s, of_s) else 0.0))


def rush(at_s: float, of_s: float) -> float:
    """Everybody within the first two seconds, and nobody leaves."""
    return min(1.0, (at_s + 1.0) / RUSH_S) if of_s > RUSH_S else 1.0


def burst(at_s: float, of_s: float) -> float:
    """Who arrives at a drop: almost everybody within two seconds, a few afterwards."""
    return 1.0 if at_s < min(RUSH_S, of_s / 2) else 0.01


def steady(at_s: float, of_s: float) -> float:
    """The same crowd all the time, once it has arrived."""
    return min(1.0, 0.1 + 0.9 * at_s / (of_s * ARRIVAL_SHARE))


def storm(at_s: float, of_s: float) -> float:
    """Half of the crowd, and all of it in two bursts."""
    share = at_s / of_s
    return 1.0 if 0.25 <= share < 0.45 or 0.65 <= share < 0.85 else 0.5


def siege(at_s: float, of_s: float) -> float:
    """The shoppers first; from a tenth of the time on the attackers too."""
    return 0.5 if at_s < of_s * 0.1 else 1.0
