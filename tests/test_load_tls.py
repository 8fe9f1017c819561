"""The load generator over TLS: what it sells it sells encrypted, and what it won't believe it says.

Servers are real ones, with and without a wish for the client's certificate; the one that speaks TLS
but no HTTP/2 is Python's.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp import Client, load
from atp.history import list_files, read
from atp.load import Kind, LoadFailed, LoadPlan, LoadResult, Tls
from atp.vocabulary import ChangeOutcome, ReserveOutcome
from command import Command
from server_process import ServerProcess, serving, wait_until
from tls_keys import NEEDS_OPENSSL, Keys, make_keys

SKUS = 20
SECONDS = 30.0

pytestmark = NEEDS_OPENSSL


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return make_keys(tmp_path_factory.mktemp("keys"))


def tls_words(keys: Keys, *planes: str, mutual: bool) -> list[str]:
    """Options of a server for these planes."""
    files = {"cert": keys.server.cert, "key": keys.server.key}
    files |= {"client_ca": keys.authority.cert} if mutual else {}
    parts = [(f"{plane}.tls.{part}", path) for plane in planes for part, path in files.items()]
    return [word for name, path in parts for word in ("--set", f"{name}={path}")]


def stocked(process: ServerProcess) -> ServerProcess:
    with Client(process.data_plane, process.control_plane) as client:
        client.batch_set_stock([(f"SKU-{number:08d}", 10**6) for number in range(SKUS)])
    return process


@pytest.fixture(scope="module")
def server(keys: Keys) -> Iterator[ServerProcess]:
    """Encrypted; anybody may call."""
    with serving(*tls_words(keys, "data_plane", mutual=False)) as process:
        yield stocked(process)


@pytest.fixture(scope="module")
def mutual(keys: Keys) -> Iterator[ServerProcess]:
    """Encrypted; who calls shows a certificate."""
    with serving(*tls_words(keys, "data_plane", mutual=True)) as process:
        yield stocked(process)


@pytest.fixture(scope="module")
def plain() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def believing(keys: Keys, host: str = "127.0.0.1") -> Tls:
    return Tls(host, keys.authority.cert_pem)


def showing(keys: Keys) -> Tls:
    return Tls("localhost", keys.authority.cert_pem, keys.client.cert_pem, keys.client.key_pem)


def plan(address: str, run: str, tls: Tls | None, **other: object) -> LoadPlan:
    values: dict[str, object] = {"skus": SKUS, "connections": 3, "in_flight": 5, "calls": 300}
    values |= {"address": address, "run_name": run, "tls": tls}
    return LoadPlan(**(values | other))  # type: ignore[arg-type]


def test_every_reserve_is_a_hold_on_an_encrypted_server(server: ServerProcess, keys: Keys) -> None:
    with Client(server.data_plane, server.control_plane) as client:
        before = sum(stock.held for stock in client.iterate_stock())
        result = load.run(plan(server.data_plane, "one-", believing(keys)))
        held = sum(stock.held for stock in client.iterate_stock())
    assert result.reserves == {ReserveOutcome.GRANTED: 300}
    assert held == before + 300


def test_batches_of_many_records_go_through(server: ServerProcess, keys: Keys) -> None:
    """A batch of 2,000 commands has more bytes than a record of TLS, and so has its answer."""
    result = load.run(
        plan(
            server.data_plane,
            "many-",
            believing(keys, "localhost"),
            kind=Kind.PAIR,
            batch=2_000,
            calls=8,
            in_flight=2,
        )
    )
    assert result.reserves == {ReserveOutcome.GRANTED: 16_000}
    assert result.commits == {ChangeOutcome.DONE: 16_000}


def test_processes_share_an_encrypted_load(mutual: ServerProcess, keys: Keys) -> None:
    result = load.run_many(plan(mutual.data_plane, "two-", showing(keys)), 2)
    assert result.reserves == {ReserveOutcome.GRANTED: 300}


def test_a_server_that_asks_is_shown_the_certificate(mutual: ServerProcess, keys: Keys) -> None:
    branch = Tls(
        *("127.0.0.1", keys.authority.cert_pem),
        *(keys.branch_client.cert_pem, keys.branch_client.key_pem),
    )
    for number, tls in enumerate((showing(keys), branch)):
        result = load.run(plan(mutual.data_plane, f"shown{number}-", tls))
        assert result.statuses == {"OK": 300}


def test_who_is_not_believed_is_told_and_nothing_is_asked(
    server: ServerProcess, plain: ServerProcess, keys: Keys
) -> None:
    for address, tls, told in (
        (server.data_plane, Tls("shop.example", keys.authority.cert_pem),
         "the server's certificate is refused: hostname mismatch (the server was to be shop"),
        (server.data_plane, Tls("127.0.0.1", keys.stranger.cert_pem),
         "the server's certificate is refused: unable to get local issuer certificate"),
        (server.data_plane, Tls("127.0.0.1"),
         "the server's certificate is refused: unable to get local issuer certificate"),
        (server.data_plane, None, "closed the connection at once; it may speak TLS"),
        (plain.data_plane, believing(keys), "the server speaks no TLS"),
    ):  # fmt: skip
        with pytest.raises(LoadFailed) as failed:
            load.run(plan(address, "never-", tls))
        assert str(failed.value).startswith(f"{address}: ")
        assert told in str(failed.value)
        assert failed.value.result is None, "it never began"


def test_a_client_that_is_not_accepted_is_told_so(mutual: ServerProcess, keys: Keys) -> None:
    """Where the server's reset overtakes its word, what is left is why that may be."""
    root = keys.authority.cert_pem
    for tls, told in (
        (Tls("127.0.0.1", root), "ask(s)? for a certificate of this client"),
        (Tls("127.0.0.1", root, keys.stranger.cert_pem, keys.stranger.key_pem),
         "it may not accept the certificate shown"),
        (Tls("127.0.0.1", root, keys.expired.cert_pem, keys.expired.key_pem),
         "it may not accept the certificate shown"),
    ):  # fmt: skip
        with pytest.raises(LoadFailed, match=told):
            load.run(plan(mutual.data_plane, "never-", tls))


