"""A rehearsed sale's figures: how long checkouts take with faults and without, how fast it is read.

Each is a whole rehearsal with its audit, which must be clean. Locust makes the load: its users
think and pause, so these are latencies of a shop, not of a server at its limit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atp.history import HistoryWriter
from atp.report.reading import read_sale
from atp.v1 import reservation_pb2 as pb
from atp.v1.history_pb2 import HISTORY_METHOD_RESERVE

ROOT = Path(__file__).resolve().parent.parent
SECONDS, SECONDS_FULL = "4", "60"
USERS, USERS_FULL = "20", "150"
CALLS, CALLS_FULL = 20_000, 2_000_000
FAULTS = {"calm": "", "faults": "kill,pause,cut,slow_disk,full_disk,clock_step"}
DEADLINE_S = 300


@pytest.mark.parametrize("name", FAULTS)
def test_checkouts_of_a_sale(
    name: str, tmp_path: Path, full: bool, figure: Callable[[str, float, str], None]
) -> None:
    command = [sys.executable, "-m", "loadtests", "--profile", "steady", "--out", str(tmp_path)]
    command += ["--seconds", SECONDS_FULL if full else SECONDS]
    command += ["--users", USERS_FULL if full else USERS, "--faults", FAULTS[name]]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads((tmp_path / "report.json").read_text())
    checkout = figures["latency_ms"]["checkout"]
    assert checkout["calls"] > 50
    figure(f"p50_ms_sale_{name}", checkout["p50"], "ms")
    figure(f"p99_ms_sale_{name}", checkout["p99"], "ms")


def test_a_history_is_read(
    tmp_path: Path, full: bool, figure: Callable[[str, float, str], None]
) -> None:
    calls = CALLS_FULL if full else CALLS
    answer = pb.ReserveResponse(outcome=pb.RESERVE_OUTCOME_GRANTED, sequence=7)
    answer.reservation.reservation_id = "0" * 32
    with HistoryWriter(tmp_path, "many", recorder="bench") as writer:
        lines = [pb.Line(sku="TEA", quantity=1)]
        for number in range(calls):
            request = pb.ReserveRequest(
                request_id=f"{number:020}", lines=lines, customer_id="ann", client_ip="10.0.0.1"
            )
            sent = writer.sent(HISTORY_METHOD_RESERVE, request.SerializeToString())
            writer.ended(sent, 0, answer.SerializeToString())
    begun = time.perf_counter()
    sale = read_sale(tmp_path, None)
    took_s = time.perf_counter() - begun
    assert sale.asked == {"TEA": calls}
    assert sale.counts["fine"].sum() == calls
    figure("report_commands_per_s", calls / took_s, "1/s")
