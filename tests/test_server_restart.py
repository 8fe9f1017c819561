"""What was answered is there after any end of the process.

Real servers, one after another on one data directory: ended by SIGTERM or by SIGKILL.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import NamedTuple

import pytest

from atp import Client
from atp.vocabulary import (
    Cap,
    CapStatus,
    CapSubject,
    ChangeOutcome,
    Reservation,
    ReservationState,
    ReserveOutcome,
    Stock,
    StockReason,
)
from server_process import ServerProcess, run_atp, serving, wait_until

ENDS = [signal.SIGTERM, signal.SIGKILL]
SECOND = 1_000_000_000
ADDRESS = "192.0.2.7"


def client_of(server: ServerProcess) -> Client:
    return Client(server.data_plane, server.control_plane, timeout_s=20)


class Seen(NamedTuple):
    """What a client can see of a server's state."""

    sequence: int
    digest: str
    stocks: dict[str, Stock]
    caps: list[CapStatus]
    reservations: list[Reservation]


def seen(client: Client, reservation_ids: list[str]) -> Seen:
    report = client.check_invariants()
    assert report.violations == ()
    return Seen(
        report.sequence,
        report.digest,
        {stock.sku: stock for stock in client.iterate_stock()},
        list(client.iterate_caps()),
        [client.get_reservation(reservation_id) for reservation_id in reservation_ids],
    )


def sell(client: Client) -> list[str]:
    """A bit of everything; returns the reservations."""
    client.batch_set_stock([("MUG", 100), ("TEAPOT", 50)])
    client.adjust_stock("MUG", 5, StockReason.RECEIVED, request_id="received")
    client.set_cap(Cap("per-ip", CapSubject.IP, limit=40, window_ns=3600 * SECOND))
    client.set_cap(Cap("gone", CapSubject.CUSTOMER, limit=1, skus=("TEAPOT",)))
    client.remove_cap("gone")
    ids = []
    for number in range(6):
        reply = client.reserve(
            {"MUG": 2, "TEAPOT": 1},
            request_id=f"order-{number}",
            customer_id="alice",
            client_ip=ADDRESS,
            ttl=3600,
        )
        assert reply.reservation is not None
        ids.append(reply.reservation.reservation_id)
    client.commit(ids[0])
    client.commit(ids[1], {"MUG": 1}, request_id="part")
    client.release(ids[2])
    client.extend(ids[3], ttl=7200)
    replaced = client.reserve(
        {"MUG": 3}, request_id="order-6", customer_id="alice", replaces=ids[4], ttl=3600
    )
    assert replaced.reservation is not None
    return [*ids, replaced.reservation.reservation_id]


@pytest.mark.parametrize(
    ("durability", "end"),
    [
        ("sync", signal.SIGTERM),
        ("sync", signal.SIGKILL),
        ("interval", signal.SIGTERM),
        ("interval", signal.SIGKILL),
        ("off", signal.SIGTERM),
    ],
)
def test_all_that_was_answered_is_there_after_a_restart(
    tmp_path: Path, durability: str, end: signal.Signals
) -> None:
    """With interval, what was answered before the last interval began."""
    settings = ("--set", f"journal.durability={durability}", "--set", "journal.sync_interval=1ms")
    with serving(*settings, folder=tmp_path) as server, client_of(server) as client:
        ids = sell(client)
        before = seen(client, ids)
        if (durability, end) == ("interval", signal.SIGKILL):
            wait_until(lambda: durable(client) == before.sequence, "the interval to be over")
        server.signal(end)
        assert server.wait() == (0 if end == signal.SIGTERM else -signal.SIGKILL)
    with serving(folder=tmp_path) as server, client_of(server) as client:
        assert seen(client, ids) == before
        found = client.get_status().journal
        assert found is not None
        assert found.last_recovery is not None
        assert found.last_recovery.sequence == before.sequence == found.durable_sequence
        assert found.last_recovery.expired == 0


def durable(client: Client) -> int:
    journal = client.get_status().journal
    assert journal is not None
    return journal.durable_sequence


@pytest.mark.parametrize("end", ENDS)
def test_repeats_after_a_restart_get_the_first_answer(tmp_path: Path, end: signal.Signals) -> None:
    with serving(folder=tmp_path) as server, client_of(server) as client:
        client.set_stock("MUG", 10)
        first = client.reserve({"MUG": 2}, request_id="order", customer_id="alice")
        assert first.reservation is not None
        hold = first.reservation.reservation_id
        part = client.commit(hold, {"MUG": 1}, request_id="part")
        adjusted = client.adjust_stock("MUG", -1, StockReason.COUNTED, request_id="counted")
        server.signal(end)
        server.wait()
    with serving(folder=tmp_path) as server, client_of(server) as client:
        sequence = client.get_status().sequence
        again = client.reserve({"MUG": 2}, request_id="order", customer_id="alice")
        assert (again.outcome, again.repeated) == (ReserveOutcome.GRANTED, True)
        assert again.sequence == first.sequence
        assert again.reservation == part.reservation
        other = client.reserve({"MUG": 3}, request_id="order", customer_id="alice")
        assert other.outcome == ReserveOutcome.REQUEST_ID_REUSED
        again_part = client.commit(hold, {"MUG": 1}, request_id="part")
        assert (again_part.repeated, again_part.sequence) == (True, part.sequence)
        again_adjusted = client.adjust_stock("MUG", -1, StockReason.COUNTED, request_id="counted")
        assert (again_adjusted.repeated, again_adjusted.sequence) == (True, adjusted.sequence)
        assert client.get_status().sequence == sequence


