"""A hold as a context manager, over both faces of the client: sold or given back, never forgotten.

Real servers where the engine decides; a scripted one where the way there fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from atp import AsyncClient
from atp import client as atp_client
from atp.client import ChangeRefused, HoldLost, Refused, RetryPolicy, Unavailable
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ChangeOutcome, ReservationState, ReserveOutcome
from client_faces import FACES, client_face
from scripted_server import UNAVAILABLE, scripted
from server_process import ServerProcess, serving, wait_until

NAMES = (f"sku-{number}" for number in itertools.count())
HELD, COMMITTED, RELEASED, EXPIRED = ReservationState


class Payment(Exception):
    """What goes wrong inside a block."""


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "hold.longest_life=1h") as process:
        yield process


@pytest.fixture(params=FACES)
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Any]:
    with client_face(request.param, server.data_plane, server.control_plane) as client:
        yield client


@pytest.fixture
def sku(client: Any) -> str:
    name = next(NAMES)
    client.set_stock(name, 10)
    return name


def test_a_block_that_ends_well_sells(client: Any, sku: str) -> None:
    with client.hold({sku: 3}, customer_id="alice", ttl=60) as hold:
        assert hold.reply.outcome is ReserveOutcome.GRANTED
        assert hold.reservation.state is HELD
        assert not hold.ended
        assert client.get_stock(sku).held == 3
    assert hold.ended
    assert hold.reservation.state is COMMITTED
    assert client.get_stock(sku)[1:5] == (7, 0, 7, 3)


def test_a_block_that_raises_gives_back(client: Any, sku: str) -> None:
    with pytest.raises(Payment) as caught, client.hold({sku: 3}) as hold:
        raise Payment
    assert not getattr(caught.value, "__notes__", [])
    assert hold.reservation.state is RELEASED
    assert client.get_stock(sku)[1:5] == (10, 0, 10, 0)


def test_a_refused_hold_does_not_enter(client: Any, sku: str) -> None:
    entered = False
    with pytest.raises(Refused) as caught, client.hold({sku: 11}):
        entered = True
    assert not entered
    assert caught.value.reply.outcome is ReserveOutcome.STOCK_SHORT
    assert caught.value.reply.line_results[0].available == 10
    assert "STOCK_SHORT" in str(caught.value)


def test_a_partial_grant_enters(client: Any, sku: str) -> None:
    with client.hold({sku: 11}, allow_partial=True) as hold:
        assert hold.reply.outcome is ReserveOutcome.GRANTED_PARTIALLY
        assert hold.reply.line_results[0].granted == 10
    assert client.get_stock(sku).sold == 10


def test_leaving_sells_what_the_block_left(client: Any, sku: str) -> None:
    with client.hold({sku: 5}) as hold:
        assert hold.commit({sku: 1}).outcome is ChangeOutcome.DONE
        assert hold.release({sku: 2}).outcome is ChangeOutcome.DONE
        assert hold.reservation.lines[0].held == 2
    assert hold.reservation.lines[0][2:] == (0, 3, 2, 0)
    assert client.get_stock(sku).sold == 3


def test_raising_gives_back_what_the_block_left(client: Any, sku: str) -> None:
    hold = client.hold({sku: 5})

    def sell_one_and_fail() -> None:
        with hold:
            hold.commit({sku: 1})
            raise Payment

    with pytest.raises(Payment):
        sell_one_and_fail()
    assert hold.reservation.lines[0][2:] == (0, 1, 4, 0)


@pytest.mark.parametrize("change", ["commit", "release"])
@pytest.mark.parametrize("raises", [False, True])
def test_a_block_that_ended_its_hold_is_left_alone(
    client: Any, sku: str, change: str, raises: bool
) -> None:
    try:
        with client.hold({sku: 1}) as hold:
            reply = getattr(hold, change)()
            if raises:
                raise Payment
    except Payment:
        pass
    after = client.get_reservation(hold.reservation_id)
    assert after == reply.reservation == hold.reservation
    assert after.state is (COMMITTED if change == "commit" else RELEASED)


def test_extending_inside(client: Any, sku: str) -> None:
    with client.hold({sku: 1}, ttl=5) as hold:
        first_end = hold.reservation.expire_time_ns
        hold.extend(ttl=60)
        assert hold.reservation.expire_time_ns > first_end
        hold.extend(expire_time=hold.reservation.expire_time_ns + 1)
        with pytest.raises(ChangeRefused) as caught:
            hold.extend(ttl=2 * 3600)
        assert caught.value.reply.outcome is ChangeOutcome.EXPIRY_OUT_OF_RANGE
        assert not isinstance(caught.value, HoldLost)
    assert hold.reservation.state is COMMITTED


def expire(client: Any, hold: Any) -> None:
    def expired() -> bool:
        state = client.get_reservation(hold.reservation_id).state
        return bool(state is EXPIRED)

    wait_until(expired, "the hold to expire")


def test_a_hold_that_expired_meanwhile_is_lost(client: Any, sku: str) -> None:
    with pytest.raises(HoldLost) as caught, client.hold({sku: 1}, ttl=0.05) as hold:
        expire(client, hold)
    assert caught.value.reply.outcome is ChangeOutcome.ALREADY_EXPIRED
    assert hold.reservation.state is EXPIRED
    assert client.get_stock(sku)[1:5] == (10, 0, 10, 0)


def test_a_block_that_raises_over_a_lost_hold_raises_its_own_error(client: Any, sku: str) -> None:
    hold = client.hold({sku: 1}, ttl=0.05)

    def wait_and_fail() -> None:
        with hold:
            expire(client, hold)
            raise Payment

    with pytest.raises(Payment) as caught:
        wait_and_fail()
    (note,) = caught.value.__notes__
    assert hold.reservation_id in note
    assert "ALREADY_EXPIRED" in note


@pytest.mark.parametrize("change", ["commit", "release", "extend"])
def test_changes_of_a_lost_hold_raise(client: Any, sku: str, change: str) -> None:
    with contextlib.suppress(HoldLost), client.hold({sku: 1}, ttl=0.05) as hold:
        expire(client, hold)
        with pytest.raises(HoldLost):
            getattr(hold, change)()
    assert hold.reservation.state is EXPIRED


def test_a_refused_change_raises_and_changes_nothing(client: Any, sku: str) -> None:
    with client.hold({sku: 2}) as hold:
        with pytest.raises(ChangeRefused) as caught:
            hold.commit({sku: 3})
        assert caught.value.reply.outcome is ChangeOutcome.QUANTITY_ABOVE_HELD
        assert hold.reservation.lines[0].held == 2


def test_an_id_of_an_ended_hold_is_lost_on_entering(client: Any, sku: str) -> None:
    """A process that crashed after selling must not sell, nor charge, again."""
    request_id = f"order {sku}"
    with client.hold({sku: 1}, request_id=request_id):
        pass
    entered = False
    with pytest.raises(HoldLost) as caught, client.hold({sku: 1}, request_id=request_id):
        entered = True
    assert not entered
    assert caught.value.reply.outcome is ChangeOutcome.ALREADY_COMMITTED
    assert client.get_stock(sku).sold == 1


def test_an_id_of_a_live_hold_enters_again(client: Any, sku: str) -> None:
    first = client.reserve({sku: 1}, request_id=f"order {sku}").reservation
    with client.hold({sku: 1}, request_id=f"order {sku}") as hold:
        assert hold.reply.repeated
        assert hold.reservation_id == first.reservation_id


def test_before_entering_there_is_nothing_to_ask(client: Any) -> None:
    hold = client.hold({"nothing": 1})
    for name in ("reply", "reservation", "reservation_id", "ended"):
        with pytest.raises(RuntimeError, match="on entering"):
            getattr(hold, name)


GRANTED = pb.ReserveResponse(
    outcome=pb.RESERVE_OUTCOME_GRANTED,
    reservation=pb.Reservation(reservation_id="r" * 32, state=pb.RESERVATION_STATE_HELD),
)


@pytest.mark.parametrize("face", FACES)
def test_a_release_that_fails_leaves_the_first_error_in_charge(face: str) -> None:
    retry = RetryPolicy(attempts_max=1)
    with (
        scripted(GRANTED, UNAVAILABLE) as server,
        client_face(face, server.address, retry=retry) as client,
        pytest.raises(Payment) as caught,
        client.hold({"MUG": 1}),
    ):
        raise Payment
    assert [each.method for each in server.asked] == ["Reserve", "Release"]
    (note,) = caught.value.__notes__
    assert "r" * 32 in note
    assert "UNAVAILABLE" in note


@pytest.mark.parametrize("face", FACES)
def test_a_commit_whose_fate_is_unknown_is_not_undone(face: str) -> None:
    """It may have been done: the error says so, and the hold is left to its own end."""
    retry = RetryPolicy(attempts_max=1)
    with (
        scripted(GRANTED, UNAVAILABLE) as server,
        client_face(face, server.address, retry=retry) as client,
        pytest.raises(Unavailable) as caught,
        client.hold({"MUG": 1}),
    ):
        pass
    assert [each.method for each in server.asked] == ["Reserve", "Commit"]
    assert not caught.value.answered


def test_a_cancelled_task_gives_its_hold_back(server: ServerProcess) -> None:
    async def scenario() -> tuple[int, int]:
        entered = asyncio.Event()
        async with AsyncClient(server.data_plane, server.control_plane) as client:
            sku = next(NAMES)
            await client.set_stock(sku, 10)

            async def shop() -> None:
                async with client.hold({sku: 4}):
                    entered.set()
                    await asyncio.Event().wait()

            task = asyncio.create_task(shop())
            await entered.wait()
            held = (await client.get_stock(sku)).held
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return held, (await client.get_stock(sku)).held

    assert asyncio.run(scenario()) == (4, 0)


def test_the_errors_are_apart() -> None:
    """Whoever catches calls that could not be judged does not catch refusals, and vice versa."""
    assert not issubclass(Refused, atp_client.AtpError)
    assert not issubclass(ChangeRefused, atp_client.AtpError)
    assert issubclass(HoldLost, ChangeRefused)
