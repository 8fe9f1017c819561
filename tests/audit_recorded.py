"""A real sale on a small scale, recorded, and taken apart so that tests can plant faults in it.

Owns the recording (a server over gRPC, threads of shoppers beside one who follows a script), and
writing history and journal anew with right checksums. Judges nothing.
"""

from __future__ import annotations

import copy
import io
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

import grpc
import xxhash
from google.protobuf import proto
from google.protobuf.message import Message

from atp.history import HistoryWriter, read, record_calls
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import event_pb2
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from server_process import ServerProcess

SECONDS = 20.0
TIME = 10 * 60
Stub = pb_grpc.ReservationServiceStub


def basket(
    request_id: str, *lines: tuple[str, int], ttl_ms: int = TIME * 1000, **words: Any
) -> Any:
    """A reserve request."""
    request = pb.ReserveRequest(request_id=request_id, **words)
    request.ttl.FromMilliseconds(ttl_ms)
    for sku, quantity in lines:
        request.lines.add(sku=sku, quantity=quantity)
    return request


class Sale:
    """The script: every call has a name, by which tests find it again, and before which they may do
    something else.
    """

    def __init__(
        self,
        server: ServerProcess,
        writer: HistoryWriter,
        before: Mapping[str, Callable[[], None]] = MappingProxyType({}),
    ) -> None:
        self.names: dict[str, int] = {}
        self._writer = writer
        self._before = before
        self._data = record_calls(grpc.insecure_channel(server.data_plane), writer)
        self._control = record_calls(grpc.insecure_channel(server.control_plane), writer)
        self.stub = Stub(self._data)
        self.stock = stock_grpc.StockServiceStub(self._control)
        self.caps = cap_grpc.CapServiceStub(self._control)

    def close(self) -> None:
        self._data.close()
        self._control.close()

    def call(self, name: str, method: Callable[..., Any], request: Any) -> Any:
        """Make a call, and remember its number: the script has the recorder for itself."""
        if name in self._before:
            self._before[name]()
        self._writer.note("step", name)
        return method(request, timeout=SECONDS)

    def run(self) -> None:
        for sku, units in (("TEA", 10), ("DUE", 3), ("ONE", 5), ("TWO", 5)):
            request = stock_pb.SetStockRequest(sku=sku, on_hand_quantity=units)
            self.call(f"stock {sku}", self.stock.SetStock, request)
        cap = cap_pb.Cap(cap_id="four", subject=cap_pb.CAP_SUBJECT_CUSTOMER, limit_quantity=4)
        cap.mode = cap_pb.CAP_MODE_ENFORCE
        self.call("cap", self.caps.SetCap, cap_pb.SetCapRequest(cap=cap))
        reserve = self.stub.Reserve
        first = basket("r1", ("TEA", 2), customer_id="ann", client_ip="10.0.0.1")
        r1 = self.call("r1", reserve, first).reservation.reservation_id
        self.call("r1 again", reserve, first)
        second = basket("r2", ("TEA", 3), customer_id="bob")
        r2 = self.call("r2", reserve, second).reservation.reservation_id
        self.call("commit r1", self.stub.Commit, pb.CommitRequest(reservation_id=r1))
        self.call("capped", reserve, basket("r3", ("TEA", 3), customer_id="ann"))
        self.call("short", reserve, basket("r4", ("TEA", 9)))
        part = pb.ReleaseRequest(reservation_id=r2, request_id="x1")
        part.lines.add(sku="TEA", quantity=1)
        self.call("release part", self.stub.Release, part)
        longer = pb.ExtendRequest(reservation_id=r2)
        longer.ttl.FromSeconds(2 * TIME)
        self.call("extend", self.stub.Extend, longer)
        self.call("look", self.stub.GetAvailability, pb.GetAvailabilityRequest(skus=["TEA", "NO"]))
        self.call("show", self.stub.GetReservation, pb.GetReservationRequest(reservation_id=r2))
        self._expire()
        adjust = stock_pb.AdjustStockRequest(request_id="a1", sku="TEA", delta_quantity=5, reason=1)
        self.call("adjust", self.stock.AdjustStock, adjust)
        self.call("remove cap", self.caps.RemoveCap, cap_pb.RemoveCapRequest(cap_id="four"))
        self.call("partly", reserve, basket("r5", ("TEA", 99), ("NO", 1), allow_partial=True))
        self.call("late", self.stub.Commit, pb.CommitRequest(reservation_id="0" * 32))
        self._batch()
        self.call("one", reserve, basket("one", ("ONE", 1)))
        self.call("two", reserve, basket("two", ("TWO", 1)))

    def _expire(self) -> None:
        """A hold ends by itself, and its unit is taken by another."""
        hold = self.call("due", self.stub.Reserve, basket("due", ("DUE", 3), ttl_ms=50))
        wanted = pb.GetReservationRequest(reservation_id=hold.reservation.reservation_id)
        deadline = time.monotonic() + SECONDS
        while self.call("wait", self.stub.GetReservation, wanted).reservation.state == 1:
            assert time.monotonic() < deadline, "a hold of 50 ms did not end in 20 s"
        self.call("after due", self.stub.Reserve, basket("due2", ("DUE", 1)))

    def _batch(self) -> None:
        batch = service_pb.ExecuteRequest()
        for name in ("b1", "b2"):
            batch.commands.add().reserve.CopyFrom(basket(name, ("ONE", 1)))
        batch.commands.add().reserve.CopyFrom(basket("b3", ("ONE", 9)))
        self._writer.note("step", "batch")
        assert len(list(self.stub.Execute(iter([batch]), timeout=SECONDS))) == 1


