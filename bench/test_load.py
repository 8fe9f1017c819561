"""The load generator: what a call costs it, a drop that all want at once, ten million commands.

Real servers that keep everything; each load is recorded, and what was recorded is audited.
"""

from __future__ import annotations

import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pairs import in_turn
from peers import nghttpd, ours
from peers.processes import B

from atp import Client, load
from atp.audit import audit
from atp.history import list_files, read
from atp.load import Kind, LoadPlan, Shares, Spread, Want, of_wants
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import Cap, CapSubject, ChangeOutcome, ReserveOutcome

Figure = Callable[[str, float, str], None]
HONEST = frozenset((ReserveOutcome.GRANTED, ReserveOutcome.STOCK_SHORT, ReserveOutcome.CAP_REACHED))
KEPT = "journal.keep=1d"
"""An audit needs all of the journal."""
LOOK = "/atp.v1.ReservationService/GetAvailability"
DROP_SKU = "DROP-00000000"
UNITS = 500


def cpu_s(who: int) -> float:
    """Processor time so far in seconds, of this process with its set-up, or of its children."""
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


def test_calls_per_core(figure: Figure, full: bool, tmp_path: Path) -> None:
    """Reserves in pattern B, recorded; looks beside h2load, which checks and records nothing."""
    rounds, calls = (3, 500_000) if full else (1, 10_000)
    body = pb.GetAvailabilityRequest(skus=["SKU-00000000"]).SerializeToString()
    rates: dict[str, list[float]] = {"recorded": [], "bare": [], "look": [], "h2load": []}
    with ours.serving("off") as server:
        for number in range(rounds):
            for name in ("recorded", "bare", "look"):
                plan: dict[str, Any] = {"calls": calls}
                if name == "look":
                    plan |= {"kind": Kind.AVAILABILITY, "spread": Spread.HOT}
                if name == "recorded":
                    plan["history"] = tmp_path / str(number)
                before = cpu_s(resource.RUSAGE_SELF)
                assert server.run(B, **plan).good == calls
                rates[name].append(calls / (cpu_s(resource.RUSAGE_SELF) - before))
            check_recorded(tmp_path / str(number), calls)
            before = cpu_s(resource.RUSAGE_CHILDREN)
            nghttpd.h2load_grpc(server.data_plane, LOOK, body, B, calls)
            rates["h2load"].append(calls / (cpu_s(resource.RUSAGE_CHILDREN) - before))
    middle = {name: statistics.median(values) for name, values in rates.items()}
    figure("loadtest_calls_per_s_per_core", middle["recorded"], "calls/s")
    figure("loadtest_unrecorded_calls_per_s_per_core", middle["bare"], "calls/s")
    figure("loadtest_looks_vs_h2load", middle["look"] / middle["h2load"], "times")


