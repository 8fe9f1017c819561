"""Every call of the client against a real server, over both of its faces.

What the engine decides is tested with the engine; here is what the client makes of the answers:
the vocabulary's types, every field carried over, errors as exceptions.
"""

from __future__ import annotations

import inspect
import itertools
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest

from atp import AsyncClient, Client
from atp import client as atp_client
from atp.client import ChannelOptions, RetryPolicy, batches, control_calls, data_calls
from atp.vocabulary import (
    Cap,
    CapMode,
    CapOverride,
    CapSubject,
    ChangeOutcome,
    LineOutcome,
    ReservationLine,
    ReservationState,
    ReserveOutcome,
    StockOutcome,
    StockReason,
)
from client_faces import FACES, client_face
from server_process import ServerProcess, serving

SECOND = 1_000_000_000
NAMES = (f"sku-{number}" for number in itertools.count())


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


def test_a_hold_from_reserve_to_commit(client: Any, sku: str) -> None:
    reply = client.reserve({sku: 3}, customer_id="alice", client_ip="203.0.113.7", ttl=60)
    assert reply.outcome is ReserveOutcome.GRANTED
    hold = reply.reservation
    assert hold.state is ReservationState.HELD
    assert hold.lines == (ReservationLine(sku, 3, 3, 0, 0, 0),)
    assert hold.expire_time_ns - hold.create_time_ns == 60 * SECOND
    assert (hold.end_time_ns, hold.customer_id, hold.client_ip) == (None, "alice", "203.0.113.7")
    assert reply.sequence == hold.sequence > 0
    assert client.get_reservation(hold.reservation_id) == hold

    part = client.commit(hold.reservation_id, {sku: 1})
    assert (part.outcome, part.line_index, part.repeated) == (ChangeOutcome.DONE, -1, False)
    assert part.reservation.lines == (ReservationLine(sku, 3, 2, 1, 0, 0),)
    back = client.release(hold.reservation_id, [(sku, 1)])
    assert back.reservation.lines == (ReservationLine(sku, 3, 1, 1, 1, 0),)
    end = client.commit(hold.reservation_id)
    assert end.reservation.state is ReservationState.COMMITTED
    assert end.reservation.expire_time_ns is None
    assert end.reservation.end_time_ns >= hold.create_time_ns
    assert client.commit(hold.reservation_id).repeated
    assert client.release(hold.reservation_id).outcome is ChangeOutcome.ALREADY_COMMITTED


def test_a_refusal_is_a_reply_that_says_what_is_left(client: Any, sku: str) -> None:
    other = client.reserve({sku: 4}, ttl=timedelta(minutes=2)).reservation
    reply = client.reserve([(sku, 5), ("no such sku", 1), (sku, 2)])
    assert reply.outcome is ReserveOutcome.SKU_UNKNOWN
    assert (reply.reservation, reply.sequence, reply.repeated) == (None, 0, False)
    short, unknown = reply.line_results
    assert (short.line_index, short.outcome) == (0, LineOutcome.STOCK_SHORT)
    assert (short.granted, short.available, short.held) == (0, 6, 4)
    assert short.first_expire_time_ns == other.expire_time_ns
    assert (unknown.line_index, unknown.outcome) == (1, LineOutcome.SKU_UNKNOWN)
    assert unknown.first_expire_time_ns is None


def test_a_partial_grant(client: Any, sku: str) -> None:
    reply = client.reserve({sku: 11}, allow_partial=True)
    assert reply.outcome is ReserveOutcome.GRANTED_PARTIALLY
    assert [(line.outcome, line.granted) for line in reply.line_results] == [
        (LineOutcome.STOCK_SHORT, 10)
    ]
    assert reply.reservation.lines[0].held == 10


def test_a_repeat_and_a_reused_id(client: Any, sku: str) -> None:
    request_id = f"order {sku}"
    first = client.reserve({sku: 1}, request_id=request_id)
    again = client.reserve({sku: 1}, request_id=request_id)
    assert again == first._replace(repeated=True)
    other = client.reserve({sku: 2}, request_id=request_id)
    assert other.outcome is ReserveOutcome.REQUEST_ID_REUSED


