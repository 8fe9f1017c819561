"""What a call costs from the request's bytes to the response's, one thread, no network.

Reserves of one unit with a time to live, an address and a customer, caps on both, all in cache. The
engine's own share is measured in the same run, through its arrays; what is left is reading,
checking and writing protobuf. The figure of a run is its best round.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest
import workload
from test_engine_pairs import timed
from workload import People

from atp import _front
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb

Figure = Callable[[str, float, str], None]
BATCH = 1_000
TTL_S = workload.TTL_NS // 10**9


class Shop:
    """An engine in cache, and reserves for it, of which each is granted once and released."""

    def __init__(self, skus: int) -> None:
        self.skus = workload.sku_names(skus)
        self.engine = workload.engine_with(self.skus, ended_max=640)
        self.people = People(2_000, 1_000)
        self.rng = np.random.default_rng(7)
        self.rounds = count()

    def reserves(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """New reserves over all SKUs, as arrays."""
        chosen = self.skus[self.rng.integers(0, len(self.skus), size)]
        return workload.reserves(self.rng, chosen, self.people, f"r{next(self.rounds)}")

    def by_arrays(self, size: int) -> float:
        """Nanoseconds a reserve in the engine alone."""
        commands, lines = self.reserves(size)
        seconds = timed(self.engine, [(commands, lines)])
        self.release(commands)
        return seconds / size * 1e9

    def by_calls(self, size: int) -> float:
        """Nanoseconds a reserve as a call of its own."""
        commands, lines = self.reserves(size)
        raw = [request.SerializeToString() for request in requests(commands, lines)]
        told, spent = _front.judge_all(
            self.engine, "Reserve", raw, now_ns=workload.START_NS, default_ttl_ns=1
        )
        assert all(code == 0 for code, _ in told)
        responses = [pb.ReserveResponse.FromString(message) for _, message in told]
        assert all(response.outcome == pb.RESERVE_OUTCOME_GRANTED for response in responses)
        assert len({response.reservation.reservation_id for response in responses}) == size
        self.release(commands)
        return spent / size

    def by_batches(self, size: int, *, brief: bool) -> float:
        """Nanoseconds a reserve in batches."""
        commands, lines = self.reserves(size)
        asked = [service_pb.Command(reserve=one) for one in requests(commands, lines)]
        raw = [
            service_pb.ExecuteRequest(
                commands=asked[begin : begin + BATCH], brief=brief
            ).SerializeToString()
            for begin in range(0, size, BATCH)
        ]
        told, spent = _front.judge_all(
            self.engine, "Execute", raw, now_ns=workload.START_NS, default_ttl_ns=1
        )
        results = [
            result.reserve
            for code, message in told
            for result in service_pb.ExecuteResponse.FromString(message).results
            if code == 0
        ]
        assert len(results) == size
        assert all(result.outcome == pb.RESERVE_OUTCOME_GRANTED for result in results)
        assert all(bool(result.reservation.lines) is not brief for result in results)
        self.release(commands)
        return spent / size

    def release(self, commands: np.ndarray) -> None:
        """Everything that was reserved goes back; nothing else is held."""
        ends = workload.with_commits(commands)[1::2].copy()
        ends["kind"] = 3
        ends["line_count"] = 0
        ends["request_id"] = b""
        outcomes = self.engine.execute(ends, np.zeros(0, workload.LINES), now_ns=workload.START_NS)
        assert (outcomes["outcome"] == 1).all()
        assert self.engine.status().live_holds == 0


def requests(commands: np.ndarray, lines: np.ndarray) -> list[pb.ReserveRequest]:
    """The same reserves as messages."""
    return [
        pb.ReserveRequest(
            request_id=command["request_id"].decode(),
            lines=[pb.Line(sku=line["sku"].decode(), quantity=line["quantity"])],
            client_ip=str(ipaddress.IPv4Address(bytes(command["client_ip"])[12:])),
            customer_id=command["customer_id"].decode(),
            ttl={"seconds": TTL_S},
        )
        for command, line in zip(commands, lines, strict=True)
    ]


def test_a_reserve_from_bytes_to_bytes(
    benchmark: pytest.FixtureRequest, figure: Figure, full: bool
) -> None:
    """front_reserve_ns_hot; front_wire_ns_hot, which is what of it is not the engine's."""
    shop = Shop(10_000 if full else 500)
    size, rounds = (10_000, 40) if full else (1_000, 2)
    values: list[tuple[float, float]] = []
    benchmark.pedantic(
        lambda: values.append((shop.by_calls(size), shop.by_arrays(size))),
        rounds=rounds,
        warmup_rounds=1,
    )
    call, engine = (min(column) for column in zip(*values[1:], strict=True))
    figure("front_reserve_ns_hot", call, "ns")
    figure("front_wire_ns_hot", call - engine, "ns")


def test_reserves_in_batches(benchmark: pytest.FixtureRequest, figure: Figure, full: bool) -> None:
    """front_execute_per_s: one thread, batches of 1,000, brief; and with whole answers."""
    shop = Shop(10_000 if full else 500)
    size, rounds = (10_000, 40) if full else (1_000, 2)
    values: list[tuple[float, float]] = []
    benchmark.pedantic(
        lambda: values.append(
            (shop.by_batches(size, brief=True), shop.by_batches(size, brief=False))
        ),
        rounds=rounds,
        warmup_rounds=1,
    )
    brief, whole = (min(column) for column in zip(*values[1:], strict=True))
    figure("front_execute_per_s", 1e9 / brief, "/s")
    figure("front_execute_whole_per_s", 1e9 / whole, "/s")
