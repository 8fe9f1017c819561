"""A unary, durable reserve beside what users would pick instead, and beside the machine's limits.

Everything in one run on one machine, in turn, the median of several rounds; what each peer did is
checked before its figure counts. With --full it writes docs/peers.svg and the table of
docs/performance.md; `make peers` is that.
"""

from __future__ import annotations

import contextlib
import statistics
from collections import defaultdict
from collections.abc import Callable

import pytest
from pairs import MEMORY
from peers import disk, grpc_aio, machine, nghttpd, ours, postgres, redis
from peers.processes import ONE, PATTERNS, A, B, C, Pattern, Size
from peers.report import Measured, write_report

from atp.load import Spread
from atp.v1.reservation_pb2 import GetAvailabilityRequest

Figure = Callable[[str, float, str], None]
SMALL = Size(0.05, 1)
FULL = Size(2.0, 5)
BATCH = 1_000
DEADLINE_S = 0.1
PATIENCE_S = 0.01
LEAST = {"A": 1_000, "B": 2_000, "C": 4_000, "one": 50}
OVERLOAD_PATTERN = Pattern("overload", 64, 250)
"""More calls than the server lets be open at once: it is the server that must turn some away."""
OPEN_LOOP_PATTERN = Pattern("open", 8, 200)
SYNCS_A_SECOND = 1_000.0
LOOK = "/atp.v1.ReservationService/GetAvailability"


@pytest.fixture(scope="module")
def size(full: bool) -> Size:
    return FULL if full else SMALL


@pytest.fixture(scope="module")
def measured() -> Measured:
    """Rates of every round by what was measured, over all the tests here."""
    return defaultdict(list)


def filled(load: Callable[[int], float], least: int, size: Size) -> float:
    """The rate of a load that fills the time, after a short one that says how much that is."""
    return load(size.count(load, least))


def test_unary_beside_peers(size: Size, measured: Measured) -> None:
    """The three patterns: nghttpd, Redis, this server, with and without keeping anything."""
    for _ in range(size.rounds):
        with contextlib.ExitStack() as stack:
            loads: dict[str, Callable[[Pattern, int], float]] = {
                "nghttpd": stack.enter_context(nghttpd.serving()).load,
            }
            for name, durability in (("atp_off", "off"), ("atp_sync", "sync")):
                loads[name] = stack.enter_context(ours.serving(durability)).reserve
            stores = {
                name: stack.enter_context(redis.serving(always=always))
                for name, always in (("redis_nothing", False), ("redis_always", True))
            }
            loads |= {name: store.load for name, store in stores.items()}
            for pattern in PATTERNS:
                for name, load in loads.items():
                    rate = filled(
                        lambda n, load=load, at=pattern: load(at, n), LEAST[pattern.name], size
                    )
                    measured[f"{name}_{pattern.name}"].append(rate)
            for store in stores.values():
                store.check()


def test_python_grpc(size: Size, measured: Measured) -> None:
    """Pattern A on grpc.aio, in turn with this server."""
    with grpc_aio.serving() as nothing, ours.serving("off") as server:
        for _ in range(size.rounds):
            for name, load in (("grpc_aio_A", nothing.load), ("atp_beside_A", server.reserve)):
                measured[name].append(filled(lambda n, load=load: load(A, n), LEAST["A"], size))


def test_hot(size: Size, measured: Measured) -> None:
    """One SKU that all want, beside PostgreSQL's row and beside all SKUs evenly."""
    with postgres.serving(ours.SKUS) as rows, ours.serving("sync") as server:
        for _ in range(size.rounds):
            measured["postgres_hot"].append(rows.load(size.seconds, hot=True))
            measured["postgres_uniform"].append(rows.load(size.seconds, hot=False))
            for pattern in (A, B):
                for spread in (Spread.HOT, Spread.UNIFORM):
                    measured[f"{spread}_{pattern.name}"].append(
                        filled(
                            lambda n, at=pattern, by=spread: server.reserve(at, n, by),
                            LEAST[pattern.name],
                            size,
                        )
                    )
        rows.check()


def test_batches_and_refusals(size: Size, measured: Measured) -> None:
    """Execute, durable; and what most of a flash sale is told."""
    for _ in range(size.rounds):
        with ours.serving("sync") as server, ours.serving("off") as bare:
            for spread in (Spread.HOT, Spread.UNIFORM):
                count = size.count(lambda n, by=spread: server.execute(n, BATCH, by) / BATCH, 16)
                measured[f"execute_{spread}"].append(server.execute(count, BATCH, spread))
            for name, load in (
                ("sold_out_B", server.refuse),
                ("beside_sync_B", server.reserve),
                ("beside_off_B", bare.reserve),
            ):
                measured[name].append(filled(lambda n, load=load: load(B, n), LEAST["B"], size))


def test_one_call(size: Size, measured: Measured) -> None:
    """One durable call in flight beside a bare sync of the same disk."""
    with ours.serving("sync") as server:
        for _ in range(size.rounds):
            count = size.count(lambda n: server.reserve(ONE, n), LEAST["one"])
            measured["sync_ms"].append(disk.sync_ms(min(count, 5_000)))
            measured["call_ms"].append(server.run(ONE, calls=count).latency_ms(0.5))


