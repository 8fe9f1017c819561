"""The SKUs that are asked for most of late, with their stock, for who shows them.

Owns how they are read: a few at a time, so that no more shards are locked at once than by a large
basket. Counts nothing; the engine does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from atp._core import Engine
    from atp.vocabulary import Stock

SKUS_AT_ONCE = 20
"""Read together, their shards locked."""


def hot_stock(engine: Engine, count: int, now_ns: int) -> list[tuple[str, int, Stock | None]]:
    """At most `count` SKUs, hottest first: name, heat, and stock as it is at `now_ns`."""
    hot = engine.hot_skus(count)
    names = [name for name, _ in hot]
    stock = [
        one
        for at in range(0, len(names), SKUS_AT_ONCE)
        for one in engine.get_availability(names[at : at + SKUS_AT_ONCE], now_ns=now_ns)
    ]
    return [(name, heat, one) for (name, heat), one in zip(hot, stock, strict=True)]
