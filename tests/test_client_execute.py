"""client.execute against a real server, over both faces: a result for each command, in order.

What each command decides is tested with the engine; here is that a batch carries every command and
every answer over, and what is told when one of them, or the whole batch, can't be judged.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from atp import command
from atp.client import InvalidArgument, ReplyUnknown, batches
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.vocabulary import ChangeOutcome, ReservationState, ReserveOutcome, StockOutcome
from client_faces import FACES, client_face
from server_process import ServerProcess, serving

NAMES = (f"batch-sku-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving("--set", "hold.default_ttl=5m", "--set", "hold.longest_life=1h") as process:
        yield process


@pytest.fixture(params=FACES)
def client(request: pytest.FixtureRequest, server: ServerProcess) -> Iterator[Any]:
    with client_face(request.param, server.data_plane, server.control_plane) as client:
        yield client


@pytest.fixture
def sku(client: Any) -> str:
    """A SKU of which ten units are on hand."""
    name = next(NAMES)
    assert client.set_stock(name, 10).outcome is StockOutcome.DONE
    return name


def test_the_commands_of_a_batch_are_answered_in_order(client: Any, sku: str) -> None:
    held = client.reserve({sku: 2}).reservation.reservation_id
    other = client.reserve({sku: 1}).reservation.reservation_id
    granted, refused, sold, back, longer = client.execute(
        [
            command.reserve({sku: 3}, customer_id="alice"),
            command.reserve({sku: 5}),
            command.commit(held),
            command.release(other),
            command.extend(held, ttl=60),
        ]
    )
    assert granted.outcome is ReserveOutcome.GRANTED
    assert granted.reservation.customer_id == "alice"
    assert refused.outcome is ReserveOutcome.STOCK_SHORT
    assert refused.line_results[0].available == 4
    assert sold.outcome is ChangeOutcome.DONE
    assert sold.reservation.state is ReservationState.COMMITTED
    assert back.outcome is ChangeOutcome.DONE
    assert longer.outcome is ChangeOutcome.ALREADY_COMMITTED
    (after,) = client.get_availability([sku])
    assert (after.on_hand, after.held, after.available) == (8, 3, 5)


def test_a_command_sees_what_those_before_it_in_its_batch_did(client: Any, sku: str) -> None:
    replies = client.execute([command.reserve({sku: 4}) for _ in range(4)])
    outcomes = [reply.outcome.name for reply in replies]
    assert outcomes == ["GRANTED", "GRANTED", "STOCK_SHORT", "STOCK_SHORT"]
    assert replies[0].sequence < replies[1].sequence


def test_a_malformed_command_has_its_error_and_stops_no_other(client: Any, sku: str) -> None:
    first, bad, last = client.execute(
        [command.reserve({sku: 1}), command.reserve({sku: 0}), command.reserve({sku: 1})]
    )
    assert first.outcome is last.outcome is ReserveOutcome.GRANTED
    assert isinstance(bad, InvalidArgument)
    assert (bad.field, bad.reason) == ("lines[0].quantity", "FIELD_INVALID")
    assert (bad.method, bad.answered) == ("Reserve", True)
    assert bad.request_id


def test_a_batch_that_is_sent_again_does_nothing_twice(client: Any, sku: str) -> None:
    commands = [command.reserve({sku: 2}) for _ in range(3)]
    once, again = client.execute(commands), client.execute(commands)
    assert [reply.repeated for reply in once] == [False] * 3
    assert [reply.repeated for reply in again] == [True] * 3
    ids = [[reply.reservation.reservation_id for reply in replies] for replies in (once, again)]
    assert ids[0] == ids[1]


def test_brief_answers_name_the_hold_and_leave_the_rest_out(client: Any, sku: str) -> None:
    (brief,) = client.execute([command.reserve({sku: 1}, customer_id="bob")], brief=True)
    whole = client.get_reservation(brief.reservation.reservation_id)
    assert brief.reservation.state is ReservationState.HELD
    assert brief.reservation.expire_time_ns == whole.expire_time_ns
    assert brief.reservation.lines == ()
    assert whole.customer_id == "bob"


def test_an_empty_batch_is_refused(client: Any) -> None:
    with pytest.raises(InvalidArgument, match="commands") as caught:
        client.execute([])
    assert caught.value.field == "commands"


def test_what_is_no_command_is_refused_before_it_is_sent(client: Any, sku: str) -> None:
    for wrong in (batches.data_calls.get_reservation("0" * 32), "reserve", None):
        with pytest.raises(InvalidArgument, match=r"commands\[1\]"):
            client.execute([command.reserve({sku: 1}), wrong])
    (after,) = client.get_availability([sku])
    assert after.held == 0


def test_a_batch_of_many_commands(client: Any, sku: str) -> None:
    assert client.set_stock(sku, 5_000).outcome is StockOutcome.DONE
    replies = client.execute([command.reserve({sku: 1}) for _ in range(5_000)], brief=True)
    assert {reply.outcome for reply in replies} == {ReserveOutcome.GRANTED}
    assert len({reply.reservation.reservation_id for reply in replies}) == 5_000
    sold = client.execute([command.commit(r.reservation.reservation_id) for r in replies])
    assert {reply.outcome for reply in sold} == {ChangeOutcome.DONE}
    (after,) = client.get_availability([sku])
    assert (after.on_hand, after.held) == (0, 0)


@pytest.mark.parametrize(
    "response",
    [
        service_pb.ExecuteResponse(),
        service_pb.ExecuteResponse(results=[service_pb.CommandResult()]),
        service_pb.ExecuteResponse(
            results=[service_pb.CommandResult(commit=pb.CommitResponse(outcome=1))]
        ),
    ],
    ids=["too few", "nothing", "another kind"],
)
def test_an_answer_that_fits_no_command_is_an_error_and_no_guess(
    response: service_pb.ExecuteResponse,
) -> None:
    call = batches.execute([command.reserve({"MUG": 1})])
    with pytest.raises(ReplyUnknown):
        call.parse(response)


@pytest.mark.parametrize("count", [0, 2])
def test_a_batch_has_one_answer(count: int) -> None:
    with pytest.raises(ReplyUnknown, match=f"answered {count} times"):
        batches.only_response([service_pb.ExecuteResponse()] * count)
