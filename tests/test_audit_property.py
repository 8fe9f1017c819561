"""The native auditor against a plain one, on small random histories, sound or not.

A sound history must be found sound by both. One with something changed in it, whatever that is,
must be found sound by both or by neither, and if by neither they must agree on a name.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atp.audit import audit
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from audit_recorded import Recorded
from audit_reference import KINDS, Reference
from audit_small_shop import CAP_LIMIT, STEP_NS, Shop, key_of

TRUTH = {"untrue_refusal", "untrue_read", "wrong_repeat", "overtaken"}
SKUS = ("a", "b", "none")
Step = tuple[str, int, int, int, int, bool]

steps = st.lists(
    st.tuples(
        st.sampled_from(("reserve", "reserve", "commit", "release", "look", "show", "stock")),
        st.integers(0, 5),  # which id, SKU, number of units
        st.integers(0, 11),
        st.integers(0, 3),  # steps that it was sent before it was done
        st.integers(0, 3),  # steps that its answer came after
        st.sampled_from((True, True, True, True, False)),
    ),
    min_size=3,
    max_size=14,
)


def request_of(kind: str, which: int, other: int) -> Any:
    """A request of that kind; the numbers say which ids, SKUs and units it names."""
    key = key_of(f"r{which}").hex()
    if kind == "reserve":
        request = pb.ReserveRequest(request_id=f"r{which}", customer_id=("", "ann")[other % 2])
        request.lines.add(sku=SKUS[which % 2], quantity=1 + other % 3)
        if other == 11:
            request.lines.add(sku="none", quantity=1)
        request.ttl.FromNanoseconds((3 + 40 * (other % 4)) * STEP_NS)
        return request
    if kind == "stock":
        return stock_pb.SetStockRequest(sku=SKUS[which % 2], on_hand_quantity=other % 6)
    if kind == "look":
        return pb.GetAvailabilityRequest(skus=[SKUS[which % 3]])
    words = {"commit": pb.CommitRequest, "release": pb.ReleaseRequest}
    return words.get(kind, pb.GetReservationRequest)(reservation_id=key)


def shopped(plan: list[Step]) -> Recorded:
    shop = Shop()
    cap = cap_pb.Cap(cap_id="c", subject=cap_pb.CAP_SUBJECT_CUSTOMER, limit_quantity=CAP_LIMIT)
    cap.mode = cap_pb.CAP_MODE_ENFORCE
    shop.do("cap", cap_pb.SetCapRequest(cap=cap), 0, 0, answered=True)
    for sku in ("a", "b"):
        request = stock_pb.SetStockRequest(sku=sku, on_hand_quantity=4)
        shop.do("stock", request, 0, 0, answered=True)
    for kind, which, other, before, after, answered in plan:
        shop.do(kind, request_of(kind, which, other), before, after, answered=answered)
    return shop.recorded()


def verdicts(recorded: Recorded) -> tuple[set[str], set[str]]:
    """(the native auditor's names, the plain one's)."""
    folder = Path(tempfile.mkdtemp(prefix="atp-audit-"))
    try:
        native = set(audit(*recorded.write(folder)).counts)
    finally:
        shutil.rmtree(folder)
    return native, Reference(recorded).judge()


@given(steps)
def test_a_sound_history_is_sound_to_both(plan: list[Step]) -> None:
    assert verdicts(shopped(plan)) == (set(), set())


@given(steps, st.integers(0, 2**32))
def test_both_agree_on_what_was_changed(plan: list[Step], seed: int) -> None:
    recorded = shopped(plan)
    change_something(recorded, Random(seed))
    native, plain = verdicts(recorded)
    assert bool(native) == bool(plain), (native, plain)
    if native:
        agreed = native & plain or (native & TRUTH and "untrue" in plain)
        assert agreed, (native, plain)


def change_something(recorded: Recorded, draw: Random) -> None:
    """One change anywhere: an event, a request, an answer, or a time."""
    entries = recorded.files["shop"]
    kind = draw.randrange(6)
    events = recorded.events
    if kind == 0:
        events.pop()
    elif kind == 1 and len(events) > 4:
        at = draw.randrange(3, len(events) - 1)
        events[at], events[at + 1] = events[at + 1], events[at]
    elif kind == 2:
        change_event(draw.choice(events), draw)
    elif kind == 3:
        entry = draw.choice([entry for entry in entries if entry.ended.response])
        change_answer(recorded, entry.ended, draw)
    elif kind == 4:
        entry = draw.choice([entry for entry in entries if entry.sent.number])
        entry.sent.time_ns -= draw.randrange(4 * STEP_NS)
    else:
        recorded.add(draw.choice(events))


def change_event(event: Any, draw: Random) -> None:
    kind = event.WhichOneof("change")
    if kind == "reserved":
        draw.choice(event.reserved.lines).quantity += draw.choice((1, 2))
    elif kind == "stock_changed":
        event.stock_changed.on_hand_quantity += 1
    elif kind == "expired":
        event.time_ns -= STEP_NS
    elif kind in ("committed", "released"):
        getattr(event, kind).reservation_key = key_of(f"r{draw.randrange(6)}")


def change_answer(recorded: Recorded, ended: Any, draw: Random) -> None:
    """One number of one answer."""
    sent = next(e.sent for e in recorded.files["shop"] if e.sent.number == ended.number)
    response = KINDS[sent.method][2].FromString(ended.response)
    numbers = []
    for path in (
        response,
        *getattr(response, "availabilities", ()),
        *getattr(response, "line_results", ()),
        *getattr(response, "cap_refusals", ()),
    ):
        numbers += [
            (path, name)
            for name in (
                "sequence",
                "available_quantity",
                "held_quantity",
                "in_force_quantity",
                "limit_quantity",
            )
            if name in path.DESCRIPTOR.fields_by_name
        ]
    if hasattr(response, "reservation") and response.reservation.reservation_id:
        numbers.append((response.reservation, "sequence"))
    if numbers:
        message, name = draw.choice(numbers)
        setattr(message, name, getattr(message, name) + 1)
    ended.response = response.SerializeToString()
