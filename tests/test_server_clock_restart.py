"""Time across restarts of a real server, on a machine that ran on and on one that started anew.

The server sees a system's clock that is wrong by a day, or another run of the machine, where a test
says so; steady clocks stay steady.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from atp import Client
from atp.clock import Clock
from atp.vocabulary import Reservation, ReservationState
from server_process import ServerProcess, serving, wait_until

SECOND = 1_000_000_000
DAY = 86_400 * SECOND
CLOCK = """
import os, time
from atp.cli import main
from atp.clock import Clock
from atp.server import app

step = int(os.environ["TEST_STEP"])
app.Clock = lambda: Clock(
    lambda: time.time_ns() + step,
    read_boot=lambda: os.environ["TEST_BOOT"],
)
main()
"""
"""A server whose system's clock is wrong by TEST_STEP nanoseconds, in the run named TEST_BOOT."""


@contextmanager
def shop(
    folder: Path, *, step: int = 0, boot: str = "first"
) -> Iterator[tuple[ServerProcess, Client]]:
    environment = {"TEST_STEP": str(step), "TEST_BOOT": boot}
    remember = ("--set", "memory.remember=7d")
    with (
        serving(*remember, folder=folder, command=CLOCK, environment=environment) as server,
        Client(server.data_plane, server.control_plane, timeout_s=20) as client,
    ):
        yield server, client


def hold(client: Client, seconds: float) -> Reservation:
    made = client.reserve({"MUG": 1}, ttl=seconds).reservation
    assert made is not None
    return made


def drift_s(client: Client) -> int:
    return round(client.get_status().clock_drift_ns / SECOND)


def begun(folder: Path, *, step: int = 0) -> Reservation:
    """A shop with a hold of ten minutes, whose server was killed."""
    with shop(folder, step=step) as (server, client):
        client.set_stock("MUG", 10)
        made = hold(client, 600)
        wait_until((folder / "atp-data" / "clock").exists, "the clock's mark")
        server.signal(signal.SIGKILL)
        server.wait()
    return made


@pytest.mark.parametrize("step", [DAY, -DAY], ids=["ahead", "behind"])
def test_a_clock_set_while_the_server_was_down_ends_no_hold(tmp_path: Path, step: int) -> None:
    made = begun(tmp_path)
    with shop(tmp_path, step=step) as (server, client):
        assert client.get_reservation(made.reservation_id) == made
        later = hold(client, 600)
        assert 0 < later.create_time_ns - made.create_time_ns < 60 * SECOND
        assert abs(drift_s(client) - step // SECOND) < 20  # it is followed already
        assert "this machine has run on since the last start" in server.stderr()


def test_a_clock_behind_what_is_recorded_does_not_take_time_back(tmp_path: Path) -> None:
    """The machine has started again, and its clock is a day behind."""
    made = begun(tmp_path)
    with shop(tmp_path, step=-DAY, boot="second") as (server, client):
        assert client.get_reservation(made.reservation_id) == made
        later = hold(client, 600)
        assert 0 < later.create_time_ns - made.create_time_ns < 60 * SECOND
        assert later.sequence == made.sequence + 1
        assert abs(drift_s(client) + 86_400) < 20  # it is followed already
        assert "what is recorded happened later than that" in server.stderr()
        assert "by a tenth" in server.stderr()


def test_a_clock_that_was_ahead_and_is_right_again_is_followed(tmp_path: Path) -> None:
    """Time that ran ahead is made good by running slower, never by going back."""
    made = begun(tmp_path, step=DAY)
    with shop(tmp_path, boot="second") as (_, client):
        assert client.get_reservation(made.reservation_id).state == ReservationState.HELD
        first = hold(client, 600)
        assert first.create_time_ns > made.create_time_ns
        began = Clock().now_ns()
        wait_until(lambda: Clock().now_ns() - began > SECOND, "a second")
        elapsed = Clock().now_ns() - began
        passed = hold(client, 600).create_time_ns - first.create_time_ns
        assert 0.85 * elapsed < passed < 0.97 * elapsed


def test_a_machine_that_started_again_a_day_later_has_let_holds_expire(tmp_path: Path) -> None:
    """Whether a day has passed or the clock is wrong can't be known: the clock is believed."""
    made = begun(tmp_path)
    with shop(tmp_path, step=DAY, boot="second") as (_, client):
        found = client.get_reservation(made.reservation_id)
        assert found.state == ReservationState.EXPIRED
        assert found.end_time_ns == made.expire_time_ns
        assert drift_s(client) == 0


def test_without_the_mark_a_start_takes_the_systems_time(tmp_path: Path) -> None:
    """The way to put a clock right that was wrong when the machine started."""
    made = begun(tmp_path, step=-DAY)
    (tmp_path / "atp-data" / "clock").unlink()
    with shop(tmp_path) as (_, client):
        assert drift_s(client) == 0
        assert hold(client, 600).create_time_ns > made.create_time_ns + DAY - 60 * SECOND
