"""From lines to a sale: what each line means, what is kept, and what is counted as unusable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from atp.replay import plan as plans
from atp.replay.addresses import make_addresses, read_addresses
from atp.replay.events import Correction, Fate, Order, Plan
from atp.replay.reader import Row, read_rows

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
REAL_ORDERS = DATA / "online_retail.csv.gz"
REAL_LOG = DATA / "access_elastic.log.gz"


def plan_of(rows: Iterable[tuple[str, str, int, int, str]], **choices: float) -> Plan:
    """A plan of rows given as (invoice, code, quantity, minute, customer)."""
    lines = [
        Row(index + 2, invoice, code, quantity, minute * 60, customer)
        for index, (invoice, code, quantity, minute, customer) in enumerate(rows)
    ]
    return plans.make_plan(
        lines,
        source="a test",
        addresses=make_addresses(1),
        seed=1,
        abandon_share=choices.get("abandon_share", 0.0),
        release_share=choices.get("release_share", 0.0),
    )


def test_an_invoice_is_one_order_of_all_its_lines() -> None:
    plan = plan_of([("1", "A", 2, 0, "c"), ("1", "Z", 3, 0, "c"), ("1", "A", 2, 0, "c")])
    (order,) = plan.events
    assert isinstance(order, Order)
    assert order.skus == (0, 1, 0), "lines of one SKU stay apart: the engine adds them up"
    assert order.quantities == (2, 3, 2)
    assert plan.skus == ["A", "Z"]
    assert plan.demand == [4, 3]
    assert plan.quirks["lines exactly like another of their invoice, kept"] == 1
    assert "further lines of a SKU in one invoice, added up" not in plan.quirks


def test_codes_are_compared_byte_by_byte() -> None:
    plan = plan_of(
        [("1", "85123A", 1, 0, ""), ("1", "85123a", 1, 0, ""), ("1", " 85123a", 1, 0, "")]
    )
    assert plan.skus == ["85123A", "85123a", " 85123a"]
    assert plan.quirks["SKUs that differ from another only by case, kept apart"] == 2


def test_a_cancellation_gives_back_and_a_loss_is_written_off() -> None:
    plan = plan_of([("C2", "A", -3, 1, "c"), ("C2", "Z", -1, 1, "c"), ("3", "A", -7, 2, "")])
    assert plan.events == [
        Correction("C2", 60, "c", True, (0, 1), (3, 1), (1, 2)),
        Correction("3", 120, "", False, (0,), (7,), (1,)),
    ]
    assert plan.demand == [0, 0]


def test_an_invoice_with_both_signs_is_an_order_and_a_write_off() -> None:
    plan = plan_of([("1", "A", 5, 0, "c"), ("1", "Z", -2, 0, "c")])
    kinds = [type(event).__name__ for event in plan.events]
    assert sorted(kinds) == ["Correction", "Order"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (("A1", "B", 1, 0, ""), plans.BAD_DEBT),
        (("A1", "22423", 1, 0, ""), plans.BAD_DEBT),
        (("1", "POST", 1, 0, ""), plans.NO_PRODUCT),
        (("C1", "D", -1, 0, ""), plans.NO_PRODUCT),
        (("1", "BANK CHARGES", 1, 0, ""), plans.NO_PRODUCT),
        (("1", "gift_0001_20", 1, 0, ""), plans.NO_PRODUCT),
        (("1", "A", 0, 0, ""), plans.ZERO),
        (("C1", "A", 1, 0, ""), plans.POSITIVE_CANCELLATION),
        (("1", "A", 1_000_000_001, 0, ""), plans.TOO_MANY),
        (("1", "", 1, 0, ""), plans.BAD_SKU),
        (("1", "é" * 33, 1, 0, ""), plans.BAD_SKU),
        (("", "A", 1, 0, ""), plans.BAD_INVOICE),
        (("1" * 33, "A", 1, 0, ""), plans.BAD_INVOICE),
    ],
)
def test_a_line_that_cannot_be_used_is_counted_by_reason(
    row: tuple[str, str, int, int, str], reason: str
) -> None:
    plan = plan_of([row, ("9", "good", 1, 0, "")])
    assert {name: tuple(tally) for name, tally in plan.unusable.items()} == {
        reason: (1, abs(row[2]))
    }
    assert [event.invoice for event in plan.events] == ["9"]
    assert plan.skus == ["good"]


@pytest.mark.parametrize("lines", [[1] * 4_097, [1_000_000_000, 1]])
def test_a_basket_over_a_bound_is_counted_line_by_line(lines: list[int]) -> None:
    plan = plan_of([("1", "A", quantity, 0, "") for quantity in lines])
    assert plan.events == []
    assert plan.unusable[plans.BASKET_TOO_LARGE] == (len(lines), sum(lines))


def test_codes_that_look_like_services_but_are_goods_are_sold() -> None:
    plan = plan_of([("1", code, 1, 0, "") for code in ("PADS", "DCGSSBOY", "DCGS0003", "C21")])
    assert plan.skus == ["PADS", "DCGSSBOY", "DCGS0003", "C21"]


def test_an_invoice_over_two_minutes_is_taken_at_its_first() -> None:
    plan = plan_of([("1", "A", 1, 5, ""), ("2", "A", 1, 5, ""), ("1", "Z", 1, 6, "")])
    assert [(event.invoice, event.time_s) for event in plan.events] == [("1", 300), ("2", 300)]
    assert plan.quirks["invoices that span more than one minute, taken at their first"] == 1


def test_events_go_by_the_shops_clock_and_then_by_the_file() -> None:
    plan = plan_of([("3", "A", 1, 9, ""), ("1", "A", 1, 4, ""), ("2", "A", 1, 4, "")])
    assert [event.invoice for event in plan.events] == ["1", "2", "3"]


def test_an_invoice_has_one_customer() -> None:
    plan = plan_of([("1", "A", 1, 0, "ann"), ("1", "Z", 1, 0, "bob")])
    assert [event.customer_id for event in plan.events] == ["ann"]
    assert plan.quirks["lines whose customer is not their invoice's first, taken as its"] == 1


def test_a_customer_over_the_bound_is_left_out_and_counted() -> None:
    plan = plan_of([("1", "A", 1, 0, "c" * 65)])
    assert plan.events[0].customer_id == ""
    assert plan.quirks["orders whose customer is over 64 bytes, kept without"] == 1


@pytest.mark.parametrize(
    ("share", "expected"), [(0.8, [28, 4, 1, 0]), (1.0, [35, 5, 1, 0]), (0.0, [0, 0, 0, 0])]
)
def test_stock_is_a_share_of_demand_rounded_up_exactly(share: float, expected: list[int]) -> None:
    """0.8 of 35 is 28, not 29, whatever binary fractions make of it."""
    assert Plan("", demand=[35, 5, 1, 0]).stock(share) == expected


def test_shares_of_fates_and_their_seed() -> None:
    rows = [(str(number), "A", 1, 0, "") for number in range(4_000)]
    plan = plan_of(rows, abandon_share=0.1, release_share=0.2)
    fates = Counter(event.fate for event in plan.events if isinstance(event, Order))
    assert 320 < fates[Fate.ABANDON] < 480
    assert 680 < fates[Fate.RELEASE] < 920
    assert plan.events == plan_of(rows, abandon_share=0.1, release_share=0.2).events


def test_the_real_year() -> None:
    """Every figure of the data's own description that a plan knows, and nothing lost."""
    if not REAL_ORDERS.exists():
        pytest.skip(f"the real orders are not at {REAL_ORDERS}")
    plan = plans.make_plan(
        read_rows(REAL_ORDERS),
        source="real",
        addresses=read_addresses(REAL_LOG),
        seed=1,
        abandon_share=0.0,
        release_share=0.0,
    )
    assert (plan.rows, plan.invoices) == (541_909, 25_900)
    orders = [event for event in plan.events if isinstance(event, Order)]
    returns = [event for event in plan.events if isinstance(event, Correction) and event.is_return]
    write_offs = [e for e in plan.events if isinstance(e, Correction) and not e.is_return]
    used = sum(len(event.skus) for event in plan.events)
    unusable = sum(tally.lines for tally in plan.unusable.values())
    assert used + unusable == plan.rows, "nothing is dropped in silence"
    assert {reason: tally.lines for reason, tally in plan.unusable.items()} == {
        plans.NO_PRODUCT: 2_943,
        plans.BAD_DEBT: 3,
    }
    goods = ("PADS", "DCGS")
    letters = {code for code in plan.skus if not code[:5].isdigit()}
    assert all(code.startswith(goods) for code in letters), "what else is no number is a service"
    assert len(write_offs) == 1_336
    assert sum(sum(event.quantities) for event in returns) > 277_574 * 0.9
    assert max(len(order.skus) for order in orders) > 1_100
    assert max(max(order.quantities) for order in orders) == 80_995
    assert plan.quirks["lines without a customer, kept"] == 135_080
    assert plan.quirks["invoices that span more than one minute, taken at their first"] == 43
    assert plan.quirks["SKUs that differ from another only by case, kept apart"] == 222
    times = [event.time_s for event in plan.events]
    assert times == sorted(times)
    assert len({order.client_ip for order in orders}) > 1_000
