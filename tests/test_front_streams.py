"""Execute through the native front: batches in flight, back-pressure, and how a stream ends."""

from __future__ import annotations

import itertools
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from front_process import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    Raw,
    Running,
    call_head,
    frame,
    framed,
    running,
)
from server_process import channel_to, wait_until

SECONDS = 60
MS = 1_000_000


@pytest.fixture
def front() -> Iterator[Running]:
    with running() as served:
        served.engine.set_stock("A", 10_000_000, now_ns=0)
        yield served


def batch(name: object, count: int, sku: str = "A") -> service_pb.ExecuteRequest:
    """So many reserves."""
    return service_pb.ExecuteRequest(
        commands=[
            service_pb.Command(
                reserve=pb.ReserveRequest(
                    request_id=f"{name}-{number}", lines=[pb.Line(sku=sku, quantity=1)]
                )
            )
            for number in range(count)
        ]
    )


def granted(response: service_pb.ExecuteResponse) -> int:
    """How many of its commands were granted; each must have a result."""
    return sum(result.reserve.outcome == pb.RESERVE_OUTCOME_GRANTED for result in response.results)


@pytest.mark.parametrize("durable", [False, True])
def test_batches_are_answered_in_order_however_many_are_in_flight(
    tmp_path: Path, durable: bool
) -> None:
    with running(tmp_path if durable else None) as served, channel_to(served.address) as channel:
        served.engine.set_stock("A", 10_000_000, now_ns=0)
        stub = pb_grpc.ReservationServiceStub(channel)
        sizes = [1, 100, 3, 1_000, 7, 50] * 10
        requests = [batch(index, size) for index, size in enumerate(sizes)]
        answers = list(stub.Execute(iter(requests), timeout=SECONDS))
        assert [granted(answer) for answer in answers] == sizes
        assert [len(answer.results) for answer in answers] == sizes
        sequences = [result.reserve.sequence for answer in answers for result in answer.results]
        assert sequences == sorted(sequences)
        if served.writer is not None:
            assert sequences[-1] <= served.writer.durable
        assert served.engine.status().live_holds == sum(sizes)
        wait_until(lambda: served.front.statistics().held_bytes == 0, "all to be forgotten")
        assert served.front.open_calls == 0
        assert served.front.statistics().answered == {("Execute", 0): 1}


def test_each_batch_is_answered_before_the_next_is_sent(front: Running) -> None:
    asked: queue.Queue[service_pb.ExecuteRequest | None] = queue.Queue()
    with channel_to(front.address) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        answers = stub.Execute(iter(asked.get, None), timeout=SECONDS)
        for index in range(20):
            asked.put(batch(index, 5))
            assert granted(next(answers)) == 5
        asked.put(None)
        assert list(answers) == []


def test_a_batch_as_large_as_a_message_may_be(front: Running) -> None:
    request = batch("x" * 55, 50_000)
    assert 3 << 20 < request.ByteSize() < 4 << 20
    with channel_to(front.address, max_receive_message_length=-1) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        answers = list(stub.Execute(iter([request, request]), timeout=SECONDS))
        assert [len(answer.results) for answer in answers] == [50_000] * 2
    assert front.engine.status().live_holds == 50_000
    wait_until(lambda: front.front.statistics().held_bytes == 0, "all to be forgotten")


def test_a_stream_without_batches_ends_well(front: Running) -> None:
    with channel_to(front.address) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        assert list(stub.Execute(iter(()), timeout=SECONDS)) == []
    assert front.front.statistics().answered == {("Execute", 0): 1}


def test_what_is_no_batch_ends_the_stream_after_the_answers_before_it(front: Running) -> None:
    good = framed(batch(1, 3).SerializeToString())
    with Raw(front.address) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, call_head("Execute")))
        raw.send(frame(DATA, 0, 1, good + framed(b"\xff\xff") + good))
        assert raw.read_until(HEADERS, 1) is not None
        answer = raw.read_until(DATA, 1)
        assert answer is not None
        assert granted(service_pb.ExecuteResponse.FromString(answer.body[5:])) == 3
        trailers = raw.read_until(HEADERS, 1)
        assert trailers is not None
        assert trailers.flags & END_STREAM
        assert raw.read_until(RST_STREAM, 1) is not None
    assert front.engine.status().live_holds == 3
    assert front.front.statistics().answered == {("Execute", 3): 1}


@pytest.mark.parametrize(
    ("bad", "code"),
    [(b"\1\0\0\0\0", 12), (b"\0\xff\xff\xff\xff", 8), (b"\0\0\0\0\5abc", 13), (b"\0\0", 13)],
)
def test_broken_framing_ends_the_stream(front: Running, bad: bytes, code: int) -> None:
    with Raw(front.address) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, call_head("Execute")))
        raw.send(frame(DATA, END_STREAM, 1, bad))
        trailers = raw.read_until(HEADERS, 1)
        assert trailers is not None
        assert trailers.flags & END_STREAM
    assert front.front.statistics().answered == {("Execute", code): 1}