def test_encrypted_calls_per_core(figure: Figure, full: bool, tmp_path: Path) -> None:
    """The same reserves over TLS and without, in turn, each to a server of its own."""
    rounds, calls = (5, 300_000) if full else (1, 10_000)
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    curve = ("ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", *curve, "-nodes", "-subj", "/CN=bench", "-addext",
         "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    files = (f"data_plane.tls.cert={cert}", f"data_plane.tls.key={key}")
    with ours.serving("off") as plain, ours.serving("off", *files) as encrypted:
        tls = load.Tls("127.0.0.1", cert.read_bytes())

        def rate(number: int, is_encrypted: bool) -> float:
            before = cpu_s(resource.RUSAGE_SELF)
            server, way = (encrypted, tls) if is_encrypted else (plain, None)
            assert server.run(B, calls=calls, tls=way).good == calls
            return calls / (cpu_s(resource.RUSAGE_SELF) - before)

        found = in_turn(rounds, rate)
    name = "loadtest_encrypted_calls_per_s_per_core"
    figure(name, statistics.median(found.beside), "calls/s")
    figure("loadtest_encrypted_vs_plain", found.ratio, "times")


def check_recorded(history: Path, calls: int) -> None:
    """Every call is there, and so is its answer: a grant."""
    (path,) = list_files(history)
    ended = 0
    for entry in read(path):
        if entry.WhichOneof("entry") == "ended":
            ended += entry.ended.status == 0 and entry.ended.response.startswith(b"\x08\x01")
    assert ended == calls
    path.unlink()


class Asked(NamedTuple):
    """One asker of the drop, as recorded."""

    due_ns: int
    sent_ns: int
    ended_ns: int
    outcome: int


@contextmanager
def capped(server: ours.Ours, per_address: int, per_customer: int) -> Iterator[Client]:
    """Caps as a drop has them, for the length of the block."""
    with Client(server.data_plane, server.control_plane, timeout_s=60) as client:
        client.set_cap(Cap("per-ip", CapSubject.IP, limit=per_address))
        client.set_cap(Cap("per-customer", CapSubject.CUSTOMER, limit=per_customer))
        yield client
        client.set_cap(Cap("per-ip", CapSubject.IP, limit=ours.CAP))
        client.set_cap(Cap("per-customer", CapSubject.CUSTOMER, limit=ours.CAP))


def test_drop(figure: Figure, full: bool, tmp_path: Path) -> None:
    """500 units, and 50,000 askers in two seconds, who come by chance; one unit each, caps on."""
    askers, seconds = (50_000, 2.0) if full else (5_000, 0.5)
    with (
        ours.serving("sync", KEPT, within=tmp_path) as server,
        capped(server, per_address=2, per_customer=1) as client,
    ):
        client.set_stock(DROP_SKU, UNITS)
        result = load.run(
            LoadPlan(
                address=server.data_plane, run_name="drop-", connections=8, in_flight=64,
                rate=askers / seconds, by_chance=True, calls=askers, spread=Spread.HOT,
                sku_prefix="DROP-", customers=askers // 2, addresses=askers // 4,
                ttl_s=600, outcomes=HONEST, history=tmp_path / "history",
            )
        )  # fmt: skip
        (stock,) = client.get_availability([DROP_SKU])
        verdict = audit(tmp_path / "history", data_of(tmp_path))
    assert verdict.ok, verdict.text()
    assert result.asked == result.answered == askers
    assert result.reserves[ReserveOutcome.GRANTED] == UNITS == stock.held
    assert stock.available == 0
    asked = askers_of(tmp_path / "history")
    granted = sorted(one.ended_ns for one in asked if one.outcome == ReserveOutcome.GRANTED)
    figure("drop_sellout_ms", (granted[-1] - granted[0]) / 1e6, "ms")
    check_fair(asked)
    figure("drop_overtaken_ms", overtaken_ms(asked), "ms")
    figure("drop_p99_ms", result.latency_ms(0.99), "ms")


def data_of(folder: Path) -> Path:
    """The data directory of the one server that runs in this folder."""
    (store,) = folder.rglob("STORE")
    return store.parent


def askers_of(history: Path) -> list[Asked]:
    """Every asker, in the order in which they were due."""
    sent, asked = {}, []
    for path in list_files(history):
        for entry in read(path):
            if entry.WhichOneof("entry") == "sent":
                sent[entry.sent.number] = (entry.sent.due_time_ns, entry.sent.time_ns)
            elif entry.WhichOneof("entry") == "ended":
                due_ns, sent_ns = sent[entry.ended.number]
                outcome = pb.ReserveResponse.FromString(entry.ended.response).outcome
                asked.append(Asked(due_ns or sent_ns, sent_ns, entry.ended.time_ns, outcome))
    return sorted(asked)


def check_fair(asked: list[Asked]) -> None:
    """Nobody got a unit who asked after another, within the caps, had been told that none is left.

    No unit comes back in a drop, so the first such answer is the end of it.
    """
    short = [one.ended_ns for one in asked if one.outcome == ReserveOutcome.STOCK_SHORT]
    last = max(one.sent_ns for one in asked if one.outcome == ReserveOutcome.GRANTED)
    assert short
    assert last < min(short)


def overtaken_ms(asked: list[Asked]) -> float:
    """By how much, at most, one who was due later and got a unit was before one who got none."""
    short = [one.due_ns for one in asked if one.outcome == ReserveOutcome.STOCK_SHORT]
    last = max(one.due_ns for one in asked if one.outcome == ReserveOutcome.GRANTED)
    return max(last - min(short), 0) / 1e6


def wants(count: int) -> Iterator[Want]:
    """Baskets of one to three lines over 2,000 SKUs, the first ones wanted most."""
    rng = np.random.default_rng(11)
    shares = np.cumsum(1 / np.arange(1, 2_001))
    skus = np.searchsorted(shares / shares[-1], rng.random((count, 3)))
    sizes, quantities = rng.integers(1, 4, count), rng.integers(1, 4, (count, 3))
    for row in range(count):
        named = [f"SALE-{sku:04d}" for sku in skus[row, : sizes[row]]]
        lines = list(zip(named, quantities[row].tolist(), strict=False))
        yield Want(f"c{row % 50_000}", f"10.{row % 200}.{row // 200 % 250}.1", lines)


def test_sale(figure: Figure, full: bool, tmp_path: Path) -> None:
    """A whole sale, in batches and unary at once, of so many commands; then it is audited."""
    commands = 10_000_000 if full else 30_000
    begun = time.perf_counter()
    with ours.serving("sync", KEPT, within=tmp_path) as server:
        results = sell(server, commands, tmp_path / "history")
        sold = time.perf_counter() - begun
        verdict = audit(tmp_path / "history", data_of(tmp_path))
    seconds = time.perf_counter() - begun
    assert verdict.ok, verdict.text()
    judged = sum(result.commands for result in results)
    assert judged >= commands
    assert all(result.unanswered == 0 for result in results)
    assert sum(result.reserves.get(ReserveOutcome.STOCK_SHORT, 0) for result in results) > 0
    shutil.rmtree(tmp_path / "history")  # gigabytes
    figure("sale_10m_seconds" if full else "sale_small_seconds", seconds, "s")
    figure("sale_commands", judged, "commands")
    figure("sale_run_seconds", sold, "s")


def sell(server: ours.Ours, commands: int, history: Path) -> list[load.LoadResult]:
    """A tenth of the shoppers call, the rest come in batches; the most wanted goods sell out."""
    shares = Shares(looks=0.2, late=0.1, releases=0.1, extends=0.02, abandons=0.05, repeats=0.02)
    shoppers = commands * 0.66  # as each makes 1.6 commands or so
    fixed: dict[str, Any] = {
        "address": server.data_plane, "kind": Kind.SALE, "ttl_s": 600, "outcomes": HONEST,
        "change_outcomes": frozenset({ChangeOutcome.DONE}), "history": history, "stalled_s": 60.0,
    }  # fmt: skip
    plans = []
    for name, batch, share in (("calls", 0, 0.1), ("batches", 500, 0.9)):
        baskets = of_wants(
            wants(min(100_000, round(shoppers))), shares, think_s=0.5, seed=3, looks=batch == 0
        )
        calls = max(round(shoppers * share) // max(batch, 1), 1)
        plans.append(
            LoadPlan(
                **fixed, run_name=f"{name}-", baskets=baskets, batch=batch, brief=batch > 0,
                connections=2 if batch else 8, in_flight=4 if batch else 16, calls=calls,
            )
        )  # fmt: skip
    wanted = plans[0].wanted().stock(shoppers / len(plans[0].wanted().rows))
    with Client(server.data_plane, server.control_plane, timeout_s=60) as client:
        # The hundred that are wanted most have half of that; the others enough.
        ranked = sorted(wanted, key=lambda pair: -pair[1])
        client.batch_set_stock([(sku, units // 2) for sku, units in ranked[:100]])
        client.batch_set_stock([(sku, units * 4) for sku, units in ranked[100:]])
    with ThreadPoolExecutor(len(plans)) as pool:
        return list(pool.map(load.run, plans))
