"""The native judge answers as the slow way does: every byte of every answer, over random histories.

Two equal engines, one asked through `_front.judge`, one through protobuf's runtime and the face in
Python; after each history both are in the same state.
"""

from __future__ import annotations

from random import Random

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from atp import _core, _front
from atp.v1 import reservation_pb2 as pb
from atp.vocabulary import Cap, CapSubject
from conftest import native_engine
from front_messages import METHODS, request_of
from front_twins import DEFAULT_TTL_NS, Twins, stocked
from histories import BASE_NS, LIFE_NS, SKUS, History
from pair import key_teller

LINE = pb.Line(sku="a", quantity=1)
UNKNOWN_ID = "0" * 32


@pytest.mark.parametrize("seed", range(8))
def test_a_history_is_answered_byte_for_byte_as_the_slow_way_does(seed: int) -> None:
    random = Random(seed)
    pair = Twins(longest_life_ns=LIFE_NS, remember_ns=500)
    key_of = key_teller(native_engine)
    history = History(random, key_of)
    answers = set()
    for command in history.commands(400):
        pair.now_ns = command.keywords.get("now_ns", pair.now_ns)
        if command.name not in METHODS:
            pair.both(command.name, *command.words, **command.keywords)
            continue
        pair.reference.default_ttl_ns = command.keywords.get("default_ttl_ns", DEFAULT_TTL_NS)
        told = pair.judge(METHODS[command.name], request_of(command).SerializeToString())
        answers.add(told.message[:2])
        if random.random() < 0.2:
            name = key_of(history.some_hold())
            request = pb.GetReservationRequest(reservation_id=name)
            pair.judge("GetReservation", request.SerializeToString())
            asked = pb.GetAvailabilityRequest(skus=random.sample([*SKUS, "x"], 3))
            pair.judge("GetAvailability", asked.SerializeToString())
    pair.assert_equal()
    assert len(answers) >= 6, "too few outcomes to mean much"


RESERVES = [
    pb.ReserveRequest(),
    pb.ReserveRequest(request_id="r"),
    pb.ReserveRequest(lines=[LINE]),
    pb.ReserveRequest(request_id="r" * 64, lines=[LINE]),
    pb.ReserveRequest(request_id="r" * 65, lines=[LINE]),
    pb.ReserveRequest(request_id="ü" * 33, lines=[LINE]),
    pb.ReserveRequest(request_id="r", lines=[LINE, pb.Line(sku="a")]),
    pb.ReserveRequest(request_id="r", lines=[pb.Line(quantity=1)]),
    pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="s" * 65, quantity=0)]),
    pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="a", quantity=-(2**63))]),
    pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="a", quantity=1_000_000_001)]),
    pb.ReserveRequest(request_id="r", lines=[pb.Line(sku="a", quantity=1_000_000_000)] * 2),
    pb.ReserveRequest(request_id="r", lines=[LINE] * 4_096),
    pb.ReserveRequest(request_id="r", lines=[LINE] * 4_097),
    pb.ReserveRequest(request_id="r", lines=[LINE], customer_id="c" * 65, client_ip="x"),
    *(
        pb.ReserveRequest(request_id="r", lines=[LINE], client_ip=address)
        for address in (
            *("localhost", "1.2.3", "1.2.3.4 ", "01.2.3.4", "::ffff:1.2.3.4", "::g", "\n'", "'\""),
            *("1.2.3.4\0", "9" * 400, "é" * 400, "\\\t\r\x7f", "::1%eth0", "1" * 290 + "é" * 20),
            "0:0:0:0:0:ffff:255.255.255.255",
        )
    ),
    pb.ReserveRequest(request_id="r", lines=[LINE], replaces_reservation_id="x"),
    pb.ReserveRequest(request_id="r", lines=[LINE], replaces_reservation_id="A" * 32),
    pb.ReserveRequest(request_id="r", lines=[LINE], replaces_reservation_id="é" * 16),
    pb.ReserveRequest(request_id="r", lines=[LINE], replaces_reservation_id=UNKNOWN_ID),
    *(
        pb.ReserveRequest(request_id="r", lines=[LINE], ttl=Duration(seconds=seconds, nanos=nanos))
        for seconds, nanos in (
            *((0, 0), (-1, 0), (2, -1), (0, 10**9), (0, -(10**9)), (2**40, 0), (2**63 - 1, 5)),
            *((-1, 1), (0, -1), (9_223_372_036, 854_775_807), (9_223_372_036, 854_775_808)),
            (-(2**63), -1),
        )
    ),
    *(
        pb.ReserveRequest(
            request_id="r", lines=[LINE], expire_time=Timestamp(seconds=seconds, nanos=nanos)
        )
        for seconds, nanos in (
            *((0, 0), (0, -1), (0, 10**9), (2**40, 0), (-1, 0), (-1, 5), (-(2**63), 0)),
            *((9_223_372_036, 854_775_807), (9_223_372_036, 854_775_808)),
            *((-9_223_372_037, 145_224_193), (-9_223_372_037, 145_224_192)),
        )
    ),
    # Several faults: the first in order is told.
    pb.ReserveRequest(ttl=Duration(), lines=[LINE] * 4_097),
    pb.ReserveRequest(lines=[LINE] * 4_097, client_ip="x"),
    pb.ReserveRequest(lines=[pb.Line()], client_ip="x"),
    pb.ReserveRequest(
        request_id="r", lines=[LINE], customer_id="c" * 65, replaces_reservation_id="x"
    ),
]
CHANGES = [
    ("Commit", pb.CommitRequest()),
    ("Commit", pb.CommitRequest(reservation_id=UNKNOWN_ID)),
    ("Commit", pb.CommitRequest(reservation_id=UNKNOWN_ID, lines=[LINE])),
    ("Commit", pb.CommitRequest(reservation_id="é" * 32, lines=[LINE] * 4_097)),
    ("Commit", pb.CommitRequest(reservation_id=UNKNOWN_ID, request_id="r" * 65)),
    ("Release", pb.ReleaseRequest(reservation_id=UNKNOWN_ID, lines=[LINE] * 2, request_id="r")),
    ("Release", pb.ReleaseRequest(reservation_id=UNKNOWN_ID, lines=[pb.Line(sku="a")])),
    ("Release", pb.ReleaseRequest(reservation_id=UNKNOWN_ID.upper())),
    ("Extend", pb.ExtendRequest()),
    ("Extend", pb.ExtendRequest(reservation_id=UNKNOWN_ID, ttl=Duration())),
    ("Extend", pb.ExtendRequest(reservation_id=UNKNOWN_ID, expire_time=Timestamp())),
    ("Extend", pb.ExtendRequest(reservation_id="x", expire_time=Timestamp(nanos=-1))),
    ("Extend", pb.ExtendRequest(reservation_id=UNKNOWN_ID, request_id="r" * 65)),
    ("GetReservation", pb.GetReservationRequest()),
    ("GetReservation", pb.GetReservationRequest(reservation_id="X" * 500)),
    ("GetReservation", pb.GetReservationRequest(reservation_id=UNKNOWN_ID)),
    ("GetAvailability", pb.GetAvailabilityRequest()),
    ("GetAvailability", pb.GetAvailabilityRequest(skus=["a", ""])),
    ("GetAvailability", pb.GetAvailabilityRequest(skus=["a", "s" * 65])),
    ("GetAvailability", pb.GetAvailabilityRequest(skus=["a", "näh"] * 2_048)),
    ("GetAvailability", pb.GetAvailabilityRequest(skus=["a"] * 4_097)),
]


