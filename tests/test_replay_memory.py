"""Looking answers up again: each way to lose one is planted, and named; what is kept is not.

The server is a fake that tells a feed and reservations as the test has them; a real one that loses
answers is in test_demo.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from atp.client import NotFound, OutOfRange, changes
from atp.client.changes import Change as Told
from atp.replay.events import Fate, Order
from atp.replay.findings import Findings, Law
from atp.replay.ledger import Change, ChangeKind, Hold, Ledger
from atp.replay.memory import Memory, look_back
from atp.vocabulary import ReservationState

SKUS = ["MUG", "TEAPOT"]
ONE, TWO = "1" * 32, "2" * 32


@dataclass
class Server:
    """A server's memory: its feed by sequence, and what it knows of reservations."""

    feed: dict[int, Any] = field(default_factory=dict)
    known: dict[str, tuple[ReservationState, int]] = field(default_factory=dict)
    first: int = 1

    async def get_status(self) -> Any:
        return SimpleNamespace(sequence=max(self.feed, default=0))

    async def watch(self, from_sequence: int) -> AsyncIterator[Told]:
        if from_sequence < self.first:
            raise OutOfRange("those are gone", code=grpc.StatusCode.OUT_OF_RANGE)
        for sequence in sorted(self.feed):
            if sequence >= from_sequence:
                yield Told(sequence, 0, self.feed[sequence])
        raise AssertionError("nobody reads a feed to its end")

    async def get_reservation(self, reservation_id: str) -> Any:
        if reservation_id not in self.known:
            raise NotFound("forgotten", code=grpc.StatusCode.NOT_FOUND)
        state, sequence = self.known[reservation_id]
        return SimpleNamespace(state=state, sequence=sequence)


def hold(reservation_id: str, sequence: int) -> Hold:
    order = Order(f"order-{sequence}", 0, "ann", "", Fate.BUY, (0, 1), (2, 1))
    return Hold(order, reservation_id, sequence, 0, 0, (0, 1), (2, 1))


def sale() -> tuple[Ledger, Server]:
    """Stock was loaded, two orders granted, one paid and one given back, and stock corrected; the
    server knows all of it, and an expiry that nobody was told of."""
    ledger = Ledger(SKUS, Findings())
    ledger.loads = {1: (0, 10), 2: (1, 20)}
    one, two = hold(ONE, 3), hold(TWO, 4)
    one.state, one.last_sequence = ReservationState.COMMITTED, 6
    two.state, two.last_sequence = ReservationState.RELEASED, 7
    ledger.holds = {ONE: one, TWO: two}
    for sequence, kind, of in (
        (3, ChangeKind.GRANT, one),
        (4, ChangeKind.GRANT, two),
        (6, ChangeKind.SELL, one),
        (7, ChangeKind.RELEASE, two),
        (0, ChangeKind.EXPIRE, one),
    ):
        ledger.changes.append(Change(sequence, 0, kind, (0, 1), (2, 1), 0, of))
    ledger.changes.append(Change(8, 0, ChangeKind.ADJUST, (1,), (-3,), 0, None))
    lines = (("MUG", 2), ("TEAPOT", 1))
    server = Server(
        {
            1: changes.StockChanged("MUG", 10, 10, 0, None),
            2: changes.StockChanged("TEAPOT", 20, 20, 0, None),
            3: changes.Reserved(ONE, lines, 9, "ann", "", "r-1", False, ""),
            4: changes.Reserved(TWO, lines, 9, "ann", "", "r-2", False, ""),
            5: changes.Expired("3" * 32),
            6: changes.Committed(ONE, ()),
            7: changes.Released(TWO, lines),
            8: changes.StockChanged("TEAPOT", 16, 20, -3, None),
            9: changes.Expired("4" * 32),
        },
        {ONE: (ReservationState.COMMITTED, 6), TWO: (ReservationState.RELEASED, 7)},
    )
    return ledger, server


def looked_up(ledger: Ledger, server: Server) -> Memory:
    client: Any = server
    return asyncio.run(look_back(client, ledger, list(ledger.holds.values())))


