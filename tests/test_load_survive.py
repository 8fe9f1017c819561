"""A load that is asked to survive: connections end, servers die and come back, and nothing is lost.

Without being asked it ends with the first connection that does, as test_load_wire.py has it.
"""

from __future__ import annotations

import signal
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import scripted_http2 as http2
from atp import Client, load
from atp.load import Kind, LoadFailed, LoadPlan, LoadResult, Shares, Want, of_wants
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ChangeOutcome
from command import Command
from load_histories import calls_of, commands_of
from scripted_http2 import END_HEADERS, END_STREAM, HEADERS, Asked, frame, granted, scripted, whole
from server_process import ServerProcess, serving, wait_until

SKUS = 10
AGAIN = frozenset({ChangeOutcome.DONE, ChangeOutcome.ALREADY_COMMITTED})


def plan(address: str, folder: Path, **other: object) -> LoadPlan:
    values: dict[str, object] = {"skus": SKUS, "connections": 3, "in_flight": 5, "calls": 300}
    values |= {"address": address, "run_name": "again-", "history": folder, "tries": 20}
    return LoadPlan(**(values | other))  # type: ignore[arg-type]


def test_what_a_lost_connection_left_open_is_asked_again(tmp_path: Path) -> None:
    asked: Counter[str] = Counter()

    def answer(call: Asked) -> bytes | None:
        name = pb.ReserveRequest.FromString(call.message).request_id
        asked[name] += 1
        ends = asked.total() % 40 == 0  # and with it the connection
        return None if ends else whole(call.stream, granted(repeated=asked[name] > 1))

    with scripted(answer) as address:
        result = load.run(plan(address, tmp_path, connections=1))
    assert len(asked) == sum(result.reserves.values()) == 300
    assert result.reconnects >= 300 // 40
    assert result.lost == result.tried_again == result.unanswered >= result.reconnects
    sent = Counter(call.request.request_id for call in calls_of(tmp_path))
    ended = Counter(call.request.request_id for call in calls_of(tmp_path) if call.ended)
    assert set(ended.values()) == {1}
    assert set(sent) == set(ended) == set(asked)
    assert sent.total() == result.asked


def test_a_goodbye_is_followed_by_another_connection(tmp_path: Path) -> None:
    count = iter(range(10**6))

    def answer(call: Asked) -> bytes:
        said = whole(call.stream, granted())
        leaves = next(count) % 50 == 49
        goodbye = frame(http2.GOAWAY, 0, 0, struct.pack(">II", call.stream, 0))
        return said + goodbye if leaves else said

    with scripted(answer) as address:
        result = load.run(plan(address, tmp_path, connections=1, in_flight=1))
    assert (result.reconnects, result.lost) == (5, 0)
    assert result.good == 300


def turned_away(call: Asked) -> bytes:
    status = http2.fields(("grpc-status", "14"), ("grpc-message", "busy"))
    return frame(HEADERS, END_HEADERS | END_STREAM, call.stream, http2.HEADS + status)


def test_what_was_turned_away_is_asked_again_and_at_last_given_up(tmp_path: Path) -> None:
    with scripted(turned_away) as address:
        result = load.run(
            plan(address, tmp_path, connections=1, calls=7, tries=2, allow_refused_calls=True)
        )
    assert (result.tried_again, result.given_up) == (14, 7)
    assert result.statuses == {"UNAVAILABLE": 21}


def test_a_server_that_never_comes_back_ends_the_load(tmp_path: Path) -> None:
    ended = threading.Event()

    def answer(call: Asked) -> bytes | None:
        return None if ended.is_set() else whole(call.stream, granted())

    with scripted(answer) as address:
        first = load.run(plan(address, tmp_path / "first", connections=1, calls=10))
        ended.set()
        with pytest.raises(LoadFailed, match=r"stood still for 1 s.*the last connection ended"):
            load.run(plan(address, tmp_path, connections=1, stalled_s=1.0, run_name="b-"))
    assert first.good == 10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "server"
    path.mkdir()
    return path


def address_of(server: ServerProcess) -> tuple[str, ...]:
    return (
        "--data-address", server.data_plane, "--control-address", server.control_plane,
    )  # fmt: skip


