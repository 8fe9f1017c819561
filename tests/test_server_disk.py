"""A server whose disk fails, is full, or is too slow: what it says, what it refuses, how it ends.

Real servers under faults made at their system calls; each ends or resumes by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import grpc
import pytest

import faults
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from server_process import ServerProcess, serving, wait_until
from server_stubs import Stubs, new_id, new_sku, reserve, stubs_to
from stalled_disk import stalling
from told import SECONDS, Told, error_if_any, error_of

JOURNAL_FAILED = 74


class Faulty(NamedTuple):
    """A server, its stubs, and the file that makes its disk faulty while it is there."""

    server: ServerProcess
    stubs: Stubs
    switch: Path


def journal_of(stubs: Stubs) -> maintenance_pb.JournalStatus:
    """How the server remembers now."""
    ask = maintenance_pb.GetStatusRequest()
    return stubs.maintenance.GetStatus(ask, timeout=SECONDS).journal


@contextmanager
def faulty(folder: Path, rule: faults.Rule, *arguments: str) -> Iterator[Faulty]:
    """Runs a server whose disk is faulty by the rule once the switch is there."""
    data, switch = folder / "data", folder / "the disk is faulty"
    environment = faults.environment(data, rule._replace(when=switch))
    with (
        serving("--data", str(data), *arguments, environment=environment) as server,
        stubs_to(server) as stubs,
    ):
        yield Faulty(server, stubs, switch)


@pytest.mark.parametrize("call", ["write", "sync"])
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_failed_write_or_sync_ends_the_process_with_one_last_line(
    tmp_path: Path, call: str, log_format: str
) -> None:
    rule = faults.Rule(do="error", call=call, file="journal/*.segment", error="EIO", first=1)
    with faulty(tmp_path, rule, "--set", f"log.format={log_format}") as faulty_disk:
        stubs = faulty_disk.stubs
        sku = new_sku(stubs)
        faulty_disk.switch.touch()
        with pytest.raises(grpc.RpcError) as raised:
            reserve(stubs, sku, 1)
        assert raised.value.code() == grpc.StatusCode.UNAVAILABLE
        assert faulty_disk.server.wait() == JOURNAL_FAILED
        last = faulty_disk.server.stderr().splitlines()[-1]
    if log_format == "json":
        told_last = json.loads(last)
        assert (told_last["level"], told_last["event"]) == ("critical", "journal_failed")
        last = f"{told_last['message']} -> {told_last['action']}"
    segment = tmp_path / "data" / "journal" / f"{1:020}.segment"
    assert last.endswith(
        f"the journal failed: {segment}: could not {call}: Input/output error; this process ends at"
        " once with status 74, and another start goes on from what is on disk, all that was"
        " answered included -> see to the disk (dmesg, SMART), start again"
    )


def refused(stubs: Stubs, sku: str) -> Told | None:
    """How a reserve is refused; None if it is judged."""
    request = pb.ReserveRequest(request_id=new_id(), lines=[pb.Line(sku=sku, quantity=1)])
    return error_if_any(stubs.reservations.Reserve, request)


def test_a_full_disk_refuses_new_holds_ends_old_ones_and_goes_on_by_itself(tmp_path: Path) -> None:
    rule = faults.Rule(do="full", call="allocate|create|write", file="journal/*", first=1)
    segment = ("--set", "journal.segment_bytes=64KiB")
    with faulty(tmp_path, rule, *segment) as faulty_disk:
        stubs = faulty_disk.stubs
        sku = new_sku(stubs)
        stubs.stock.SetStock(
            stock_pb.SetStockRequest(sku=sku, on_hand_quantity=10**6), timeout=SECONDS
        )
        held = [reserve(stubs, sku, 1).reservation.reservation_id for _ in range(3)]
        faulty_disk.switch.touch()
        told: list[Told] = []

        def is_refused() -> bool:
            told.extend(error for error in [refused(stubs, sku)] if error)
            return bool(told)

        wait_until(is_refused, "the disk to be full", pause_s=0)
        assert told[0].code == grpc.StatusCode.UNAVAILABLE
        assert told[0].info.reason == "JOURNAL_FULL"
        assert dict(told[0].info.metadata) == {"limit_name": "journal_space"}
        assert told[0].details["RetryInfo"].retry_delay.ToMilliseconds() == 1_000
        assert "full" in told[0].message
        status = journal_of(stubs)
        assert "new holds are refused" in status.refusing_reason
        # What ends a hold goes on; what operators change does not.
        commit = pb.CommitRequest(reservation_id=held[0])
        assert stubs.reservations.Commit(commit, timeout=SECONDS).outcome == pb.CHANGE_OUTCOME_DONE
        release = pb.ReleaseRequest(reservation_id=held[1])
        assert (
            stubs.reservations.Release(release, timeout=SECONDS).outcome == pb.CHANGE_OUTCOME_DONE
        )
        everyone = cap_pb.Cap(
            cap_id="c", subject=cap_pb.CAP_SUBJECT_EVERYONE, mode=cap_pb.CAP_MODE_ENFORCE
        )
        some = stock_pb.SetStockRequest(sku=sku, on_hand_quantity=10**6 + 1)
        for call, request in (
            (stubs.reservations.Extend, pb.ExtendRequest(reservation_id=held[2], request_id="x")),
            (stubs.stock.SetStock, some),
            (stubs.stock.BatchSetStock, stock_pb.BatchSetStockRequest(requests=[some])),
            (
                stubs.stock.AdjustStock,
                stock_pb.AdjustStockRequest(
                    request_id="y", sku=sku, delta_quantity=1, reason=stock_pb.STOCK_REASON_COUNTED
                ),
            ),
            (stubs.caps.SetCap, cap_pb.SetCapRequest(cap=everyone)),
        ):
            assert error_of(call, request).info.reason == "JOURNAL_FULL"
        faulty_disk.switch.unlink()
        wait_until(lambda: refused(stubs, sku) is None, "service to resume", pause_s=0.05)
        assert journal_of(stubs).refusing_reason == ""
        said = faulty_disk.server.stderr
        wait_until(lambda: "changes_taken_again" in said(), "the end to be logged")
        assert said().count("_refused: the disk ") == 1
        kept = pb.GetReservationRequest(reservation_id=held[2])
        found = stubs.reservations.GetReservation(kept, timeout=SECONDS).reservation
        assert found.state == pb.RESERVATION_STATE_HELD


def test_a_disk_that_is_too_slow_refuses_before_memory_is_full(tmp_path: Path) -> None:
    settings = ("--set", "journal.durability=interval", "--set", "journal.backlog_bytes_max=2MiB")
    with stalling(tmp_path, *settings) as disk:
        stubs = disk.stubs
        skus = [f"sku-{number:04}-{'x' * 50}" for number in range(2_000)]
        entries = [stock_pb.SetStockRequest(sku=sku, on_hand_quantity=10**6) for sku in skus]
        stubs.stock.BatchSetStock(stock_pb.BatchSetStockRequest(requests=entries), timeout=SECONDS)
        basket = [pb.Line(sku=sku, quantity=1) for sku in skus]

        def refused_basket() -> Told | None:
            request = pb.ReserveRequest(request_id=new_id(), lines=basket)
            return error_if_any(stubs.reservations.Reserve, request)

        told: list[Told] = []
        with disk.stalled():
            for _ in range(60):
                told += [error for error in [refused_basket()] if error]
            assert "journal.backlog_bytes_max" in journal_of(stubs).refusing_reason
        assert told[0].code == grpc.StatusCode.UNAVAILABLE
        assert told[0].info.reason == "JOURNAL_BEHIND"
        assert dict(told[0].info.metadata) == {"limit_name": "journal_backlog"}
        assert told[0].details["RetryInfo"].retry_delay.ToMilliseconds() == 200
        wait_until(lambda: refused_basket() is None, "the disk to catch up")


def test_all_waited_while_room_was_made_for_the_next_segment(tmp_path: Path) -> None:
    """Whoever committed asked whether the spare segment was there, and waited until it was: 20 ms
    each time that a segment was full."""
    rule = faults.Rule(do="wait", call="allocate", file="journal/*")
    with faulty(tmp_path, rule, "--set", "journal.segment_bytes=128KiB") as faulty_disk:
        stubs, journal = faulty_disk.stubs, tmp_path / "data" / "journal"
        sku = new_sku(stubs)
        stubs.stock.SetStock(
            stock_pb.SetStockRequest(sku=sku, on_hand_quantity=10**6), timeout=SECONDS
        )

        def segments() -> int:
            return len(list(journal.glob("*.segment")))

        def room_is_being_made() -> bool:
            return [made.stat().st_size for made in journal.glob("*.part")] == [0]

        faulty_disk.switch.touch()
        while segments() < 2:
            reserve(stubs, sku, 1)
        wait_until(room_is_being_made, "the next spare segment to be begun")
        for _ in range(100):
            assert reserve(stubs, sku, 1).outcome == pb.RESERVE_OUTCOME_GRANTED
        assert room_is_being_made()
        assert segments() == 2
        faulty_disk.switch.unlink()
        while segments() < 4:
            reserve(stubs, sku, 1)
