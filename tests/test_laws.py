"""The recount of laws is itself tried: a true run passes it, and each kind of lie is found."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from atp.vocabulary import Cap, CapSubject, ReserveReply
from histories import LIFE_NS, History
from laws import Recount, Said
from model import ReferenceEngine
from model_state import hash_of

REMEMBER_NS = 10**12


def true_run(seed: int) -> tuple[list[Said], dict[str, Any], int]:
    """What the reference engine says to a random history, and its dump."""
    engine = ReferenceEngine(remember_ns=REMEMBER_NS, longest_life_ns=LIFE_NS)
    history = History(Random(seed), hash_of)
    said = []
    for command in history.commands(400):
        try:
            answer = getattr(engine, command.name)(*command.words, **command.keywords)
        except LookupError:
            continue
        history.note(command, answer)
        said.append(Said(*command, answer))
    now_ns = engine.time_ns
    return said, engine.dump(now_ns=now_ns), now_ns


@pytest.mark.parametrize("seed", range(5))
def test_a_true_run_keeps_every_law(seed: int) -> None:
    assert Recount(*true_run(seed)).run() == []


def lie_of(name: str, said: list[Said], dump: dict[str, Any]) -> None:
    """Change one thing."""
    grants = [
        number
        for number, one in enumerate(said)
        if isinstance(one.answer, ReserveReply) and one.answer.sequence and not one.answer.repeated
    ]
    number = grants[len(grants) // 2]
    grant = said[number].answer
    key = grant.reservation.reservation_id
    sku = grant.reservation.lines[0].sku
    stock = dump["stock"][sku]
    if name == "an answer is missing":
        del said[number]
    elif name == "a repeat is granted anew":
        said.append(said[number]._replace(answer=grant._replace(sequence=10**6)))
    elif name == "a repeat is answered with another sequence":
        said.append(said[number]._replace(answer=grant._replace(sequence=1, repeated=True)))
    elif name == "a unit is lost":
        dump["stock"][sku] = stock._replace(on_hand=stock.on_hand - 1)
    elif name == "a unit is held by nobody":
        dump["stock"][sku] = stock._replace(held=stock.held + 1)
    elif name == "a hold is forgotten":
        del dump["reservations"][key]
    elif name == "more is granted than asked":
        more = [line._replace(quantity=line.quantity + 1) for line in grant.reservation.lines]
        told = grant._replace(reservation=grant.reservation._replace(lines=tuple(more)))
        said[number] = said[number]._replace(answer=told)
    elif name == "a cap counts too little":
        found = next(iter(dump["cap_counts"]))
        dump["cap_counts"][found] -= 1
    elif name == "an expiry is late":
        expired = next(k for k, r in dump["reservations"].items() if r.state.name == "EXPIRED")
        late = dump["reservations"][expired]
        dump["reservations"][expired] = late._replace(end_time_ns=late.end_time_ns + 1)


@pytest.mark.parametrize(
    "name",
    [
        "an answer is missing",
        "a repeat is granted anew",
        "a repeat is answered with another sequence",
        "a unit is lost",
        "a unit is held by nobody",
        "a hold is forgotten",
        "more is granted than asked",
        "a cap counts too little",
        "an expiry is late",
    ],
)
def test_a_lie_is_found(name: str) -> None:
    said, dump, now_ns = next(run for run in map(true_run, range(100)) if run[1]["cap_counts"])
    lie_of(name, said, dump)
    assert Recount(said, dump, now_ns).run() != []


def test_an_oversale_is_found() -> None:
    """Two holds of one last unit, each told as true."""
    engines = [ReferenceEngine(remember_ns=REMEMBER_NS) for _ in range(2)]
    said = []
    for number, engine in enumerate(engines):
        first = engine.set_stock("a", 1, now_ns=0)
        if number == 0:
            said.append(Said("set_stock", ("a", 1), {"now_ns": 0}, first))
        words = (f"r{number}", [("a", 1)])
        reply = engine.reserve(*words, now_ns=0, ttl_ns=9)
        later = reply.sequence + number
        told = reply._replace(
            sequence=later,
            reservation=reply.reservation._replace(sequence=later),  # type: ignore[union-attr]
        )
        said.append(Said("reserve", words, {"now_ns": 0}, told))
    assert any("law 1" in one for one in Recount(said, engines[0].dump(now_ns=0), 0).run())


def test_a_cap_passed_over_is_found() -> None:
    """A grant above the limit, told as true."""
    engine = ReferenceEngine(remember_ns=REMEMBER_NS)
    capped = ReferenceEngine(remember_ns=REMEMBER_NS)
    cap = Cap("c", CapSubject.CUSTOMER, 2)
    said = [Said("set_stock", ("a", 9), {"now_ns": 0}, engine.set_stock("a", 9, now_ns=0))]
    engine.set_cap(cap._replace(limit=None), now_ns=0)
    capped.set_stock("a", 9, now_ns=0)
    said.append(Said("set_cap", (cap,), {"now_ns": 0}, capped.set_cap(cap, now_ns=0)))
    reply = engine.reserve("r", [("a", 3)], now_ns=0, ttl_ns=9, customer_id="ann")
    keywords = {"now_ns": 0, "customer_id": "ann"}
    said.append(Said("reserve", ("r", [("a", 3)]), keywords, reply))
    found = Recount(said, engine.dump(now_ns=0), 0).run()
    assert found == ["law 6: c ann at 3: 3 > 2"]
