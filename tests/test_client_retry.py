"""When a call is tried again: on UNAVAILABLE alone, with one id, within its deadline and bounds.

Runs both faces of the client against a server that fails as it is told; time, chance and waiting
are the test's own, so nothing here waits but the one test of a deadline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from atp import client as atp_client
from atp.client import AtpError, Clock, RetryPolicy, Unavailable
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import Cap, CapSubject, ReserveOutcome, StockReason
from client_faces import FACES, client_face
from scripted_server import UNAVAILABLE, Answer, Fault, ScriptedServer, Silence, scripted

GRANTED = pb.ReserveResponse(
    outcome=pb.RESERVE_OUTCOME_GRANTED,
    reservation=pb.Reservation(reservation_id="r", state=pb.RESERVATION_STATE_HELD),
)
DONE = pb.CommitResponse(outcome=pb.CHANGE_OUTCOME_DONE)
STOCK_DONE = stock_pb.SetStockResponse(outcome=stock_pb.STOCK_OUTCOME_DONE)
DRAINING = Fault(grpc.StatusCode.UNAVAILABLE, reason="DRAINING")


class FakeClock:
    """Time that passes only by sleeping; full jitter at its most unless told otherwise."""

    def __init__(self, chance: float = 1.0) -> None:
        self.now = 100.0
        self.slept: list[float] = []
        self.ids = 0
        self.clock = Clock(
            monotonic=lambda: self.now,
            sleep=self.sleep,
            sleep_async=self.sleep_async,
            random=lambda: chance,
            request_id=self.request_id,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)

    def request_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@contextmanager
def asking(face: str, *answers: Answer, **keywords: Any) -> Iterator[tuple[Any, ScriptedServer]]:
    """A client, and the server that gives it these answers, on both planes."""
    with (
        scripted(*answers) as server,
        client_face(face, server.address, server.address, **keywords) as client,
    ):
        yield client, server


def reserve_ids(server: Any) -> list[str]:
    return [request.request_id for request in server.requests(pb.ReserveRequest)]


def test_unavailable_twice_then_ok_is_one_call_with_one_id(face: str) -> None:
    fake = FakeClock()
    with asking(face, UNAVAILABLE, UNAVAILABLE, GRANTED, clock=fake.clock) as (client, server):
        reply = client.reserve({"MUG": 2}, customer_id="alice")
    assert reply.outcome is ReserveOutcome.GRANTED
    assert reserve_ids(server) == ["id-1", "id-1", "id-1"]
    assert len({each.request for each in server.asked}) == 1
    assert fake.slept == pytest.approx([0.05, 0.1])


def test_every_call_has_an_id_of_its_own(face: str) -> None:
    with asking(face, GRANTED) as (client, server):
        client.reserve({"MUG": 1})
        client.reserve({"MUG": 1})
        client.reserve({"MUG": 1}, request_id="mine")
    first, second, third = reserve_ids(server)
    assert first != second
    assert len(first) == len(second) == 36
    assert third == "mine"


@pytest.mark.parametrize(
    "code",
    [code for code in grpc.StatusCode if code not in (grpc.StatusCode.OK, UNAVAILABLE.code)],
)
def test_no_other_code_is_tried_again(code: grpc.StatusCode) -> None:
    fake = FakeClock()
    with (
        asking(
            "sync",
            Fault(code, "no", reason="REASON", metadata={"field": "lines"}),
            clock=fake.clock,
        ) as (client, server),
        pytest.raises(AtpError) as caught,
    ):
        client.reserve({"MUG": 1})
    assert caught.value.code is code
    assert (caught.value.message, caught.value.reason) == ("no", "REASON")
    assert caught.value.metadata == {"field": "lines"}
    assert caught.value.request_id == "id-1"
    assert (len(server.asked), fake.slept) == (1, [])


def test_the_async_client_tries_no_other_code_again() -> None:
    with (
        asking("async", Fault(grpc.StatusCode.INTERNAL)) as (client, server),
        pytest.raises(AtpError) as caught,
    ):
        client.reserve({"MUG": 1})
    assert caught.value.code is grpc.StatusCode.INTERNAL
    assert len(server.asked) == 1


def test_attempts_are_bounded(face: str) -> None:
    fake = FakeClock()
    retry = RetryPolicy(attempts_max=3, backoff_first_s=1.0, backoff_factor=4.0, backoff_max_s=3.0)
    with (
        asking(face, UNAVAILABLE, clock=fake.clock, retry=retry, timeout_s=60) as (client, server),
        pytest.raises(Unavailable) as caught,
    ):
        client.reserve({"MUG": 1})
    assert fake.slept == pytest.approx([1.0, 3.0])
    assert reserve_ids(server) == ["id-1"] * 3
    assert caught.value.request_id == "id-1"
    assert caught.value.address == server.address
    assert caught.value.method == "Reserve"


def test_the_deadline_bounds_retries(face: str) -> None:
    """A wait that would reach the deadline is not begun: the failure is told at once."""
    fake = FakeClock()
    retry = RetryPolicy(attempts_max=9, backoff_first_s=10.0, backoff_max_s=90.0)
    with (
        asking(face, UNAVAILABLE, clock=fake.clock, retry=retry) as (client, server),
        pytest.raises(Unavailable),
    ):
        client.reserve({"MUG": 1}, timeout_s=60.0)
    # 10 and 20 seconds are waited; 40 more would end after 60.
    assert fake.slept == pytest.approx([10.0, 20.0])
    timeouts = [each.timeout_s for each in server.asked]
    assert timeouts == pytest.approx([60.0, 50.0, 30.0], abs=2.0)


def test_what_the_server_asks_to_wait_is_waited_and_jitter_added(face: str) -> None:
    fake = FakeClock(chance=0.5)
    overloaded = Fault(grpc.StatusCode.UNAVAILABLE, reason="OVERLOADED", retry_s=0.75)
    with asking(face, overloaded, overloaded, GRANTED, clock=fake.clock) as (client, _):
        client.reserve({"MUG": 1})
    assert fake.slept == pytest.approx([0.75 + 0.025, 0.75 + 0.05])


def test_a_server_that_asks_for_more_time_than_is_left_ends_the_call() -> None:
    fake = FakeClock()
    with (
        asking(
            "sync",
            Fault(grpc.StatusCode.UNAVAILABLE, reason="DRAINING", retry_s=30.0),
            clock=fake.clock,
        ) as (client, server),
        pytest.raises(Unavailable) as caught,
    ):
        client.reserve({"MUG": 1})
    assert caught.value.reason == "DRAINING"
    assert caught.value.retry_delay_s == 30.0
    assert len(server.asked) == 1


def test_silence_ends_at_the_deadline(face: str) -> None:
    with asking(face, Silence()) as (client, server):
        with pytest.raises(atp_client.DeadlineExceeded) as caught:
            client.reserve({"MUG": 1}, request_id="mine", timeout_s=0.2)
        server.stop_waiting()
    assert caught.value.request_id == "mine"
    assert not caught.value.answered
    assert len(server.asked) == 1


@pytest.mark.parametrize("timeout_s", [0, -1.0, float("inf"), float("nan")])
def test_every_call_is_bounded(timeout_s: float) -> None:
    with (
        asking("sync", GRANTED) as (client, server),
        pytest.raises(atp_client.InvalidArgument, match="timeout_s"),
    ):
        client.reserve({"MUG": 1}, timeout_s=timeout_s)
    assert server.asked == []


CAP = Cap("cap", CapSubject.EVERYONE, limit=1)
UNREPEATABLE = {
    "set_stock with expected": (lambda client: client.set_stock("MUG", 1, expected=2), STOCK_DONE),
    "set_cap with etag": (
        lambda client: client.set_cap(CAP, etag="7"),
        cap_pb.SetCapResponse(cap=cap_pb.Cap(cap_id="cap", subject=1, mode=1)),
    ),
    "remove_cap": (lambda client: client.remove_cap("cap"), cap_pb.RemoveCapResponse(sequence=3)),
}


@pytest.mark.parametrize("name", UNREPEATABLE)
def test_what_cannot_be_repeated_is_not_after_a_lost_answer(face: str, name: str) -> None:
    """Its own success would look like somebody else's change."""
    ask, answer = UNREPEATABLE[name]
    fake = FakeClock()
    with (
        asking(face, UNAVAILABLE, answer, clock=fake.clock) as (client, server),
        pytest.raises(Unavailable),
    ):
        ask(client)
    assert len(server.asked) == 1


