"""Faults to plant in a recorded sale, each with what the audit must find in it.

Owns the cases; test_audit_mutations.py runs them. What must be found is the exact set of names.
"""

from __future__ import annotations

from collections.abc import Callable

import xxhash

from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import event_pb2
from atp.v1 import reservation_pb2 as pb
from atp.v1 import reservation_service_pb2 as service_pb
from atp.v1 import stock_service_pb2 as stock_pb
from audit_recorded import Recorded

Plant = Callable[[Recorded], None]
Grant = pb.ReserveResponse
SALES: dict[str, tuple[Plant, set[str]]] = {}


def case(*names: str) -> Callable[[Plant], Plant]:
    """What the audit must find in a sale with this planted in it."""

    def decorate(plant: Plant) -> Plant:
        SALES[plant.__name__] = (plant, set(names))
        return plant

    return decorate


# Nothing wrong.


@case()
def nothing(sale: Recorded) -> None:
    pass


@case()
def answers_that_never_came(sale: Recorded) -> None:
    for name in ("r1", "commit r1", "release part", "extend", "cap", "adjust", "stock DUE", "two"):
        sale.forget_answer(name)


@case()
def a_call_that_was_never_done(sale: Recorded) -> None:
    sale.forget_answer("two")
    sale.events.pop()


@case()
def a_failed_call_that_was_done(sale: Recorded) -> None:
    ended = sale.call("r1").ended
    ended.status, ended.response = 14, b""


@case()
def a_torn_record_at_the_end_of_the_journal(sale: Recorded) -> None:
    sale.torn = b"\x17" * 40


@case()
def a_killed_recorder_that_asked_for_the_last_change(sale: Recorded) -> None:
    gone = [str(entry.WhichOneof("entry")) for entry in sale.files["script"][-4:]]
    assert gone == ["note", "sent", "ended", "finished"]
    del sale.files["script"][-4:]


# The journal alone.


@case("oversold")
def fewer_units_than_were_granted(sale: Recorded) -> None:
    for sku in ("stock TWO",):
        event = sale.event(sku, stock_pb.SetStockResponse).stock_changed
        event.on_hand_quantity = event.received_quantity = 0
        with sale.call(sku).asked(stock_pb.SetStockRequest) as asked:
            asked.on_hand_quantity = 0
        with sale.call(sku).told(stock_pb.SetStockResponse) as told:
            told.stock.on_hand_quantity = told.stock.received_quantity = 0
            told.stock.available_quantity = 0


@case("not_conserved")
def a_unit_from_nowhere(sale: Recorded) -> None:
    sale.event("stock TWO", stock_pb.SetStockResponse).stock_changed.received_quantity = 6
    with sale.call("stock TWO").told(stock_pb.SetStockResponse) as told:
        told.stock.received_quantity = 6


@case("units_end_twice", "never_asked")
def a_hold_sold_twice(sale: Recorded) -> None:
    sale.add(sale.event("commit r1", pb.CommitResponse))


@case("unknown_hold", "never_asked")
def a_hold_sold_that_never_was(sale: Recorded) -> None:
    event = event_pb2.Event()
    event.committed.reservation_key = b"k" * 16
    sale.add(event)


@case("two_holds", "never_asked")
def a_second_hold_of_a_request_id(sale: Recorded) -> None:
    sale.add(sale.event("one"))


@case("done_twice", "never_asked")
def a_release_done_twice(sale: Recorded) -> None:
    sale.add(sale.event("release part", pb.ReleaseResponse))


@case("cap_exceeded")
def a_cap_off_by_one(sale: Recorded) -> None:
    """Both sides agree on a limit of 1, and that the refusal told it; ann was granted 2."""
    sale.event("cap", cap_pb.SetCapResponse).cap_set.cap.limit_quantity = 1
    with sale.call("cap").asked(cap_pb.SetCapRequest) as asked:
        asked.cap.limit_quantity = 1
    with sale.call("cap").told(cap_pb.SetCapResponse) as told:
        told.cap.limit_quantity = 1
    with sale.call("capped").told(Grant) as told:
        told.cap_refusals[0].limit_quantity = 1
    sale.event("r2").reserved.customer_id = ""
    with sale.call("r2").asked(pb.ReserveRequest) as asked:
        asked.customer_id = ""
    for name, kind in (
        ("r2", pb.ReserveResponse),
        ("release part", pb.ReleaseResponse),
        ("extend", pb.ExtendResponse),
        ("show", pb.GetReservationResponse),
    ):
        with sale.call(name).told(kind) as told:
            told.reservation.customer_id = ""


