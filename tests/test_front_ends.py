"""The native front's bounds and ends: overload, health, drain, silent connections, stop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from front_process import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    SETTINGS,
    Raw,
    Running,
    call_head,
    frame,
    framed,
    running,
)
from server_process import channel_to, wait_until

SECONDS = 30
MS = 1_000_000
SERVICE = "atp.v1.ReservationService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def front() -> Iterator[Running]:
    with running() as served:
        served.engine.set_stock("A", 1_000, now_ns=0)
        yield served


def half_a_call(stream: int = 1, method: str = "Reserve") -> bytes:
    return frame(HEADERS, END_HEADERS, stream, call_head(method)) + frame(
        DATA, 0, stream, framed(b"x" * 10)[:9]
    )


def asking(name: object = "r") -> pb.ReserveRequest:
    return pb.ReserveRequest(request_id=str(name), lines=[pb.Line(sku="A", quantity=1)])


def details_of(error: grpc.RpcError) -> dict[str, bytes]:
    """The details of an error, packed, by their kind."""
    found = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(found)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    return {each.type_url.rpartition(".")[2]: each.value for each in status.details}


# Overload.


def test_a_call_too_many_is_told_when_to_ask_again_and_health_is_let_through() -> None:
    with running(calls_max=2) as served, Raw(served.address) as raw:
        raw.send(half_a_call(1) + half_a_call(3))
        wait_until(lambda: served.front.open_calls == 2, "the calls to come")
        with channel_to(served.address) as channel:
            health = health_pb2_grpc.HealthStub(channel)
            assert health.Check(health_pb2.HealthCheckRequest(), timeout=SECONDS).status == SERVING
            with pytest.raises(grpc.RpcError) as raised:
                pb_grpc.ReservationServiceStub(channel).Reserve(asking(), timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        details = details_of(raised.value)
        info = error_details_pb2.ErrorInfo.FromString(details["ErrorInfo"])
        assert info.reason == "OVERLOADED"
        assert dict(info.metadata) == {"limit_name": "server.calls_max", "limit_value": "2"}
        retry = error_details_pb2.RetryInfo.FromString(details["RetryInfo"])
        assert retry.retry_delay.ToMilliseconds() == 200
        assert served.front.statistics().refused["calls_max"] == 1


def test_messages_that_are_on_their_way_are_bounded_together() -> None:
    with running(buffer_bytes_max=100_000) as served, Raw(served.address) as raw:
        long = framed(b"x" * 1_000_000)
        raw.send(
            b"".join(frame(HEADERS, END_HEADERS, n, call_head("Reserve")) for n in (1, 3, 5))
            + b"".join(frame(DATA, 0, n, long[:16_000]) for n in (1, 3, 5) for _ in range(3))
        )
        assert raw.read_until(HEADERS) is not None
        assert served.front.statistics().refused["buffer_bytes_max"] >= 1
        assert served.front.statistics().held_bytes < 100_000 + 16_384


def test_a_connection_too_many_is_closed() -> None:
    with running(connections_max=1) as served, Raw(served.address) as first:
        assert first.read_until(SETTINGS) is not None
        with Raw(served.address, greet=False) as second:
            assert second.read() is None
        assert served.front.statistics().refused["connections_max"] == 1
        first.send(frame(PING, body=bytes(8)))
        assert first.read_until(PING) is not None


# Health.


def test_health_is_told_and_watchers_are_told_of_the_end(front: Running) -> None:
    with channel_to(front.address) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", SERVICE):
            request = health_pb2.HealthCheckRequest(service=service)
            assert health.Check(request, timeout=SECONDS).status == SERVING
        with pytest.raises(grpc.RpcError) as raised:
            health.Check(health_pb2.HealthCheckRequest(service="x"), timeout=SECONDS)
        assert raised.value.code() == grpc.StatusCode.NOT_FOUND
        watches = [
            health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
            for service in (SERVICE, "", "x")
        ]
        unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        assert [next(watch).status for watch in watches] == [SERVING, SERVING, unknown]
        front.front.retire()
        assert [next(watch).status for watch in watches[:2]] == [NOT_SERVING] * 2
        late = health.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS)
        assert next(late).status == NOT_SERVING
        request = health_pb2.HealthCheckRequest(service=SERVICE)
        assert health.Check(request, timeout=SECONDS).status == NOT_SERVING
        assert pb_grpc.ReservationServiceStub(channel).Reserve(asking(), timeout=SECONDS)
        assert front.front.open_calls == 0
        for watch in watches:
            watch.cancel()


# Drain and stop.


def test_a_drain_finishes_what_is_under_way_and_sends_new_calls_elsewhere(front: Running) -> None:
    message = framed(asking().SerializeToString())
    with Raw(front.address) as busy, Raw(front.address) as idle:
        busy.send(frame(HEADERS, END_HEADERS, 1, call_head("Reserve")))
        wait_until(lambda: front.front.open_calls == 1, "the call to come")
        assert idle.read_until(SETTINGS) is not None
        front.front.drain()
        for raw in (busy, idle):
            notice = raw.read_until(GOAWAY)
            assert notice is not None
            assert int.from_bytes(notice.body[:4], "big") == 2**31 - 1
            ping = raw.read_until(PING)
            assert ping is not None
            raw.send(frame(PING, ACK, body=ping.body))
            last = raw.read_until(GOAWAY)
            assert last is not None
            assert int.from_bytes(last.body[:4], "big") == (1 if raw is busy else 0)
        assert idle.read() is None
        busy.send(frame(DATA, END_STREAM, 1, message))
        assert busy.read_until(DATA, 1) is not None
        trailers = busy.read_until(HEADERS, 1)
        assert trailers is not None
        assert trailers.flags & END_STREAM
        assert busy.read() is None
    with pytest.raises(ConnectionRefusedError):
        Raw(front.address)
    assert front.engine.status().live_holds == 1


def test_a_client_that_never_answers_a_ping_is_drained_too(front: Running) -> None:
    with Raw(front.address) as raw:
        assert raw.read_until(SETTINGS) is not None
        front.front.drain()
        assert raw.read_until(GOAWAY) is not None
        last = raw.read_until(GOAWAY)
        assert last is not None
        assert raw.read() is None


def test_grpc_clients_lose_no_call_to_a_drain(front: Running) -> None:
    done, refused = [], []

    def work(index: int) -> None:
        with channel_to(front.address) as channel:
            stub = pb_grpc.ReservationServiceStub(channel)
            for number in range(10_000):
                try:
                    done.append(stub.Reserve(asking(f"{index}-{number}"), timeout=SECONDS))
                except grpc.RpcError as error:
                    refused.append(error.code())
                    return

    front.engine.set_stock("A", 1_000_000, now_ns=0)
    threads = [threading.Thread(target=work, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(done) > 200, "some calls")
    front.front.drain()
    for thread in threads:
        thread.join()
    assert set(refused) == {grpc.StatusCode.UNAVAILABLE}
    assert front.engine.status().live_holds == len(done)


def test_stop_ends_calls_and_connections_at_once(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(half_a_call())
        wait_until(lambda: front.front.open_calls == 1, "the call to come")
        front.front.stop()
        while raw.read() is not None:
            pass
    wait_until(lambda: front.front.statistics().connections == 0, "the end")
    assert front.front.open_calls == 0


# Connections that do nothing.


def test_an_idle_connection_is_told_to_go_and_closed() -> None:
    with running(idle_ns=100 * MS) as served, Raw(served.address) as raw:
        notice = raw.read_until(GOAWAY)
        assert notice is not None
        assert int.from_bytes(notice.body[4:8], "big") == 0
        while raw.read() is not None:
            pass
        assert served.front.statistics().connections == 0


def test_a_connection_with_a_call_is_not_idle() -> None:
    with running(idle_ns=100 * MS) as served, channel_to(served.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(
            health_pb2.HealthCheckRequest(), timeout=SECONDS
        )
        assert next(watch).status == SERVING
        with Raw(served.address) as idle:
            assert idle.read_until(GOAWAY) is not None
        served.front.retire()
        assert next(watch).status == NOT_SERVING
        watch.cancel()


def test_a_silent_connection_is_asked_whether_it_is_there() -> None:
    with running(keepalive_ns=100 * MS) as served, Raw(served.address) as raw:
        ping = raw.read_until(PING)
        assert ping is not None
        raw.send(frame(PING, ACK, body=ping.body))
        assert raw.read_until(PING) is not None


# Deadlines of what was judged.


def test_a_parked_answer_is_told_late_at_its_deadline_and_its_change_stays(tmp_path: Path) -> None:
    with running(tmp_path) as served, ThreadPoolExecutor() as pool:
        assert served.writer is not None
        served.engine.set_stock("A", 1_000, now_ns=0)
        with channel_to(served.address) as channel:
            stub = pb_grpc.ReservationServiceStub(channel)
            assert stub.Reserve(asking(0), timeout=SECONDS).sequence
            served.writer.stop()
            # Once it has ended, nothing becomes durable any more.
            assert not served.writer.wait(10**9, int(SECONDS * 10**9), may_commit=False)
            waiting = pool.submit(stub.Reserve, asking(1), timeout=0.2)
            with pytest.raises(grpc.RpcError) as raised:
                waiting.result(timeout=SECONDS)
            assert raised.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert served.engine.status().live_holds == 2
        assert served.front.statistics().parked == 1


def test_ports_that_are_taken_and_options_that_make_no_sense_are_refused(front: Running) -> None:
    from atp._front import Front  # noqa: PLC0415
    from front_process import OPTIONS  # noqa: PLC0415

    host, port = front.front.address
    with pytest.raises(OSError, match="in use"):
        Front(front.engine, None, host=host, port=port, threads=1, options=OPTIONS)
    with pytest.raises(OSError, match="in use"):
        Front(front.engine, None, host=host, port=port, threads=2, options=OPTIONS)
    with pytest.raises(ValueError, match="threads"):
        Front(front.engine, None, host=host, port=0, threads=0, options=OPTIONS)
    wanted = OPTIONS._replace(durable=True)
    with pytest.raises(ValueError, match="writer"):
        Front(front.engine, None, host=host, port=0, threads=1, options=wanted)
    with pytest.raises(ValueError, match="no loop 7"):
        front.front.run(7)
    with pytest.raises(ValueError, match="no loop 0"):
        front.front.run(0)
