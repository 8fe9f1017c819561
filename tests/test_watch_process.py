"""The change feed of real servers, and `atp watch` as a process: past, present, and every end.

Real processes, real ports, real signals; what a watch tells is compared with what was answered.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import grpc
import pytest

from atp import Client
from atp.client import ChannelOptions, OutOfRange, ResourceExhausted, changes
from atp.client.changes import Change
from atp.v1 import maintenance_service_pb2 as pb
from atp.v1 import maintenance_service_pb2_grpc as pb_grpc
from server_process import (
    COMMAND,
    ServerProcess,
    channel_to,
    clean_environment,
    serving,
    wait_until,
)

SMALL = ("--set", "journal.segment_bytes=2MiB")
"""So that some ten thousand changes fill more than one segment."""
BATCH = 4_096


def client_to(server: ServerProcess) -> Client:
    """A client that shares nothing with others, gRPC's memory of failures included."""
    options = ChannelOptions(own_connection=True)
    return Client(server.data_plane, server.control_plane, timeout_s=20, options=options)


def set_stock(client: Client, count: int, tag: str) -> None:
    """So many changes of stock, of SKUs with names of 64 bytes."""
    names = [f"{tag}-{number:08}".ljust(64, "x") for number in range(count)]
    for first in range(0, count, BATCH):
        replies = client.batch_set_stock((name, 7) for name in names[first : first + BATCH])
        assert all(reply.sequence for reply in replies)


def first_of(client: Client, count: int, from_sequence: int, **how: float) -> list[Change]:
    """The first changes of a watch."""
    got: list[Change] = []
    with contextlib.closing(client.watch(from_sequence, **how)) as feed:
        for change in feed:
            got.append(change)
            if len(got) == count:
                break
    return got


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def test_the_past_comes_across_segments_and_then_the_present() -> None:
    with serving(*SMALL) as server, client_to(server) as client:
        set_stock(client, 24_000, "a")
        segments = list((server.folder / "atp-data" / "journal").glob("*.segment"))
        assert len(segments) >= 2
        got: list[Change] = []
        met: list[threading.Event] = [threading.Event(), threading.Event()]

        def follow() -> None:
            with contextlib.closing(client.watch(100)) as feed:
                for change in feed:
                    got.append(change)
                    if change.sequence == 24_000:
                        met[0].set()
                    if change.sequence == 24_003:
                        break
            met[1].set()

        following = threading.Thread(target=follow)
        following.start()
        assert met[0].wait(20)
        held = client.reserve({got[-1].what.sku: 2}, customer_id="alice").reservation
        client.commit(held.reservation_id, {got[-1].what.sku: 1})
        client.release(held.reservation_id)
        assert met[1].wait(20)
        following.join()
    assert [change.sequence for change in got] == list(range(100, 24_004))
    sku = got[-4].what.sku
    reserved, committed, released = (change.what for change in got[-3:])
    assert reserved.lines == ((sku, 2),)
    assert (reserved.customer_id, reserved.expire_time_ns) == ("alice", held.expire_time_ns)
    assert committed == changes.Committed(held.reservation_id, ((sku, 1),))
    assert released == changes.Released(held.reservation_id, ())
    assert [change.time_ns for change in got] == sorted(change.time_ns for change in got)