def through_a_crash(plan_of: dict[str, object], folder: Path, records: Path) -> Iterator[object]:
    """Gives the load's result and the server after it: killed and started again in the middle."""
    results: list[LoadResult | BaseException] = []
    steps: list[int] = []

    def drive(address: str) -> None:
        try:
            made = plan(address, records, calls=None, duration_s=2.0, **plan_of)
            results.append(load.run(made, on_step=lambda so_far: steps.append(so_far.commands)))
        except BaseException as error:  # told by the test, on its own thread
            results.append(error)

    with serving(folder=folder) as first:
        with Client(first.data_plane, first.control_plane) as client:
            client.batch_set_stock([(f"SKU-{number:08d}", 10**9) for number in range(SKUS)])
        thread = threading.Thread(target=drive, args=(first.data_plane,))
        thread.start()
        wait_until(lambda: bool(results) or (len(steps) > 2 and steps[-1] > 500), "some answers")
        first.signal(signal.SIGKILL)
        first.wait()
        with serving(*address_of(first), folder=folder) as second:
            thread.join(30)
            assert not thread.is_alive()
            yield results[0]
            yield second


@pytest.mark.parametrize("batch", [0, 20])
def test_a_server_killed_and_started_again_has_lost_nothing(
    folder: Path, tmp_path: Path, batch: int
) -> None:
    records = tmp_path / "records"
    run = through_a_crash(
        {"kind": Kind.PAIR, "batch": batch, "change_outcomes": AGAIN}, folder, records
    )
    result = next(run)
    assert isinstance(result, LoadResult), result
    assert result.reconnects >= 3
    assert result.lost > 0
    assert result.given_up == 0
    reserved, committed = set(), set()
    for asked, answer in commands_of(records):
        if isinstance(asked, pb.ReserveRequest):
            assert answer.outcome == pb.RESERVE_OUTCOME_GRANTED
            reserved.add(asked.request_id)
        else:
            committed.add(asked.reservation_id)
    assert len(reserved) == len(committed) == sum(result.reserves.values())
    server = next(run)
    assert isinstance(server, ServerProcess)
    with Client(server.data_plane, server.control_plane) as client:
        stocks = list(client.iterate_stock())
    assert sum(stock.sold for stock in stocks) == len(reserved)
    assert sum(stock.held for stock in stocks) == 0
    run.close()


def test_an_extension_and_a_release_survive_too(tmp_path: Path) -> None:
    """Each is asked again in the same words, with the same request id where it has one."""
    seen: dict[str, list[bytes]] = {"extend": [], "release": []}

    def answer(call: Asked) -> bytes | None:
        if call.message.startswith(b"\x0a\x24"):
            return whole(call.stream, granted())
        is_extend = b"again-" in call.message
        kind, made = ("extend", pb.ExtendResponse) if is_extend else ("release", pb.CommitResponse)
        if call.message not in seen[kind]:
            seen[kind].append(call.message)
            if len(seen[kind]) % 3 == 0:
                return None
        return whole(call.stream, made(outcome=1).SerializeToString())

    shares = Shares(looks=0, late=0, releases=0.5, extends=0.5, abandons=0, repeats=0)
    wants = [Want("", "", [("SKU", 1)])] * 30
    baskets = of_wants(wants, shares, think_s=0.01, seed=1)
    with scripted(answer) as address:
        result = load.run(
            plan(address, tmp_path, kind=Kind.SALE, baskets=baskets, calls=30, connections=1)
        )
    assert result.reconnects > 3
    again = Counter(call.sent.request for call in calls_of(tmp_path))
    unanswered = {call.sent.request for call in calls_of(tmp_path) if call.ended is None}
    assert unanswered
    assert all(again[request] > 1 for request in unanswered)
    extends = [call for call in calls_of(tmp_path)
               if call.sent.method == history.HISTORY_METHOD_EXTEND]  # fmt: skip
    ids = {call.request.request_id for call in extends}
    assert len(ids) == len({call.sent.request for call in extends})
    assert all(len(name) == 36 for name in ids)


def test_the_command_survives_when_it_is_asked_to() -> None:
    with serving() as server:
        told = Command(server)("load-test", "--survive", "--calls", 20, "--json")
        assert told.status == 0, told.err
        assert (told.json["reconnects"], told.json["commands_sent_again"]) == (0, 0)


def test_a_connection_on_which_nothing_comes_is_left(tmp_path: Path) -> None:
    """A cable that was cut says nothing: only time tells."""
    asked: Counter[str] = Counter()

    def answer(call: Asked) -> bytes:
        name = pb.ReserveRequest.FromString(call.message).request_id
        asked[name] += 1
        is_cut = 20 < asked.total() <= 26
        return b"" if is_cut else whole(call.stream, granted(repeated=asked[name] > 1))

    with scripted(answer) as address:
        result = load.run(plan(address, tmp_path, connections=1, calls=50, silent_s=0.2))
    assert result.reconnects >= 1
    assert result.lost >= 5
    assert sum(result.reserves.values()) == len(asked) == 50
    # Who asked again has waited since the first time.
    assert result.latency_ms(1.0) > 200