def test_what_is_known_is_not_lost() -> None:
    ledger, server = sale()
    assert looked_up(ledger, server) == Memory(answers=7, holds=2, lost=0)
    assert ledger.findings.kept == []


def test_nothing_answered_is_nothing_lost() -> None:
    assert looked_up(Ledger(SKUS, Findings()), Server()) == Memory(0, 0, 0)


def other_at(sequence: int, what: Any) -> Callable[[Server], None]:
    return lambda server: server.feed.__setitem__(sequence, what)


def gone_from(sequence: int) -> Callable[[Server], None]:
    def cut(server: Server) -> None:
        for each in [each for each in server.feed if each >= sequence]:
            del server.feed[each]

    return cut


def knows(reservation_id: str, *known: Any) -> Callable[[Server], None]:
    if not known:
        return lambda server: server.known.__delitem__(reservation_id)
    return lambda server: server.known.__setitem__(reservation_id, known)


LOST: dict[str, tuple[Callable[[Server], None], list[str]]] = {
    "the last answer": (
        gone_from(8),
        ["the correction of stock was answered with 8, which the server's journal has not"],
    ),
    "everything": (
        gone_from(1),
        [f"was answered with {sequence}, which" for sequence in (1, 2, 3, 4, 6, 7, 8)],
    ),
    "a load": (
        other_at(2, changes.StockChanged("TEAPOT", 19, 19, 0, None)),
        ["the load of stock was answered with 2, which is a change of stock of another"],
    ),
    "a grant": (
        other_at(3, changes.StockChanged("MUG", 11, 11, 0, None)),
        ["the grant of order order-3 was answered with 3, which is a change of stock of another"],
    ),
    "a grant whose place another took": (
        other_at(3, changes.Reserved("9" * 32, (("MUG", 2), ("TEAPOT", 1)), 9, "", "", "r", False,
                                     "")),
        ["the grant of order order-3 was answered with 3, which is a grant of another"],
    ),
    "units of a grant": (
        other_at(3, changes.Reserved(ONE, (("MUG", 1), ("TEAPOT", 1)), 9, "", "", "r", False, "")),
        ["the grant of order order-3 was answered with 3"],
    ),
    "a commit": (
        other_at(6, changes.Released(ONE, ())),
        ["the commit of order order-3 was answered with 6, which is a release of another"],
    ),
    "a release": (
        other_at(7, changes.Expired(TWO)),
        ["the release of order order-4 was answered with 7, which is an expiry of another"],
    ),
    "a correction": (
        other_at(8, changes.StockChanged("MUG", 1, 1, 0, None)),
        ["the correction of stock was answered with 8"],
    ),
    "a hold": (knows(ONE), ["order order-3 was granted, and its hold is not known any more"]),
    "a hold's end": (
        knows(ONE, ReservationState.HELD, 3),
        ["order order-3 was answered as committed at 6; the server has it as held at 3"],
    ),
    "a hold's last change": (
        knows(TWO, ReservationState.RELEASED, 9),
        ["order order-4 was answered as released at 7; the server has it as released at 9"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_a_lost_answer_is_named(name: str) -> None:
    ledger, server = sale()
    plant, told = LOST[name]
    plant(server)
    assert looked_up(ledger, server).lost == len(told)
    assert [finding.law for finding in ledger.findings.kept] == [Law.DURABLE] * len(told)
    for finding, text in zip(ledger.findings.kept, told, strict=True):
        assert text in finding.text


def test_an_expiry_has_no_sequence_that_was_answered() -> None:
    ledger, server = sale()
    ledger.holds[ONE].state = ReservationState.EXPIRED
    server.known[ONE] = (ReservationState.EXPIRED, 5)
    assert looked_up(ledger, server).lost == 0


def test_a_feed_that_begins_later_is_told_and_loses_nothing() -> None:
    ledger, server = sale()
    server.first = 3
    assert looked_up(ledger, server) == Memory(0, 2, 0, "those are gone")
