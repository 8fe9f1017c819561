"""What the compiler is shown of a sale, so that it knows which paths of the engine are taken.

Run between the two passes of tools/build_native.py. Owns a load of a few seconds with something of
everything: baskets of one and of many lines, granted, in part, refused, repeated; commits,
releases, extensions, expiries; caps with windows and without; in the cache and out of it; with
events and without. Measures nothing, but checks that the laws hold.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "bench"))
import train_front
import workload
from workload import START_NS, People

from atp._core import COMMAND_DTYPE, LINE_DTYPE, Engine
from atp.journal.journal import Options, open_journal
from atp.vocabulary import Cap, CapOverride, CapSubject, ReserveOutcome

SECOND = 10**9
RESERVE, COMMIT, RELEASE, EXTEND = 1, 2, 3, 4


def sale_in_arrays(sku_count: int, people: People, rounds: int, *, record: bool) -> None:
    """Pairs as checkouts with volume send them."""
    skus = workload.sku_names(sku_count)
    engine = Engine(ended_max=max(640, sku_count // 4), record_events=record)
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        engine.set_cap(Cap(cap_id, subject, limit=10**9), now_ns=START_NS)
    engine.load_stock(skus, np.full(sku_count, 10**6, np.int64), now_ns=START_NS)
    rng = np.random.default_rng(1)
    for number in range(rounds):
        chosen = skus[workload.zipf(rng, 5000, sku_count)]
        commands, lines = workload.pairs(rng, chosen, people, f"t{number}")
        outcomes = engine.execute(commands, lines, now_ns=START_NS + number * SECOND)
        assert (outcomes["outcome"] == 1).all()
        engine.take_events()
    assert engine.check(now_ns=START_NS + rounds * SECOND).violations == ()


def baskets(rng: np.random.Generator, round_number: int, sku_count: int) -> tuple[object, object]:
    """Reserves of one to twenty lines, some for what is left, of a catalogue that sells out."""
    count = 500
    lines_of = rng.integers(1, 21, count)
    commands = np.zeros(count, COMMAND_DTYPE)
    commands["kind"] = RESERVE
    commands["flags"] = rng.integers(0, 4, count) == 0
    commands["request_id"] = [f"b-{round_number}-{i}".encode() for i in range(count)]
    commands["client_ip"] = workload.addresses(rng.integers(0, 300, count))
    commands["customer_id"] = [f"c{i}".encode() for i in rng.integers(0, 400, count)]
    commands["ttl_ns"] = rng.integers(1, 60, count) * SECOND
    commands["first_line"] = np.cumsum(lines_of) - lines_of
    commands["line_count"] = lines_of
    lines = np.zeros(lines_of.sum(), LINE_DTYPE)
    lines["sku"] = workload.sku_names(sku_count)[rng.integers(0, sku_count, len(lines))]
    lines["quantity"] = rng.integers(1, 4, len(lines))
    return commands, lines


def sale_of_baskets(rounds: int, *, record: bool) -> None:
    """A sale that sells out under caps, with every way to end a hold."""
    engine = Engine(record_events=record, ended_max=20_000, remember_ns=600 * SECOND)
    skus = workload.sku_names(1000)
    engine.load_stock(skus, np.full(len(skus), 400, np.int64), now_ns=START_NS)
    for cap in (
        Cap("customer", CapSubject.CUSTOMER, limit=400, window_ns=20 * SECOND),
        Cap("ip", CapSubject.IP, limit=900, overrides=(CapOverride("10.0.0.0/16", 2000),)),
        Cap("subnet", CapSubject.SUBNET, 10**6, ipv4_prefix_length=24, ipv6_prefix_length=56),
        Cap(
            "each",
            CapSubject.CUSTOMER,
            limit=40,
            skus=tuple(map(bytes.decode, skus[:20])),
            per_sku=True,
        ),
        Cap("basket", CapSubject.RESERVATION, limit=60),
    ):
        engine.set_cap(cap, now_ns=START_NS)
    rng = np.random.default_rng(2)
    seen = set()
    for number in range(rounds):
        now = START_NS + number * SECOND
        commands, lines = baskets(rng, number, len(skus))
        granted = engine.execute(commands, lines, now_ns=now)
        seen |= set(granted["outcome"].tolist())
        assert (
            engine.execute(commands[:50], lines, now_ns=now)["sequence"] == granted["sequence"][:50]
        ).sum() > 25, "repeats get the first answer"
        endings = np.zeros(len(commands), COMMAND_DTYPE)
        endings["kind"] = rng.choice([COMMIT, COMMIT, RELEASE, EXTEND], len(commands))
        endings["key"] = granted["key"]
        endings["ttl_ns"] = np.where(endings["kind"] == EXTEND, 70 * SECOND, 0)
        engine.execute(endings[::2], lines[:1], now_ns=now)
        engine.sweep(now_ns=now + SECOND // 2)
        engine.take_events()
    assert {
        ReserveOutcome.GRANTED,
        ReserveOutcome.GRANTED_PARTIALLY,
        ReserveOutcome.CAP_REACHED,
        ReserveOutcome.STOCK_SHORT,
    } <= seen
    assert engine.check(now_ns=START_NS + 10**12).violations == ()


def sale_one_by_one(count: int) -> None:
    """The same from Python, as the server calls."""
    engine = Engine(record_events=True)
    engine.set_cap(Cap("customer", CapSubject.CUSTOMER, limit=10), now_ns=START_NS)
    names = [name.decode() for name in workload.sku_names(100)]
    for name in names:
        engine.set_stock(name, 50, now_ns=START_NS)
    for number in range(count):
        now = START_NS + number * SECOND // 100
        chosen = [(names[(number * k) % 100], 1 + k % 2) for k in range(1, 2 + number % 6)]
        reply = engine.reserve(
            f"one-{number}",
            chosen,
            now_ns=now,
            ttl_ns=30 * SECOND,
            client_ip=f"10.0.{number % 7}.{number % 251}",
            customer_id=f"c{number % 500}",
        )
        if reply.reservation is not None:
            end = (engine.commit, engine.release, engine.extend)[number % 3]
            more = {"ttl_ns": 40 * SECOND} if number % 3 == 2 else {}
            end(reply.reservation.reservation_id, now_ns=now, request_id=f"end-{number}", **more)
        engine.get_availability(names[:3], now_ns=now)
    engine.take_events()
    assert engine.check(now_ns=START_NS + 10**12).violations == ()


def remembered(path: Path, rounds: int) -> None:
    """A sale that is written to segments and a snapshot, and read back from both."""
    options = Options(path, durability="interval")
    engine, journal, _ = open_journal(options, {}, now_ns=START_NS, owner_text="training")
    journal.start(on_failure=fail)
    skus = workload.sku_names(50_000)
    for cap_id, subject in (("per-ip", CapSubject.IP), ("per-customer", CapSubject.CUSTOMER)):
        engine.set_cap(Cap(cap_id, subject, limit=10**9), now_ns=START_NS)
    engine.load_stock(skus, np.full(len(skus), 10**6, np.int64), now_ns=START_NS)
    rng = np.random.default_rng(3)
    for number in range(rounds):
        chosen = skus[workload.zipf(rng, 5000, len(skus))]
        people = People(8_000, 3_000)
        commands, lines = workload.pairs(rng, chosen, people, f"r{number}")
        engine.execute(commands, lines, now_ns=START_NS)
        engine.execute(*workload.reserves(rng, chosen, people, f"h{number}"), now_ns=START_NS)
        if number == rounds // 4:
            journal.snapshot(START_NS)
        assert journal.writer.wait(engine.status().sequence, 60 * SECOND)
    digest = engine.digest(now_ns=START_NS)
    journal.close(START_NS, snapshot=False)
    again, journal, report = open_journal(options, {}, now_ns=START_NS, owner_text="training")
    assert (report.digest, again.digest(now_ns=START_NS)) == (digest, digest)
    journal.close(START_NS, snapshot=False)


def fail(error: OSError) -> None:
    """The disk failed under the journal."""
    raise error


def main() -> None:
    """All of it, once with events and once without."""
    for record in (False, True):
        # Mostly pairs in the cache: elsewhere memory is waited for, whatever the code is like.
        sale_in_arrays(10_000, People(2_000, 1_000), 100, record=record)
        sale_in_arrays(100_000, People(30_000, 10_000), 10, record=record)
        sale_of_baskets(100, record=record)
    sale_one_by_one(5_000)
    with tempfile.TemporaryDirectory() as folder:
        remembered(Path(folder) / "data", 40)
    train_front.main()


if __name__ == "__main__":
    main()