def test_who_takes_no_answers_is_asked_no_more_batches(front: Running) -> None:
    message = framed(batch("x" * 30, 100).SerializeToString())
    with Raw(front.address) as raw:
        raw.send(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))  # no window for answers
        raw.send(frame(HEADERS, END_HEADERS, 1, call_head("Execute")))
        sent, window, connection = 0, 65_535, 65_535
        data = itertools.cycle(message)
        assert raw.read_until(SETTINGS) is not None
        raw.socket.settimeout(0.5)
        # Fills every window that is given, until none is given any more.
        try:
            while True:
                while min(window, connection) > 0:
                    size = min(window, connection, 16_384)
                    raw.send(frame(DATA, 0, 1, bytes(itertools.islice(data, size))))
                    sent, window, connection = sent + size, window - size, connection - size
                found = raw.read_until(WINDOW)
                assert found is not None
                more = int.from_bytes(found.body, "big")
                window += more if found.stream == 1 else 0
                connection += more if found.stream == 0 else 0
        except TimeoutError:
            pass
        raw.socket.settimeout(30)
        assert sent < 3 << 20  # a flow's window and four batches, not what would be sent for ever
        judged = front.engine.status().live_holds
        assert judged == 100  # the same batch again and again: four times at most, ids repeated
        raw.send(frame(WINDOW, 0, 0, (1 << 30).to_bytes(4, "big")))
        raw.send(frame(WINDOW, 0, 1, (1 << 30).to_bytes(4, "big")))
        assert raw.read_until(WINDOW, 1) is not None  # and on it goes
        raw.send(frame(RST_STREAM, 0, 1, (8).to_bytes(4, "big")))
        raw.send(frame(PING, body=bytes(8)))
        assert raw.read_until(PING) is not None
    wait_until(lambda: front.front.statistics().held_bytes == 0, "all to be forgotten")


def test_a_batch_that_does_not_come_whole_in_time_ends_the_stream() -> None:
    with running(request_ns=50 * MS) as served, Raw(served.address) as raw:
        raw.send(frame(HEADERS, END_HEADERS, 1, call_head("Execute")))
        raw.send(frame(DATA, 0, 1, framed(b"x" * 100)[:50]))
        trailers = raw.read_until(HEADERS, 1)
        assert trailers is not None
        assert trailers.flags & END_STREAM
        assert served.front.statistics().answered == {("Execute", 4): 1}


def test_a_stream_may_be_silent_between_batches() -> None:
    with running(request_ns=50 * MS) as served, channel_to(served.address) as channel:
        served.engine.set_stock("A", 100, now_ns=0)
        asked: queue.Queue[service_pb.ExecuteRequest | None] = queue.Queue()
        stub = pb_grpc.ReservationServiceStub(channel)
        answers = stub.Execute(iter(asked.get, None), timeout=SECONDS)
        asked.put(batch(1, 1))
        assert granted(next(answers)) == 1
        threading.Event().wait(0.2)
        asked.put(batch(2, 1))
        assert granted(next(answers)) == 1
        asked.put(None)


def test_a_drain_ends_streams_once_their_batches_are_answered(front: Running) -> None:
    asked: queue.Queue[service_pb.ExecuteRequest | None] = queue.Queue()
    with channel_to(front.address) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        answers = stub.Execute(iter(asked.get, None), timeout=SECONDS)
        asked.put(batch(1, 10))
        assert granted(next(answers)) == 10
        assert front.front.open_calls == 1
        front.front.drain()
        with pytest.raises(grpc.RpcError) as raised:
            next(answers)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        asked.put(None)
    wait_until(lambda: front.front.statistics().connections == 0, "the connection to end")
    assert front.front.open_calls == 0


def test_many_streams_and_unary_calls_share_a_connection(front: Running) -> None:
    with channel_to(front.address) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        streams = [
            stub.Execute(iter([batch(f"{n}-{k}", 200) for k in range(10)]), timeout=SECONDS)
            for n in range(8)
        ]
        calls = [
            stub.Reserve.future(
                pb.ReserveRequest(request_id=f"u{n}", lines=[pb.Line(sku="A", quantity=1)])
            )
            for n in range(200)
        ]
        assert all(call.result(timeout=SECONDS).sequence for call in calls)
        for stream in streams:
            assert [granted(answer) for answer in stream] == [200] * 10
    assert front.engine.status().live_holds == 8 * 2_000 + 200
