"""One connection that asks for too much is ended for the reason that fits; no other is touched.

Owns what each guard looks like from outside: GOAWAY with ENHANCE_YOUR_CALM, a count under the
guard's name, and another connection that is served as before.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pytest

from atp.v1 import reservation_pb2 as pb
from front_frames import (
    CONTINUATION,
    DATA,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PRIORITY,
    Connection,
    ask,
    call_fields,
    data,
    field,
    frame,
    from_table,
    headers,
    ping,
    reset,
    settings,
    window_update,
)
from front_process import Running, running

SKU = "apple"
AVAILABILITY = "/atp.v1.ReservationService/GetAvailability"
EXECUTE = "/atp.v1.ReservationService/Execute"
QUESTION = pb.GetAvailabilityRequest(skus=[SKU]).SerializeToString()
LONG_QUESTION = pb.GetAvailabilityRequest(skus=[SKU * 12] * 4_096).SerializeToString()
ODD = range(1, 40_001, 2)


@pytest.fixture
def front() -> Iterator[Running]:
    """A front with something to sell."""
    with running() as served:
        served.engine.set_stock(SKU, 100, now_ns=served.front.now_ns())
        yield served


def continuations() -> bytes:
    """A header block in ten frames."""
    parts = [headers(1, call_fields(), 0)]
    parts += [frame(CONTINUATION, 0, 1, field(f"x-{i}", "y")) for i in range(10)]
    return b"".join(parts)


def bomb() -> bytes:
    """A call that names one long field of the table again and again."""
    kept = call_fields() + field("x-bomb", "b" * 3_900, indexed=True)
    return ask(1, QUESTION, AVAILABILITY) + (
        headers(3, kept) + headers(5, call_fields() + from_table(62) * 10_000)
    )


def many(texts: Iterable[bytes]) -> bytes:
    """All of them in one piece, so that nothing is left in the socket when the end comes."""
    return b"".join(texts)


FLOODS: dict[str, Callable[[], bytes]] = {
    "resets": lambda: many(headers(i, call_fields()) + reset(i) for i in ODD[:1_001]),
    "continuations": continuations,
    "settings": lambda: settings((INITIAL_WINDOW_SIZE, 65_535)) * 64,
    "pings": lambda: ping() * 1_001,
    "priorities": lambda: many(frame(PRIORITY, 0, i, struct.pack(">IB", 0, 16)) for i in ODD[:257]),
    "window_updates": lambda: window_update(0, 1) * 4_001,
    "empty_data": lambda: headers(1, call_fields()) + data(1, b"") * 101,
    "strange": lambda: frame(GOAWAY, 0, 0, bytes(8)) * 101,
    "headers": bomb,
    "faults": lambda: many(
        headers(i, call_fields() + field("Upper-Case", "x"), 0x5) for i in ODD[:201]
    ),
}


@pytest.mark.parametrize("reason", FLOODS)
def test_a_flood_is_ended_with_its_reason(front: Running, reason: str) -> None:
    """Told to be calm, counted under its name; the other connection doesn't notice."""
    with Connection(front.address) as other, Connection(front.address) as flood:
        assert is_served(other, 1)
        flood.send(FLOODS[reason]())
        assert flood.goaway_code() == ENHANCE_YOUR_CALM
        assert is_served(other, 3)
        ended = front.front.statistics().ended
        assert {name: count for name, count in ended.items() if count} == {reason: 1}
    assert front.engine.check(now_ns=front.front.now_ns()).violations == ()


BELOW = {
    "resets": 13,
    "settings": 15,
    "pings": 17,
    "priorities": 14,
    "window_updates": 13,
    "empty_data": 9,
}
"""Floods, and the bytes of the frame that is one too many."""


@pytest.mark.parametrize("reason", BELOW)
def test_just_below_a_flood_all_is_well(front: Running, reason: str) -> None:
    """One frame fewer, and the same connection is served."""
    with Connection(front.address) as calm:
        assert calm.send(FLOODS[reason]()[: -BELOW[reason]])
        assert is_served(calm, 39_999)
    assert not any(front.front.statistics().ended.values())


def is_served(connection: Connection, stream: int) -> bool:
    """Makes a call and reads to its end; True when a message came before its trailers."""
    connection.send(ask(stream, QUESTION, AVAILABILITY))
    return kinds_of_answer(connection, stream) == [HEADERS, DATA, HEADERS]


def kinds_of_answer(connection: Connection, stream: int) -> list[int]:
    """The types of a call's frames, read to its end."""
    kinds = []
    for each in connection.frames():
        if each.stream == stream:
            kinds.append(each.type)
            if each.flags & END_STREAM:
                break
    return kinds


def test_a_client_that_is_refused_and_asks_again_is_no_flood(front: Running) -> None:
    """A gRPC client lost its connection once, after some thousand refusals for a full disk.

    It measures and opens windows at each call; only calls that were granted had paid for that.
    """
    refused = pb.GetAvailabilityRequest().SerializeToString()
    with Connection(front.address) as calm:
        for first in range(1, 16_001, 200):
            calls = range(first, first + 200, 2)
            extra = ping() + window_update(0, 1) * 3
            calm.send(many(ask(stream, refused, AVAILABILITY) + extra for stream in calls))
            kinds = kinds_of_answer(calm, calls[-1])
            assert kinds == [HEADERS], front.front.statistics()
        assert is_served(calm, 39_999)
    assert not any(front.front.statistics().ended.values())


def test_streams_that_end_with_an_error_pay_for_no_resets(front: Running) -> None:
    """They earned as answered and as refused once: a flood of resets behind them went on and on."""
    calls = iter(ODD[:4_000])
    with Connection(front.address) as flood:
        for some in iter(lambda: list(islice(calls, 100)), []):
            flood.send(many(ask(stream, b"\xff", EXECUTE) for stream in some))
            if kinds_of_answer(flood, some[-1])[-1:] != [HEADERS]:
                break
            flood.send(many(reset(stream) for stream in some))
    ended = front.front.statistics().ended
    assert {name: count for name, count in ended.items() if count} == {"resets": 1}


def test_who_hangs_up_in_the_same_breath_is_not_written_to() -> None:
    """Freed memory was written to once, when a connection had bytes to say and ended in a round.

    On a busy machine the front meets them all at once, those that have gone too: there is room.
    """
    turns = 300
    with running(connections_max=2 * turns) as served:
        served.engine.set_stock(SKU, 100, now_ns=served.front.now_ns())
        for turn in range(turns):
            with Connection(served.address) as gone:
                gone.send(ping() * (turn % 3) + ask(1, QUESTION, AVAILABILITY))
        with Connection(served.address) as other:
            assert is_served(other, 1), served.front.statistics()