def test_texts_that_can_not_be_used_are_told(server: ServerProcess, keys: Keys) -> None:
    root, cert, key = keys.authority.cert_pem, keys.client.cert_pem, keys.client.key_pem
    locked = keys.locked_key.read_bytes()
    for tls, told in (
        (Tls("x", b"junk"), "ca: no BEGIN CERTIFICATE was found"),
        (Tls("x", root[: len(root) // 2]), "ca: "),
        (Tls("x", root, b"junk", key), "cert: no BEGIN CERTIFICATE was found"),
        (Tls("x", root, cert, b"junk"), "key: "),
        (Tls("x", root, cert), "key: a certificate is shown with its key"),
        (Tls("x", root, None, key), "cert: a certificate is shown with its key"),
        (Tls("x", root, cert, keys.stranger.key_pem), "key: key values mismatch"),
        (Tls("x", root, keys.server.cert_pem, locked), "key: the key is encrypted with a pass"),
        (Tls("", root), "server_name: a server without a name can't be believed"),
    ):
        with pytest.raises(LoadFailed, match=f": TLS: {told}"):
            load.run(plan(server.data_plane, "never-", tls))


@contextlib.contextmanager
def without_http2(keys: Keys) -> Iterator[str]:
    """A server of TLS that knows no HTTP/2; its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.server.cert, keys.server.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with contextlib.suppress(OSError), context.wrap_socket(connection, True) as secret:
                secret.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        yield "{}:{}".format(*listener.getsockname())
        thread.join(SECONDS)
        assert not thread.is_alive()


def test_a_server_of_tls_without_http2_is_told(keys: Keys) -> None:
    with without_http2(keys) as address, pytest.raises(LoadFailed, match="does not speak HTTP/2 o"):
        load.run(plan(address, "never-", believing(keys), connections=1))


def test_an_encrypted_server_killed_and_started_again_has_lost_nothing(
    keys: Keys, tmp_path: Path
) -> None:
    words = tls_words(keys, "data_plane", mutual=True)
    results: list[LoadResult | Exception] = []
    answered: list[int] = []
    with serving(*words, folder=tmp_path) as first:
        stocked(first)
        ports = ("--data-address", first.data_plane, "--control-address", first.control_plane)

        def drive() -> None:
            again = plan(
                first.data_plane, "again-", showing(keys),
                calls=None, duration_s=1.5, rate=1_000.0, tries=30,
            )  # fmt: skip
            try:
                results.append(load.run(again, on_step=lambda so: answered.append(so.answered)))
            except LoadFailed as failed:
                results.append(failed)

        thread = threading.Thread(target=drive)
        thread.start()
        wait_until(lambda: bool(results) or (bool(answered) and answered[-1] > 300), "answers")
        first.signal(signal.SIGKILL)
        first.wait()
        with serving(*words, *ports, folder=tmp_path) as second:
            thread.join(SECONDS)
            assert not thread.is_alive()
            (result,) = results
            assert isinstance(result, LoadResult), result
            assert result.reconnects >= 3
            with Client(second.data_plane, second.control_plane) as client:
                held = sum(stock.held for stock in client.iterate_stock())
    assert held == sum(result.reserves.values()) == 1_500 - result.given_up - result.expired


def test_neither_key_nor_certificate_is_in_a_history(
    server: ServerProcess, keys: Keys, tmp_path: Path
) -> None:
    tls = showing(keys)
    load.run(plan(server.data_plane, "told-", tls, history=tmp_path))
    (path,) = list_files(tmp_path)
    told = next(iter(read(path))).begun.settings_json
    assert '"server_name": "localhost"' in told
    assert '"shows_certificate": true' in told
    for text in (told, repr(tls), repr(plan("a:1", "x", tls))):
        assert "BEGIN" not in text


# The command.


def test_the_command_encrypts_both_planes_with_the_same_files(keys: Keys) -> None:
    known = ("--tls-ca", keys.authority.cert)
    own = ("--tls-cert", keys.client.cert, "--tls-key", keys.client.key)
    with serving(*tls_words(keys, "data_plane", "control_plane", mutual=True)) as process:
        atp = Command(process)
        ended = atp("load-test", "--calls", 50, *known, *own, "--json")
        assert (ended.status, ended.json["statuses"]) == (0, {"OK": 50}), ended
        ended = atp("load-test", "--calls", 50, *known)
        assert ended.status == 3
        ended = atp("load-test", "--calls", 50, *known, *own, "--no-data-tls")
        assert (ended.status, "it may speak TLS" in ended.err) == (3, True), ended


def test_the_command_encrypts_the_data_plane_alone(mutual: ServerProcess, keys: Keys) -> None:
    atp = Command(mutual)
    known = ("--data-tls-ca", keys.authority.cert)
    own = ("--data-tls-cert", keys.client.cert, "--data-tls-key", keys.client.key)
    ended = atp("load-test", "--calls", 50, *known, *own)
    assert ended.status == 0, ended
    ended = atp("load-test", "--calls", 50, *known)
    assert ended.status == 3
    assert "for a certificate of this client" in ended.err
    ended = atp("load-test", "--calls", 50, "--data-tls")
    assert "unable to get local issuer certificate" in ended.err


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("--data-tls-ca", "{junk}"), 2, "--data-tls-ca {junk} can't be used: no BEGIN CERT"),
        (("--tls-ca", "{junk}"), 2, "--tls-ca {junk} can't be used: no BEGIN CERTIFICATE"),
        (("--data-tls-cert", "{cert}"), 2, "--data-tls-key can't be used: a certificate is"),
        (("--data-tls-ca", "{cert}", "--no-data-tls"), 2, "--no-data-tls goes with no"),
        (("--data-tls-ca", "{cert}.not"), 2, "does not exist"),
    ],
)
def test_files_that_can_not_be_used_are_told_before_anything_is_asked(
    keys: Keys, tmp_path: Path, words: tuple[str, ...], status: int, told: str
) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("nothing of the kind")
    named = {"junk": junk, "cert": keys.client.cert}
    ended = Command()("load-test", *(word.format(**named) for word in words))
    assert ended.status == status
    assert told.format(**named) in ended.err
    assert ended.err.count("\n") == 1
