"""Front, engine and journal at once: several loops, batches and single calls, floods, snapshots,
operators and a drain, all from real threads. What the sanitizers are to watch; also right without.

Owns the crowd and what must be true of it: every answer was durable when it was heard, nothing is
counted wrongly, nothing hangs. Clients write frames by hand: a gRPC library in this process would
be watched too, and it can't be.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from atp.journal._native import write_snapshot
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.vocabulary import Cap, CapSubject, StockReason
from crowd import Crowd
from front_frames import (
    DATA,
    END_STREAM,
    INITIAL_WINDOW_SIZE,
    Connection,
    ask,
    call_fields,
    data,
    framed,
    headers,
    ping,
    reset,
    settings,
    window_update,
)
from front_process import Running, running

SERVICE = "/atp.v1.ReservationService/"
SKUS = [f"sku-{number}" for number in range(8)]
CLIENTS = 4
LOOPS = 3

Scaled = Callable[[int], int]


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Running]:
    """Three loops that answer when it is durable."""
    with running(tmp_path, threads=LOOPS) as served:
        for sku in SKUS:
            served.engine.set_stock(sku, 10**9, now_ns=served.front.now_ns())
        served.engine.set_cap(
            Cap("customer", CapSubject.CUSTOMER, 10**6), now_ns=served.front.now_ns()
        )
        yield served


def messages(connection: Connection, streams: set[int]) -> dict[int, list[bytes]]:
    """Reads until these calls have ended; their messages."""
    bodies: dict[int, bytes] = dict.fromkeys(streams, b"")
    waiting = set(streams)
    for each in connection.frames():
        if each.type == DATA:
            bodies[each.stream] += each.body
            connection.send(window_update(0, max(1, len(each.body))))
        if each.flags & END_STREAM and each.stream in waiting:
            waiting.remove(each.stream)
        if not waiting:
            break
    return {stream: list(unframed(body)) for stream, body in bodies.items()}


def unframed(body: bytes) -> Iterator[bytes]:
    """The messages behind gRPC's prefixes."""
    while body:
        size = int.from_bytes(body[1:5])
        yield body[5 : 5 + size]
        body = body[5 + size :]


def reserve(name: str, random: Random) -> pb.ReserveRequest:
    """One or two lines for one of three customers."""
    chosen = random.sample(SKUS, random.randint(1, 2))
    return pb.ReserveRequest(
        request_id=name,
        lines=[pb.Line(sku=sku, quantity=1) for sku in chosen],
        customer_id=random.choice(["ann", "bob", "eve"]),
    )


class Shopper:
    """One client that keeps calling over one connection after the other."""

    def __init__(self, served: Running, number: int, rounds: int) -> None:
        self.served = served
        self.number = number
        self.rounds = rounds
        self.random = Random(number)
        self.granted = 0

    def __call__(self) -> None:
        for turn in range(self.rounds):
            with Connection(self.served.address) as connection:
                connection.send(settings((INITIAL_WINDOW_SIZE, 1 << 20)))
                for visit in range(3):
                    self.single_calls(connection, f"{self.number}-{turn}-{visit}", 100 * visit)
                self.batch(connection, f"{self.number}-{turn}", 1_001)

    def hear(self, answer: pb.ReserveResponse) -> None:
        """What was heard had been durable before."""
        assert answer.outcome == pb.RESERVE_OUTCOME_GRANTED
        assert self.served.writer is not None
        assert 0 < answer.sequence <= self.served.writer.durable
        self.granted += 1

    def single_calls(self, connection: Connection, name: str, base: int) -> None:
        """Sixteen at once; then half of them are ended."""
        asked = {base + 2 * i + 1: reserve(f"{name}-{i}", self.random) for i in range(16)}
        connection.send(b"".join(ask(s, r.SerializeToString()) for s, r in asked.items()))
        heard = messages(connection, set(asked))
        holds = []
        for answers in heard.values():
            answer = pb.ReserveResponse.FromString(answers[0])
            self.hear(answer)
            holds.append(answer.reservation.reservation_id)
        ending = {}
        for i, hold in enumerate(holds[:8]):
            request = pb.CommitRequest(reservation_id=hold).SerializeToString()
            path = SERVICE + ("Commit" if i % 2 else "Release")
            ending[base + 2 * (16 + i) + 1] = ask(base + 2 * (16 + i) + 1, request, path)
        connection.send(b"".join(ending.values()))
        for answers in messages(connection, set(ending)).values():
            assert pb.CommitResponse.FromString(answers[0]).outcome == pb.CHANGE_OUTCOME_DONE

    def batch(self, connection: Connection, name: str, stream: int) -> None:
        """Two batches on one stream."""
        connection.send(headers(stream, call_fields(SERVICE + "Execute")))
        for part in range(2):
            commands = [
                service_pb.Command(reserve=reserve(f"{name}-b{part}-{i}", self.random))
                for i in range(50)
            ]
            message = service_pb.ExecuteRequest(commands=commands).SerializeToString()
            connection.send(data(stream, framed(message), END_STREAM if part else 0))
        answered = messages(connection, {stream})[stream]
        assert len(answered) == 2
        for answer in answered:
            for result in service_pb.ExecuteResponse.FromString(answer).results:
                self.hear(result.reserve)