def test_replacing_a_hold(client: Any, sku: str) -> None:
    old = client.reserve({sku: 8}, customer_id="bob").reservation
    new = client.reserve({sku: 9}, customer_id="bob", replaces=old.reservation_id)
    assert new.outcome is ReserveOutcome.GRANTED
    assert client.get_reservation(old.reservation_id).state is ReservationState.RELEASED


def test_extending(client: Any, sku: str) -> None:
    hold = client.reserve({sku: 1}, ttl=60).reservation
    longer = client.extend(hold.reservation_id, ttl=timedelta(minutes=3))
    assert longer.outcome is ChangeOutcome.DONE
    assert longer.latest_expire_time_ns == hold.create_time_ns + 3600 * SECOND
    until = datetime.now(UTC) + timedelta(minutes=10)
    exact = client.extend(hold.reservation_id, expire_time=until)
    expected_ns = int(until.timestamp()) * SECOND + until.microsecond * 1000
    assert exact.reservation.expire_time_ns == expected_ns
    same = client.extend(hold.reservation_id, expire_time=expected_ns)
    assert (same.outcome, same.repeated) == (ChangeOutcome.DONE, True)
    too_long = client.extend(hold.reservation_id, ttl=3601)
    assert too_long.outcome is ChangeOutcome.EXPIRY_OUT_OF_RANGE
    assert too_long.latest_expire_time_ns == hold.create_time_ns + 3600 * SECOND


def test_the_line_that_a_refused_change_is_about(client: Any, sku: str) -> None:
    hold = client.reserve({sku: 2}).reservation
    absent = client.commit(hold.reservation_id, [(sku, 1), ("absent", 1)])
    assert (absent.outcome, absent.line_index) == (ChangeOutcome.LINE_NOT_FOUND, 1)
    above = client.release(hold.reservation_id, {sku: 3})
    assert (above.outcome, above.line_index) == (ChangeOutcome.QUANTITY_ABOVE_HELD, 0)
    unknown = client.commit("0" * 32)
    assert (unknown.outcome, unknown.reservation) == (ChangeOutcome.NOT_FOUND, None)
    assert (unknown.line_index, unknown.latest_expire_time_ns) == (-1, None)


def test_availability_of_many_skus(client: Any, sku: str) -> None:
    hold = client.reserve({sku: 3}).reservation
    known, unknown = client.get_availability([sku, "no such sku"])
    assert known == (sku, True, 7, 10, 3, hold.expire_time_ns, hold.sequence)
    assert unknown == ("no such sku", False, 0, 0, 0, None, 0)


def test_stock(client: Any) -> None:
    sku = next(NAMES)
    created = client.set_stock(sku, 5)
    assert (created.outcome, created.repeated) == (StockOutcome.DONE, False)
    assert created.stock == (sku, 5, 0, 5, 0, 5, 0, None, created.sequence)
    assert client.set_stock(sku, 6, expected=4).outcome is StockOutcome.ON_HAND_CHANGED
    assert client.set_stock(sku, 6, expected=5).stock.on_hand == 6
    taken = client.adjust_stock(sku, -2, StockReason.WRITTEN_OFF, request_id=f"count {sku}")
    assert (taken.stock.on_hand, taken.stock.received, taken.stock.adjusted) == (4, 5, -1)
    again = client.adjust_stock(sku, -2, StockReason.WRITTEN_OFF, request_id=f"count {sku}")
    assert (again.repeated, again.sequence) == (True, taken.sequence)
    assert client.get_stock(sku) == taken.stock


def test_a_batch_of_stock_and_its_pages(client: Any) -> None:
    names = [next(NAMES) for _ in range(30)]
    replies = client.batch_set_stock((name, number) for number, name in enumerate(names))
    assert [reply.stock.on_hand for reply in replies] == list(range(30))
    page = client.list_stock(page_size=7)
    assert len(page.stocks) == 7
    assert page.next_page_token
    listed = {stock.sku: stock.on_hand for stock in client.iterate_stock(page_size=7)}
    assert {name: listed[name] for name in names} == dict(zip(names, range(30), strict=True))
    with pytest.raises(atp_client.InvalidArgument) as caught:
        client.batch_set_stock([(names[0], 99), (names[1], -1)])
    assert caught.value.field == "requests[1].on_hand_quantity"
    assert client.get_stock(names[0]).on_hand == 0


