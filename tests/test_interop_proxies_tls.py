"""Through nginx (grpc_pass with grpcs) and haproxy that speak TLS to the server, with a certificate
of their own: what clients see is what they see without.

Real proxies before a real server that asks its clients who they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from grpc import StatusCode

from interop import scenarios
from interop.client import Client
from interop.languages import LANGUAGES
from interop.proxies import TLS_PROXIES, Trust
from interop.stock import new_skus, reserve_request
from server_process import ServerProcess, wait_until
from stalled_disk import Stalling, stalling
from tls_keys import NEEDS_OPENSSL, Keys, make_keys

Scenario = Callable[[ServerProcess, Client], None]
pytestmark = NEEDS_OPENSSL


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def disk(keys: Keys, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stalling]:
    words = ["--set", f"server.message_bytes_max={scenarios.BATCH_BYTES}"]
    words += ["--set", "server.tls_check_interval=100ms"]  # tells who was refused as often
    files = {"cert": keys.server.cert, "key": keys.server.key, "client_ca": keys.authority.cert}
    for part, path in files.items():
        words += ["--set", f"data_plane.tls.{part}={path}"]
    with stalling(tmp_path_factory.mktemp("interop"), *words) as made:
        yield made


@pytest.fixture(scope="module", params=list(TLS_PROXIES))
def proxy(disk: Stalling, keys: Keys, request: pytest.FixtureRequest) -> Iterator[str]:
    trust = Trust(keys.authority.cert, keys.client)
    with TLS_PROXIES[request.param](disk.server.data_plane, trust) as address:
        yield address


@pytest.fixture(scope="module")
def client(proxy: str) -> Iterator[Client]:
    made = LANGUAGES["grpcio"](proxy)
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
        scenarios.batch_of_four_mebibytes,
    ],
)
def test_a_checkout_does_it_through_a_proxy_with_tls(
    disk: Stalling, client: Client, scenario: Scenario
) -> None:
    scenario(disk.server, client)


def test_a_deadline_passes_through_a_proxy_with_tls(disk: Stalling, client: Client) -> None:
    scenarios.deadline_that_passes(disk, client)


@pytest.mark.parametrize("name", list(TLS_PROXIES))
@pytest.mark.parametrize(
    ("who", "reason"),
    [("", "the client shows no certificate"), ("stranger", "the client's certificate is refused")],
)
def test_a_proxy_that_is_not_known_gets_no_call_through(
    disk: Stalling, keys: Keys, name: str, who: str, reason: str
) -> None:
    """The client is told at once, the operator why."""
    (sku,) = new_skus(disk.server)
    seen = disk.server.stderr().count(reason)
    trust = Trust(keys.authority.cert, getattr(keys, who) if who else None)
    with TLS_PROXIES[name](disk.server.data_plane, trust) as address:
        client = LANGUAGES["grpcio"](address)
        try:
            told = client.begin("Reserve", reserve_request(sku)).result()
            assert told.code == StatusCode.UNAVAILABLE
        finally:
            client.close()
    wait_until(lambda: disk.server.stderr().count(reason) > seen, "the log to say it")
