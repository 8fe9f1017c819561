"""A rehearsed sale's figures: how long checkouts take, with faults and without, and its reading.

Each is a whole rehearsal with its audit, which must be clean. The native generator makes the load
in an open loop far from the server's limit: what is measured is the server, and no user of it.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pairs import HOMES, Pairs, home, in_turn

from atp.history import HistoryWriter
from atp.report.reading import read_sale
from atp.v1 import reservation_pb2 as pb
from atp.v1.history_pb2 import HISTORY_METHOD_RESERVE

ROOT = Path(__file__).resolve().parent.parent
SECONDS, SECONDS_FULL = "3", "20"
RATE, RATE_FULL = "200", "500"
PAIRS_FULL = 3
CALLS, CALLS_FULL = 20_000, 2_000_000
FAULTS = "kill,pause,cut,slow_disk,full_disk,clock_step"
DEADLINE_S = 300


@pytest.mark.timeout(1_800)
def test_checkouts_of_a_sale(
    tmp_path: Path, full: bool, figure: Callable[[str, float, str], None]
) -> None:
    """p50_ms_sale_calm, p99_ms_sale_faults and the like, in pairs, and the ratio of the p99.

    With files in memory (the small size has no other) they are the server's; on disk, the disk's.
    """
    for place in HOMES if full else ("memory",):
        with home(place, tmp_path) as folder:
            p50, p99 = in_pairs(folder, full)
        name = HOMES[place]
        for word, p50s, p99s in (
            ("calm", p50.without, p99.without),
            ("faults", p50.beside, p99.beside),
        ):
            figure(f"p50_ms_sale_{word}{name}", statistics.median(p50s), "ms")
            figure(f"p99_ms_sale_{word}{name}", statistics.median(p99s), "ms")
        figure(f"p99_sale_faults_vs_calm{name}", p99.ratio, "times")


def in_pairs(folder: Path, full: bool) -> tuple[Pairs, Pairs]:
    """Sales without faults and with them: p50 and p99 of their checkouts."""
    p50 = Pairs([], [])

    def measure(number: int, is_broken: bool) -> float:
        checkout = rehearse(folder / str(number), full, FAULTS if is_broken else "")
        (p50.beside if is_broken else p50.without).append(checkout["p50"])
        return float(checkout["p99"])

    return p50, in_turn(PAIRS_FULL if full else 1, measure)


def rehearse(out: Path, full: bool, faults: str) -> dict[str, Any]:
    """A sale from its set-up to its audit; how long its checkouts took."""
    command = [sys.executable, "-m", "loadtests", "--profile", "steady", "--out", str(out)]
    command += ["--engine", "native", "--seconds", SECONDS_FULL if full else SECONDS]
    command += ["--rate", RATE_FULL if full else RATE, "--faults", faults]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, Any] = json.loads((out / "report.json").read_text())
    checkout: dict[str, Any] = figures["latency_ms"]["checkout"]
    assert checkout["calls"] > 50
    shutil.rmtree(out)
    return checkout


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
