"""Histories: what is written is read, a torn end is told, damage stops, a channel is recorded.

The channel's tests talk to a real server; the files' tests need none.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import proto

from atp.history import HistoryDamaged, HistoryWriter, list_files, read, record_calls
from atp.history import clock as history_clock
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess, serving

SECONDS = 20.0
RESERVE = history.HISTORY_METHOD_RESERVE


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as running:
        yield running


def entries_of(path: Path) -> list[history.HistoryEntry]:
    return list(read(path))


def kinds_of(path: Path) -> list[str]:
    return [str(entry.WhichOneof("entry")) for entry in read(path)]


def some_file(folder: Path) -> Path:
    """Three calls, two of them answered, and a note."""
    with HistoryWriter(folder, "some", recorder="test", settings={"rate": 3}) as writer:
        first = writer.sent(RESERVE, b"\x0a\x01a", due_time_ns=7)
        second = writer.sent(RESERVE, b"\x0a\x01b")
        writer.ended(second, 14, status_message="gone")
        writer.sent(RESERVE, b"\x0a\x01c")
        writer.ended(first, 0, b"\x08\x01")
        writer.note("kill", "the server", 5)
        writer.unsent(12)
    return writer.path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    reader = read(some_file(tmp_path))
    begun, *middle, finished = list(reader)
    assert reader.is_finished
    assert reader.torn_bytes == 0
    assert begun.begun.format_version == 1
    assert begun.begun.clock_name == history_clock.clock_name()
    assert begun.begun.settings_json == '{"rate": 3}'
    assert [entry.sent.number for entry in middle if entry.sent.number] == [1, 2, 3]
    assert middle[0].sent.request == b"\x0a\x01a"
    assert middle[0].sent.due_time_ns == 7
    assert [entry.ended.status for entry in middle if entry.ended.number] == [14, 0]
    assert middle[4].ended.response == b"\x08\x01"
    assert middle[5].note.duration_ns == 5
    assert middle[6].unsent.call_count == 12
    assert finished.finished.call_count == 3
    times = [getattr(entry, str(entry.WhichOneof("entry"))).time_ns for entry in middle]
    assert times == sorted(times)
    assert begun.begun.time_ns <= times[0]


def test_threads_share_a_writer(tmp_path: Path) -> None:
    with HistoryWriter(tmp_path, "shared", recorder="test", buffer_bytes=100) as writer:

        def record() -> None:
            for _ in range(200):
                writer.ended(writer.sent(RESERVE, b"x" * 40))

        threads = [threading.Thread(target=record) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    entries = entries_of(writer.path)
    sent = [entry.sent.number for entry in entries if entry.sent.number]
    assert sent == list(range(1, 1601))
    assert {entry.ended.number for entry in entries if entry.ended.number} == set(sent)


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    path = some_file(tmp_path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError):
        HistoryWriter(tmp_path, "some", recorder="test")
    assert path.read_bytes() == before


def test_a_closed_writer_takes_no_more(tmp_path: Path) -> None:
    writer = HistoryWriter(tmp_path, "closed", recorder="test")
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.sent(RESERVE, b"")
    assert kinds_of(writer.path) == ["begun", "finished"]


def test_every_cut_is_torn_or_whole(tmp_path: Path) -> None:
    whole = some_file(tmp_path).read_bytes()
    total = len(entries_of(tmp_path / "some.history"))
    cut = tmp_path / "cut.history"
    counts = set()
    first_size = whole[0] + 1
    for size in range(first_size, len(whole)):
        cut.write_bytes(whole[:size])
        reader = read(cut)
        counts.add(len(list(reader)))
        assert not reader.is_finished
        assert reader.torn_bytes < size
    assert counts == set(range(1, total))


def delimited(**content: Any) -> bytes:
    written = io.BytesIO()
    proto.serialize_length_prefixed(history.HistoryEntry(**content), written)
    return written.getvalue()


BEGUN = delimited(begun=history.HistoryBegun(format_version=1, clock_name="here"))
NOTE = delimited(note=history.HistoryNote(kind="kill"))
FINISHED = delimited(finished=history.HistoryFinished())


@pytest.mark.parametrize(
    ("content", "offset", "what"),
    [
        (b"", 0, "no entry at all"),
        (NOTE, 0, "does not begin as one"),
        (BEGUN + BEGUN, len(BEGUN), "begins twice"),
        (BEGUN + b"\x00" + NOTE, len(BEGUN), "no entry has 0 bytes"),
        (BEGUN + b"\xff\xff\xff\xff\x7f", len(BEGUN), "no entry has"),
        (BEGUN + b"\xff" * 5, len(BEGUN), "no size of an entry is that long"),
        (BEGUN + b"\x02\xff\xff" + NOTE, len(BEGUN), "this is no entry"),
        (BEGUN + b"\x03\x78\x01\x00" + NOTE, len(BEGUN), "this is no entry"),
        (BEGUN + b"\x02\x78\x01" + NOTE, len(BEGUN), "an entry of a kind"),
        (BEGUN + FINISHED + NOTE, len(BEGUN + FINISHED), "after the last one"),
        (BEGUN + FINISHED + b"\x05", len(BEGUN + FINISHED) + 1, "bytes after the last entry"),
        (delimited(begun=history.HistoryBegun(format_version=2)), 0, "version is 2"),
    ],
)
def test_damage_is_told_with_its_place(
    tmp_path: Path, content: bytes, offset: int, what: str
) -> None:
    path = tmp_path / "damaged.history"
    path.write_bytes(content)
    with pytest.raises(HistoryDamaged, match=what) as raised:
        list(read(path))
    assert raised.value.path == path
    assert raised.value.offset == offset
    assert str(path) in str(raised.value)


def test_files_of_a_history(tmp_path: Path) -> None:
    with pytest.raises(HistoryDamaged, match="there is no history"):
        list_files(tmp_path)
    path = some_file(tmp_path)
    (tmp_path / "notes.txt").write_text("nobody's")
    assert list_files(tmp_path) == [path]
    assert list_files(path) == [path]


def test_unary_calls_are_recorded_byte_by_byte(tmp_path: Path, server: ServerProcess) -> None:
    with (
        HistoryWriter(tmp_path, "calls", recorder="test") as writer,
        record_calls(grpc.insecure_channel(server.control_plane), writer) as control,
        record_calls(grpc.insecure_channel(server.data_plane), writer) as data,
    ):
        stock = stock_pb.SetStockRequest(sku="TEA", on_hand_quantity=5)
        stock_grpc.StockServiceStub(control).SetStock(stock, timeout=SECONDS)
        stub = pb_grpc.ReservationServiceStub(data)
        asked = pb.ReserveRequest(request_id="r-1", lines=[pb.Line(sku="TEA", quantity=2)])
        answer, _ = stub.Reserve.with_call(asked, timeout=SECONDS)
        future = stub.Commit.future(
            pb.CommitRequest(reservation_id=answer.reservation.reservation_id), timeout=SECONDS
        )
        assert future.result().outcome == pb.CHANGE_OUTCOME_DONE
        with pytest.raises(grpc.RpcError):
            stub.Reserve(pb.ReserveRequest(request_id="r-2"), timeout=SECONDS)
        poll_until_recorded(writer, 4)
    entries = entries_of(writer.path)
    sent = {entry.sent.number: entry.sent for entry in entries if entry.sent.number}
    ended = {entry.ended.number: entry.ended for entry in entries if entry.ended.number}
    assert [sent[number].method for number in sorted(sent)] == [8, 1, 2, 1]
    assert sent[1].request == stock.SerializeToString()
    assert pb.ReserveResponse.FromString(ended[2].response) == answer
    assert pb.CommitResponse.FromString(ended[3].response).sequence > answer.sequence
    assert ended[4].status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert ended[4].refused_by_server
    assert ended[4].status_message
    assert all(sent[number].time_ns < ended[number].time_ns for number in sent)


def poll_until_recorded(writer: HistoryWriter, count: int) -> None:
    """A future's end is recorded by grpcio's own thread, a moment after its result is there."""
    deadline = history_clock.now_ns() + 20 * 10**9
    while history_clock.now_ns() < deadline:
        writer.flush()
        if kinds_of(writer.path).count("ended") == count:
            return
    raise AssertionError(f"{count} ends were not recorded in 20 s")


def test_batches_are_recorded_one_by_one(tmp_path: Path, server: ServerProcess) -> None:
    batches = [
        service_pb.ExecuteRequest(
            commands=[
                service_pb.Command(
                    reserve=pb.ReserveRequest(
                        request_id=f"b-{index}", lines=[pb.Line(sku="NONE", quantity=1)]
                    )
                )
            ]
        )
        for index in range(3)
    ]
    with (
        HistoryWriter(tmp_path, "batches", recorder="test") as writer,
        record_calls(grpc.insecure_channel(server.data_plane), writer) as data,
    ):
        stub = pb_grpc.ReservationServiceStub(data)
        told = list(stub.Execute(iter(batches), timeout=SECONDS))
        with pytest.raises(grpc.RpcError):
            list(stub.Execute(iter([service_pb.ExecuteRequest()]), timeout=SECONDS))
    entries = entries_of(writer.path)
    sent = [entry.sent for entry in entries if entry.sent.number]
    ended = [entry.ended for entry in entries if entry.ended.number]
    assert [each.request for each in sent[:3]] == [each.SerializeToString() for each in batches]
    assert [service_pb.ExecuteResponse.FromString(each.response) for each in ended[:3]] == told
    assert ended[3].status == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert not ended[3].refused_by_server, "a stream's end leaves open what it had done"


def test_a_server_that_is_not_there_is_no_refusal(tmp_path: Path) -> None:
    with (
        HistoryWriter(tmp_path, "gone", recorder="test") as writer,
        record_calls(grpc.insecure_channel("127.0.0.1:1"), writer) as data,
    ):
        stub = pb_grpc.ReservationServiceStub(data)
        with pytest.raises(grpc.RpcError):
            stub.Reserve(pb.ReserveRequest(request_id="r"), timeout=SECONDS)
    ended = [entry.ended for entry in entries_of(writer.path) if entry.ended.number]
    assert [each.status for each in ended] == [grpc.StatusCode.UNAVAILABLE.value[0]]
    assert not ended[0].refused_by_server
