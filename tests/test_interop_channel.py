"""What a channel of gRPC does beside its calls: health, keepalive, drains, metadata, compression.

Real servers; a channel must outlive whatever is refused on it, and find another server when its own
is told to end.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from interop.client import SECONDS, Client
from interop.languages import LANGUAGES
from interop.python_clients import SyncClient
from interop.scenarios import available
from interop.stock import connections_to, new_skus, reserve_request, sequence
from server_process import ServerProcess, channel_to, serving, wait_until
from stalled_disk import stalling

SERVICE = "atp.v1.ReservationService"
ASK = pb.GetAvailabilityRequest(skus=["A"])
SERVING, NOT_SERVING = (
    health_pb2.HealthCheckResponse.SERVING,
    health_pb2.HealthCheckResponse.NOT_SERVING,
)


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    with channel_to(server.data_plane) as made:
        yield made


@pytest.fixture
def stub(channel: grpc.Channel) -> pb_grpc.ReservationServiceStub:
    return pb_grpc.ReservationServiceStub(channel)


def code_of(call: Any, *arguments: Any, **options: Any) -> grpc.StatusCode:
    """How a call ends."""
    code: grpc.StatusCode = call.future(*arguments, timeout=SECONDS, **options).code()
    return code


def test_health_is_answered_where_calls_are(channel: grpc.Channel) -> None:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", SERVICE):
        ask = health_pb2.HealthCheckRequest(service=service)
        assert health.Check(ask, timeout=SECONDS).status == SERVING
    unknown = health_pb2.HealthCheckRequest(service="atp.v1.Nothing")
    assert code_of(health.Check, unknown) == grpc.StatusCode.NOT_FOUND
    watch = health.Watch(unknown, timeout=SECONDS)
    assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
    watch.cancel()


def test_many_watch_the_health_at_once_and_hear_of_the_end() -> None:
    with serving() as process, channel_to(process.data_plane) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        ask = health_pb2.HealthCheckRequest(service=SERVICE)
        watches = [health.Watch(ask, timeout=SECONDS) for _ in range(20)]
        assert {next(watch).status for watch in watches} == {SERVING}
        process.signal(signal.SIGTERM)
        assert {next(watch).status for watch in watches} == {NOT_SERVING}
        assert process.wait() == 0


def test_a_channel_may_look_after_the_health_by_itself(server: ServerProcess) -> None:
    config = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": SERVICE},
    }
    with channel_to(server.data_plane, service_config=json.dumps(config)) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        assert stub.GetAvailability(ASK, timeout=SECONDS).availabilities


def test_frequent_keepalive_pings_are_answered_and_not_punished(server: ServerProcess) -> None:
    """Ten a second, with a call under way or without, is eager and no attack."""
    keepalive = {
        "keepalive_time_ms": 100,
        "keepalive_timeout_ms": 2_000,
        "keepalive_permit_without_calls": 1,
        "http2.max_pings_without_data": 0,
    }
    with channel_to(server.data_plane, **keepalive) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        assert stub.GetAvailability(ASK, timeout=SECONDS)
        states: list[grpc.ChannelConnectivity] = []
        channel.subscribe(states.append)
        quiet_until = time.monotonic() + 1.5
        wait_until(lambda: time.monotonic() > quiet_until, "pings to have gone to and fro")
        assert stub.GetAvailability(ASK, timeout=SECONDS)
        assert set(states) == {grpc.ChannelConnectivity.READY}


def test_a_quiet_channel_keeps_its_connection_and_calls_go_on(
    stub: pb_grpc.ReservationServiceStub, channel: grpc.Channel
) -> None:
    assert stub.GetAvailability(ASK, timeout=SECONDS)
    states: list[grpc.ChannelConnectivity] = []
    channel.subscribe(states.append)
    for method in ("Reserve2", "reserve", ""):
        missing = channel.unary_unary(f"/{SERVICE}/{method}")
        assert code_of(missing, b"") == grpc.StatusCode.UNIMPLEMENTED
    for service in ("atp.v1.Reservations", "grpc.health.v1.Health2"):
        missing = channel.unary_unary(f"/{service}/Reserve")
        assert code_of(missing, b"") == grpc.StatusCode.UNIMPLEMENTED
    assert stub.GetAvailability(ASK, timeout=SECONDS)
    wait_until(lambda: len(states) > 0, "the channel's state")
    assert set(states) == {grpc.ChannelConnectivity.READY}


def test_the_control_plane_is_not_on_the_data_planes_port(channel: grpc.Channel) -> None:
    for method in ("StockService/SetStock", "CapService/SetCap", "MaintenanceService/GetStatus"):
        call = channel.unary_unary(f"/atp.v1.{method}")
        assert code_of(call, b"") == grpc.StatusCode.UNIMPLEMENTED


def test_metadata_of_every_kind_is_let_pass(stub: pb_grpc.ReservationServiceStub) -> None:
    metadata = [
        ("authorization", "Bearer " + "x" * 2_000),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("some-bin", bytes(range(256))),
        ("some-bin", b""),
        *((f"x-key-{index}", "a value, with commas; and 'more' %25") for index in range(60)),
    ]
    assert stub.GetAvailability(ASK, timeout=SECONDS, metadata=metadata).availabilities


@pytest.mark.parametrize("kib", [20, 50])
def test_metadata_that_is_too_large_is_refused_and_the_channel_goes_on(
    stub: pb_grpc.ReservationServiceStub, kib: int
) -> None:
    metadata = [(f"x-key-{index}", "x" * 1_024) for index in range(kib)]
    refused = code_of(stub.GetAvailability, ASK, metadata=metadata)
    assert refused == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert stub.GetAvailability(ASK, timeout=SECONDS).availabilities


def test_metadata_beyond_all_bounds_ends_the_connection_and_the_channel_comes_back(
    stub: pb_grpc.ReservationServiceStub,
) -> None:
    metadata = [(f"x-key-{index}", "x" * 1_024) for index in range(200)]
    refused = code_of(stub.GetAvailability, ASK, metadata=metadata)
    assert refused in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNAVAILABLE)
    assert stub.GetAvailability(ASK, timeout=SECONDS, wait_for_ready=True).availabilities


def test_gzip_is_refused_and_the_channel_goes_on(
    server: ServerProcess, stub: pb_grpc.ReservationServiceStub
) -> None:
    (sku,) = new_skus(server)
    asked = reserve_request(*[sku] * 100)  # compresses well, so that it is compressed
    code = code_of(stub.Reserve, asked, compression=grpc.Compression.Gzip)
    assert code == grpc.StatusCode.UNIMPLEMENTED
    assert not stub.Reserve(asked, timeout=SECONDS).repeated


def test_an_answer_may_be_larger_than_every_window(
    server: ServerProcess, stub: pb_grpc.ReservationServiceStub
) -> None:
    """Many answers of 300 kB at once, taken one by one."""
    skus = new_skus(server, 4_000)
    ask = pb.GetAvailabilityRequest(skus=skus)
    calls = [stub.GetAvailability.future(ask, timeout=SECONDS) for _ in range(20)]
    for call in calls:
        assert [each.sku for each in call.result().availabilities] == skus


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_calls_finish_when_their_server_ends_and_the_channel_goes_elsewhere(
    tmp_path: Path, language: str
) -> None:
    """GOAWAY: the calls under way are answered, the next ones find the other server."""
    with stalling(tmp_path) as disk, serving() as other:
        (sku,) = new_skus(disk.server)
        (elsewhere,) = new_skus(other)
        client = LANGUAGES[language](f"ipv4:{disk.server.data_plane},{other.data_plane}")
        try:
            assert available(client, sku) == [(100, 100, 0)]
            with disk.stalled():
                before = sequence(disk.stubs)
                calls = [client.begin("Reserve", reserve_request(sku)) for _ in range(20)]
                wait_until(lambda: sequence(disk.stubs) == before + 20, "the calls to be judged")
                disk.server.signal(signal.SIGTERM)
                wait_until(lambda: is_at(client, elsewhere), "the channel to go elsewhere")
            outcomes = {call.result().reply.outcome for call in calls}
            assert outcomes == {pb.RESERVE_OUTCOME_GRANTED}
            assert disk.server.wait() == 0
            assert "cut off" not in disk.server.stderr()
            assert is_at(client, elsewhere)
        finally:
            client.close()


def is_at(client: Client, sku: str) -> bool:
    """True when the channel's server has this SKU."""
    return available(client, sku) == [(100, 100, 0)]


def test_a_server_that_ends_under_load_loses_no_call_that_it_began(server: ServerProcess) -> None:
    """Calls one after another while their server ends: each is answered, by one or the other."""
    with serving() as ending:
        target = f"ipv4:{ending.data_plane},{server.data_plane}"
        over = threading.Event()

        def call_on() -> set[grpc.StatusCode]:
            codes = set()
            client = SyncClient(target)
            while not over.is_set():
                codes.add(client.begin("GetAvailability", ASK).result().code)
            codes.add(client.begin("GetAvailability", ASK).result().code)
            client.close()
            return codes

        with ThreadPoolExecutor(4) as callers:
            told = [callers.submit(call_on) for _ in range(4)]
            wait_until(lambda: connections_to(ending) == 4, "the callers to come")
            ending.signal(signal.SIGTERM)
            assert ending.wait() == 0
            over.set()
            assert set().union(*(each.result() for each in told)) == {grpc.StatusCode.OK}
