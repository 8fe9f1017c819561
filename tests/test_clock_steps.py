"""The system's clock is set back and forth, while the server runs and between two of its lives.

The process sees another time of day than the machine's, by the shim. No hold ends early by that,
and each ends when its time, as a steady clock counts it, is over (law 9).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import faults
from atp.client import Client
from atp.client.channel import ChannelOptions
from atp.vocabulary import ChangeOutcome, ReservationState
from crash.life import Life, lived
from server_process import wait_until

DAY_NS = 86_400 * 10**9
STEPS = {"back": -DAY_NS, "forward": DAY_NS, "an hour back": -DAY_NS // 24, "a second": 10**9}
SHORT_S = 1.5


class Shop:
    """A data directory whose servers see a clock that can be set."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "data"
        self.directory.mkdir()
        self.clock = folder / "clock"

    def set_clock(self, shift_ns: int) -> None:
        """The time of day is that of the machine and so much more."""
        beside = self.clock.with_suffix(".new")
        beside.write_text(str(shift_ns))
        beside.replace(self.clock)

    @contextmanager
    def open(self) -> Iterator[tuple[Client, Life]]:
        """A server, and a client of it; killed at the end."""
        environment = faults.environment(self.directory, clock=self.clock)
        with lived(self.directory, environment) as life:
            assert life.wait_ready(), life.stderr()
            options = ChannelOptions(own_connection=True)
            with Client(life.data_plane, life.control_plane, options=options) as client:
                yield client, life


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


def state_of(client: Client, key: str) -> ReservationState:
    """Where a hold is in its life."""
    return client.get_reservation(key).state


def hold(client: Client, request_id: str, seconds: float) -> str:
    """A hold of one unit; returns its id."""
    reply = client.reserve({"sku": 1}, ttl=seconds, request_id=request_id)
    assert reply.reservation is not None, reply
    return reply.reservation.reservation_id


def check_ends(client: Client, key: str, begun: float) -> None:
    """A short hold that was made at `begun` (of the steady clock) ends in its time."""
    while state_of(client, key) == ReservationState.HELD:
        assert time.monotonic() - begun < SHORT_S + 5, "it is over, and still held"
    # The server's clock may run fast by 0.5 ms a second at most.
    assert time.monotonic() - begun > SHORT_S * 0.999 - 0.01, "it ended early"


@pytest.mark.parametrize("step", STEPS)
def test_a_step_while_the_server_runs_ends_no_hold(shop: Shop, step: str) -> None:
    with shop.open() as (client, _):
        client.set_stock("sku", 10)
        long, begun = hold(client, "long", 600), time.monotonic()
        short = hold(client, "short", SHORT_S)
        shop.set_clock(STEPS[step])
        assert state_of(client, long) == ReservationState.HELD
        late = hold(client, "late", 600)
        check_ends(client, short, begun)
        assert client.commit(short).outcome == ChangeOutcome.ALREADY_EXPIRED
        assert client.commit(long).outcome == ChangeOutcome.DONE
        assert client.commit(late).outcome == ChangeOutcome.DONE
        assert client.check_invariants().violations == ()


@pytest.mark.parametrize("step", STEPS)
def test_a_step_across_a_restart_ends_no_hold(shop: Shop, step: str) -> None:
    with shop.open() as (client, _):
        client.set_stock("sku", 10)
        long, begun = hold(client, "long", 600), time.monotonic()
        short = hold(client, "short", SHORT_S)
    shop.set_clock(STEPS[step])
    with shop.open() as (client, _):
        assert state_of(client, long) == ReservationState.HELD
        check_ends(client, short, begun)
        late = hold(client, "late", 600)
    shop.set_clock(0)
    with shop.open() as (client, _):
        assert client.commit(long).outcome == ChangeOutcome.DONE
        assert client.commit(late).outcome == ChangeOutcome.DONE
        found = client.get_reservation(short)
        assert found.state == ReservationState.EXPIRED
        expected = found.create_time_ns + int(SHORT_S * 1e9)
        assert found.end_time_ns == expected, "the end is exact, however late it was noticed"
        assert client.check_invariants().violations == ()


def test_what_was_over_while_the_server_was_down_has_expired_at_its_instant(shop: Shop) -> None:
    with shop.open() as (client, _):
        client.set_stock("sku", 1)
        short, begun = hold(client, "short", SHORT_S), time.monotonic()
    wait_until(lambda: time.monotonic() - begun > SHORT_S, "the end of the hold")
    with shop.open() as (client, life):
        found = client.get_reservation(short)
        assert found.state == ReservationState.EXPIRED
        assert found.end_time_ns == found.create_time_ns + int(SHORT_S * 1e9)
        assert hold(client, "next", 600), "its unit is sellable"
        assert client.get_status().journal.last_recovery.expired == 1, life.stderr()
