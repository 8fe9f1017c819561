"""The caps of a replay that was given none: enough to be seen at work on a year of a real shop.

Owns four definitions. They have no window: a replay presses a year into seconds, so that a window
of the real sale would mean nothing.
"""

from __future__ import annotations

from typing import Final

from atp.vocabulary import Cap, CapMode, CapSubject

DEFAULT_CAPS: Final[tuple[Cap, ...]] = (
    Cap("address-each-sku", CapSubject.IP, limit=1_500, per_sku=True),
    Cap("basket", CapSubject.RESERVATION, limit=10_000),
    Cap("customer-each-sku", CapSubject.CUSTOMER, limit=1_000, per_sku=True),
    Cap(
        "subnet",
        CapSubject.SUBNET,
        limit=20_000,
        mode=CapMode.SHADOW,
        ipv4_prefix_length=24,
        ipv6_prefix_length=56,
    ),
)
