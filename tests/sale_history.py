"""A small sale made by hand: a history whose every time is known, and the journal to it.

Owns the entries and records, so that a report's figures can be told beforehand. Neither a server
nor a clock is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from atp.history import HistoryWriter
from atp.v1 import cap_service_pb2 as caps_pb
from atp.v1 import event_pb2, history_pb2
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from segment_files import record, segment_path

MS = 10**6
SECOND = 10**9
BEGIN_NS = 5_000 * SECOND
"""When the first call of the sale is sent, by the recorder's clock."""


class Recording:
    """A history in the making: `at` sets its clock, milliseconds after `begin_ns`."""

    def __init__(
        self, folder: Path, name: str = "by-hand", *, begin_ns: int = BEGIN_NS, **settings: Any
    ) -> None:
        self.begin_ns = self.now_ns = begin_ns
        self.writer = HistoryWriter(
            folder, name, recorder="by hand", settings=settings, now_ns=lambda: self.now_ns
        )

    def at(self, ms: float) -> Recording:
        """From now on it is so many milliseconds after the begin."""
        self.now_ns = self.begin_ns + round(ms * MS)
        return self

    def call(self, method: str, sent_ms: float, took_ms: float | None, **told: Any) -> None:
        """One call; `took_ms` None: never answered. `told`: request, response, status, due_ms."""
        due_ms = told.get("due_ms")
        self.at(sent_ms)
        number = self.writer.sent(
            getattr(history_pb2, f"HISTORY_METHOD_{method}"),
            told.get("request", pb.ReserveRequest()).SerializeToString(),
            0 if due_ms is None else self.begin_ns + round(due_ms * MS),
        )
        if took_ms is None:
            return
        self.at(sent_ms + took_ms)
        status = told.get("status", 0)
        response = told.get("response")
        body = response.SerializeToString() if response is not None and not status else b""
        self.writer.ended(number, status, body)

    def reserve(self, sent_ms: float, took_ms: float | None, outcome: str, **told: Any) -> None:
        """A reserve of `units` (1) of `sku` (TEA); `cap`: which refused it."""
        line = pb.Line(sku=told.get("sku", "TEA"), quantity=told.get("units", 1))
        response = pb.ReserveResponse(
            outcome=getattr(pb, f"RESERVE_OUTCOME_{outcome}"), repeated=told.get("repeated", False)
        )
        if "cap" in told:
            response.cap_refusals.append(pb.CapRefusal(cap_id=told["cap"]))
        request = pb.ReserveRequest(request_id="one", lines=[line])
        self.call("RESERVE", sent_ms, took_ms, request=request, response=response, **told)


def batch(*units: int) -> service_pb.ExecuteRequest:
    """Reserves of so many units of TEA, and a commit at the end."""
    reserves = [
        service_pb.Command(reserve=pb.ReserveRequest(lines=[pb.Line(sku="TEA", quantity=each)]))
        for each in units
    ]
    commit = service_pb.Command(commit=pb.CommitRequest(reservation_id="0" * 32))
    return service_pb.ExecuteRequest(commands=[*reserves, commit])


def batch_answer(reserves: int) -> service_pb.ExecuteResponse:
    """All reserves are granted but the last, which could not be judged; the commit is done."""
    granted = service_pb.CommandResult(
        reserve=pb.ReserveResponse(outcome=pb.RESERVE_OUTCOME_GRANTED)
    )
    error = service_pb.CommandResult(error=service_pb.CommandError(code=14))
    done = service_pb.CommandResult(commit=pb.CommitResponse(outcome=pb.CHANGE_OUTCOME_DONE))
    return service_pb.ExecuteResponse(results=[granted] * (reserves - 1) + [error, done])


def write_journal(data: Path, wall_ns: int, *changes: tuple[float, event_pb2.Event]) -> None:
    """A data directory with these changes, at milliseconds after `wall_ns`."""
    folder = data / "journal"
    folder.mkdir(parents=True)
    content = b"ATPSEGMT" + bytes(56)
    for sequence, (ms, event) in enumerate(changes, 1):
        event.time_ns = wall_ns + round(ms * MS)
        content += record(sequence, event.SerializeToString())
    segment_path(folder, 1).write_bytes(content + bytes(4_096))


def key(number: int) -> bytes:
    """The key of a reservation."""
    return number.to_bytes(16)


def reserved(number: int, replaces: int = 0, **units: int) -> event_pb2.Event:
    """A hold of these units."""
    lines = [event_pb2.EventLine(sku=sku, quantity=count) for sku, count in units.items()]
    made = event_pb2.ReservedEvent(reservation_key=key(number), lines=lines)
    if replaces:
        made.replaced_reservation_key = key(replaces)
    return event_pb2.Event(reserved=made)


def ended(kind: str, number: int, **units: int) -> event_pb2.Event:
    """A commit, a release or an expiry: of these units, or of all."""
    lines = [event_pb2.EventLine(sku=sku, quantity=count) for sku, count in units.items()]
    made: Any = {
        "committed": event_pb2.CommittedEvent,
        "released": event_pb2.ReleasedEvent,
        "expired": event_pb2.ExpiredEvent,
    }[kind](reservation_key=key(number), **({"lines": lines} if lines else {}))
    return event_pb2.Event(**{kind: made})


def stock(sku: str, on_hand: int, received: int, adjusted: int = 0) -> event_pb2.Event:
    """Units on hand changed to this."""
    made = event_pb2.StockChangedEvent(
        sku=sku,
        on_hand_quantity=on_hand,
        received_quantity=received,
        adjusted_quantity=adjusted,
    )
    return event_pb2.Event(stock_changed=made)


def cap_set(cap_id: str) -> event_pb2.Event:
    """A cap is in force."""
    return event_pb2.Event(cap_set=event_pb2.CapSetEvent(cap=caps_pb.Cap(cap_id=cap_id)))
