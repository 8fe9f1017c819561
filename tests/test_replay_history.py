"""The history an audit rests on: sequence before arrival, expiry in its place, caps recounted."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from atp.replay.cap_audit import audit_caps
from atp.replay.events import Fate, Order
from atp.replay.findings import Findings, Law
from atp.replay.history import history_of
from atp.replay.ledger import Change, ChangeKind, Hold
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject

GRANT, SELL, RELEASE = ChangeKind.GRANT, ChangeKind.SELL, ChangeKind.RELEASE
EXPIRE, ADJUST = ChangeKind.EXPIRE, ChangeKind.ADJUST
OPENING = [10, 0]
SKUS = ["mug", "tea"]

Step = tuple[int, int, ChangeKind, int]
"""Sequence, time, kind, units of SKU 0."""


def changes_of(*steps: Step) -> list[Change]:
    """Changes of one SKU."""
    return [
        Change(sequence, time_ns, kind, (0,), (units,), 0, None)
        for sequence, time_ns, kind, units in steps
    ]


OVERSOLD: dict[str, tuple[Sequence[Step], int]] = {
    "nothing happened": ([], 0),
    "all of it": ([(1, 1, GRANT, 10), (2, 2, SELL, 10)], 0),
    "one too many": ([(1, 1, GRANT, 11)], 1),
    "two at once, one given back later": (
        [(1, 1, GRANT, 6), (2, 2, GRANT, 6), (3, 3, RELEASE, 6)],
        2,
    ),
    "given back before, heard of later": (
        [(3, 3, GRANT, 6), (1, 1, GRANT, 6), (2, 2, RELEASE, 6)],
        0,
    ),
    "sold twice": ([(1, 1, GRANT, 10), (2, 2, SELL, 10), (3, 3, GRANT, 4), (4, 4, SELL, 4)], 4),
    "expired just then": ([(1, 1, GRANT, 10), (0, 5, EXPIRE, 10), (2, 5, GRANT, 10)], 0),
    "granted just before the expiry": (
        [(1, 1, GRANT, 10), (0, 5, EXPIRE, 10), (2, 4, GRANT, 10)],
        10,
    ),
    "never expired in the time told": ([(1, 1, GRANT, 10), (2, 2, GRANT, 3)], 3),
    "written off while held": ([(1, 1, GRANT, 8), (2, 0, ADJUST, -3), (3, 3, SELL, 8)], 1),
    "written off after an expiry that no answer tells": (
        [(1, 1, GRANT, 10), (0, 5, EXPIRE, 10), (2, 0, ADJUST, -10), (3, 6, GRANT, 0)],
        0,
    ),
    "returned in time": (
        [(1, 1, GRANT, 10), (2, 2, SELL, 10), (3, 0, ADJUST, 4), (4, 3, GRANT, 4)],
        0,
    ),
    "returned too late": (
        [(1, 1, GRANT, 10), (2, 2, SELL, 10), (4, 0, ADJUST, 4), (3, 3, GRANT, 4)],
        4,
    ),
}


@pytest.mark.parametrize("name", OVERSOLD)
def test_the_worst_moment(name: str) -> None:
    steps, units = OVERSOLD[name]
    oversold = history_of(changes_of(*steps), OPENING).oversold()
    assert oversold == ({0: units} if units else {})


def test_skus_do_not_mix() -> None:
    """Ten of one SKU are not there for another."""
    both = Change(1, 1, GRANT, (1, 0), (2, 10), 0, None)
    history = history_of([both], OPENING)
    assert history.oversold() == {1: 2}
    assert history.sku.tolist() == [0, 1]
    assert history.held.tolist() == [10, 2]
    assert history.on_hand.tolist() == [10, 0]


def test_sold_out_is_the_first_moment_without_stock() -> None:
    changes = [
        *changes_of((1, 1, GRANT, 10), (2, 7, SELL, 10), (3, 0, ADJUST, 5), (4, 9, GRANT, 5)),
        Change(5, 9, SELL, (0,), (5,), 0, None),
        Change(6, 9, GRANT, (1,), (0,), 0, None),
    ]
    history = history_of(changes, OPENING)
    rows = history.sold_out(OPENING)
    assert [(int(history.sku[row]), int(history.time_ns[row])) for row in rows] == [(0, 7)]


def hold(number: int, units: tuple[int, ...] = (1,), **who: str) -> Hold:
    """A hold of SKUs 0, 1, ... granted at its number's time."""
    order = Order(
        str(number),
        0,
        who.get("customer", ""),
        who.get("ip", ""),
        Fate.BUY,
        tuple(range(len(units))),
        units,
    )
    key = f"{number:032x}"
    return Hold(order, key, number, number, number + 100, order.skus, units)


