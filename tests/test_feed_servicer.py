"""Watch at the door: how a watch begins, goes on and ends, over segments that a test makes.

A real gRPC server and real streams; the journal behind them is a folder and two numbers, so that
every position, a slow reader and a stop can be brought about exactly.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from atp.client.errors import from_rpc_error
from atp.journal.feed import READ_BYTES, Batch, Feed
from atp.server import feed_servicer
from atp.server.edge import CallGate, add_servicer
from atp.server.feed_servicer import FeedServicer
from atp.v1 import maintenance_service_pb2 as pb
from atp.v1 import maintenance_service_pb2_grpc as pb_grpc
from segment_files import segment_path, write_segment

SERVICE = pb.DESCRIPTOR.services_by_name["MaintenanceService"]
SECONDS = 20.0
Test = Callable[["Journal", Any], Awaitable[None]]


class Journal:
    """What a servicer knows of a journal: a folder, and how far it has come."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.durable = 0
        self.newest = 0
        self.servicer: FeedServicer
        self.gate: CallGate
        self.channel: grpc.aio.Channel

    def write(self, count: int, **options: int) -> None:
        """Makes a segment of so many changes more, all durable."""
        write_segment(self.folder, self.durable + 1, count, **options)
        self.durable = self.newest = self.durable + count

    @property
    def bytes_written(self) -> int:
        """Bytes of all segments."""
        return sum(path.stat().st_size for path in self.folder.glob("*.segment"))

    async def Watch(self, request: pb.WatchRequest, send: Any) -> None:
        """The RPC, as the maintenance servicer hands it on."""
        await self.servicer.watch(request, send)


def serve(folder: Path, test: Test, **options: Any) -> None:
    """Runs a test with a journal in the folder and a stub of a server that serves it."""

    async def run() -> None:
        journal = Journal(folder)
        options.setdefault("watch_max", 8)
        journal.servicer = FeedServicer(
            folder, durable=lambda: journal.durable, newest=lambda: journal.newest, **options
        )
        journal.gate = CallGate(100)
        server = grpc.aio.server(interceptors=[journal.gate])
        add_servicer(server, SERVICE, journal)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                journal.channel = channel
                stub = pb_grpc.MaintenanceServiceStub(channel)
                await asyncio.wait_for(test(journal, stub), timeout=SECONDS)
        finally:
            journal.servicer.stop()
            await server.stop(None)

    asyncio.run(run())


async def sequences(stream: Any, last: int) -> list[int]:
    """Reads up to a change; checks that each response says where to resume."""
    got: list[int] = []
    while not got or got[-1] < last:
        response = await stream.read()
        got += [watched.sequence for watched in response.events]
        if response.events:
            assert response.resume_sequence == got[-1] + 1
    return got


async def end_of(
    stream: Any, got: list[int] | None = None
) -> tuple[grpc.StatusCode, str, dict[str, str]]:
    """The code, reason and metadata with which a stream ends; what it tells before goes to got."""
    try:
        while (response := await stream.read()) is not grpc.aio.EOF:
            if got is not None:
                got += [watched.sequence for watched in response.events]
    except grpc.aio.AioRpcError as error:
        told = from_rpc_error(error)
        assert told.answered
        return told.code, told.reason, dict(told.metadata)
    raise AssertionError("the stream ended without an error")


async def until(condition: Callable[[], bool]) -> None:
    """Waits for a real condition; serve() bounds how long."""
    while not condition():
        await asyncio.sleep(0.002)


