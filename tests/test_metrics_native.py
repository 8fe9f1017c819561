"""What the native parts count for metrics: sums of units, hot SKUs, hits of caps, times, the lag.

Each count is compared with what was asked for, or with a walk over everything.
"""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random
from typing import Any

from atp._core import Engine
from atp._front import TIME_BOUNDS_NS
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import reservation_service_pb2_grpc as pb_grpc
from atp.vocabulary import Cap, CapMode, CapSubject, StockReason, StockTotals
from conftest import native_engine
from front_process import Running, running
from records import replayed
from server_process import channel_to, wait_until
from snapshot_files import loaded, written

SECOND = 1_000_000_000
SECONDS = 30


def counted(engine: Any, now_ns: int) -> tuple[int, int, int]:
    """On hand, held and sold by a walk over every SKU."""
    stock = engine.dump(now_ns=now_ns)["stock"].values()
    return (
        sum(one.on_hand for one in stock),
        sum(one.held for one in stock),
        sum(one.sold for one in stock),
    )


def busy_engine(seed: int, commands: int, **bounds: Any) -> tuple[Engine, int]:
    """An engine after random commands of every kind, and its time."""
    engine, chance = native_engine(**bounds), Random(seed)
    holds: list[str] = []
    now_ns = SECOND
    for number in range(commands):
        now_ns += chance.randrange(SECOND)
        sku = f"S{chance.randrange(40)}"
        kind = chance.randrange(8)
        if kind == 0:
            engine.set_stock(sku, chance.randrange(200), now_ns=now_ns)
        elif kind == 1:
            reason = chance.choice(list(StockReason)[:1])
            engine.adjust_stock(f"a{number}", sku, chance.randrange(1, 50), reason, now_ns=now_ns)
        elif kind == 2 and holds:
            engine.commit(chance.choice(holds), now_ns=now_ns)
        elif kind == 3 and holds:
            engine.release(chance.choice(holds), now_ns=now_ns)
        else:
            lines = [(f"S{chance.randrange(40)}", chance.randrange(1, 5)) for _ in range(3)]
            ttl_ns = chance.randrange(SECOND, 20 * SECOND)
            reply = engine.reserve(
                f"r{number}", lines, now_ns=now_ns, ttl_ns=ttl_ns, allow_partial=True
            )
            if reply.reservation is not None:
                holds.append(reply.reservation.reservation_id)
    return engine, now_ns


def test_totals_are_what_a_walk_over_all_skus_finds_live_replayed_and_from_a_snapshot() -> None:
    live, now_ns = busy_engine(1, 3_000, record_events=True)
    events = live.take_events()
    told = live.totals()
    assert told[:3] == counted(live, now_ns)
    assert min(told[:3]) > 0
    assert told.expired_holds > 0
    again = replayed(events)
    assert again.totals() == told._replace(expired_holds=0)  # which is of this run alone
    copy = loaded(written(live, now_ns)[1])
    assert copy.totals() == told._replace(expired_holds=0)
    assert copy.check(now_ns=now_ns).violations == ()
    live.sweep(now_ns=now_ns + 60 * SECOND)
    assert live.totals().held == 0


def test_holds_that_expire_are_counted_once_each() -> None:
    engine = native_engine()
    engine.set_stock("A", 100, now_ns=1)
    for number in range(30):
        engine.reserve(f"r{number}", [("A", 1)], now_ns=2, ttl_ns=10 + number)
    engine.release(
        engine.reserve("r0", [("A", 1)], now_ns=2, ttl_ns=10).reservation.reservation_id, now_ns=2
    )
    assert engine.totals() == StockTotals(100, 29, 0, 0)
    engine.sweep(now_ns=21)  # those of 10 to 19 ns; the first was given back
    assert engine.totals() == StockTotals(100, 20, 0, 9)
    engine.sweep(now_ns=1_000)
    assert engine.totals() == StockTotals(100, 0, 0, 29)


def test_hot_skus_are_those_asked_for_most_granted_or_not_and_fade() -> None:
    engine = native_engine()
    for number in range(5_000):
        engine.set_stock(f"S{number}", 1, now_ns=1)
    engine.cool_skus()  # finds out that nothing goes on: from here on every question counts
    assert engine.hot_skus(10) == []
    chance = Random(7)
    asks = [f"S{chance.randrange(5_000)}" for _ in range(20_000)]
    hot = [f"S{number}" for number in range(20)]
    for place, sku in enumerate(hot):
        asks += [sku] * (1_000 - 20 * place)
    chance.shuffle(asks)
    for number, sku in enumerate(asks):
        engine.reserve(f"r{number}", [(sku, 1)], now_ns=2, ttl_ns=SECOND)
    told = engine.hot_skus(20)
    assert len(told) == 20
    assert len({name for name, _ in told} & set(hot)) >= 19  # two may have stood in one place
    assert [heat for _, heat in told] == sorted((heat for _, heat in told), reverse=True)
    assert told[0][1] <= 1_010
    before = dict(engine.hot_skus(100_000))
    assert len(before) <= 64 * 24
    engine.cool_skus()
    assert dict(engine.hot_skus(100_000)) == {
        sku: heat // 2 for sku, heat in before.items() if heat // 2
    }
    for _ in range(12):
        engine.cool_skus()
    assert engine.hot_skus(20) == []


def test_few_questions_are_counted_to_the_last() -> None:
    engine = native_engine()
    for sku in "ABC":
        engine.set_stock(sku, 1, now_ns=1)
    engine.cool_skus()
    for number, sku in enumerate("ABACAABX"):
        engine.reserve(f"r{number}", [(sku, 1)], now_ns=2, ttl_ns=SECOND)
    assert engine.hot_skus(10) == [("A", 4), ("B", 2), ("C", 1)]  # X is no SKU
    assert engine.hot_skus(2) == [("A", 4), ("B", 2)]
    assert engine.hot_skus(0) == engine.hot_skus(-1) == []


