"""A known attack on a real server with another client on it, and what must hold meanwhile.

Owns what every attack is held to; which there are, and what each must have come to, is for tests.
"""

from __future__ import annotations

from front_attacker import attacking
from front_attacks import SKU
from front_bystander import WINDOW_SECONDS, bystander
from front_target import Target, bytes_allowed

ATTACK_SECONDS = 1.5


def besieged(target: Target, attack: str, seconds: float) -> dict[str, int]:
    """The attacker's endings. The other client hears no refusal and no deadline; memory and laws
    hold."""
    target.forget_peak()
    before = target.resident_bytes()
    with (
        bystander(target.address, SKU, target.authority) as other,
        attacking(attack, target.address, seconds) as attacker,
    ):
        windows = [other.window() for _ in range(int(seconds / WINDOW_SECONDS) + 1)]
    grown = target.peak_bytes() - before
    print(f"{attack}: {attacker.endings}; {grown >> 20} MiB more at most; {windows}")
    failures = [window.failures for window in windows if window.failures]
    assert failures == [], failures
    assert sum(window.calls for window in windows) > 0
    assert grown < bytes_allowed(attack), f"{grown >> 20} MiB"
    assert attacker.endings
    violations = target.violations()
    assert violations == [], violations
    return attacker.endings