def nuisance(served: Running, rounds: int) -> None:
    """Clients that take back, leave in the midst of a message, and talk nonsense."""
    random = Random(7)
    for turn in range(rounds):
        with Connection(served.address) as connection:
            message = reserve(f"n-{turn}", random).SerializeToString()
            connection.send(ask(1, message) + reset(1))
            connection.send(headers(3, call_fields()) + data(3, framed(message)[:7]))
            connection.send(ping() * 10 + ask(5, random.randbytes(20)))
            if turn % 3 == 0:
                connection.send(random.randbytes(100))


def operate(crowd: Crowd, served: Running, rounds: int) -> None:
    """What the control plane does meanwhile."""
    for turn in range(rounds):
        now = {"now_ns": served.front.now_ns()}
        crowd.engine.adjust_stock(f"a-{turn}", SKUS[turn % 8], 1, StockReason.COUNTED, **now)
        crowd.engine.set_cap(Cap("customer", CapSubject.CUSTOMER, 10**6 + turn), **now)
        crowd.engine.list_stock(**now)
        crowd.engine.sweep(**now)
        served.front.set_default_ttl(600 * 10**9 + turn)
        served.front.publish_clock(now["now_ns"] + 1_000, time.monotonic_ns(), 0)
        assert served.front.statistics().open_calls >= 0
        assert served.front.open_calls >= 0


def snapshots(served: Running, rounds: int) -> None:
    """Snapshots while everything changes."""
    for _ in range(rounds):
        fd = os.memfd_create("snapshot")
        try:
            write_snapshot(served.engine, fd, store_id=bytes(16), now_ns=served.front.now_ns())
        finally:
            os.close(fd)


def test_everything_at_once(front: Running, scaled: Scaled) -> None:
    """Every reserve is granted, durable when heard, and counted once."""
    rounds = scaled(15)
    crowd = Crowd(front.engine)
    shoppers = [Shopper(front, number, rounds) for number in range(CLIENTS)]
    crowd.run(
        *shoppers,
        lambda: nuisance(front, 4 * rounds),
        lambda: operate(crowd, front, 10 * rounds),
        lambda: snapshots(front, rounds),
    )
    granted = sum(shopper.granted for shopper in shoppers)
    assert granted == CLIENTS * rounds * (3 * 16 + 2 * 50)
    outcomes = front.front.statistics().outcomes
    assert outcomes["Reserve", 1] >= granted
    assert front.engine.check(now_ns=front.front.now_ns()).violations == ()


def test_a_drain_in_the_midst_of_calls(front: Running, scaled: Scaled) -> None:
    """What was accepted is answered; what comes after goes unanswered and unjudged."""
    began = threading.Barrier(CLIENTS + 1)

    def call(number: int) -> None:
        random = Random(number)
        with Connection(front.address) as connection:
            connection.send(settings((INITIAL_WINDOW_SIZE, 1 << 20)))
            for turn in range(scaled(200)):
                stream = 2 * turn + 1
                message = reserve(f"d-{number}-{turn}", random).SerializeToString()
                if not connection.send(ask(stream, message)):
                    return
                answers = messages(connection, {stream})[stream]
                if not answers:
                    return
                assert pb.ReserveResponse.FromString(answers[0]).sequence > 0
                if turn == 0:
                    began.wait(60)

    def drain() -> None:
        began.wait(60)
        front.front.retire()
        front.front.drain()

    jobs: list[Any] = [lambda number=number: call(number) for number in range(CLIENTS)]
    Crowd(front.engine).run(*jobs, drain)
    until = time.monotonic() + 30
    while front.front.statistics().connections and time.monotonic() < until:
        time.sleep(0.01)  # between two looks at a real condition
    assert front.front.statistics().connections == 0
    assert front.front.open_calls == 0
    assert front.engine.check(now_ns=front.front.now_ns()).violations == ()