def test_while_much_goes_on_some_questions_stand_for_all() -> None:
    engine = native_engine()  # which is taken for busy until it has been looked at
    skus = [f"S{number}" for number in range(50)]
    for sku in skus:
        engine.set_stock(sku, 0, now_ns=1)
    asks = [sku for place, sku in enumerate(skus) for _ in range(8_000 - 120 * place)]
    Random(3).shuffle(asks)
    for number, sku in enumerate(asks):
        engine.reserve(f"r{number}", [(sku, 1)], now_ns=2, ttl_ns=SECOND)
    told = dict(engine.hot_skus(10))
    assert len(set(told) & set(skus[:20])) >= 9
    for sku, heat in told.items():
        assert 0.6 < heat / asks.count(sku) < 1.6
    engine.cool_skus()  # half of 250,000 questions went: it is busy indeed
    engine.reserve("one more", [("S49", 1)], now_ns=2, ttl_ns=SECOND)
    assert sum(dict(engine.hot_skus(50)).values()) % 8 == 0  # by sixteens, halved
    engine.cool_skus()
    before = dict(engine.hot_skus(50))
    engine.reserve("another", [("S0", 1)], now_ns=2, ttl_ns=SECOND)
    assert dict(engine.hot_skus(50))["S0"] == before["S0"] + 1


def test_hits_of_caps_are_those_of_each_cap() -> None:
    engine = native_engine()
    engine.set_stock("A", 100, now_ns=1)
    for cap_id, mode in (("real", CapMode.ENFORCE), ("trial", CapMode.SHADOW)):
        cap = Cap(cap_id=cap_id, subject=CapSubject.CUSTOMER, mode=mode, limit=2)
        engine.set_cap(cap, now_ns=1)
    for number in range(7):
        engine.reserve(f"r{number}", [("A", 1)], now_ns=2, ttl_ns=SECOND, customer_id="c")
    assert engine.cap_hits() == [("real", 5, 0), ("trial", 0, 5)]
    assert engine.cap_hits() == [
        (one.cap.cap_id, one.refused, one.shadow_refused) for one in engine.list_caps()
    ]


def reserve(number: object) -> pb.ReserveRequest:
    return pb.ReserveRequest(request_id=f"r{number}", lines=[pb.Line(sku="A", quantity=1)])


def timed(served: Running, method: str) -> int:
    return sum(served.front.statistics().latencies[method].counts)


def test_each_call_that_was_judged_is_timed_and_none_that_was_refused(tmp_path: Path) -> None:
    with running(tmp_path) as served, channel_to(served.address) as channel:
        served.engine.set_stock("A", 1_000, now_ns=0)
        stub = pb_grpc.ReservationServiceStub(channel)
        for number in range(20):
            stub.Reserve(reserve(number), timeout=SECONDS)
        stub.GetAvailability(pb.GetAvailabilityRequest(skus=["A"]), timeout=SECONDS)
        bad = stub.Reserve.future(pb.ReserveRequest())
        assert bad.exception(timeout=SECONDS) is not None
        batch = service_pb.ExecuteRequest(commands=[service_pb.Command(reserve=reserve("x"))])
        assert len(list(stub.Execute(iter([batch] * 5), timeout=SECONDS))) == 5
        wait_until(lambda: timed(served, "Execute") == 5, "the times of five batches")
        assert timed(served, "Reserve") == 20
        assert timed(served, "GetAvailability") == 1
        assert timed(served, "Commit") == 0
        statistics = served.front.statistics()
        assert statistics.answered[("Reserve", 3)] == 1
        assert statistics.accepted == statistics.connections == 1
        latencies = statistics.latencies["Reserve"]
        assert len(latencies.counts) == len(TIME_BOUNDS_NS) + 1
        # Each was durable before it was answered, and none took as long as its deadline.
        assert 20 * 10_000 < latencies.sum_ns < SECONDS * SECOND
        assert served.writer is not None
        syncs = served.writer.statistics()
        assert sum(syncs.sync_counts) == syncs.syncs > 0
        assert 0 < syncs.sync_sum_ns <= latencies.sum_ns + statistics.latencies["Execute"].sum_ns


def test_a_crowd_is_timed_to_the_last_call(tmp_path: Path) -> None:
    with running(tmp_path, threads=2, calls_max=10_000) as served:
        served.engine.set_stock("A", 1_000_000, now_ns=0)

        def crowd(connection: int) -> None:
            with channel_to(served.address) as channel:
                stub = pb_grpc.ReservationServiceStub(channel)
                calls = [stub.Reserve.future(reserve(f"{connection}-{n}")) for n in range(200)]
                for call in calls:
                    call.result(timeout=SECONDS)

        threads = [threading.Thread(target=crowd, args=(index,)) for index in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # An answer is timed once it is with the socket, and its client may be quicker.
        wait_until(lambda: timed(served, "Reserve") == 2_000, "the last answers to be timed")
        assert served.front.statistics().answered[("Reserve", 0)] == 2_000


def test_nothing_lags_when_all_is_durable(tmp_path: Path) -> None:
    with running(tmp_path) as served, channel_to(served.address) as channel:
        assert served.writer is not None
        served.engine.set_stock("A", 1_000, now_ns=0)
        pb_grpc.ReservationServiceStub(channel).Reserve(reserve(1), timeout=SECONDS)
        assert served.writer.statistics().waiting_records == 0
        assert served.writer.statistics().lag_ns == 0
