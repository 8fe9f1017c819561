"""The load generator against real servers: what it counts is what they did.

A server in Python on grpcio, which shares no code with either side, answers batches.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc
import pytest

from atp import Client, load
from atp.cli.load_options import SKU_PREFIX
from atp.cli.load_report import ProgressLine
from atp.load import Kind, LoadFailed, LoadPlan, Spread
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as service
from atp.vocabulary import ChangeOutcome, ReserveOutcome
from command import Command
from server_process import ServerProcess, serving

SKUS = 20


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        with Client(process.data_plane, process.control_plane) as client:
            client.batch_set_stock([(f"SKU-{number:08d}", 10**6) for number in range(SKUS)])
        yield process


def plan(address: str, run: str, **other: object) -> LoadPlan:
    values: dict[str, object] = {"skus": SKUS, "connections": 3, "in_flight": 5, "calls": 200}
    return LoadPlan(address=address, run_name=run, **(values | other))  # type: ignore[arg-type]


def sold_and_held(server: ServerProcess) -> tuple[int, int]:
    with Client(server.data_plane, server.control_plane) as client:
        stocks = list(client.iterate_stock(page_size=1_000))
    return sum(stock.sold for stock in stocks), sum(stock.held for stock in stocks)


@pytest.mark.parametrize("spread", Spread)
def test_every_reserve_is_a_hold_on_the_server(server: ServerProcess, spread: Spread) -> None:
    sold, held = sold_and_held(server)
    result = load.run(plan(server.data_plane, f"{spread}-", spread=spread))
    assert result.reserves == {ReserveOutcome.GRANTED: 200}
    assert sold_and_held(server) == (sold, held + 200)


def test_every_pair_is_a_sale_on_the_server(server: ServerProcess) -> None:
    sold, held = sold_and_held(server)
    result = load.run(plan(server.data_plane, "pair-", kind=Kind.PAIR))
    assert result.commits == {ChangeOutcome.DONE: 200}
    assert (result.asked, result.statuses) == (400, {"OK": 400})
    assert sold_and_held(server) == (sold + 200, held)


def test_availability_is_read_and_nothing_changed(server: ServerProcess) -> None:
    before = sold_and_held(server)
    result = load.run(plan(server.data_plane, "look-", kind=Kind.AVAILABILITY))
    assert result.commands == 200
    assert sold_and_held(server) == before
    with pytest.raises(LoadFailed, match="200 calls asked for a SKU that the server does not know"):
        load.run(plan(server.data_plane, "look-", kind=Kind.AVAILABILITY, sku_prefix="NOT-"))


def test_a_run_name_used_twice_fails_the_load(server: ServerProcess) -> None:
    load.run(plan(server.data_plane, "once-"))
    with pytest.raises(LoadFailed, match="200 answers were to a request id that had been used"):
        load.run(plan(server.data_plane, "once-"))


def test_a_load_of_some_time_ends_when_it_is_over(server: ServerProcess) -> None:
    seen: list[int] = []
    result = load.run(
        plan(server.data_plane, "time-", calls=None, duration_s=0.35, rate=200.0),
        on_step=lambda so_far: seen.append(so_far.answered),
    )
    assert result.asked == result.good == 70
    assert seen == sorted(seen)
    assert 0 < seen[0] < 70


class Batches(service.ReservationServiceServicer):
    """Grants and commits whatever it is asked; remembers what that was."""

    def __init__(self) -> None:
        self.reserved: list[str] = []
        self.committed: list[str] = []
        self.brief: set[bool] = set()
        self.spoiled = pb.ReserveOutcome.Value("RESERVE_OUTCOME_GRANTED")
        self.left_out = 0

    def Execute(
        self,
        requests: Iterator[service_pb.ExecuteRequest],
        context: grpc.ServicerContext,
    ) -> Iterator[service_pb.ExecuteResponse]:
        for request in requests:
            self.brief.add(request.brief)
            results = [self._judge(command) for command in request.commands]
            yield service_pb.ExecuteResponse(results=results[self.left_out :])

    def _judge(self, command: service_pb.Command) -> service_pb.CommandResult:
        if command.WhichOneof("command") == "commit":
            self.committed.append(command.commit.reservation_id)
            return service_pb.CommandResult(commit=pb.CommitResponse(outcome=1))
        name = command.reserve.request_id
        self.reserved.append(name)
        if name.endswith("7") and self.spoiled != 1:
            error = service_pb.CommandError(code=3, reason="FIELD_INVALID")
            return service_pb.CommandResult(error=error)
        hold = pb.Reservation(reservation_id=f"hold-of-{name}")
        return service_pb.CommandResult(reserve=pb.ReserveResponse(outcome=1, reservation=hold))


@contextmanager
def answering(batches: Batches) -> Iterator[str]:
    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
        service.add_ReservationServiceServicer_to_server(batches, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield f"127.0.0.1:{port}"
        finally:
            server.stop(grace=None).wait()


@pytest.mark.parametrize("size", [1, 10, 3_000])
def test_batches_are_sent_through_the_windows_and_answered(size: int) -> None:
    batches = Batches()
    with answering(batches) as address:
        result = load.run(
            plan(address, "many-", kind=Kind.PAIR, batch=size, calls=9, in_flight=3, brief=True)
        )
    assert result.commands == 2 * 9 * size
    assert len(set(batches.reserved)) == len(batches.reserved) == 9 * size
    assert sorted(batches.committed) == sorted(f"hold-of-{name}" for name in batches.reserved)
    assert batches.brief == {True}
    assert result.statuses == {"OK": result.asked}


def test_a_command_of_a_batch_that_could_not_be_judged_fails_the_load() -> None:
    batches = Batches()
    batches.spoiled = 0
    with answering(batches) as address, pytest.raises(LoadFailed, match="not be judged: INVALID"):
        load.run(plan(address, "many-", batch=10, calls=5))


def test_a_result_left_out_of_a_batch_fails_the_load() -> None:
    batches = Batches()
    batches.left_out = 1
    with answering(batches) as address, pytest.raises(LoadFailed, match="5 answers were malformed"):
        load.run(plan(address, "many-", batch=10, calls=5))


def test_the_command_reports_what_it_did(server: ServerProcess) -> None:
    atp = Command(server)
    arguments = ("load-test", "--calls", 50, "--skus", 3, "--kind", "pair", "--json")
    told = atp(*arguments)
    assert told.status == 0, told.err
    assert told.json["reserves"] == {"GRANTED": 50}
    assert told.json["commits"] == {"DONE": 50}
    assert told.json["calls_good"] == 100
    assert told.json["latency_ms"]["p50"] <= told.json["latency_ms"]["p99.9"]
    shown = atp("load-test", "--calls", 50, "--skus", 1, "--stock", 10)
    assert shown.status == 0, shown.err
    assert "reserves granted" in shown.out
    assert "reserves stock short" in shown.out
    assert f"{SKU_PREFIX}0" not in shown.out


def test_the_command_says_what_went_wrong() -> None:
    ended = Command()("load-test", "--calls", 5)
    assert (ended.status, ended.err.count("\n")) == (3, 1)
    assert "no server answers at 127.0.0.1:1 (--control-address)" in ended.err
    ended = Command()("load-test", "--skus", 10**9)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "skus is 1000000000" in ended.err


def test_a_terminal_shows_how_far_it_is(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line that is written over, and is gone at the end; a file gets none of it."""
    result = load.run(plan(server.data_plane, "shown-"))
    for is_terminal in (True, False):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        line = ProgressLine()
        line.show(result)
        line.end()
        shown = capsys.readouterr().err
        assert "\n" not in shown
        assert ("200 answered" in shown) == is_terminal
        assert shown.endswith("\r") == is_terminal