@pytest.mark.parametrize("name", UNREPEATABLE)
def test_what_cannot_be_repeated_is_when_the_server_says_it_did_nothing(name: str) -> None:
    ask, answer = UNREPEATABLE[name]
    fake = FakeClock()
    with asking("sync", DRAINING, answer, clock=fake.clock) as (client, server):
        ask(client)
    assert len(server.asked) == 2


def test_an_error_of_another_domain_promises_nothing() -> None:
    fault = Fault(grpc.StatusCode.UNAVAILABLE, reason="DRAINING", domain="proxy.example")
    with (
        asking("sync", fault, STOCK_DONE) as (client, server),
        pytest.raises(Unavailable) as caught,
    ):
        client.set_stock("MUG", 1, expected=2)
    assert (caught.value.answered, caught.value.reason) == (False, "")
    assert len(server.asked) == 1


IDS = {
    "reserve": (lambda c: c.reserve({"A": 1}), pb.ReserveRequest, GRANTED, True),
    "whole commit": (lambda c: c.commit("r"), pb.CommitRequest, DONE, False),
    "commit of lines": (lambda c: c.commit("r", {"A": 1}), pb.CommitRequest, DONE, True),
    "whole release": (lambda c: c.release("r"), pb.ReleaseRequest, DONE, False),
    "release of lines": (lambda c: c.release("r", {"A": 1}), pb.ReleaseRequest, DONE, True),
    "extend by a time to live": (lambda c: c.extend("r", ttl=5), pb.ExtendRequest, DONE, True),
    "extend by the default": (lambda c: c.extend("r"), pb.ExtendRequest, DONE, True),
    "extend until": (lambda c: c.extend("r", expire_time=10**18), pb.ExtendRequest, DONE, False),
    "adjust stock": (
        lambda c: c.adjust_stock("A", -1, StockReason.COUNTED),
        stock_pb.AdjustStockRequest,
        stock_pb.AdjustStockResponse(outcome=stock_pb.STOCK_OUTCOME_DONE),
        True,
    ),
}


@pytest.mark.parametrize("name", IDS)
def test_ids_are_made_where_a_repeat_needs_one(name: str) -> None:
    """And only there: a remembered id costs the server memory."""
    ask, kind, answer, made = IDS[name]
    with asking("sync", UNAVAILABLE, answer, clock=FakeClock().clock) as (client, server):
        ask(client)
    assert [request.request_id for request in server.requests(kind)] == ["id-1" * made] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"attempts_max": 0},
        {"backoff_first_s": -0.1},
        {"backoff_max_s": -1.0},
        {"backoff_factor": 0.5},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"attempts_max|back-off"):
        RetryPolicy(**wrong)


def test_jitter_is_full() -> None:
    policy = RetryPolicy(backoff_first_s=0.1, backoff_factor=2.0, backoff_max_s=0.3)
    assert [policy.delay_s(attempt, None, 0.0) for attempt in (1, 2, 3)] == [0, 0, 0]
    assert [policy.delay_s(attempt, None, 1.0) for attempt in (1, 2, 3)] == [0.1, 0.2, 0.3]
