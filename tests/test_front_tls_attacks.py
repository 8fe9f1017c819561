"""Each known attack on a port of TLS, against a real server with another client of TLS on it: as
test_front_attacks.py, which has those that need no TLS.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from front_siege import ATTACK_SECONDS, besieged
from front_target import Target, serving_target
from front_tls_attacks import HALF_OPEN, TLS_ATTACKS
from tls_keys import NEEDS_OPENSSL

HELD = dict.fromkeys(("tls_silence", "tls_half_hello", "tls_hello_only", "tls_long_hello"), 3.0)
"""Attacks that are what they are by their number of connections, and need time for them."""

pytestmark = NEEDS_OPENSSL


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """One server for all attacks: what one leaves behind, the next would find."""
    with serving_target(tmp_path_factory.mktemp("keys")) as served:
        yield served


@pytest.mark.parametrize("attack", TLS_ATTACKS)
def test_others_are_served_over_tls_while(target: Target, attack: str) -> None:
    """The other client hears no refusal and no deadline; memory and laws hold."""
    seconds = HELD.get(attack, ATTACK_SECONDS)
    endings = besieged(target, attack, seconds)
    assert attack not in HELD or endings["held"] > HALF_OPEN // 2
