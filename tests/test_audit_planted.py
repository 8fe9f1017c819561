"""The audit against a server with bugs: a race, a lost update, a cap off by one, an early expiry,
an answer before the disk. A short sale under load against each, and the audit names it.

The sale that finds nothing runs on the same build with every bug switched off.
"""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from random import Random

import grpc
import pytest

import planted_engine
from atp.audit import Verdict, audit
from atp.history import HistoryWriter, record_calls
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from audit_recorded import SECONDS, basket
from server_process import ServerProcess, serving

SHOPPERS = 8
CALLS = 80
TRIES = 3
"""Whether a bug shows is chance: two threads must meet, or a kill come just before a sync."""
OWN = [("grpc.use_local_subchannel_pool", 1)]
"""Every shopper has a connection, and so a thread of the server's: a race needs two."""
NAMED = {
    "race": "oversold",
    "lost_update": "oversold",
    "cap_off_by_one": "cap_exceeded",
    "early_expiry": "early_expiry",
    "told_before_durable": "lost_change",
}


@pytest.fixture(scope="module")
def python_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_engine.build(tmp_path_factory.mktemp("planted"))


def shop(server: ServerProcess, writer: HistoryWriter, seed: int, *, kills: bool) -> None:
    """Asks for a few hot SKUs, keeps some, gives some back, lets some expire; until all is asked or
    the server is gone. Who `kills` ends it after half of that, in the midst of the others' calls.
    """
    draw = Random(seed)
    holds: list[str] = []
    with record_calls(grpc.insecure_channel(server.data_plane, OWN), writer) as channel:
        stub = pb_grpc.ReservationServiceStub(channel)
        for index in range(CALLS):
            if kills and index == CALLS // 2:
                writer.note("kill", "the server")
                server.signal(signal.SIGKILL)
                return
            try:
                if holds and draw.random() < 0.35:
                    hold = holds.pop(draw.randrange(len(holds)))
                    give_back = pb.ReleaseRequest(reservation_id=hold)
                    stub.Release(give_back, timeout=SECONDS)
                    continue
                request = basket(
                    f"s{seed}-{index}",
                    (f"H{draw.randrange(3)}", 1),
                    ttl_ms=draw.choice([60, 60_000]),
                    customer_id=draw.choice(["ann", "bob", "eve", ""]),
                )
                reply = stub.Reserve(request, timeout=SECONDS)
                if reply.reservation.reservation_id:
                    holds.append(reply.reservation.reservation_id)
            except grpc.RpcError:
                return


def sale(server: ServerProcess, history: Path, *, kill: bool) -> None:
    with HistoryWriter(history, "sale", recorder="test") as writer:
        with record_calls(grpc.insecure_channel(server.control_plane), writer) as control:
            for number in range(3):
                request = stock_pb.SetStockRequest(sku=f"H{number}", on_hand_quantity=12)
                stock_grpc.StockServiceStub(control).SetStock(request, timeout=SECONDS)
            cap = cap_pb.Cap(cap_id="each", subject=cap_pb.CAP_SUBJECT_CUSTOMER, limit_quantity=6)
            cap.mode = cap_pb.CAP_MODE_ENFORCE
            request = cap_pb.SetCapRequest(cap=cap)
            cap_grpc.CapServiceStub(control).SetCap(request, timeout=SECONDS)
        threads = [
            threading.Thread(
                target=shop, args=(server, writer, seed), kwargs={"kills": kill and seed == 0}
            )
            for seed in range(SHOPPERS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if kill:
            server.wait()


def verdict_with(bug: str | None, python_path: Path, folder: Path) -> Verdict:
    around = planted_engine.environment(python_path, bug)
    options = ("--set", "data_plane.threads=4", "--set", "journal.segment_bytes=1MiB")
    with serving(*options, folder=folder, environment=around) as server:
        sale(server, folder / "history", kill=bug == "told_before_durable")
    return audit(folder / "history", folder / "atp-data")


def test_the_build_without_a_bug_is_sound(python_path: Path, tmp_path: Path) -> None:
    verdict = verdict_with(None, python_path, tmp_path)
    assert verdict.ok, verdict.text()
    assert verdict.figures["expiries"]
    assert verdict.figures["stock_refusals"]
    assert verdict.checks["caps"]


@pytest.mark.parametrize("bug", planted_engine.BUGS)
def test_the_audit_names_the_bug(bug: str, python_path: Path, tmp_path: Path) -> None:
    for number in range(TRIES):
        folder = tmp_path / str(number)
        folder.mkdir()
        verdict = verdict_with(bug, python_path, folder)
        if NAMED[bug] in verdict.counts:
            break
    assert NAMED[bug] in verdict.counts, verdict.text()
    finding = next(each for each in verdict.findings if each.name == NAMED[bug])
    assert finding.slice
