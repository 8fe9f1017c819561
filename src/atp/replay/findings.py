"""What an audit found against the laws.

Owns the list of findings and its bound. A finding names the law, the SKU where there is one, and
says in a sentence what was expected and what was found.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

FINDINGS_KEPT_MAX: Final = 1000
"""Findings kept with their text; more are only counted."""


class Law(Enum):
    """The laws that a client can check from outside, with their numbers in docs/invariants.md."""

    NO_OVERSELL = "1 no oversell"
    CONSERVATION = "2 conservation"
    ENDS_ONCE = "3 a hold ends once"
    ONE_HOLD = "4 one request id, one hold"
    ALL_OR_NOTHING = "5 all or nothing"
    CAPS = "6 caps hold"
    DURABLE = "7 durable before said"
    EXPIRY = "9 expiry is exact"
    SEQUENCE = "sequence: every change has its own place"
    ANSWERS = "answers agree with themselves"
    RECOUNT = "the server's own recount"


class Finding(NamedTuple):
    """One thing found wrong; `sku` is empty where it is about no single SKU."""

    law: Law
    sku: str
    text: str


class Findings:
    """Collects findings; keeps the first ones and counts all."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, law: Law, sku: str, text: str) -> None:
        """Note one."""
        self.count += 1
        if len(self.kept) < FINDINGS_KEPT_MAX:
            self.kept.append(Finding(law, sku, text))
