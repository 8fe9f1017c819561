"""Each known attack against a real server with another client on it: the other client's calls are
all answered in time, the server's memory stays within its bound, and the laws hold afterwards.

How much slower the other client gets is measured by `make attack`: a time is no property of a test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from front_attacks import ATTACKS, IDLE_CONNECTIONS
from front_siege import ATTACK_SECONDS, besieged
from front_target import Target, serving_target

LONGER = {"idle_connections": 8.0}
"""Attacks that need more time to be what they are."""


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    """One server for all attacks: what one leaves behind, the next would find."""
    with serving_target() as served:
        yield served


@pytest.mark.parametrize("attack", ATTACKS)
def test_others_are_served_while(target: Target, attack: str) -> None:
    """The other client hears no refusal and no deadline; memory and laws hold."""
    seconds = LONGER.get(attack, ATTACK_SECONDS)
    endings = besieged(target, attack, seconds)
    assert attack != "idle_connections" or endings["held"] == IDLE_CONNECTIONS
