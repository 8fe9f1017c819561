"""How fast a sale is audited, and in how much memory: a real one, recorded against a real server.

Three loads on one server with caps: baskets that are granted and sold, a crowd for one hot SKU that
is sold out, and reads. In full size ten million commands. The verdict must be sound, and the audit
must have judged every command.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from test_grpc import started

from atp import load
from atp.audit import audit
from atp.history import HistoryWriter, record_calls
from atp.load import Kind, LoadPlan, Spread
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import cap_service_pb2_grpc as cap_grpc
from atp.v1 import stock_service_pb2 as stock_pb
from atp.v1 import stock_service_pb2_grpc as stock_grpc
from atp.vocabulary import ReserveOutcome

Figure = Callable[[str, float, str], None]
SECONDS = 30.0
SKUS = 20_000
BATCH = 500
SOLD_OUT = frozenset(
    {ReserveOutcome.GRANTED, ReserveOutcome.STOCK_SHORT, ReserveOutcome.CAP_REACHED}
)
SETTINGS = (
    *("data_plane.address=127.0.0.1:0", "control_plane.address=127.0.0.1:0", "journal.keep=1d"),
    *("memory.ended_max=100000000", "snapshot.every_bytes=1024GiB", "journal.segment_bytes=16MiB"),
)


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A folder that goes at once: a full sale has gigabytes."""
    yield tmp_path
    shutil.rmtree(tmp_path)


def set_up(control: str, history: Path, hot_units: int) -> int:
    """Stock and caps, recorded like all else. How many commands that were."""
    with (
        HistoryWriter(history, "set-up", recorder="bench") as writer,
        record_calls(grpc.insecure_channel(control), writer) as channel,
    ):
        stock = stock_grpc.StockServiceStub(channel)
        for start in range(0, SKUS, 1_000):
            request = stock_pb.BatchSetStockRequest()
            for number in range(start, start + 1_000):
                request.requests.add(sku=f"SKU-{number:08}", on_hand_quantity=10**9)
            stock.BatchSetStock(request, timeout=SECONDS)
        hot = stock_pb.SetStockRequest(sku="HOT-00000000", on_hand_quantity=hot_units)
        stock.SetStock(hot, timeout=SECONDS)
        caps = cap_grpc.CapServiceStub(channel)
        customer = cap_pb.Cap(cap_id="customer", subject=cap_pb.CAP_SUBJECT_CUSTOMER)
        customer.limit_quantity = 10**9
        address = cap_pb.Cap(cap_id="address", subject=cap_pb.CAP_SUBJECT_IP)
        address.limit_quantity = 10**9
        address.window.FromSeconds(3_600)
        for cap in (customer, address):
            cap.mode = cap_pb.CAP_MODE_ENFORCE
            caps.SetCap(cap_pb.SetCapRequest(cap=cap), timeout=SECONDS)
    return SKUS + 1 + 2


def make_sale(data_plane: str, history: Path, commands: int) -> None:
    """A quarter hot, a twentieth reads, the rest pairs of reserve and commit, in batches of so many
    pairs."""
    plan = {"address": data_plane, "history": history, "connections": 4, "ttl_s": 36_000}
    pairs = LoadPlan(
        **plan, run_name="pairs-", kind=Kind.PAIR, skus=SKUS, batch=BATCH, in_flight=4,
        calls=max(1, commands * 7 // 20 // BATCH),
    )  # fmt: skip
    hot = LoadPlan(
        **plan, run_name="hot-", spread=Spread.HOT, skus=1, sku_prefix="HOT-", batch=BATCH,
        in_flight=4, calls=max(1, commands // 4 // BATCH), outcomes=SOLD_OUT, seed=2,
    )  # fmt: skip
    reads = LoadPlan(
        **plan, run_name="reads-", kind=Kind.AVAILABILITY, skus=SKUS, in_flight=64,
        calls=commands // 20, seed=3,
    )  # fmt: skip
    for each in (pairs, hot, reads):
        load.run(each)


def test_audit(figure: Figure, full: bool, room: Path) -> None:
    commands = 10_000_000 if full else 20_000
    ready, history = room / "ready.json", room / "history"
    command = [sys.executable, "-m", "atp", "serve", "--ready-file", str(ready)]
    command += ["--set", f"data.directory={room / 'data'}"]
    for setting in SETTINGS:
        command += ["--set", setting]
    with started(command, ready) as addresses:
        set_up_commands = set_up(addresses["control_plane"], history, commands // 40)
        make_sale(addresses["data_plane"], history, commands)
    verdict = audit(history, room / "data", ended_max=100_000_000)
    assert verdict.ok, verdict.text()
    figures = verdict.figures
    assert commands * 99 // 100 <= figures["commands"] - set_up_commands <= commands
    assert figures["unanswered"] == figures["unexplained"] == figures["base_changes"] == 0
    assert verdict.checks["truth"] > commands // 5
    assert verdict.checks["fairness"] > commands // 5
    assert verdict.checks["caps"] > commands // 4
    figure("audit_commands_per_s", figures["commands_per_s"], "1/s")
    figure("audit_bytes_per_command", figures["memory_bytes"] / figures["commands"], "B")
    figure("audit_peak_memory", peak_bytes(history, room / "data") / 1e6, "MB")


WATCHED = """
import sys, threading
from atp.audit import audit
def own_kb():
    with open("/proc/self/status") as status:
        return int(next(line for line in status if line.startswith("RssAnon")).split()[1])
most, ended = [own_kb()], threading.Event()
def watch():
    while not ended.wait(0.01):
        most[0] = max(most[0], own_kb())
watcher = threading.Thread(target=watch)
watcher.start()
audit(*sys.argv[1:], ended_max=10**8)
ended.set()
watcher.join()
print(most[0])
"""


def peak_bytes(history: Path, data: Path) -> int:
    """The most memory of its own, mapped files apart, that an audit in a process of its own had."""
    command = [sys.executable, "-c", WATCHED, str(history), str(data)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return int(told) * 1024