def test_a_watch_goes_on_over_a_kill_without_a_gap_or_a_repeat(tmp_path: Path) -> None:
    with serving(*SMALL, folder=tmp_path) as server:
        addresses = [server.data_plane, server.control_plane]
        client = client_to(server)
        set_stock(client, 20_000, "a")
        got: list[Change] = []

        def follow() -> None:
            with contextlib.closing(client.watch(1, resume_s=60)) as feed:
                for change in feed:
                    got.append(change)
                    if len(got) == 40_000:
                        break

        following = threading.Thread(target=follow)
        following.start()
        wait_until(lambda: len(got) > 1_000, "the middle of the past", pause_s=0.0001)
        server.signal(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL
        again = ("--data-address", addresses[0], "--control-address", addresses[1])
        with serving(*SMALL, *again, folder=tmp_path) as second, client_to(second) as writing:
            set_stock(writing, 20_000, "b")
            following.join(30)
            assert not following.is_alive()
        client.close()
    assert [change.sequence for change in got] == list(range(1, 40_001))
    assert [change.what.sku[0] for change in got] == ["a"] * 20_000 + ["b"] * 20_000


def test_the_past_that_no_snapshot_needs_is_gone_and_a_watch_is_told_where_to_begin() -> None:
    retention = ("--set", "snapshot.every_bytes=1MiB", "--set", "snapshot.keep=1")
    with serving(*SMALL, *retention) as server, client_to(server) as client:
        set_stock(client, 10, "a")
        with contextlib.closing(client.watch(1)) as reading:
            assert next(reading).sequence == 1  # and then it sleeps, while segments go
            set_stock(client, 80_000, "b")
            wait_until(lambda: first_kept(client) > 20_000, "retention")
            with pytest.raises(OutOfRange) as raised:
                first_of(client, 1, 1)
            assert raised.value.reason == "WATCH_POSITION_GONE"
            begin = raised.value.resume_sequence
            assert 20_000 < begin <= first_kept(client)
            newest = client.get_status().sequence
            got = [change.sequence for change in until_gone(reading, newest)]
        assert got == list(range(2, len(got) + 2)), "what is still told has no gap"
        begin = newest - 100  # in the last segment, which always stays
        rest = first_of(client, 101, begin)
        assert [change.sequence for change in rest] == list(range(begin, newest + 1))


def first_kept(client: Client) -> int:
    """The first change that is still in a segment."""
    status = client.get_status()
    assert status.journal is not None
    return status.journal.first_sequence


def until_gone(reading: Iterator[Change], last: int) -> Iterator[Change]:
    """Changes up to the last one, or to the first that is gone."""
    with contextlib.suppress(OutOfRange):
        for change in reading:
            yield change
            if change.sequence == last:
                return


def test_a_position_in_the_future_ends_a_watch(server: ServerProcess) -> None:
    with client_to(server) as client:
        set_stock(client, 1, "future")
        newest = client.get_status().sequence
        with pytest.raises(OutOfRange) as raised:
            first_of(client, 1, newest + 2)
        assert raised.value.reason == "WATCH_POSITION_AHEAD"
        assert raised.value.resume_sequence == newest + 1


def test_readers_that_sleep_slow_no_checkout(tmp_path: Path) -> None:
    """Counted, not timed: with every place taken by a reader that takes nothing, each call is
    answered, and nothing is kept in memory for the readers."""
    with serving("--set", "watch.max=16", folder=tmp_path) as server, client_to(server) as client:
        for number in range(10):
            set_stock(client, BATCH, f"{number}")
        with channel_to(server.control_plane) as channel:
            stub = pb_grpc.MaintenanceServiceStub(channel)
            sleeping = [stub.Watch(pb.WatchRequest(from_sequence=1)) for _ in range(16)]
            for stream in sleeping:
                assert next(stream).resume_sequence == 1
            before = resident_bytes(server)
            held = client.batch_set_stock([("MUG", 10_000)])
            assert held[0].sequence
            answers = [client.reserve({"MUG": 1}) for _ in range(400)]
            assert len({answer.reservation.reservation_id for answer in answers}) == 400
            status = client.get_status()
            assert status.journal.watches == 16
            assert status.sequence == status.journal.durable_sequence == 10 * BATCH + 401
            with pytest.raises(ResourceExhausted) as raised:
                first_of(client, 1, 1)
            assert raised.value.limit_name == "watch.max"
            # gRPC itself keeps what the other end has allowed it to send: some megabytes a stream.
            assert resident_bytes(server) - before < 16 * (16 << 20)
        wait_until(lambda: client.get_status().journal.watches == 0, "places given back")
        assert len(first_of(client, 10 * BATCH + 401, 1)) == 10 * BATCH + 401


def resident_bytes(server: ServerProcess) -> int:
    """What the server has in memory."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmRSS")


def test_a_crowd_that_wants_to_watch_is_bounded(server: ServerProcess) -> None:
    with channel_to(server.control_plane) as channel, client_to(server) as client:
        stub = pb_grpc.MaintenanceServiceStub(channel)
        streams = [stub.Watch(pb.WatchRequest()) for _ in range(200)]
        ends: list[grpc.StatusCode] = []
        for stream in streams:
            try:
                next(stream)
            except grpc.RpcError as error:
                ends.append(error.code())  # type: ignore[attr-defined]
        assert ends == [grpc.StatusCode.RESOURCE_EXHAUSTED] * (200 - 64)
        assert client.get_status().journal.watches == 64
        for stream in streams:
            stream.cancel()
        wait_until(lambda: client.get_status().journal.watches == 0, "places given back")


def test_a_stop_does_not_wait_for_watches() -> None:
    with serving("--set", "server.drain=1h") as server, client_to(server) as client:
        set_stock(client, 3, "a")
        with channel_to(server.control_plane) as channel:
            stream = pb_grpc.MaintenanceServiceStub(channel).Watch(pb.WatchRequest(from_sequence=2))
            told = [change.sequence for _ in range(2) for change in next(stream).events]
            assert told == [2, 3]
            server.signal(signal.SIGTERM)
            with pytest.raises(grpc.RpcError) as raised:
                next(stream)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
        assert server.wait() == 0


# The command.


@contextlib.contextmanager
def watching(
    server: ServerProcess, *arguments: str, stdout: IO[str] | int = subprocess.PIPE
) -> Iterator[subprocess.Popen[str]]:
    """`atp watch` as a process, killed at the end if it is still there."""
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, "watch", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment({"ATP_CONTROL_ADDRESS": server.control_plane}),
    )
    assert process.stderr is not None
    with process.stderr:
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    assert process.stdout is not None
    return [process.stdout.readline().rstrip("\n") for _ in range(count)]


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and stderr of a command that ends."""
    status = process.wait(timeout=20)
    assert process.stderr is not None
    return status, process.stderr.read()


def test_watch_prints_a_line_for_each_change_and_stops_on_ctrl_c() -> None:
    with serving() as server, client_to(server) as client, watching(server) as process:
        wait_until(lambda: client.get_status().journal.watches == 1, "the watch")
        client.set_stock("MUG", 100)
        held = client.reserve(
            {"MUG": 2}, customer_id="alice", client_ip="203.0.113.7", request_id="order-1"
        ).reservation
        client.extend(held.reservation_id, ttl=900)
        client.commit(held.reservation_id)
        lines = lines_of(process, 4)
        process.send_signal(signal.SIGINT)
        status, told = ended(process)
        assert status == 130
        # 4: stopped just after a line was printed and before that was noted, so it comes again.
        assert re.fullmatch("atp: stopped; to go on: --from [45]\n", told)
    parts = [line.split(maxsplit=4) for line in lines]
    assert [part[1:4] for part in parts] == [
        ["1", "stock", "MUG"],
        ["2", "reserved", held.reservation_id],
        ["3", "extended", held.reservation_id],
        ["4", "committed", held.reservation_id],
    ]
    assert parts[0][4] == "100 on hand (received 100, adjusted 0)"
    assert parts[1][4].startswith("MUG=2, until 20")
    assert parts[1][4].endswith("Z, customer alice, address 203.0.113.7, request order-1")
    assert parts[2][4].startswith("until 20")
    assert parts[3][4] == "all it held"
    assert lines[0].index("MUG") == lines[1].index(held.reservation_id), "columns stand in line"


def test_watch_ends_when_nobody_reads_it_although_nothing_happens(server: ServerProcess) -> None:
    with client_to(server) as client:
        set_stock(client, 2, "unread")
        newest = client.get_status().sequence
        with watching(server, "--from", f"{newest}", "--json") as process:
            (line,) = lines_of(process, 1)
            assert json.loads(line)["sequence"] == newest
            assert process.stdout is not None
            process.stdout.close()
            assert ended(process) == (141, "")


def test_watch_ends_when_nobody_reads_it_while_much_happens(server: ServerProcess) -> None:
    with client_to(server) as client:
        set_stock(client, BATCH, "much")
        with watching(server, "--from", "1") as process:
            lines_of(process, 1)
            assert process.stdout is not None
            process.stdout.close()
            assert ended(process) == (141, "")


def test_watch_bridges_a_restart_and_tells_where_to_go_on_when_it_cannot(tmp_path: Path) -> None:
    with serving(folder=tmp_path) as server, client_to(server) as client:
        client.set_stock("MUG", 1)
        with watching(server, "--from", "1", "--timeout", "20s") as process:
            lines_of(process, 1)
            server.signal(signal.SIGTERM)
            assert server.wait() == 0
            address = ("--control-address", server.control_plane)
            with serving(*address, folder=tmp_path) as again, client_to(again) as client_again:
                client_again.set_stock("MUG", 2)
                (line,) = lines_of(process, 1)
                assert line.split()[1:4] == ["2", "stock", "MUG"]
        with watching(again, "--timeout", "200ms") as process:
            status, told = ended(process)
        assert status == 3
        assert told.startswith("atp: no server answers at ")


def test_watch_tells_where_to_go_on_when_the_server_stops() -> None:
    with serving() as server, client_to(server) as client:
        client.set_stock("MUG", 1)
        with watching(server, "--from", "1", "--timeout", "100ms") as process:
            lines_of(process, 1)
            server.signal(signal.SIGTERM)
            status, told = ended(process)
        assert (status, told.count("\n")) == (3, 1)
        assert told.endswith("; to go on: --from 2\n")


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--from", "999999"), 1, "atp: change 999999 lies in the future: the next one"),
        (("--from", "0"), 2, "atp watch: Invalid value for '--from': 0 is not in the range x>=1"),
        (("--limit", "0"), 2, "atp watch: Invalid value for '--limit'"),
    ],
)
def test_mistakes_are_one_line(
    server: ServerProcess, arguments: tuple[str, ...], status: int, told: str
) -> None:
    with watching(server, *arguments) as process:
        got = ended(process)
    assert (got[0], got[1].count("\n")) == (status, 1)
    assert got[1].startswith(told)


def test_json_has_names_that_people_can_use(server: ServerProcess) -> None:
    with client_to(server) as client:
        client.set_stock("NAMED", 5)
        reply: Any = client.reserve({"NAMED": 1}, client_ip="2001:db8::7", customer_id="bob")
        sequence, held = reply.sequence, reply.reservation
        with watching(server, "--from", f"{sequence}", "--limit", "1", "--json") as process:
            (line,) = lines_of(process, 1)
            assert ended(process) == (0, "")
    change = json.loads(line)
    reserved = change["event"]["reserved"]
    assert (change["sequence"], reserved["replaced_reservation_key"]) == (sequence, "")
    assert reserved["reservation_key"] == held.reservation_id
    assert reserved["client_ip"] == "2001:db8::7"
    assert reserved["lines"] == [{"sku": "NAMED", "quantity": 1}]
