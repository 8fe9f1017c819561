"""Clients in every language, each on a channel of its own to one real server.

They are grpcio (sync and aio), @grpc/grpc-js on Node.js and libgrpc++; each is asked the same and
must be told the same. The server's disk stands still where a test says so, which holds answers back
for as long as the test likes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from grpc import StatusCode

from atp.v1 import reservation_pb2 as pb
from interop import scenarios
from interop.client import Client
from interop.languages import LANGUAGES
from interop.scenarios import available
from interop.stock import new_skus, reserve_request
from server_process import ServerProcess, serving, wait_until
from stalled_disk import Stalling, stalling

STREAMS_MAX = 16
MESSAGE_BYTES_MAX = 4 << 20


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalling]:
    bounds = (f"server.streams_max={STREAMS_MAX}", f"server.message_bytes_max={MESSAGE_BYTES_MAX}")
    arguments = [word for bound in bounds for word in ("--set", bound)]
    with stalling(tmp_path_factory.mktemp("interop"), *arguments) as made:
        yield made


@pytest.fixture(scope="module", params=list(LANGUAGES))
def client(disk: Stalling, request: pytest.FixtureRequest) -> Iterator[Client]:
    made = LANGUAGES[request.param](disk.server.data_plane)
    yield made
    made.close()


@pytest.mark.parametrize(
    "scenario",
    [
        scenarios.whole_life,
        scenarios.refusal,
        scenarios.error_details,
        scenarios.basket_of_a_thousand,
        scenarios.batches,
        scenarios.batch_of_four_mebibytes,
    ],
)
def test_what_a_checkout_does(
    disk: Stalling, client: Client, scenario: Callable[[ServerProcess, Client], None]
) -> None:
    scenario(disk.server, client)


def test_a_deadline_that_passes_ends_the_call_and_not_what_it_did(
    disk: Stalling, client: Client
) -> None:
    (sku,) = new_skus(disk.server)
    asked = reserve_request(sku)
    with disk.stalled():
        started = time.monotonic()
        told = client.begin("Reserve", asked, seconds=0.3).result()
        assert told.code == StatusCode.DEADLINE_EXCEEDED
        assert 0.3 <= time.monotonic() - started < 5.0
    again = client.begin("Reserve", asked).result().reply
    assert (again.outcome, again.repeated) == (pb.RESERVE_OUTCOME_GRANTED, True)
    assert available(client, sku) == [(99, 100, 1)]


def test_a_call_can_be_cancelled_and_its_channel_goes_on(disk: Stalling, client: Client) -> None:
    sku, other = new_skus(disk.server, 2)
    asked = reserve_request(sku)
    with disk.stalled():
        call = client.begin("Reserve", asked)
        # Judged by now: the repeat, which is answered no sooner, is given up as well.
        told = client.begin("Reserve", asked, seconds=0.2).result()
        assert told.code == StatusCode.DEADLINE_EXCEEDED
        call.cancel()
        assert call.result().code == StatusCode.CANCELLED
        assert available(client, other) == [(100, 100, 0)]
    assert client.begin("Reserve", asked).result().reply.repeated
    assert available(client, sku) == [(99, 100, 1)]


def test_more_calls_at_once_than_streams_are_all_answered(disk: Stalling, client: Client) -> None:
    (sku,) = new_skus(disk.server, units=1_000)
    with disk.stalled():
        calls = [client.begin("Reserve", reserve_request(sku)) for _ in range(20 * STREAMS_MAX)]
    told = [call.result().reply for call in calls]
    assert {reply.outcome for reply in told} == {pb.RESERVE_OUTCOME_GRANTED}
    assert len({reply.sequence for reply in told}) == len(told)
    assert available(client, sku) == [(1_000 - len(told), 1_000, len(told))]


def test_a_message_over_the_bound_is_refused_and_the_channel_goes_on(
    disk: Stalling, client: Client
) -> None:
    (sku,) = new_skus(disk.server)
    asked = reserve_request(sku)
    asked.customer_id = "a" * MESSAGE_BYTES_MAX
    told = client.begin("Reserve", asked).result()
    assert told.code == StatusCode.RESOURCE_EXHAUSTED
    assert str(MESSAGE_BYTES_MAX) in told.text
    assert available(client, sku) == [(100, 100, 0)]


@pytest.mark.parametrize("language", list(LANGUAGES))
def test_a_client_may_wait_for_a_server_and_come_back_after_a_restart(language: str) -> None:
    ask = pb.GetAvailabilityRequest(skus=["A"])
    with serving() as first:
        address = first.data_plane
        client = LANGUAGES[language](address)
        try:
            assert available(client, "A") == [(0, 0, 0)]
            first.process.kill()
            first.wait()

            def is_refused() -> bool:
                return client.begin("GetAvailability", ask).result().code == StatusCode.UNAVAILABLE

            wait_until(is_refused, "the channel to know")
            waiting = client.begin("GetAvailability", ask, wait_for_ready=True)
            with serving("--data-address", address):
                assert waiting.result().reply.availabilities[0].sku == "A"
        finally:
            client.close()
