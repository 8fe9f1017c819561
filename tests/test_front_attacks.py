"""Each known attack against a real server with another client on it: the other client's calls are
all answered in time, the server's memory stays within its bound, and the laws hold afterwards.

How much slower the other client gets is measured by `make attack`: a time is no property of a test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from front_attacker import attacking
from front_attacks import ATTACKS, IDLE_CONNECTIONS, SKU
from front_bystander import WINDOW_SECONDS, bystander
from front_target import Target, bytes_allowed, serving_target

ATTACK_SECONDS = 1.5
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
    target.forget_peak()
    before = target.resident_bytes()
    with (
        bystander(target.address, SKU) as other,
        attacking(attack, target.address, seconds) as attacker,
    ):
        windows = [other.window() for _ in range(int(seconds / WINDOW_SECONDS) + 1)]
    grown = target.peak_bytes() - before
    print(f"{attack}: {attacker.endings}; {grown >> 20} MiB more at most; {windows}")
    assert [window.failures for window in windows if window.failures] == []
    assert sum(window.calls for window in windows) > 0
    assert grown < bytes_allowed(attack)
    assert attacker.endings
    assert attack != "idle_connections" or attacker.endings["held"] == IDLE_CONNECTIONS
    assert target.violations() == []