@case("late_change")
def a_commit_after_the_hold_had_expired(sale: Recorded) -> None:
    event = sale.event("commit r1", pb.CommitResponse)
    event.time_ns = sale.event("r1").reserved.expire_time_ns
    for name in ("commit r1",):
        with sale.call(name).told(pb.CommitResponse) as told:
            told.reservation.end_time.FromNanoseconds(event.time_ns)


def expiry(sale: Recorded) -> int:
    """The index of the expiry of the script's short hold."""
    key = sale.event("due").reserved.reservation_key
    return next(i for i, each in enumerate(sale.events) if each.expired.reservation_key == key)


@case("early_expiry")
def a_hold_that_ends_early(sale: Recorded) -> None:
    sale.events[expiry(sale)].time_ns = sale.event("due").reserved.expire_time_ns - 1


@case("late_expiry", "oversold")
def a_hold_that_ends_late(sale: Recorded) -> None:
    """Its unit was given to another before it was given back; and the answers agree with that."""
    at, grant = expiry(sale), sale.sequence("after due", Grant) - 1
    assert grant == at + 1
    sale.events[at], sale.events[grant] = sale.events[grant], sale.events[at]
    with sale.call("after due").told(Grant) as told:
        told.sequence = told.reservation.sequence = at + 1
    entries = sale.files["script"]
    waits = {entry.sent.number for entry in entries if entry.sent.method == 5}
    show = sale.call("show").sent.number
    gone = {number for number in waits if number != show}
    sale.files["script"] = [
        entry
        for entry in entries
        if entry.sent.number not in gone and entry.ended.number not in gone
    ]


@case("bad_grant", "never_asked")
def a_grant_whose_key_is_not_that_of_its_id(sale: Recorded) -> None:
    sale.add(sale.event("one"))
    sale.events[-1].reserved.reservation_key = b"k" * 16


# History against journal.


@case("lost_change")
def an_acknowledged_change_is_gone(sale: Recorded) -> None:
    sale.events.pop()


@case("other_change")
def other_units_than_were_acknowledged(sale: Recorded) -> None:
    sale.event("two").reserved.lines[0].quantity = 2


@case("other_change")
def another_expire_time_than_was_told(sale: Recorded) -> None:
    with sale.call("two").told(Grant) as told:
        told.reservation.expire_time.nanos ^= 1


@case("other_change")
def another_customer_than_was_asked_for(sale: Recorded) -> None:
    sale.event("two").reserved.customer_id = "eve"


@case("other_change")
def another_cap_than_was_asked_for(sale: Recorded) -> None:
    with sale.call("cap").asked(cap_pb.SetCapRequest) as asked:
        asked.cap.per_sku = True


@case("other_change")
def an_adjustment_by_other_units(sale: Recorded) -> None:
    with sale.call("adjust").asked(stock_pb.AdjustStockRequest) as asked:
        asked.delta_quantity = 4


@case("never_asked")
def a_change_that_nobody_asked_for(sale: Recorded) -> None:
    sale.add(sale.event("one"))
    event = sale.events[-1].reserved
    event.request_id = "order-1"
    event.reservation_key = bytes.fromhex("5a8a409613f90ad0af63a0f835ca6746")


@case("refused_yet_done")
def a_refused_command_was_done(sale: Recorded) -> None:
    """What ann was refused for her cap is in the journal, once that cap is gone."""
    sale.add(sale.event("one"))
    event = sale.events[-1]
    call = sale.call("capped")
    asked = pb.ReserveRequest.FromString(call.sent.request)
    event.reserved.lines[0].sku = "TEA"
    event.reserved.lines[0].quantity = 3
    event.reserved.request_id = asked.request_id
    event.reserved.reservation_key = key_of(asked.request_id)
    event.reserved.customer_id = "ann"
    event.reserved.expire_time_ns = event.time_ns + 600 * 10**9
    tea = sale.event("partly").reserved
    tea.lines[0].quantity -= 3
    with sale.call("partly").told(Grant) as told:
        told.reservation.lines[0].quantity -= 3
        told.reservation.lines[0].held_quantity -= 3
        told.line_results[0].granted_quantity -= 3


def key_of(request_id: str) -> bytes:
    return bytes(xxhash.xxh3_128_digest(request_id.encode()))


@case("one_change_two_answers")
def two_answers_for_one_change(sale: Recorded) -> None:
    sale.again("two")