def shop(server: ServerProcess, writer: HistoryWriter, seed: int, calls: int) -> None:
    """One shopper of a crowd on SKUs of its own, with everything that a load does."""
    draw = Random(seed)
    holds: list[str] = []
    with record_calls(grpc.insecure_channel(server.data_plane), writer) as channel:
        stub = Stub(channel)
        for index in range(calls):
            kind = draw.random()
            if kind < 0.6 or not holds:
                lines = [(f"C{draw.randrange(4)}", draw.randrange(1, 4))]
                request = basket(
                    f"s{seed}-{index}",
                    *lines,
                    ttl_ms=draw.choice([20, 60_000]),
                    customer_id=draw.choice(["", "ann", "bob"]),
                    allow_partial=draw.random() < 0.3,
                )
                reply = stub.Reserve(request, timeout=SECONDS)
                if reply.outcome in (1, 2):
                    holds.append(reply.reservation.reservation_id)
            elif kind < 0.75:
                stub.Commit(pb.CommitRequest(reservation_id=draw.choice(holds)), timeout=SECONDS)
            elif kind < 0.9:
                stub.Release(pb.ReleaseRequest(reservation_id=draw.choice(holds)), timeout=SECONDS)
            else:
                stub.GetAvailability(pb.GetAvailabilityRequest(skus=["C0", "C1"]), timeout=SECONDS)


