"""A full disk, seen from outside: new holds are refused, what was held is sold on, and it ends.

The disk of the real server is full as soon as a file is there, and has room when it is gone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from atp.v1 import reservation_pb2 as pb
from crash.asked_for import key_of
from crash.asks import Ask, ask
from crash.campaign import Round
from crash.clients import Connection, connected
from crash.ledger import Said
from faults import Rule

DEADLINE_S = 30.0
FULL = "JOURNAL_FULL"


MANY = [f"{number}".rjust(60, "x") for number in range(2_000)]


def reserve(request_id: str) -> Ask:
    """Asks for one unit."""
    lines = [pb.Line(sku="one", quantity=1)]
    return ask("Reserve", request_id=request_id, lines=lines, ttl={"seconds": 600})


def give_back_of_many(request_id: str) -> Ask:
    """Gives one unit of each of many SKUs back: a large record of the journal."""
    lines = [pb.Line(sku=sku, quantity=1) for sku in MANY]
    key = key_of("many").hex()
    return ask("Release", reservation_id=key, request_id=request_id, lines=lines)


async def prepare(connection: Connection) -> None:
    """Something to sell, a few holds of one unit, and one of many."""
    stocks = [{"sku": sku, "on_hand_quantity": 1_000} for sku in MANY]
    # So much that it lasts until the server sees that the disk is full.
    stocks.append({"sku": "one", "on_hand_quantity": 1_000_000})
    many = [pb.Line(sku=sku, quantity=500) for sku in MANY]
    for asked in (
        ask("BatchSetStock", requests=stocks),
        ask("Reserve", request_id="many", lines=many, ttl={"seconds": 600}),
        *(reserve(f"first-{number}") for number in range(4)),
    ):
        assert (await connection.say(asked)).is_answered


async def until_refused(connection: Connection, draw: Callable[[str], Ask], name: str) -> Said:
    """Asks for one thing after another until one is refused for want of room."""
    deadline = time.monotonic() + DEADLINE_S
    for number in range(1_000_000):
        said = await connection.say(draw(f"{name}-{number}"))
        if not said.is_answered:
            assert said.refused == FULL, said
            assert said.error.startswith("UNAVAILABLE"), said
            return said
        assert time.monotonic() < deadline, "it does not see that the disk is full"
    raise AssertionError


async def until_answered(connection: Connection, name: str) -> None:
    """Asks again until it is granted, as a client does."""
    deadline = time.monotonic() + DEADLINE_S
    while not (said := await connection.say(reserve(name))).is_answered:
        assert said.refused == FULL, said
        assert time.monotonic() < deadline, "it does not see that there is room again"
    assert said.answer.outcome == pb.RESERVE_OUTCOME_GRANTED


async def check_goes_on(connection: Connection, name: str) -> None:
    """What was held is sold and given back; reads are answered."""
    for number, asked in enumerate(
        (
            ask("Commit", reservation_id=key_of(f"{name}-0").hex()),
            ask("Release", reservation_id=key_of(f"{name}-1").hex()),
            ask("GetAvailability", skus=["one"]),
            ask("GetReservation", reservation_id=key_of(f"{name}-0").hex()),
            ask("GetStatus"),
        )
    ):
        said = await connection.say(asked)
        assert said.is_answered, (number, said)
        if asked.method == "GetStatus":
            assert "disk" in said.answer.journal.refusing_reason, said.answer.journal
            assert said.answer.journal.free_bytes == 0


async def fill_and_empty(one: Round, full: Path) -> None:
    """Two lives: the disk gets full and has room again; then all is there after a kill."""
    with ExitStack() as stack:
        life = one.start(stack, (Rule("full", when=full),))
        assert life.wait_ready(), life.stderr()
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            await prepare(connection)
            full.touch()
            await until_refused(connection, reserve, "second")
            await check_goes_on(connection, "first")
            full.unlink()
            await until_answered(connection, "third")
            full.touch()
            await until_refused(connection, give_back_of_many, "fourth")
            commit = ask("Commit", reservation_id=key_of("first-3").hex())
            assert (await connection.say(commit)).refused == FULL, "nothing can be promised"
            full.unlink()
            await until_answered(connection, "fifth")
            assert (await connection.say(commit)).is_answered
            assert life.is_alive()
    with ExitStack() as stack:
        life = one.start(stack, ())
        assert life.wait_ready(), life.stderr()
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            assert await one.audit.run(connection, one.directory, None) == []
            status = await connection.say(ask("GetStatus"))
            assert status.answer.journal.refusing_reason == ""


def test_a_full_disk_refuses_new_holds_sells_on_and_is_got_over(tmp_path: Path) -> None:
    one = Round(tmp_path, seed=1)
    asyncio.run(fill_and_empty(one, tmp_path / "full"))


def test_a_start_on_a_full_disk_tells_what_is_in_the_way(tmp_path: Path) -> None:
    one = Round(tmp_path, seed=1)
    with ExitStack() as stack:
        life = one.start(stack, (Rule("full"),))
        assert not life.wait_ready()
        assert life.process.returncode == 2
        assert "no space left on device" in life.stderr().splitlines()[-1]
        assert "Traceback" not in life.stderr()