@pytest.mark.parametrize(
    ("method", "request_"), [*(("Reserve", request) for request in RESERVES), *CHANGES]
)
def test_what_is_malformed_is_told_in_the_same_words(method: str, request_) -> None:
    pair = stocked()
    for default_ttl_ns in (DEFAULT_TTL_NS, 0):
        pair.reference.default_ttl_ns = default_ttl_ns
        pair.judge(method, request_.SerializeToString())
    pair.assert_equal()


@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_journal_in_the_way_is_an_error_and_not_an_outcome(level: int) -> None:
    pair = stocked()
    held = pb.ReserveRequest(request_id="r", lines=[LINE]).SerializeToString()
    pair.judge("Reserve", held)
    pair.both("set_gate", level)
    name = pb.ReserveResponse.FromString(pair.judge("Reserve", held).message)
    assert name.repeated
    told = pair.judge(
        "Reserve", pb.ReserveRequest(request_id="s", lines=[LINE]).SerializeToString()
    )
    assert told.code == 14
    extend = pb.ExtendRequest(reservation_id=name.reservation.reservation_id)
    assert pair.judge("Extend", extend.SerializeToString()).code in (0, 14)
    commit = pb.CommitRequest(reservation_id=name.reservation.reservation_id)
    assert pair.judge("Commit", commit.SerializeToString()).code == (0 if level == 1 else 14)
    pair.assert_equal()


def test_a_largest_basket_and_its_reservation_are_told_whole() -> None:
    pair = Twins()
    skus = [f"sku {number:03} {'x' * 50}" for number in range(4_096)]
    for sku in skus:
        pair.both("set_stock", sku, 10**12, now_ns=BASE_NS)
    lines = [pb.Line(sku=sku, quantity=10**9) for sku in skus]
    pair.reference.default_ttl_ns = 10**12
    request = pb.ReserveRequest(
        request_id="r" * 64,
        lines=lines,
        client_ip="2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        customer_id="c" * 64,
    )
    told = pair.judge("Reserve", request.SerializeToString())
    reservation = pb.ReserveResponse.FromString(told.message).reservation
    assert len(reservation.lines) == 4_096
    request.request_id = "s"
    request.lines.append(pb.Line(sku="unknown", quantity=1))
    del request.lines[0]
    refused = pb.ReserveResponse.FromString(
        pair.judge("Reserve", request.SerializeToString()).message
    )
    assert len(refused.line_results) == 4_096
    change = pb.CommitRequest(
        reservation_id=reservation.reservation_id, lines=lines[1:], request_id="t"
    )
    pair.judge("Commit", change.SerializeToString())
    read = pb.GetReservationRequest(reservation_id=reservation.reservation_id)
    pair.judge("GetReservation", read.SerializeToString())
    pair.judge("GetAvailability", pb.GetAvailabilityRequest(skus=skus).SerializeToString())
    pair.assert_equal()


def test_more_caps_than_are_told_are_told_as_far_as_they_are() -> None:
    pair = stocked()
    for number in range(20):
        cap = Cap(cap_id=f"{number:02}" + "i" * 62, subject=CapSubject.CUSTOMER, limit=0)
        pair.both("set_cap", cap, now_ns=BASE_NS)
    subnet = Cap(
        cap_id="net",
        subject=CapSubject.SUBNET,
        limit=0,
        per_sku=True,
        ipv4_prefix_length=24,
        ipv6_prefix_length=64,
    )
    pair.both("set_cap", subnet, now_ns=BASE_NS)
    for address in ("10.1.2.3", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", ""):
        for customer in ("c" * 64, ""):
            request = pb.ReserveRequest(
                request_id="r", lines=[LINE], customer_id=customer, client_ip=address
            )
            pair.judge("Reserve", request.SerializeToString())


def test_an_unknown_method_is_no_call() -> None:
    with pytest.raises(KeyError):
        _front.judge(_core.Engine(), "Sell", b"", now_ns=1, default_ttl_ns=1)
