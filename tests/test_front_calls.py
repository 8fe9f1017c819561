"""Unary calls through the native front, from grpcio: answers, errors, crowds, durability."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from front_process import Running, running
from server_process import channel_to, wait_until

SECONDS = 30


@pytest.fixture
def front() -> Iterator[Running]:
    with running() as served:
        served.engine.set_stock("A", 1_000_000, now_ns=0)
        yield served


def stub_of(channel: grpc.Channel) -> pb_grpc.ReservationServiceStub:
    return pb_grpc.ReservationServiceStub(channel)


def reserve(number: object, sku: str = "A", quantity: int = 1) -> pb.ReserveRequest:
    return pb.ReserveRequest(request_id=f"r{number}", lines=[pb.Line(sku=sku, quantity=quantity)])


def test_a_hold_is_made_read_committed_and_its_units_are_sold(front: Running) -> None:
    with channel_to(front.address) as channel:
        stub = stub_of(channel)
        held = stub.Reserve(reserve(1, quantity=3), timeout=SECONDS)
        assert held.outcome == pb.RESERVE_OUTCOME_GRANTED
        identity = held.reservation.reservation_id
        read = stub.GetReservation(
            pb.GetReservationRequest(reservation_id=identity), timeout=SECONDS
        )
        assert read.reservation == held.reservation
        assert (
            stub.Extend(pb.ExtendRequest(reservation_id=identity), timeout=SECONDS).outcome
            == pb.CHANGE_OUTCOME_DONE
        )
        sold = stub.Commit(pb.CommitRequest(reservation_id=identity), timeout=SECONDS)
        assert sold.outcome == pb.CHANGE_OUTCOME_DONE
        other = stub.Reserve(reserve(2), timeout=SECONDS).reservation.reservation_id
        released = stub.Release(pb.ReleaseRequest(reservation_id=other), timeout=SECONDS)
        assert released.outcome == pb.CHANGE_OUTCOME_DONE
        stock = stub.GetAvailability(pb.GetAvailabilityRequest(skus=["A"]), timeout=SECONDS)
        assert stock.availabilities[0].available_quantity == 1_000_000 - 3
    assert front.front.statistics().answered[("Reserve", 0)] == 2
    assert front.front.statistics().open_calls == 0


def test_an_error_comes_with_its_details(front: Running) -> None:
    with channel_to(front.address) as channel, pytest.raises(grpc.RpcError) as raised:
        stub_of(channel).Reserve(pb.ReserveRequest(request_id="r"), timeout=SECONDS)
    assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert raised.value.details().startswith("lines: ")
    keys = [key for key, _ in raised.value.trailing_metadata()]
    assert "grpc-status-details-bin" in keys


def test_many_connections_with_many_calls_each_get_their_own_answers(front: Running) -> None:
    def crowd(connection: int) -> None:
        with channel_to(front.address) as channel:
            stub = stub_of(channel)
            calls = [
                (number, stub.Reserve.future(reserve(f"{connection}-{number}", quantity=number)))
                for number in range(1, 101)
            ]
            for number, call in calls:
                reply = call.result(timeout=SECONDS)
                assert reply.reservation.lines[0].held_quantity == number
                answers.append(reply.sequence)

    answers: list[int] = []
    threads = [threading.Thread(target=crowd, args=(index,)) for index in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == list(range(min(answers), min(answers) + 2_000))
    wait_until(lambda: front.front.statistics().connections == 0, "the connections to end")
    assert front.front.statistics().held_bytes == 0


def test_a_durable_answer_comes_after_its_change_is_on_disk(tmp_path: Path) -> None:
    with running(tmp_path) as served, channel_to(served.address) as channel:
        assert served.writer is not None
        served.engine.set_stock("A", 1_000, now_ns=0)
        stub = stub_of(channel)
        for number in range(50):
            reply = stub.Reserve(reserve(number), timeout=SECONDS)
            assert reply.sequence <= served.writer.durable
        calls = [stub.Reserve.future(reserve(f"x{number}")) for number in range(300)]
        for call in calls:
            assert call.result(timeout=SECONDS).sequence <= served.writer.durable
        assert served.front.statistics().parked == 0


def test_two_loops_serve_one_engine(tmp_path: Path) -> None:
    with running(tmp_path, threads=2, calls_max=5_000) as served:
        served.engine.set_stock("A", 100_000, now_ns=0)
        channels = [
            grpc.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)])
            for _ in range(16)
        ]
        calls = [
            stub_of(channel).Reserve.future(reserve(f"{index}-{number}"))
            for number in range(100)
            for index, channel in enumerate(channels)
        ]
        sequences = {call.result(timeout=SECONDS).sequence for call in calls}
        assert len(sequences) == 1_600
        for channel in channels:
            channel.close()