def test_the_past_then_the_present(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(3)
        journal.write(2)
        stream = stub.Watch(pb.WatchRequest(from_sequence=2))
        first = await stream.read()
        assert (list(first.events), first.resume_sequence) == ([], 2)
        assert await sequences(stream, 5) == [2, 3, 4, 5]
        for _ in range(20):
            journal.write(1)
            assert await sequences(stream, journal.durable) == [journal.durable]
        await until(lambda: journal.servicer.watch_count == 1)
        stream.cancel()
        await until(lambda: journal.servicer.watch_count == 0)

    serve(tmp_path, test)


def test_from_now_on_tells_nothing_of_the_past(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(3)
        stream = stub.Watch(pb.WatchRequest())
        assert (await stream.read()).resume_sequence == 4
        journal.write(2)
        assert await sequences(stream, 5) == [4, 5]

    serve(tmp_path, test)


def test_what_is_not_durable_is_not_told(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(4)
        journal.durable = 2
        stream = stub.Watch(pb.WatchRequest(from_sequence=1))
        assert await sequences(stream, 2) == [1, 2]
        ahead = stub.Watch(pb.WatchRequest(from_sequence=5))
        assert (await ahead.read()).resume_sequence == 5
        journal.durable = 4
        assert await sequences(stream, 4) == [3, 4]
        journal.write(1)
        assert await sequences(ahead, 5) == [5]

    serve(tmp_path, test)


def test_a_watch_to_which_nothing_happens_hears_how_far_the_feed_has_come(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(1)
        stream = stub.Watch(pb.WatchRequest(from_sequence=1))
        assert await sequences(stream, 1) == [1]
        for _ in range(3):
            response = await stream.read()
            assert (list(response.events), response.resume_sequence) == ([], 2)

    serve(tmp_path, test, sign_of_life_s=0.01)


@pytest.mark.parametrize(
    ("asked", "code", "reason", "metadata"),
    [
        (-1, "INVALID_ARGUMENT", "FIELD_INVALID", {"field": "from_sequence"}),
        (-(2**63), "INVALID_ARGUMENT", "FIELD_INVALID", {"field": "from_sequence"}),
        (1, "OUT_OF_RANGE", "WATCH_POSITION_GONE", {"first_sequence": "4"}),
        (3, "OUT_OF_RANGE", "WATCH_POSITION_GONE", {"first_sequence": "4"}),
        (8, "OUT_OF_RANGE", "WATCH_POSITION_AHEAD", {"resume_sequence": "7"}),
        (2**63 - 1, "OUT_OF_RANGE", "WATCH_POSITION_AHEAD", {"resume_sequence": "7"}),
    ],
)
def test_a_position_that_cannot_be_told_from(
    tmp_path: Path, asked: int, code: str, reason: str, metadata: dict[str, str]
) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(3)
        journal.write(3)
        segment_path(tmp_path, 1).unlink()
        told = await end_of(stub.Watch(pb.WatchRequest(from_sequence=asked)))
        assert told == (grpc.StatusCode[code], reason, metadata)
        await until(lambda: journal.servicer.watch_count == 0)

    serve(tmp_path, test)


def test_bytes_that_are_no_request(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        bare = journal.channel.unary_stream("/atp.v1.MaintenanceService/Watch")
        told = await end_of(bare(b"\xff\xff\xff"))
        field = {"field": "request"}
        assert told == (grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", field)
        assert journal.servicer.watch_count == 0

    serve(tmp_path, test)


def test_so_many_may_watch_and_no_more(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        streams = [stub.Watch(pb.WatchRequest()) for _ in range(3)]
        for stream in streams:
            await stream.read()
        told = await end_of(stub.Watch(pb.WatchRequest()))
        limit = {"limit_name": "watch.max"}
        assert told == (grpc.StatusCode.RESOURCE_EXHAUSTED, "LIMIT_REACHED", limit)
        streams[0].cancel()
        await until(lambda: journal.servicer.watch_count == 2)
        await stub.Watch(pb.WatchRequest()).read()

    serve(tmp_path, test, watch_max=3)


class Spied(Feed):
    """A reader that counts what is asked of it."""

    reads = 0
    closed = 0

    def read(self, last: int) -> Batch:
        Spied.reads += 1
        return super().read(last)

    def close(self) -> None:
        Spied.closed += 1
        super().close()


@pytest.fixture
def spied(monkeypatch: pytest.MonkeyPatch) -> type[Spied]:
    monkeypatch.setattr(feed_servicer, "Feed", Spied)
    Spied.reads = Spied.closed = 0
    return Spied


def test_a_reader_that_takes_nothing_costs_nothing_and_is_told_where_to_resume(
    tmp_path: Path, spied: type[Spied]
) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(40_000, padding=1_000)
        stream = stub.Watch(pb.WatchRequest(from_sequence=1))
        await stream.read()
        await until(lambda: spied.closed == 1)
        stalled_after = spied.reads
        assert 0 < stalled_after * READ_BYTES < journal.bytes_written
        for _ in range(20):
            journal.write(1)
        assert await sequences(stub.Watch(pb.WatchRequest(from_sequence=40_011)), 40_020)
        assert journal.servicer.watch_count == 2, "a place is kept until the end was heard"
        got: list[int] = []
        code, reason, metadata = await end_of(stream, got)
        assert (code, reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCH_TOO_SLOW")
        resume = int(metadata["resume_sequence"])
        assert 1 < resume <= got[-1] + 1
        rest = await sequences(stub.Watch(pb.WatchRequest(from_sequence=resume)), 40_020)
        assert got[: resume - 1] + rest == list(range(1, 40_021))

    serve(tmp_path, test, patience_s=0.2)


def test_a_stop_ends_every_watch_where_it_is(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        journal.write(3)
        waits = stub.Watch(pb.WatchRequest(from_sequence=1))
        assert await sequences(waits, 3) == [1, 2, 3]
        for _ in range(8):
            journal.write(2_000, padding=1_000)
        stalls = stub.Watch(pb.WatchRequest(from_sequence=1))
        await stalls.read()
        journal.servicer.stop()
        journal.servicer.stop()
        code, reason, metadata = await end_of(stub.Watch(pb.WatchRequest()))
        assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
        assert int(metadata["resume_sequence"]) == journal.durable + 1
        for stream in (waits, stalls):
            code, reason, metadata = await end_of(stream)
            assert (code, reason) == (grpc.StatusCode.UNAVAILABLE, "DRAINING")
            assert 1 <= int(metadata["resume_sequence"]) <= journal.durable + 1

    serve(tmp_path, test)


def test_a_watch_is_no_call_that_a_stop_waits_for(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        await stub.Watch(pb.WatchRequest()).read()
        assert journal.gate.open_calls == 0
        await journal.gate.wait_idle()

    serve(tmp_path, test)


def test_a_caller_that_goes_while_a_file_is_read_leaves_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spied: type[Spied]
) -> None:
    reading, may_read = threading.Event(), threading.Event()
    read = Spied.read

    def held(self: Spied, last: int) -> Batch:
        reading.set()
        assert may_read.wait(SECONDS)
        return read(self, last)

    monkeypatch.setattr(Spied, "read", held)

    async def test(journal: Journal, stub: Any) -> None:
        journal.write(3)
        stream = stub.Watch(pb.WatchRequest(from_sequence=1))
        await stream.read()
        await until(reading.is_set)
        stream.cancel()
        await until(lambda: journal.servicer.watch_count == 0)
        assert spied.closed == 0, "a thread is still at the file"
        may_read.set()
        await until(lambda: spied.closed == 1)
        assert segment_path(tmp_path, 1) not in open_paths()

    serve(tmp_path, test)


def open_paths() -> list[Path]:
    """Every file that this process has open."""
    found = []
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(link.readlink())
    return found


def test_many_watches_are_served_in_turn(tmp_path: Path) -> None:
    async def test(journal: Journal, stub: Any) -> None:
        streams = [stub.Watch(pb.WatchRequest(from_sequence=1)) for _ in range(8)]
        for _ in range(30):
            journal.write(10)
        for got in await asyncio.gather(*(sequences(stream, 300) for stream in streams)):
            assert got == list(range(1, 301))

    serve(tmp_path, test)