def test_schedule(size: Size, measured: Measured) -> None:
    """An open loop at half of the best throughput, and at twice of it.

    Half beside the disk by itself, beside a server whose files are in memory, and beside a program
    that only looks at the clock: a disk or a processor that stands still is nobody's to mend here,
    and how long they do so differs from hour to hour.
    """
    with ours.serving("sync") as server, ours.serving("sync", within=MEMORY) as beside:
        for _ in range(size.rounds):
            best = max(
                filled(lambda n, at=at: server.reserve(at, n), LEAST[at.name], size)
                for at in (B, C)
            )
            open_loop = {"duration_s": 2 * size.seconds, "rate": best / 2}
            calm = server.run(OPEN_LOOP_PATTERN, **open_loop)
            in_memory = beside.run(OPEN_LOOP_PATTERN, **open_loop)
            disk_ms = disk.scheduled_ms(2 * size.seconds, SYNCS_A_SECOND)
            carried, flood = carried_and_flooded(server, best, 2 * size.seconds)
            measured["best"].append(best)
            measured["calm_p99_ms"].append(calm.latency_ms(0.99))
            measured["calm_p999_ms"].append(calm.latency_ms(0.999))
            measured["memory_p99_ms"].append(in_memory.latency_ms(0.99))
            measured["memory_p999_ms"].append(in_memory.latency_ms(0.999))
            measured["disk_p99_ms"].append(disk_ms[0])
            measured["disk_p999_ms"].append(disk_ms[1])
            machine_ms = machine.lateness_ms(2 * size.seconds)
            measured["machine_p99_ms"].append(machine_ms[0])
            measured["machine_p999_ms"].append(machine_ms[1])
            measured["flood_share"].append(flood / carried)


def carried_and_flooded(server: ours.Ours, best: float, seconds: float) -> tuple[float, float]:
    """The best goodput of an open loop, and that at twice the load which gave it.

    A caller waits a moment for room on its connections, and then gives up: what is over the number
    of calls that a server allows a connection is not sent.
    """

    def goodput(rate: float) -> float:
        return server.run(
            OVERLOAD_PATTERN,
            duration_s=seconds,
            rate=rate,
            deadline_s=DEADLINE_S,
            patience_s=PATIENCE_S,
            allow_refused_calls=True,
        ).goodput_per_s

    carried = max(goodput(best * share) for share in (0.6, 0.8, 1.0))
    return carried, goodput(2 * carried)


def test_generators(size: Size, measured: Measured) -> None:
    """h2load and the generator here, on a call that both can make: one look at one SKU."""
    body = GetAvailabilityRequest(skus=["SKU-00000000"]).SerializeToString()
    with ours.serving("off") as server:
        url = (server.data_plane, LOOK, body)
        for _ in range(size.rounds):
            for pattern in (A, B):
                for name, load in (
                    (
                        "h2load",
                        lambda n, at=pattern: nghttpd.h2load_grpc(*url, at, n),
                    ),
                    ("own", lambda n, at=pattern: server.look(at, n)),
                ):
                    rate = filled(load, LEAST[pattern.name], size)
                    measured[f"{name}_look_{pattern.name}"].append(rate)


def ratio(measured: Measured, over: str, under: str) -> float:
    """The median of the ratios of rounds that were run in turn."""
    pairs = zip(measured[over], measured[under], strict=True)
    return statistics.median(one / other for one, other in pairs)


def test_figures(figure: Figure, full: bool, measured: Measured) -> None:
    """All that the runs before came to; runs last in this file."""
    if not measured["atp_sync_A"] or not measured["own_look_B"]:
        pytest.skip("the tests before this one were left out: no figures")
    told: dict[str, float] = {}

    def tell(name: str, value: float, unit: str) -> None:
        told[name] = value
        figure(name, value, unit)

    middle = {name: statistics.median(values) for name, values in measured.items()}
    for pattern in PATTERNS:
        name = pattern.name
        if pattern is not C:
            tell(
                f"unary_{name}_vs_nghttpd",
                ratio(measured, f"atp_off_{name}", f"nghttpd_{name}"), "times",
            )  # fmt: skip
        for other in ("redis_always", "redis_nothing"):
            value = ratio(measured, f"atp_sync_{name}", f"{other}_{name}")
            tell(f"unary_{name}_vs_{other}", value, "times")
    tell("unary_hot_vs_postgres", ratio(measured, "hot_A", "postgres_hot"), "times")
    tell("hot_vs_uniform", ratio(measured, "hot_B", "uniform_B"), "times")
    tell("unary_A_vs_grpc_aio", ratio(measured, "atp_beside_A", "grpc_aio_A"), "times")
    tell("execute_per_s", min(middle["execute_hot"], middle["execute_uniform"]), "commands/s")
    tell("execute_vs_unary_B", ratio(measured, "execute_uniform", "beside_sync_B"), "times")
    tell("latency_p99_ms", middle["calm_p99_ms"], "ms")
    tell("latency_p999_ms", middle["calm_p999_ms"], "ms")
    for name in (
        *("memory_p99_ms", "memory_p999_ms", "disk_p99_ms", "disk_p999_ms"),
        *("machine_p99_ms", "machine_p999_ms"),
    ):
        tell(f"latency_{name}", middle[name], "ms")
    tell("durable_call_vs_fdatasync", ratio(measured, "call_ms", "sync_ms"), "times")
    tell("sold_out_per_s", middle["sold_out_B"], "calls/s")
    tell("sold_out_vs_unary_B", ratio(measured, "sold_out_B", "beside_off_B"), "times")
    tell("overload_goodput", middle["flood_share"], "of the best")
    tell("own_load_vs_h2load_A", ratio(measured, "own_look_A", "h2load_look_A"), "times")
    tell("own_load_vs_h2load_B", ratio(measured, "own_look_B", "h2load_look_B"), "times")
    for name, value in middle.items():
        unit = "ms" if name.endswith("_ms") else "of the best" if "share" in name else "a second"
        figure(f"peers_{name}", value, unit)
    if full:
        write_report(measured, told)