def capped(cap: Cap, *steps: tuple[ChangeKind, Hold]) -> list[str]:
    """What a recount of a cap finds, as invoice and SKU."""
    findings = Findings()
    changes = [
        Change(place + 1, place + 1, kind, held.skus, held.quantities, 0, held)
        for place, (kind, held) in enumerate(steps)
    ]
    audit_caps([cap], changes, SKUS, findings)
    assert all(finding.law is Law.CAPS for finding in findings.kept)
    return [f"{finding.text.split()[1]} {finding.sku}".strip() for finding in findings.kept]


CUSTOMER = Cap("c", CapSubject.CUSTOMER, limit=3)


def test_a_cap_counts_what_is_held_and_sold() -> None:
    ann = [hold(number, customer="ann") for number in range(1, 6)]
    grants = [(GRANT, held) for held in ann]
    assert capped(CUSTOMER, *grants[:3]) == []
    assert capped(CUSTOMER, *grants[:4]) == ["4"]
    assert capped(CUSTOMER, *grants[:3], (SELL, ann[0]), grants[3]) == ["4"]
    assert capped(CUSTOMER, *grants[:3], (RELEASE, ann[0]), grants[3]) == []
    assert capped(CUSTOMER, *grants[:3], (EXPIRE, ann[0]), grants[3]) == []
    assert capped(CUSTOMER._replace(mode=CapMode.SHADOW), *grants) == []
    assert capped(CUSTOMER._replace(limit=None), *grants) == []
    assert capped(CUSTOMER._replace(limit=0), grants[0]) == ["1"]


def test_a_cap_tells_subjects_and_skus_apart() -> None:
    two = (2, 2)
    ann, bob, nobody = hold(1, two, customer="ann"), hold(2, two, customer="bob"), hold(3, two)
    assert capped(CUSTOMER, (GRANT, ann)) == ["1"]
    assert capped(CUSTOMER._replace(per_sku=True), (GRANT, ann), (GRANT, bob)) == []
    assert capped(CUSTOMER._replace(skus=("tea",)), (GRANT, ann), (GRANT, bob)) == []
    assert capped(CUSTOMER, (GRANT, nobody)) == []
    again = hold(4, two, customer="ann")
    per_sku = CUSTOMER._replace(per_sku=True)
    assert capped(per_sku, (GRANT, ann), (GRANT, again)) == ["4 mug", "4 tea"]
    everyone = Cap("e", CapSubject.EVERYONE, limit=7)
    assert capped(everyone, (GRANT, ann), (GRANT, nobody)) == ["3"]
    basket = Cap("b", CapSubject.RESERVATION, limit=4)
    assert capped(basket, (GRANT, ann), (GRANT, bob)) == []
    assert capped(basket._replace(limit=3), (GRANT, bob)) == ["2"]


def test_a_cap_on_addresses_and_its_overrides() -> None:
    mapped, plain = hold(1, ip="::ffff:10.0.0.1"), hold(2, ip="10.0.0.1")
    near, far = hold(3, ip="10.0.0.9"), hold(4, ip="10.0.1.1")
    address = Cap("a", CapSubject.IP, limit=1)
    assert capped(address, (GRANT, mapped), (GRANT, near)) == []
    assert capped(address, (GRANT, mapped), (GRANT, plain)) == ["2"]
    subnet = Cap("s", CapSubject.SUBNET, 1, ipv4_prefix_length=24, ipv6_prefix_length=56)
    assert capped(subnet, (GRANT, plain), (GRANT, far)) == []
    assert capped(subnet, (GRANT, plain), (GRANT, near)) == ["3"]
    wide, narrow = CapOverride("10.0.0.0/16", None), CapOverride("10.0.0.0/24", 0)
    assert capped(subnet._replace(overrides=(wide,)), (GRANT, plain), (GRANT, near)) == []
    assert capped(subnet._replace(overrides=(wide, narrow)), (GRANT, plain)) == ["2"]
    assert capped(address._replace(overrides=(narrow,)), (GRANT, near), (GRANT, far)) == ["3"]
    override = CapOverride("ann", 1)
    ann = [hold(number, customer="ann") for number in (1, 2)]
    grants = [(GRANT, held) for held in ann]
    assert capped(CUSTOMER._replace(overrides=(override,)), *grants) == ["2"]


def test_a_window_passes_over_what_it_counted() -> None:
    window = CUSTOMER._replace(limit=1, window_ns=10)
    one, two, three = (hold(number, customer="ann") for number in (100, 109, 110))
    assert capped(window, (GRANT, one), (GRANT, two)) == ["109"]
    assert capped(window, (GRANT, one), (GRANT, three)) == []
    assert capped(window, (GRANT, one), (RELEASE, one), (GRANT, two)) == []
    late = (GRANT, one), (GRANT, three), (RELEASE, one), (GRANT, hold(111, customer="ann"))
    assert capped(window, *late) == ["111"], "what the window has left is not given back again"