def test_caps(client: Any, sku: str) -> None:
    cap = Cap(
        f"cap-{sku}",
        CapSubject.SUBNET,
        limit=2,
        skus=(sku,),
        per_sku=True,
        window_ns=90 * SECOND + 1,
        mode=CapMode.SHADOW,
        overrides=(CapOverride("10.0.0.0/8", 0), CapOverride("192.0.2.1", None)),
        ipv4_prefix_length=24,
        ipv6_prefix_length=48,
    )
    change = client.set_cap(cap)
    assert change.status.cap == cap
    assert change.sequence > 0
    assert change.status.update_time_ns > 0
    client.reserve({sku: 3}, client_ip="203.0.113.7")
    status = client.get_cap(cap.cap_id)
    assert (status.etag, status.shadow_refused, status.refused) == (change.status.etag, 1, 0)
    closed = cap._replace(limit=0, window_ns=None, mode=CapMode.ENFORCE, overrides=())
    assert client.set_cap(closed, etag=status.etag).status.cap.limit == 0
    with pytest.raises(atp_client.Aborted) as caught:
        client.set_cap(cap, etag=status.etag)
    assert (caught.value.reason, caught.value.answered) == ("CAP_CHANGED", True)
    refused = client.reserve({sku: 1}, client_ip="203.0.113.7")
    assert refused.outcome is ReserveOutcome.CAP_REACHED
    assert refused.cap_refusals == ((cap.cap_id, "203.0.113.0/24", sku, 0, 0, 1),)
    unlimited = client.set_cap(closed._replace(limit=None)).status.cap
    assert unlimited.limit is None
    assert cap.cap_id in [status.cap.cap_id for status in client.iterate_caps(page_size=1)]
    assert cap.cap_id in [status.cap.cap_id for status in client.list_caps().caps]
    assert client.remove_cap(cap.cap_id) > change.sequence
    with pytest.raises(atp_client.NotFound) as missing:
        client.get_cap(cap.cap_id)
    assert missing.value.reason == "CAP_NOT_FOUND"


def test_status_and_recount(client: Any, sku: str) -> None:
    client.reserve({sku: 1})
    status = client.get_status()
    assert status.version
    assert status.skus > 0
    assert status.start_time_ns is not None
    assert ("Reserve", "GRANTED") in [count[:2] for count in status.outcome_counts]
    limits = {limit.name: limit for limit in status.limits}
    assert limits["basket_lines_max"].value == 4096
    settings = {setting.name: setting for setting in status.settings}
    assert settings["hold.default_ttl"][1:] == ("5m", True)
    journal = status.journal
    assert (journal.durability, journal.waiting_records, journal.refusing_reason) == ("sync", 0, "")
    assert journal.directory.endswith("/atp-data")
    assert journal.durable_sequence == status.sequence
    assert 0 < journal.sync_p50_ns <= journal.sync_p99_ns <= journal.sync_most_ns
    assert journal.syncs > 0
    assert (journal.segments, journal.first_sequence) == (1, 1)
    assert journal.journal_bytes > 100
    assert journal.free_bytes > 0
    assert journal.last_recovery.sequence == 0
    report = client.check_invariants()
    assert (report.violations, len(report.digest)) == ((), 32)
    assert report.sequence >= status.sequence


BAD_ARGUMENTS = {
    "a reservation that is not remembered": (
        lambda c: c.get_reservation("0" * 32),
        atp_client.NotFound,
        "",
    ),
    "a SKU that is not known": (lambda c: c.get_stock("nosuch"), atp_client.NotFound, ""),
    "a quantity of 0": (
        lambda c: c.reserve({"A": 0}),
        atp_client.InvalidArgument,
        "lines[0].quantity",
    ),
    "a quantity beyond 64 bits": (
        lambda c: c.reserve([("A", 1), ("B", 2**63)]),
        atp_client.InvalidArgument,
        "lines[1].quantity",
    ),
    "a SKU that is no text": (
        lambda c: c.reserve([(3, 1)]),
        atp_client.InvalidArgument,
        "lines[0].sku",
    ),
    "a SKU that is no Unicode": (
        lambda c: c.reserve({"\ud800": 1}),
        atp_client.InvalidArgument,
        "lines[0].sku",
    ),
    "text instead of lines": (
        lambda c: c.reserve(["AB"]),
        atp_client.InvalidArgument,
        "lines[0]",
    ),
    "a line of three": (
        lambda c: c.reserve([("A", 1, 2)]),
        atp_client.InvalidArgument,
        "lines[0]",
    ),
    "ttl and expire_time": (
        lambda c: c.reserve({"A": 1}, ttl=1, expire_time=1),
        atp_client.InvalidArgument,
        "ttl",
    ),
    "a ttl of 0": (lambda c: c.extend("0" * 32, ttl=0), atp_client.InvalidArgument, "ttl"),
    "an endless ttl": (
        lambda c: c.reserve({"A": 1}, ttl=float("inf")),
        atp_client.InvalidArgument,
        "ttl",
    ),
    "an end without a time zone": (
        lambda c: c.reserve({"A": 1}, expire_time=datetime(2030, 1, 1)),
        atp_client.InvalidArgument,
        "expire_time",
    ),
    "a customer that is no text": (
        lambda c: c.reserve({"A": 1}, customer_id=7),
        atp_client.InvalidArgument,
        "customer_id",
    ),
    "a bad address": (
        lambda c: c.reserve({"A": 1}, client_ip="nowhere"),
        atp_client.InvalidArgument,
        "client_ip",
    ),
}


