"""A watch from the client: what it tells, when it goes on by itself, and what it never does.

Runs both faces of the client against a server whose streams go as the test has written them; time,
chance and waiting are the test's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import Any

import grpc
import pytest

from atp.client import (
    AsyncClient,
    Client,
    InvalidArgument,
    OutOfRange,
    ReplyUnknown,
    ResourceExhausted,
    RetryPolicy,
    Unavailable,
    changes,
)
from atp.client.changes import Change
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import event_pb2
from atp.v1 import maintenance_service_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from atp.vocabulary import Cap, CapSubject, StockReason
from client_faces import FACES
from scripted_server import UNAVAILABLE, Fault, ScriptedServer, Stream, scripted
from test_client_retry import FakeClock

TOO_SLOW = Fault(
    grpc.StatusCode.RESOURCE_EXHAUSTED, "slow", "WATCH_TOO_SLOW", {"resume_sequence": "3"}
)
DRAINING = Fault(grpc.StatusCode.UNAVAILABLE, "stops", "DRAINING", {"resume_sequence": "3"}, 0.2)
GONE = Fault(grpc.StatusCode.OUT_OF_RANGE, "gone", "WATCH_POSITION_GONE", {"first_sequence": "9"})
FULL = Fault(grpc.StatusCode.RESOURCE_EXHAUSTED, "full", "LIMIT_REACHED", {"limit_name": "w"})
KEY = bytes(range(16))


@pytest.fixture(params=FACES)
def face(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def told(*sequences: int, resume: int = 0) -> pb.WatchResponse:
    """A response with these changes, each an expiry."""
    expired = event_pb2.Event(time_ns=7, expired=event_pb2.ExpiredEvent(reservation_key=KEY))
    events = [pb.WatchedEvent(sequence=each, event=expired) for each in sequences]
    return pb.WatchResponse(events=events, resume_sequence=resume or sequences[-1] + 1)


def watch(
    face: str, server: ScriptedServer, count: int, from_sequence: int = 0, **keywords: Any
) -> list[Change]:
    """The first changes of a watch, which is then given up; `keywords` as for clients and watch."""
    resume_s = keywords.pop("resume_s", 0.0)
    got: list[Change] = []
    if face == "sync":
        with (
            Client(server.address, server.address, **keywords) as client,
            contextlib.closing(client.watch(from_sequence, resume_s=resume_s)) as feed,
        ):
            for change in feed:
                got.append(change)
                if len(got) == count:
                    break
        return got

    async def run() -> None:
        async with (
            AsyncClient(server.address, server.address, **keywords) as client,
            contextlib.aclosing(client.watch(from_sequence, resume_s=resume_s)) as feed,
        ):
            async for change in feed:
                got.append(change)
                if len(got) == count:
                    return

    asyncio.run(run())
    return got


def asked(server: ScriptedServer) -> list[int]:
    """The positions that were asked for."""
    return [request.from_sequence for request in server.requests(pb.WatchRequest)]


def test_changes_come_one_by_one(face: str) -> None:
    stream = Stream((pb.WatchResponse(resume_sequence=5), told(5, 6), told(7)))
    with scripted(stream) as server:
        got = watch(face, server, 3, 5)
    assert [change.sequence for change in got] == [5, 6, 7]
    assert got[0] == Change(5, 7, changes.Expired(KEY.hex()))
    assert asked(server) == [5]
    assert (server.asked[0].timeout_s or math.inf) > 1e9, "a watch has no deadline"


def test_it_goes_on_where_it_was_when_it_is_told_to(face: str) -> None:
    fake = FakeClock()
    streams = (
        Stream((pb.WatchResponse(resume_sequence=5), told(5, 6)), UNAVAILABLE),
        Stream((), UNAVAILABLE),
        Stream((told(7), told(8)), DRAINING),
        Stream((told(9),), TOO_SLOW),
        Stream((told(10),)),
    )
    with scripted(*streams) as server:
        got = watch(face, server, 6, resume_s=60, clock=fake.clock)
    assert [change.sequence for change in got] == [5, 6, 7, 8, 9, 10]
    assert asked(server) == [0, 7, 7, 9, 10]
    # Back-off starts anew whenever there was an answer; what the server asks for comes on top.
    assert fake.slept == pytest.approx([0.05, 0.1, 0.25, 0.05])


def test_it_does_not_go_on_unless_it_is_told_to(face: str) -> None:
    for end, kind in ((UNAVAILABLE, Unavailable), (DRAINING, Unavailable),
                      (TOO_SLOW, ResourceExhausted)):  # fmt: skip
        with scripted(Stream((told(1),), end), Stream((told(2),))) as server:
            with pytest.raises(kind) as raised:
                watch(face, server, 2, 1)
            assert asked(server) == [1]
        assert (raised.value.method, raised.value.address) == ("Watch", server.address)


@pytest.mark.parametrize(("end", "kind"), [(GONE, OutOfRange), (FULL, ResourceExhausted)])
def test_what_waiting_does_not_mend_is_raised(face: str, end: Fault, kind: type) -> None:
    with scripted(Stream((told(1),), end)) as server:
        with pytest.raises(kind) as raised:
            watch(face, server, 2, 1, resume_s=math.inf)
        assert asked(server) == [1]
    if kind is OutOfRange:
        assert raised.value.resume_sequence == 9


def test_an_interruption_is_bridged_for_so_long_and_no_longer(face: str) -> None:
    fake = FakeClock()
    with scripted(Stream((told(1),), UNAVAILABLE), Stream((), UNAVAILABLE)) as server:
        with pytest.raises(Unavailable):
            watch(face, server, 2, 1, resume_s=10, clock=fake.clock)
        assert set(asked(server)[1:]) == {2}
    assert 8 < fake.now - 100 < 10


def test_an_interruption_may_be_bridged_however_long_it_takes(face: str) -> None:
    fake = FakeClock()
    gone = [Stream((), UNAVAILABLE)] * 1_100
    with scripted(Stream((told(1),), UNAVAILABLE), *gone, Stream((told(2),))) as server:
        assert len(watch(face, server, 2, 1, resume_s=math.inf, clock=fake.clock)) == 2
    assert fake.slept[-1] == RetryPolicy().backoff_max_s


def test_the_time_a_slow_reader_took_is_no_interruption(face: str) -> None:
    fake = FakeClock()
    first = Stream((told(1),), TOO_SLOW)
    with scripted(first, Stream((told(2),), TOO_SLOW), Stream((told(3),))) as server:
        if face == "sync":
            with Client(server.address, server.address, clock=fake.clock) as client:
                got = []
                for change in client.watch(1, resume_s=5):
                    got.append(change.sequence)
                    fake.now += 3_600
                    if change.sequence == 3:
                        break
        else:
            got = asyncio.run(slowly(server, fake))
    assert got == [1, 2, 3]


async def slowly(server: ScriptedServer, fake: FakeClock) -> list[int]:
    got = []
    async with AsyncClient(server.address, server.address, clock=fake.clock) as client:
        async for change in client.watch(1, resume_s=5):
            got.append(change.sequence)
            fake.now += 3_600
            if change.sequence == 3:
                break
    return got


def test_a_server_that_never_answers_is_tried_as_often_as_for_any_call(face: str) -> None:
    fake = FakeClock()
    policy = RetryPolicy(attempts_max=3)
    with scripted(Stream((), UNAVAILABLE)) as server:
        with pytest.raises(Unavailable):
            watch(face, server, 1, resume_s=math.inf, clock=fake.clock, retry=policy)
        assert asked(server) == [0, 0, 0]


@pytest.mark.parametrize(
    "responses",
    [
        (told(1), told(3)),
        (told(1), told(1)),
        (told(1, 2), told(2, 3)),
        (told(1), told(2, 4)),
        (told(1), told(2, resume=4)),
        (told(1), pb.WatchResponse(resume_sequence=5)),
        (told(2),),
    ],
)
def test_a_feed_with_a_gap_or_a_repeat_is_refused(
    face: str, responses: tuple[pb.WatchResponse, ...]
) -> None:
    with scripted(Stream(responses)) as server, pytest.raises(ReplyUnknown, match="missing or"):
        watch(face, server, 9, 1, resume_s=60)


def test_a_change_of_a_kind_not_known_is_not_passed_over(face: str) -> None:
    newer = pb.WatchedEvent(sequence=2, event=event_pb2.Event(time_ns=1))
    response = pb.WatchResponse(events=[newer], resume_sequence=3)
    with scripted(Stream((told(1), response))) as server, pytest.raises(ReplyUnknown, match="2 is"):
        watch(face, server, 9, 1)


@pytest.mark.parametrize(
    ("from_sequence", "resume_s", "field"),
    [("one", 0, "from_sequence"), (2**63, 0, "from_sequence"), (0, -1, "resume_s"),
     (0, math.nan, "resume_s")],
)  # fmt: skip
def test_what_cannot_be_asked(face: str, from_sequence: Any, resume_s: float, field: str) -> None:
    with scripted(Stream(())) as server, pytest.raises(InvalidArgument) as raised:
        watch(face, server, 1, from_sequence, resume_s=resume_s)
    assert raised.value.field == field
    assert server.asked == []


def event(**change: Any) -> Change:
    message = pb.WatchedEvent(sequence=1, event=event_pb2.Event(time_ns=2, **change))
    return changes.change(pb.WatchedEvent.FromString(message.SerializeToString()))


LINE = event_pb2.EventLine(sku="MUG", quantity=2)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (
            {
                "reserved": event_pb2.ReservedEvent(
                    reservation_key=KEY,
                    fingerprint=9,
                    expire_time_ns=3,
                    lines=[LINE],
                    customer_id="alice",
                    client_ip=bytes((203, 0, 113, 7)),
                    partial=True,
                    replaced_reservation_key=KEY[::-1],
                    request_id="order-1",
                )
            },
            changes.Reserved(
                KEY.hex(), (("MUG", 2),), 3, "alice", "203.0.113.7", "order-1", True,
                KEY[::-1].hex(),
            ),
        ),
        (
            {"reserved": event_pb2.ReservedEvent(reservation_key=KEY, client_ip=b"\0" * 15 + b"1")},
            changes.Reserved(KEY.hex(), (), 0, "", "::31", "", False, ""),
        ),
        (
            {"committed": event_pb2.CommittedEvent(reservation_key=KEY, lines=[LINE])},
            changes.Committed(KEY.hex(), (("MUG", 2),)),
        ),
        (
            {"released": event_pb2.ReleasedEvent(reservation_key=KEY)},
            changes.Released(KEY.hex(), ()),
        ),
        ({"expired": event_pb2.ExpiredEvent(reservation_key=KEY)}, changes.Expired(KEY.hex())),
        (
            {"extended": event_pb2.ExtendedEvent(reservation_key=KEY, expire_time_ns=4)},
            changes.Extended(KEY.hex(), 4),
        ),
        (
            {
                "stock_changed": event_pb2.StockChangedEvent(
                    sku="MUG",
                    on_hand_quantity=5,
                    received_quantity=6,
                    adjusted_quantity=-1,
                    reason=stock_pb.STOCK_REASON_COUNTED,
                )
            },
            changes.StockChanged("MUG", 5, 6, -1, StockReason.COUNTED),
        ),
        (
            {"stock_changed": event_pb2.StockChangedEvent(sku="MUG")},
            changes.StockChanged("MUG", 0, 0, 0, None),
        ),
        (
            {
                "cap_set": event_pb2.CapSetEvent(
                    cap=cap_pb.Cap(
                        cap_id="c",
                        subject=cap_pb.CAP_SUBJECT_CUSTOMER,
                        limit_quantity=0,
                        mode=cap_pb.CAP_MODE_ENFORCE,
                    ),
                    counts_reset=True,
                )
            },
            changes.CapSet(Cap("c", CapSubject.CUSTOMER, 0), True),
        ),
        ({"cap_removed": event_pb2.CapRemovedEvent(cap_id="c")}, changes.CapRemoved("c")),
    ],
)  # fmt: skip
def test_every_kind_of_change_has_a_shape(change: dict[str, Any], what: changes.What) -> None:
    assert event(**change) == Change(1, 2, what)


def test_no_kind_of_event_is_without_a_shape() -> None:
    kinds = event_pb2.Event.DESCRIPTOR.oneofs_by_name["change"].fields
    assert {kind.name for kind in kinds} == set(changes._READERS)
