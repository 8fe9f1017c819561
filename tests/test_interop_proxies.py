"""Through nginx (grpc_pass) and haproxy (as TCP and as HTTP/2), as people put them before a server.

Real proxies before a real server; the clients' scenarios must hold through each of them.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from grpc import StatusCode

from atp.v1 import reservation_pb2 as pb
from interop import scenarios
from interop.client import Client
from interop.languages import LANGUAGES
from interop.proxies import PROXIES
from interop.stock import new_skus, reserve_request, sequence
from server_process import ServerProcess, serving, wait_until
from stalled_disk import Stalling, stalling

Scenario = Callable[[ServerProcess, Client], None]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalling]:
    bound = f"server.message_bytes_max={scenarios.BATCH_BYTES}"
    with stalling(tmp_path_factory.mktemp("interop"), "--set", bound) as made:
        yield made


@pytest.fixture(scope="module", params=list(PROXIES))
def proxy(disk: Stalling, request: pytest.FixtureRequest) -> Iterator[str]:
    with PROXIES[request.param](disk.server.data_plane) as address:
        yield address


@pytest.fixture(scope="module", params=["grpcio", "grpc-js"])
def client(proxy: str, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = LANGUAGES[request.param](proxy)
    yield made
    made.close()


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.whole_life,
        scenarios.error_details,
        scenarios.basket_of_a_thousand,
        scenarios.many_at_once,
        scenarios.batches,
    ],
)
def test_a_checkout_does_it_through_a_proxy(
    disk: Stalling, client: Client, scenario: Scenario
) -> None:
    scenario(disk.server, client)


def test_batches_of_four_mebibytes_go_through_a_proxy(disk: Stalling, proxy: str) -> None:
    client = LANGUAGES["grpcio"](proxy)
    try:
        scenarios.batch_of_four_mebibytes(disk.server, client)
    finally:
        client.close()


def test_a_deadline_passes_through_a_proxy(disk: Stalling, client: Client) -> None:
    """The channel goes on, and so does the proxy's connection to the server."""
    scenarios.deadline_that_passes(disk, client)


@pytest.mark.parametrize("name", list(PROXIES))
def test_a_proxy_that_lost_its_server_says_so_and_finds_the_next(name: str) -> None:
    ask = pb.GetAvailabilityRequest(skus=["A"])
    with serving() as first, PROXIES[name](first.data_plane) as address:
        client = LANGUAGES["grpcio"](address)
        try:
            assert scenarios.available(client, "A") == [(0, 0, 0)]
            first.process.kill()
            first.wait()
            told = client.begin("GetAvailability", ask).result()
            assert told.code == StatusCode.UNAVAILABLE
            with serving("--data-address", first.data_plane):
                wait_until(
                    lambda: client.begin("GetAvailability", ask).result().code == StatusCode.OK,
                    "the proxy to find the server",
                )
        finally:
            client.close()


@pytest.mark.parametrize("name", list(PROXIES))
def test_calls_through_a_proxy_finish_when_the_server_is_told_to_end(
    tmp_path: Path, name: str
) -> None:
    """Haproxy 2.6 loses trailers that come right before a close: the close comes later."""
    with stalling(tmp_path) as disk, PROXIES[name](disk.server.data_plane) as address:
        client = LANGUAGES["grpcio"](address)
        try:
            (sku,) = new_skus(disk.server)
            with disk.stalled():
                before = sequence(disk.stubs)
                calls = [client.begin("Reserve", reserve_request(sku)) for _ in range(10)]
                wait_until(lambda: sequence(disk.stubs) == before + 10, "the calls to be judged")
                disk.server.signal(signal.SIGTERM)
                wait_until(lambda: "stopping" in disk.server.stderr(), "the stop to begin")
            told = [call.result().reply for call in calls]
            assert {reply.outcome for reply in told} == {pb.RESERVE_OUTCOME_GRANTED}
            assert disk.server.wait() == 0
            assert "cut off" not in disk.server.stderr()
        finally:
            client.close()