@pytest.mark.parametrize("name", BAD_ARGUMENTS)
def test_bad_arguments(client: Any, name: str) -> None:
    ask, error, field = BAD_ARGUMENTS[name]
    with pytest.raises(error) as caught:
        ask(client)
    assert caught.value.answered
    assert caught.value.reason
    assert getattr(caught.value, "field", "") == field


def test_both_faces_offer_the_same_calls() -> None:
    """One builder, one method: the same names, arguments and documentation on both."""
    builders = {
        name: build
        for module in (data_calls, control_calls)
        for name, build in vars(module).items()
        if inspect.isfunction(build) and build.__module__ == module.__name__ and name[0] != "_"
    }
    builders["execute"] = batches.execute
    assert len(builders) == 20
    for name, build in builders.items():
        expected = list(inspect.signature(build).parameters.values())
        for face in (Client, AsyncClient):
            method = getattr(face, name)
            assert list(inspect.signature(method).parameters.values())[1:] == expected
            assert (method.__doc__, method.__name__) == (build.__doc__, name)
            assert "Raises" in method.__doc__
    public = {name for name in vars(Client) if not name.startswith("_")}
    assert public == {name for name in vars(AsyncClient) if not name.startswith("_")}
    # `hold` takes what `reserve` takes and is no call of its own.
    others = {"call", "close", "hold", "iterate_caps", "iterate_stock", "watch", "watch_responses"}
    assert public == {*builders, *others}
    for name in others:
        of_both = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        first, second = (list(signature.parameters.values()) for signature in of_both)
        assert [each.name for each in first] == [each.name for each in second]


def test_a_blocking_client_is_shared_by_threads(server: ServerProcess) -> None:
    threads, calls, sku = 8, 25, next(NAMES)
    granted: list[str] = []
    with Client(server.data_plane, server.control_plane) as client:
        client.set_stock(sku, threads * calls - 10)

        def work() -> None:
            for _ in range(calls):
                reply = client.reserve({sku: 1})
                if reply.reservation is not None:
                    granted.append(reply.reservation.reservation_id)

        workers = [threading.Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert client.get_stock(sku).held == threads * calls - 10
    assert len(granted) == len(set(granted)) == threads * calls - 10


def test_a_client_finds_a_server_that_starts_later() -> None:
    """A refused connection is tried again soon, not after grpcio's usual second and more."""
    with serving() as first:
        address = first.control_plane
    retry = RetryPolicy(attempts_max=1000, backoff_first_s=0.02, backoff_max_s=0.05)
    with Client(control_address=address, retry=retry, timeout_s=30) as client:
        answers: list[Any] = []
        asking = threading.Thread(target=lambda: answers.append(client.get_status()))
        asking.start()
        with serving("--set", f"control_plane.address={address}"):
            asking.join()
    assert answers[0].sequence == 0


def test_a_message_longer_than_allowed_is_an_error_of_the_call(server: ServerProcess) -> None:
    options = ChannelOptions(message_bytes_max=64)
    with (
        Client(server.data_plane, server.control_plane, options=options) as client,
        pytest.raises(atp_client.ResourceExhausted) as caught,
    ):
        client.get_status()
    assert not caught.value.answered
    assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