@pytest.mark.parametrize("end", ENDS)
def test_holds_whose_time_passed_meanwhile_have_expired_and_no_others(
    tmp_path: Path, end: signal.Signals
) -> None:
    with serving(folder=tmp_path) as server, client_of(server) as client:
        client.set_stock("MUG", 10)
        client.set_cap(Cap("c", CapSubject.CUSTOMER, limit=5))
        # Long enough to be there when the server ends, short enough to be waited for.
        short = client.reserve({"MUG": 3}, customer_id="bob", ttl=1.5).reservation
        long = client.reserve({"MUG": 2}, customer_id="bob", ttl=3600).reservation
        assert short is not None
        assert long is not None
        server.signal(end)
        server.wait()
    with serving(folder=tmp_path) as server, client_of(server) as client:
        wait_until(
            lambda: client.get_reservation(short.reservation_id).end_time_ns is not None,
            "the hold to expire, if it has not yet",
        )
        found = client.get_reservation(short.reservation_id)
        assert found.state == ReservationState.EXPIRED
        assert found.end_time_ns == short.expire_time_ns
        assert client.commit(short.reservation_id).outcome == ChangeOutcome.ALREADY_EXPIRED
        assert client.get_reservation(long.reservation_id) == long
        assert client.get_stock("MUG").available == 8
        assert client.reserve({"MUG": 3}, customer_id="bob").outcome == ReserveOutcome.GRANTED
        assert client.check_invariants().violations == ()


def test_what_expired_while_it_was_down_is_counted_at_the_start(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as server, client_of(server) as client:
        client.set_stock("MUG", 10)
        hold = client.reserve({"MUG": 3}, ttl=0.5).reservation
        assert hold is not None
        with client_of(server) as other:
            assert other.get_reservation(hold.reservation_id).state == ReservationState.HELD
        server.signal(signal.SIGKILL)
        server.wait()
    wait_until(lambda: clock_is_after(hold.expire_time_ns), "the hold's time to pass")
    with serving(folder=tmp_path) as server, client_of(server) as client:
        journal = client.get_status().journal
        assert journal is not None
        assert journal.last_recovery is not None
        assert journal.last_recovery.expired == 1
        assert client.get_stock("MUG").available == 10


def clock_is_after(time_ns: int | None) -> bool:
    from atp.clock import Clock  # noqa: PLC0415

    assert time_ns is not None
    return Clock().now_ns() > time_ns


def test_many_restarts_in_a_row_lose_nothing(tmp_path: Path) -> None:
    """Each on what the ones before left, with segments so small that there are many."""
    settings = ("--set", "journal.segment_bytes=64KiB")
    ids: list[str] = []
    for turn, end in enumerate([*ENDS, *ENDS]):
        with serving(*settings, folder=tmp_path) as server, client_of(server) as client:
            if turn == 0:
                client.set_stock("MUG", 10**6)
            for number in range(400):
                reply = client.reserve({"MUG": 1}, request_id=f"{turn}-{number}", ttl=3600)
                assert reply.reservation is not None
                ids.append(reply.reservation.reservation_id)
            assert client.get_stock("MUG").held == len(ids)
            server.signal(end)
            server.wait()
    with serving(*settings, folder=tmp_path) as server, client_of(server) as client:
        assert client.get_stock("MUG").held == len(ids)
        assert client.check_invariants().violations == ()
        journal = client.get_status().journal
        assert journal is not None
        assert journal.segments > 2
        assert all(client.get_reservation(one).state == ReservationState.HELD for one in ids[::100])


FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")


def test_damage_stops_the_start_with_where_it_is_and_what_to_do(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as server, client_of(server) as client:
        for number in range(100):
            client.set_stock(f"sku-{number}", 1)
        server.signal(signal.SIGKILL)
        server.wait()
    data = tmp_path / "atp-data"
    (segment,) = (data / "journal").glob("*.segment")
    content = bytearray(segment.read_bytes())
    content[2_000] ^= 1
    segment.write_bytes(content)
    before = segment.read_bytes()
    done = run_atp("serve", *FREE, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert str(segment) in done.stderr
    assert f"atp journal repair {data}" in done.stderr
    assert segment.read_bytes() == before


def test_a_directory_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    with serving(folder=tmp_path):
        pass
    store = tmp_path / "atp-data" / "STORE"
    store.write_text(store.read_text().replace("version 1", "version 2"))
    done = run_atp("serve", *FREE, folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"atp: {store} was written by a newer atp")
    assert done.stderr.count("\n") == 1
