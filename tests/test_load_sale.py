"""A whole sale: every shopper does what the plan says, in its order, and the server did it.

The history of each load is read back shopper by shopper, beside the server's own counts.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from atp import Client, load
from atp.load import Kind, LoadFailed, LoadPlan, Shares, Want, baskets, of_wants
from atp.v1 import history_pb2 as history
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import ChangeOutcome, ReserveOutcome
from command import Command
from load_histories import Called, calls_of, commands_of
from scripted_http2 import Asked, granted, scripted, whole
from server_process import ServerProcess, serving

WANTS = [
    Want(f"customer {n}", f"192.0.2.{n % 9}", [(f"SKU-{k}", k) for k in range(1, n % 4 + 2)])
    for n in range(40)
]
NONE = Shares(looks=0, late=0, releases=0, extends=0, abandons=0, repeats=0)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        with Client(process.data_plane, process.control_plane) as client:
            client.batch_set_stock([(f"SKU-{k}", 10**6) for k in range(1, 5)])
        yield process


def plan(address: str, folder: Path, shares: Shares, **other: object) -> LoadPlan:
    values: dict[str, object] = {"connections": 3, "in_flight": 4, "calls": len(WANTS)}
    values |= {"baskets": of_wants(WANTS, shares, think_s=0.1, seed=5), "ttl_s": 60}
    values |= {"address": address, "run_name": "sale-", "kind": Kind.SALE, "history": folder}
    return LoadPlan(**(values | other))  # type: ignore[arg-type]


def only(**share: float) -> Shares:
    return Shares(**({name: 0.0 for name in ("late", "releases", "extends", "abandons")} | share))


def by_shopper(folder: Path) -> dict[str, list[Called]]:
    """The calls of each request id; what is about a hold goes with its reserve."""
    shoppers: dict[str, list[Called]] = defaultdict(list)
    of_hold: dict[str, str] = {}
    for call in sorted(calls_of(folder), key=lambda call: call.sent.time_ns):
        if call.sent.method == history.HISTORY_METHOD_RESERVE:
            name = call.request.request_id
            of_hold[call.response.reservation.reservation_id] = name
        elif call.sent.method == history.HISTORY_METHOD_GET_AVAILABILITY:
            continue
        else:
            name = of_hold[call.request.reservation_id]
        shoppers[name].append(call)
    return shoppers


def methods(calls: list[Called]) -> list[int]:
    return [call.sent.method for call in calls]


RESERVE, COMMIT = history.HISTORY_METHOD_RESERVE, history.HISTORY_METHOD_COMMIT
RELEASE, EXTEND = history.HISTORY_METHOD_RELEASE, history.HISTORY_METHOD_EXTEND


def test_each_basket_is_asked_for_as_it_is_wanted(server: ServerProcess, tmp_path: Path) -> None:
    load.run(plan(server.data_plane, tmp_path, only(looks=1)))
    asked = Counter[bytes]()
    for calls in by_shopper(tmp_path).values():
        request = calls[0].request
        request.request_id = ""
        asked[request.SerializeToString(deterministic=True)] += 1
    wanted = Counter[bytes]()
    for want in WANTS:
        request = pb.ReserveRequest(customer_id=want.customer, client_ip=want.address)
        request.ttl.seconds = 60
        for sku, quantity in want.lines:
            request.lines.add(sku=sku, quantity=quantity)
        wanted[request.SerializeToString(deterministic=True)] += 1
    assert asked == wanted
    looks = [
        call.request
        for call in calls_of(tmp_path)
        if call.sent.method == history.HISTORY_METHOD_GET_AVAILABILITY
    ]
    assert sorted(len(look.skus) for look in looks) == sorted(len(want.lines) for want in WANTS)


@pytest.mark.parametrize(
    ("shares", "done"),
    [
        (only(), [RESERVE, COMMIT]),
        (only(late=1), [RESERVE, COMMIT]),
        (only(releases=1), [RESERVE, RELEASE]),
        (only(extends=1), [RESERVE, EXTEND, COMMIT]),
        (only(abandons=1), [RESERVE]),
    ],
)
def test_each_visit_ends_as_it_should(
    server: ServerProcess, tmp_path: Path, shares: Shares, done: list[int]
) -> None:
    result = load.run(plan(server.data_plane, tmp_path, only(looks=0), baskets=of_wants(
        WANTS, Shares(**{**_values(shares), "repeats": 0, "looks": 0}), think_s=0.1, seed=5
    )))  # fmt: skip
    shoppers = by_shopper(tmp_path)
    assert len(shoppers) == len(WANTS)
    assert {tuple(methods(calls)) for calls in shoppers.values()} == {tuple(done)}
    thinks = shares != only()
    for calls in shoppers.values():
        for before, after in pairwise(calls):
            assert after.sent.time_ns > before.ended.time_ns
            waited_s = (after.sent.time_ns - before.ended.time_ns) / 1e9
            assert waited_s > (0.049 if thinks else 0)
    counts = {"commits": COMMIT, "releases": RELEASE, "extends": EXTEND}
    for name, outcomes in result.changes():
        expected = {ChangeOutcome.DONE: len(WANTS)} if counts[name] in done else {}
        assert outcomes == expected
    with Client(server.data_plane, server.control_plane) as client:
        stocks = list(client.iterate_stock())
    units = sum(quantity for want in WANTS for _, quantity in want.lines)
    assert sum(stock.sold for stock in stocks) == (units if COMMIT in done else 0)
    assert sum(stock.held for stock in stocks) == (units if done == [RESERVE] else 0)


def _values(shares: Shares) -> dict[str, float]:
    return {name: getattr(shares, name) for name in Shares.__slots__}


def test_a_repeat_gets_the_same_hold(server: ServerProcess, tmp_path: Path) -> None:
    result = load.run(plan(server.data_plane, tmp_path, only(repeats=1, looks=0)))
    assert (result.repeats, result.reserves) == (40, {ReserveOutcome.GRANTED: 40})
    for calls in by_shopper(tmp_path).values():
        reserves = [call for call in calls if call.sent.method == RESERVE]
        assert [call.response.repeated for call in reserves] == [False, True]
        assert len({call.response.reservation.reservation_id for call in reserves}) == 1


def test_a_repeat_that_is_judged_anew_fails_the_load(tmp_path: Path) -> None:
    def answer(call: Asked) -> bytes:
        if call.message.startswith(b"\x0a\x20"):
            return whole(call.stream, pb.CommitResponse(outcome=1).SerializeToString())
        return whole(call.stream, granted())

    with scripted(answer) as address, pytest.raises(LoadFailed, match="40 repeats of a granted"):
        load.run(plan(address, tmp_path, only(repeats=1, looks=0), connections=1))


def test_who_was_refused_asks_once_more(server: ServerProcess, tmp_path: Path) -> None:
    wants = [Want("", "", [("SKU-1", 10**7)])] * 5
    shoppers = of_wants(wants, only(repeats=1, looks=0, late=1), think_s=0.1, seed=1)
    result = load.run(
        plan(server.data_plane, tmp_path, NONE, baskets=shoppers, calls=5,
             outcomes=frozenset({ReserveOutcome.STOCK_SHORT}))
    )  # fmt: skip
    assert result.reserves == {ReserveOutcome.STOCK_SHORT: 10}
    assert {len(calls) for calls in by_shopper(tmp_path).values()} in ({2}, {10})
    assert all(not call.request.customer_id for call in calls_of(tmp_path))


def test_a_sale_in_batches_does_the_same(server: ServerProcess, tmp_path: Path) -> None:
    shares = Shares(late=0.2, releases=0.2, extends=0.2, abandons=0.2, repeats=0.2)
    shoppers = of_wants(WANTS, shares, think_s=0.1, seed=5, looks=False)
    result = load.run(plan(server.data_plane, tmp_path, shares, baskets=shoppers, batch=7, calls=6))
    assert result.reserves == {ReserveOutcome.GRANTED: 42}
    done = Counter(type(asked).__name__ for asked, _ in commands_of(tmp_path))
    assert done["ReserveRequest"] == 42 + result.repeats
    assert result.repeats > 0
    for name, kind in (
        ("commits", "CommitRequest"), ("releases", "ReleaseRequest"), ("extends", "ExtendRequest")
    ):  # fmt: skip
        assert dict(result.changes())[name] == {ChangeOutcome.DONE: done[kind]}
        assert done[kind] > 0
    with Client(server.data_plane, server.control_plane) as client:
        stocks = list(client.iterate_stock())
    sold = Counter[str]()
    lines = {}
    for asked, answer in commands_of(tmp_path):
        if isinstance(asked, pb.ReserveRequest):
            lines[answer.reservation.reservation_id] = asked.lines
        elif isinstance(asked, pb.CommitRequest):
            for line in lines[asked.reservation_id]:
                sold[line.sku] += line.quantity
    assert {stock.sku: stock.sold for stock in stocks if stock.sold} == dict(sold)


def test_a_large_basket_goes_in_several_frames(server: ServerProcess, tmp_path: Path) -> None:
    names = [f"SKU-of-a-rather-large-basket-{n:04d}" for n in range(1_000)]
    with Client(server.data_plane, server.control_plane) as client:
        client.batch_set_stock([(name, 10) for name in names])
    shoppers = of_wants([Want("c", "192.0.2.1", [(name, 1) for name in names])], NONE,
                        think_s=1, seed=1)  # fmt: skip
    result = load.run(plan(server.data_plane, tmp_path, NONE, baskets=shoppers, calls=5))
    assert result.commits == {ChangeOutcome.DONE: 5}
    assert len(next(calls_of(tmp_path)).sent.request) > 32_768


def test_bots_come_from_one_subnet_and_want_what_all_want() -> None:
    wants = [Want("c", "192.0.2.1", [("MUG", 5), ("CUP", 1)])] * 90
    shoppers = of_wants(wants, Shares(bots=0.1), think_s=1, seed=2)
    is_bot = np.array(
        [
            shoppers.addresses[row[baskets.ADDRESS]].startswith(b"198.51.100.")
            for row in shoppers.rows
        ]
    )
    assert is_bot.sum() == 10
    bots = shoppers.rows[is_bot]
    assert set(bots[:, baskets.END]) == {baskets.End.ABANDON}
    assert len(set(bots[:, baskets.ADDRESS])) == 10
    lines = [shoppers.lines[row[baskets.FIRST_LINE]].tolist() for row in bots]
    assert lines == [[shoppers.skus.index(b"MUG"), 1]] * 10
    assert 0 < np.flatnonzero(is_bot).mean() < 99  # among the others


def test_shares_are_met() -> None:
    shares = Shares(looks=0.4, late=0.3, releases=0.2, extends=0.1, abandons=0.3, repeats=0.25)
    rows = of_wants(WANTS[:1] * 20_000, shares, think_s=2, seed=7).rows
    ends = {end: np.mean(rows[:, baskets.END] == end) for end in baskets.End}
    for end, share in ((0, 0.3), (1, 0.4), (2, 0.2), (3, 0.1)):
        assert abs(ends[baskets.End(end)] - share) < 0.02
    assert abs(np.mean(rows[:, baskets.LOOKS]) - 0.4) < 0.02
    assert abs(np.mean(rows[:, baskets.REPEATS]) - 0.25) < 0.02
    assert abs(np.mean(rows[:, baskets.THINK_NS] == 0) - 0.1) < 0.02
    thinks = rows[rows[:, baskets.THINK_NS] > 0, baskets.THINK_NS] / 1e9
    assert (thinks >= 1).all()
    assert (thinks <= 3).all()
    assert abs(thinks.mean() - 2) < 0.02


@pytest.mark.parametrize(
    ("wants", "shares", "told"),
    [
        ([], {}, "there is no basket"),
        ([Want("", "", [])], {}, "a basket has 0 lines"),
        ([Want("", "", [("S" * 60, 1)] * 900)], {}, "a basket has 900 lines"),
        ([Want("", "", [("", 1)])], {}, "has not 1 to 64 bytes"),
        ([Want("", "", [("MUG", 0)])], {}, "quantity 0 is not 1 or more"),
        (WANTS, {"late": 1.5}, "the share of late is 1.5"),
        (WANTS, {"late": 0.9, "releases": 0.2}, "make 1.3"),
        (WANTS, {"bots": 1}, "somebody must want something"),
    ],
)
def test_a_sale_that_cannot_be_is_refused(
    wants: list[Want], shares: dict[str, float], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        of_wants(wants, Shares(**shares), think_s=1, seed=1)


def test_a_sale_without_baskets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a sale needs baskets"):
        plan("a:1", tmp_path, NONE, baskets=None)
    with pytest.raises(ValueError, match="a sale needs baskets"):
        plan("a:1", tmp_path, NONE, kind=Kind.PAIR)


ORDERS = """invoice,stock_code,quantity,invoice_date,customer_id
1,MUG,2,2010-12-01T08:26:00,17850
1,CUP,1,2010-12-01T08:26:00,17850
2,MUG,4,2010-12-01T08:28:00,
"""


def test_the_command_sells_the_orders_of_a_file(server: ServerProcess, tmp_path: Path) -> None:
    atp, orders = Command(server), tmp_path / "orders.csv"
    orders.write_text(ORDERS)
    sale = ("load-test", "--kind", "sale", "--orders", orders, "--calls", 20, "--json")
    none = [word for name in ("late", "releases", "extends", "abandons", "repeats")
            for word in ("--share", f"{name}=0")]  # fmt: skip
    told = atp(*sale, *none, "--stock-share", "0.5", "--processes", 1)
    assert told.status == 0, told.err
    # Half of 6 mugs and of 1 cup: one basket of the first kind is all that fits, or none.
    assert told.json["reserves"]["GRANTED"] == told.json["commits"]["DONE"]
    assert told.json["reserves"]["GRANTED"] + told.json["reserves"]["STOCK_SHORT"] == 20
    with Client(server.data_plane, server.control_plane) as client:
        stock = {each.sku: each for each in client.iterate_stock()}
    assert stock["LOAD-TEST-MUG"].on_hand + stock["LOAD-TEST-MUG"].sold == 3
    assert stock["LOAD-TEST-CUP"].on_hand + stock["LOAD-TEST-CUP"].sold == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--orders", "nowhere.csv", "--kind", "sale"), "nowhere.csv"),
        (("--share", "bots=0.1"), "--orders, --share and --stock-share are for --kind sale"),
        (("--kind", "sale", "--share", "bots"), '"bots" is no share; write NAME=0.25'),
        (("--kind", "sale", "--share", "cats=0.1"), '"cats=0.1" is no share'),
        (("--processes", "0"), "0 is not in the range"),
        (("--processes", "300"), "processes is 300: it must be from 1 to 256"),
        (("--processes", "9"), "connections is 8: 9 processes need one each at least"),
    ],
)
def test_the_command_says_what_cannot_be(words: tuple[str, ...], told: str) -> None:
    ended = Command()("load-test", *words)
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert told in ended.err


def test_a_file_that_has_no_orders_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    ended = Command()("load-test", "--kind", "sale", "--orders", tmp_path / "bad.csv")
    assert (ended.status, ended.err.count("\n")) == (2, 1)
    assert "the column invoice" in ended.err