def record(
    server: ServerProcess,
    folder: Path,
    before: Mapping[str, Callable[[], None]] = MappingProxyType({}),
) -> Path:
    """Record a sale with a crowd and the script; returns the history's directory. What is to be
    done before a step of the script is in `before`.
    """
    sale_history = folder / "history"
    with HistoryWriter(sale_history, "crowd", recorder="test") as crowd:
        with record_calls(grpc.insecure_channel(server.control_plane), crowd) as control:
            stub = stock_grpc.StockServiceStub(control)
            for index in range(4):
                request = stock_pb.SetStockRequest(sku=f"C{index}", on_hand_quantity=30)
                stub.SetStock(request, timeout=SECONDS)
        threads = [
            threading.Thread(target=shop, args=(server, crowd, seed, 60)) for seed in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    with HistoryWriter(sale_history, "script", recorder="test") as script:
        sale = Sale(server, script, before)
        sale.run()
        sale.close()
    return sale_history


@dataclass
class Call:
    """A recorded call that may be changed."""

    sent: history.CallSent
    ended: history.CallEnded

    @contextmanager
    def asked(self, kind: type[Message]) -> Iterator[Any]:
        """The request, to be changed."""
        message = kind.FromString(self.sent.request)
        yield message
        self.sent.request = message.SerializeToString()

    @contextmanager
    def told(self, kind: type[Message]) -> Iterator[Any]:
        """The answer, to be changed."""
        message = kind.FromString(self.ended.response)
        yield message
        self.ended.response = message.SerializeToString()


@dataclass
class Recorded:
    """A sale as lists: change what you like, then write it down."""

    store: bytes
    events: list[event_pb2.Event]
    files: dict[str, list[history.HistoryEntry]]
    torn: bytes = b""
    cut: set[str] = field(default_factory=set)

    def copy(self) -> Recorded:
        return copy.deepcopy(self)

    def call(self, name: str) -> Call:
        """The call of that step of the script."""
        entries = self.files["script"]
        step = next(i for i, entry in enumerate(entries) if entry.note.text == name)
        sent = next(entry.sent for entry in entries[step:] if entry.sent.number)
        ended = next(e.ended for e in entries[step:] if e.ended.number == sent.number)
        return Call(sent, ended)

    def sequence(self, name: str, kind: type[Any]) -> int:
        """Where the change of that step is in the journal."""
        return int(kind.FromString(self.call(name).ended.response).sequence)

    def event(self, name: str, kind: type[Any] = pb.ReserveResponse) -> event_pb2.Event:
        """The change of that step."""
        return self.events[self.sequence(name, kind) - 1]

    def forget_answer(self, name: str) -> None:
        """Take away that this call was answered."""
        number = self.call(name).ended.number
        entries = self.files["script"]
        entries[:] = [entry for entry in entries if entry.ended.number != number]

    def again(self, name: str) -> Call:
        """The same call a second time, after everything, with the same answer."""
        entries = self.files["script"]
        once = self.call(name)
        sent, ended = history.HistoryEntry(), history.HistoryEntry()
        sent.sent.CopyFrom(once.sent)
        ended.ended.CopyFrom(once.ended)
        last = max(max(entry.sent.time_ns, entry.ended.time_ns) for entry in entries)
        number = 1 + max(entry.sent.number for entry in entries)
        sent.sent.number = ended.ended.number = number
        sent.sent.time_ns, ended.ended.time_ns = last + 1, last + 2
        entries[-1:-1] = [sent, ended]
        return Call(sent.sent, ended.ended)

    def add(self, event: event_pb2.Event) -> None:
        """Another change at the end, a moment later."""
        added = event_pb2.Event()
        added.CopyFrom(event)
        added.time_ns = self.events[-1].time_ns + 1
        self.events.append(added)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write it down; returns the directories of the history and of the data."""
        told, data = folder / "history", folder / "data"
        (data / "journal").mkdir(parents=True)
        told.mkdir()
        (data / "STORE").write_bytes(self.store)
        (data / "journal" / f"{1:020}.segment").write_bytes(
            segment_bytes(self.store, self.events) + self.torn
        )
        for name, entries in self.files.items():
            written = io.BytesIO()
            for entry in entries:
                proto.serialize_length_prefixed(entry, written)
            (told / f"{name}.history").write_bytes(written.getvalue())
        return told, data


def segment_bytes(store: bytes, events: list[event_pb2.Event], first: int = 1) -> bytes:
    """A segment of these changes, from `first` on, as docs/journal-format.md has it."""
    identity = bytes.fromhex(store.decode().split("\n")[2].removeprefix("id "))
    head = b"ATPSEGMT" + (1).to_bytes(4, "little") + bytes(4) + identity
    head += first.to_bytes(8, "little") + bytes(16)
    written = [head, checksum(head)]
    for sequence, event in enumerate(events, first):
        body = event.SerializeToString()
        record = sequence.to_bytes(8, "little") + len(body).to_bytes(4, "little")
        record += (1).to_bytes(4, "little") + body
        written += [checksum(record), record]
    return b"".join(written)


def checksum(body: bytes) -> bytes:
    return int(xxhash.xxh3_64_intdigest(body)).to_bytes(8, "little")


def take_apart(sale_history: Path, data: Path) -> Recorded:
    """Read what was recorded: the history's files, and the one segment of the journal."""
    (segment,) = sorted((data / "journal").glob("*.segment"))
    body = segment.read_bytes()
    events = []
    at = 64
    while any(body[at : at + 24]):
        size = int.from_bytes(body[at + 16 : at + 20], "little")
        events.append(event_pb2.Event.FromString(body[at + 24 : at + 24 + size]))
        at += 24 + size
    files = {path.stem: list(read(path)) for path in sorted(sale_history.glob("*.history"))}
    return Recorded((data / "STORE").read_bytes(), events, files)
