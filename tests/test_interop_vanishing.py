"""Clients that vanish: in a frame, in a message, in a batch, or without waiting for their answers.

Bytes on real sockets, closed or reset at a chosen place. The others must not notice, nothing may be
changed by half a message, and no socket may be left open.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator

import pytest

from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1.reservation_service_pb2 import Command, ExecuteRequest
from interop.http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PREFACE,
    RESET,
    SETTINGS,
    Connection,
    call_fields,
    frame,
    prefixed,
)
from interop.stock import connections_to, new_skus, reserve_request
from server_process import ServerProcess, serving, wait_until
from server_stubs import SECONDS, Stubs, stubs_to

CLIENTS = 20
CANCEL = (8).to_bytes(4, "big")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


@pytest.fixture(scope="module")
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    with stubs_to(server) as made:
        yield made


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def calls_begun(stream: int, method: str = "Reserve") -> bytes:
    return frame(HEADERS, END_HEADERS, stream, call_fields(method))


def batch(sku: str) -> ExecuteRequest:
    return ExecuteRequest(commands=[Command(reserve=reserve_request(sku)) for _ in range(1_000)])


PLACES: dict[str, Callable[[str], bytes]] = {
    "in a frame's head": lambda sku: calls_begun(1) + b"\0\1",
    "in a header block": lambda sku: half(calls_begun(1)),
    "after the headers": lambda sku: calls_begun(1),
    "in a DATA frame": lambda sku: (
        calls_begun(1) + half(frame(DATA, END_STREAM, 1, prefixed(reserve_request(sku))))
    ),
    "between two DATA frames": lambda sku: (
        calls_begun(1) + frame(DATA, 0, 1, half(prefixed(reserve_request(sku))))
    ),
    "in a batch": lambda sku: (
        calls_begun(1, "Execute") + frame(DATA, 0, 1, half(prefixed(batch(sku)))[:16_000])
    ),
    "after a reset in a message": lambda sku: (
        calls_begun(1)
        + frame(DATA, 0, 1, half(prefixed(reserve_request(sku))))
        + frame(RESET, 0, 1, CANCEL)
    ),
}
"""What a client has sent when it vanishes; none of it is a whole call."""


@pytest.mark.parametrize("vanish", [Connection.close, Connection.vanish])
@pytest.mark.parametrize("place", list(PLACES))
def test_half_a_call_changes_nothing_and_leaves_nothing(
    server: ServerProcess, stubs: Stubs, place: str, vanish: Callable[[Connection], None]
) -> None:
    (sku,) = new_skus(server)
    available(stubs, sku)
    before = connections_to(server)
    connections = [Connection(server.data_plane) for _ in range(CLIENTS)]
    for connection in connections:
        connection.send(PLACES[place](sku))
    wait_until(lambda: connections_to(server) == before + CLIENTS, "the connections")
    for connection in connections:
        vanish(connection)
    wait_until(lambda: connections_to(server) == before, "the sockets to be closed")
    assert available(stubs, sku) == (100, 0)
    assert recount(stubs)


def test_a_client_that_vanishes_in_the_preface_leaves_nothing(
    server: ServerProcess, stubs: Stubs
) -> None:
    available(stubs, "A")
    before = connections_to(server)
    for sent in (b"", PREFACE[:10], PREFACE, PREFACE + frame(SETTINGS, 0, 0)[:5]):
        connection = Connection(server.data_plane, sent)
        wait_until(lambda: connections_to(server) == before + 1, "the connection")
        connection.vanish()
        wait_until(lambda: connections_to(server) == before, "the socket to be closed")
    assert available(stubs, "A") == (0, 0)


def test_a_call_that_never_comes_whole_is_cut_off_when_the_drain_is_over() -> None:
    """The second word to a front that had stopped by then ended the process with SIGABRT."""
    with serving("--set", "server.drain=100ms") as process:
        connection = Connection(process.data_plane)
        connection.send(calls_begun(1))
        next(connection.frames())
        process.signal(signal.SIGTERM)
        assert process.wait() == 0
        assert "1 calls were cut off" in process.stderr()
        connection.close()


@pytest.mark.parametrize("vanish", [Connection.close, Connection.vanish])
def test_whole_calls_count_although_nobody_takes_the_answers(
    server: ServerProcess, stubs: Stubs, vanish: Callable[[Connection], None]
) -> None:
    """What was judged before its client vanished stays; each call was judged at most once."""
    (sku,) = new_skus(server, units=10_000)
    available(stubs, sku)
    before = connections_to(server)
    asked = [reserve_request(sku) for _ in range(50)]
    connection = Connection(server.data_plane)
    for index, request in enumerate(asked):
        connection.call(2 * index + 1, "Reserve", request)
    answered = next(each for each in connection.frames() if each.kind == HEADERS)
    vanish(connection)
    wait_until(lambda: connections_to(server) == before, "the socket to be closed")
    left, held = available(stubs, sku)
    assert (left + held, 1 <= held <= 50) == (10_000, True)
    again = [stubs.reservations.Reserve(request, timeout=SECONDS) for request in asked]
    assert again[answered.stream // 2].repeated
    assert sum(reply.repeated for reply in again) == held
    assert available(stubs, sku) == (9_950, 50)
    assert recount(stubs)


def available(stubs: Stubs, sku: str) -> tuple[int, int]:
    """(available, held), asked over the data plane."""
    ask = pb.GetAvailabilityRequest(skus=[sku])
    (each,) = stubs.reservations.GetAvailability(ask, timeout=SECONDS).availabilities
    return each.available_quantity, each.held_quantity


def recount(stubs: Stubs) -> bool:
    """True when the server, counting everything anew, finds all laws kept."""
    ask = maintenance_pb.CheckInvariantsRequest()
    return not stubs.maintenance.CheckInvariants(ask, timeout=SECONDS).violations