@case("wrong_repeat")
def a_repeat_that_tells_another_hold(sale: Recorded) -> None:
    with sale.call("r1 again").told(Grant) as told:
        told.sequence += 1


@case("wrong_repeat")
def a_repeat_that_tells_other_units(sale: Recorded) -> None:
    with sale.call("r1 again").told(Grant) as told:
        told.reservation.lines[0].held_quantity -= 1


# Order and truth.


@case("order_broken")
def two_grants_in_the_wrong_order(sale: Recorded) -> None:
    first, second = sale.sequence("one", Grant), sale.sequence("two", Grant)
    events = sale.events
    events[first - 1], events[second - 1] = events[second - 1], events[first - 1]
    for name, sequence in (("one", second), ("two", first)):
        with sale.call(name).told(Grant) as told:
            told.sequence = told.reservation.sequence = sequence


@case("order_broken")
def a_batch_in_the_wrong_order(sale: Recorded) -> None:
    with sale.call("batch").told(service_pb.ExecuteResponse) as told:
        first, second = (told.results[i].reserve.sequence for i in (0, 1))
        for index, sequence in ((0, second), (1, first)):
            told.results[index].reserve.sequence = sequence
            told.results[index].reserve.reservation.sequence = sequence
    events = sale.events
    events[first - 1], events[second - 1] = events[second - 1], events[first - 1]


@case("untrue_refusal", "overtaken")
def a_refusal_that_tells_other_units(sale: Recorded) -> None:
    with sale.call("batch").told(service_pb.ExecuteResponse) as told:
        told.results[2].reserve.line_results[0].available_quantity -= 1


@case("untrue_refusal")
def a_refusal_of_units_that_were_there(sale: Recorded) -> None:
    with sale.call("late").told(pb.CommitResponse) as told:
        told.outcome = pb.CHANGE_OUTCOME_ALREADY_EXPIRED


@case("untrue_refusal", "overtaken")
def a_refusal_that_let_a_later_asker_pass(sale: Recorded) -> None:
    with sale.call("short").told(Grant) as told:
        told.line_results[0].available_quantity = 0


@case("untrue_refusal")
def a_cap_said_to_have_more_in_force(sale: Recorded) -> None:
    with sale.call("capped").told(Grant) as told:
        told.cap_refusals[0].in_force_quantity += 1


@case("untrue_refusal")
def a_cap_said_to_be_lower(sale: Recorded) -> None:
    with sale.call("capped").told(Grant) as told:
        told.cap_refusals[0].limit_quantity -= 1


@case("untrue_read")
def a_read_of_other_units(sale: Recorded) -> None:
    with sale.call("look").told(pb.GetAvailabilityResponse) as told:
        told.availabilities[0].available_quantity += 1


@case("untrue_read")
def a_read_of_what_was_before(sale: Recorded) -> None:
    """True once, but not any more when it was asked: the change had been answered by then."""
    with sale.call("r2").told(Grant) as told:
        before = pb.Reservation.FromString(told.reservation.SerializeToString())
    with sale.call("show").told(pb.GetReservationResponse) as told:
        told.reservation.CopyFrom(before)


def look_at_two(sale: Recorded, sequence: int, held: int, first_expire_ns: int) -> None:
    """A read of the SKU TWO after everything else, with five units on hand."""
    call = sale.again("look")
    with call.asked(pb.GetAvailabilityRequest) as asked:
        asked.skus[:] = ["TWO"]
    with call.told(pb.GetAvailabilityResponse) as told:
        del told.availabilities[:]
        one = told.availabilities.add(sku="TWO", known=True, on_hand_quantity=5, sequence=sequence)
        one.held_quantity, one.available_quantity = held, 5 - held
        if first_expire_ns:
            one.first_expire_time.FromNanoseconds(first_expire_ns)


def looks_around_an_unanswered_grant(sale: Recorded, *, backwards: bool) -> None:
    event, sequence = sale.event("two"), sale.sequence("two", Grant)
    before = (sale.sequence("stock TWO", stock_pb.SetStockResponse), 0, 0)
    after = (sequence, 1, event.reserved.expire_time_ns)
    sale.forget_answer("two")
    for look in (after, before) if backwards else (before, after):
        look_at_two(sale, *look)


@case()
def reads_before_and_after_an_unanswered_grant(sale: Recorded) -> None:
    looks_around_an_unanswered_grant(sale, backwards=False)


@case("untrue_read")
def a_read_that_goes_back(sale: Recorded) -> None:
    """Each of the two would be right alone."""
    looks_around_an_unanswered_grant(sale, backwards=True)
