"""Events that do not fit: each is told with its sequence and a reason, and nothing has changed.

Owns one case for each reason, and a fuzzer that bends the events of random histories: whatever the
bytes, the engine keeps every law and the process lives.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp.journal import _native
from atp.journal.errors import EventRefused
from atp.v1 import event_pb2 as pb
from atp.v1.cap_service_pb2 import CAP_MODE_ENFORCE, CAP_SUBJECT_CUSTOMER
from atp.v1.cap_service_pb2 import Cap as CapMessage
from atp.vocabulary import Cap, CapSubject
from conftest import native_engine
from histories import LIFE_NS, History
from pair import attempt, key_teller
from records import Events, replay, replayed

NOW_NS = 1_700_000_000_000_000_000
AT_NOW: dict[str, Any] = {"now_ns": NOW_NS}
STRANGER = b"k" * 16


@pytest.fixture
def hold() -> tuple[Any, bytes]:
    """An engine with ten apples, three of them held under a cap with a window; and the hold."""
    engine = native_engine(record_events=True)
    engine.set_stock("apple", 10, **AT_NOW)
    engine.set_cap(Cap("c", CapSubject.CUSTOMER, 9, window_ns=2_560), **AT_NOW)
    reply = engine.reserve("r", [("apple", 3)], **AT_NOW, ttl_ns=50, customer_id="ann")
    return engine, bytes.fromhex(reply.reservation.reservation_id)


def reserved(**fields: Any) -> pb.Event:
    """A reserve of one apple that would fit, but for these fields."""
    usual: dict[str, Any] = {
        "reservation_key": STRANGER,
        "expire_time_ns": NOW_NS + 50,
        "lines": [pb.EventLine(sku="apple", quantity=1)],
        "customer_id": "ann",
        "request_id": "new",
    }
    return pb.Event(time_ns=NOW_NS, reserved=pb.ReservedEvent(**usual | fields))


def lines(*named: tuple[str, int]) -> list[pb.EventLine]:
    return [pb.EventLine(sku=sku, quantity=quantity) for sku, quantity in named]


def stock(on_hand: int, received: int, adjusted: int, sku: str = "apple", **more: Any) -> pb.Event:
    return pb.Event(
        time_ns=NOW_NS,
        stock_changed=pb.StockChangedEvent(
            sku=sku,
            on_hand_quantity=on_hand,
            received_quantity=received,
            adjusted_quantity=adjusted,
            **more,
        ),
    )


def cap(counts_reset: bool, **fields: Any) -> pb.Event:
    usual: dict[str, Any] = {
        "cap_id": "c",
        "subject": CAP_SUBJECT_CUSTOMER,
        "mode": CAP_MODE_ENFORCE,
    }
    return pb.Event(
        time_ns=NOW_NS,
        cap_set=pb.CapSetEvent(cap=CapMessage(**usual | fields), counts_reset=counts_reset),
    )


def committed(key: bytes, *named: tuple[str, int], **more: Any) -> pb.Event:
    change = pb.CommittedEvent(reservation_key=key, lines=lines(*named), **more)
    return pb.Event(time_ns=NOW_NS, committed=change)


HELD = b""
"""Stands for the key of the hold that is there."""

REFUSED: list[tuple[str, pb.Event]] = [
    ("names no reservation", reserved(reservation_key=b"")),
    ("has not 16 bytes", reserved(reservation_key=b"short")),
    ("reserves nothing", reserved(lines=[])),
    ("names a SKU that there is not", reserved(lines=lines(("plum", 1)))),
    ("names a SKU twice", reserved(lines=lines(("apple", 1), ("apple", 2)))),
    ("quantity is out of bounds", reserved(lines=lines(("apple", 0)))),
    ("quantity is out of bounds", reserved(lines=lines(("apple", -1)))),
    ("quantity is out of bounds", reserved(lines=lines(("apple", 10**9 + 1)))),
    ("quantity is out of bounds", reserved(lines=lines(("", 1)))),
    ("quantity is out of bounds", reserved(lines=lines(("a" * 65, 1)))),
    ("more lines than", reserved(lines=lines(*((f"s{n}", 1) for n in range(4097))))),
    ("law 1", reserved(lines=lines(("apple", 8)))),
    ("address", reserved(client_ip=b"12345")),
    ("customer", reserved(customer_id="a" * 65)),
    ("expiry", reserved(expire_time_ns=-5)),
    ("replaces a hold that there is not", reserved(replaced_reservation_key=STRANGER)),
    ("is about a hold that there is not", committed(STRANGER)),
    ("law 3", committed(HELD, ("apple", 4))),
    ("law 3", committed(HELD, ("pear", 1))),
    ("names a SKU twice", committed(HELD, ("apple", 1), ("apple", 1))),
    ("receipt without a key", committed(HELD, receipt=pb.Receipt(fingerprint=1))),
    (
        "is about a hold that there is not",
        pb.Event(time_ns=NOW_NS, expired=pb.ExpiredEvent(reservation_key=STRANGER)),
    ),
    (
        "is about a hold that there is not",
        pb.Event(time_ns=NOW_NS, released=pb.ReleasedEvent()),
    ),
    ("law 1", stock(2, 10, -8)),
    ("law 2", stock(9, 10, 0)),
    ("out of bounds", stock(-1, 0, -1, sku="new")),
    ("out of bounds", stock(2 * 10**12, 2 * 10**12, 0)),
    ("has a SKU that is empty", stock(1, 1, 0, sku="")),
    ("has a SKU that is empty", stock(1, 1, 0, sku="é" * 33)),
    ("says no change", pb.Event(time_ns=NOW_NS)),
    ("time", pb.Event(time_ns=-1, cap_removed=pb.CapRemovedEvent(cap_id="c"))),
    ("no cap has the id", pb.Event(time_ns=NOW_NS, cap_removed=pb.CapRemovedEvent(cap_id="x"))),
    ("counts that it did not have", cap(False)),
    ("counts that it did not have", cap(False, cap_id="new")),
    ("cap.limit_quantity", cap(True, limit_quantity=-1)),
    ("can't be applied", cap(True, subject=99)),
]


@pytest.mark.parametrize(("reason", "event"), REFUSED)
def test_what_does_not_fit_is_told(hold: tuple[Any, bytes], reason: str, event: pb.Event) -> None:
    """With sequence and reason; the engine is as it was."""
    engine, key = hold
    if event.WhichOneof("change") == "committed" and event.committed.reservation_key == HELD:
        event.committed.reservation_key = key
    assert_refused(engine, reason, event.SerializeToString())


def assert_refused(engine: Any, reason: str, event: bytes) -> None:
    sequence = engine.status().sequence + 1
    before = engine.dump(**AT_NOW), engine.digest(**AT_NOW), engine.status(), engine.list_caps()
    with pytest.raises(EventRefused) as refused:
        _native.replay(
            engine, _native.record_of(sequence, event), offset=0, first_sequence=sequence
        )
    assert reason in refused.value.reason
    assert refused.value.sequence == sequence
    assert str(refused.value) == f"change {sequence} {refused.value.reason}"
    now = engine.dump(**AT_NOW), engine.digest(**AT_NOW), engine.status(), engine.list_caps()
    assert now[0] == before[0]
    assert now[1] == before[1]
    assert now[2]._replace(bytes=0) == before[2]._replace(bytes=0)
    assert now[3] == before[3]
    assert engine.check(**AT_NOW).violations == ()


def test_the_ids_of_a_hold_that_lives_are_not_free(hold: tuple[Any, bytes]) -> None:
    """Neither for another hold, nor for a receipt, nor to be replaced by itself."""
    engine, key = hold
    assert_refused(engine, "there already", reserved(reservation_key=key).SerializeToString())
    own = reserved(reservation_key=key, replaced_reservation_key=key)
    assert_refused(engine, "there already", own.SerializeToString())
    receipt = pb.Receipt(request_key=key, fingerprint=1)
    for event in (committed(key, receipt=receipt), stock(11, 10, 1, receipt=receipt)):
        assert_refused(engine, "id of a hold that lives", event.SerializeToString())


def test_time_may_not_go_back_within_the_window_of_a_cap(hold: tuple[Any, bytes]) -> None:
    """A grant before the last step would not be found again; a little earlier in it is."""
    engine, _ = hold
    event = reserved()
    event.time_ns = NOW_NS - 100
    assert_refused(engine, "back in time", event.SerializeToString())


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("is no protobuf message", b"\xff"),
        ("is no protobuf message", reserved().SerializeToString()[:-1]),
        ("is no protobuf message", b"\x0b\x0c"),  # a group
        ("does not know", b"\x0a\x01\x00"),  # the time as bytes
        ("does not know", b"\x52\x00"),  # a change of another kind
        ("does not know", b"\x2a\x02\x78\x01"),  # an expiry with another field
        ("says two changes", b"\x2a\x00\x2a\x00"),
        ("no text", b"\x3a\x0a\x0a\x02\xff\xff\x10\x01\x18\x01\x20\x00"),
        ("no protobuf message", b"\x42\x04\x0a\x02\xff\xff"),
    ],
)
def test_what_is_malformed_is_told(hold: tuple[Any, bytes], reason: str, event: bytes) -> None:
    assert_refused(hold[0], reason, event)


@pytest.mark.parametrize(
    ("text", "is_text"),
    [
        ("aé€😀z" * 3, True),
        (b"\xc0\x80", False),  # longer than needed
        (b"\xe0\x80\x80", False),
        (b"\xf0\x80\x80\x80", False),
        (b"\xed\xa0\x80", False),  # a surrogate
        (b"\xf4\x90\x80\x80", False),  # beyond Unicode
        (b"\xe2\x82", False),
        (b"abcdefgh\x80", False),
    ],
)
def test_text_is_text_as_elsewhere(text: str | bytes, is_text: bool) -> None:
    """The reader and Python agree on what UTF-8 is."""
    sku = text.encode() if isinstance(text, str) else text
    try:
        decoded = bool(sku.decode())
    except UnicodeDecodeError:
        decoded = False
    assert decoded == is_text
    change = b"\x0a" + bytes([len(sku)]) + sku + b"\x10\x01\x18\x01"
    event = b"\x3a" + bytes([len(change)]) + change
    engine = native_engine()
    if is_text:
        replay(engine, [(1, event)])
        assert list(engine.dump(**AT_NOW)["stock"]) == [sku.decode()]
    else:
        with pytest.raises(EventRefused):
            replay(engine, [(1, event)])


@given(seed=st.integers(0, 2**32))
@settings(phases=[Phase.generate])
def test_bent_events_break_no_law(seed: int) -> None:
    """Events with changed, moved, repeated, cut bytes: applied or told, and every law holds."""
    random = Random(seed)
    live = native_engine(longest_life_ns=LIFE_NS, record_events=True)
    history = History(random, key_teller(native_engine))
    for command in history.commands(60):
        history.note(command, attempt(getattr(live, command.name), command.words, command.keywords))
    events = live.take_events()
    engine = replayed(events[: random.randrange(len(events))])
    for _ in range(60):
        sequence = engine.status().sequence + 1
        event = bent(random, events)
        if not event:
            continue
        refused = is_refused(engine, sequence, event)
        assert engine.status().sequence == sequence - refused
    now_ns = engine.status().time_ns
    assert engine.check(now_ns=now_ns).violations == ()
    engine.sweep(now_ns=now_ns + 10**6)
    engine.dump(now_ns=now_ns)
    assert engine.check(now_ns=2**62).violations == ()


def is_refused(engine: Any, sequence: int, event: bytes) -> bool:
    """Apply one event, or be told why not."""
    try:
        replay(engine, [(sequence, event)])
    except EventRefused:
        return True
    return False


def bent(random: Random, events: Events) -> bytes:
    """One of the events, or something like it."""
    event = bytearray(random.choice(events)[1])
    kind = random.randrange(6)
    if kind == 0:
        return bytes(event)
    if kind == 1:
        return shuffled_fields(random, bytes(event), random.choice(events)[1])
    for _ in range(random.choice([1, 1, 2, 5])):
        at = random.randrange(len(event) or 1)
        if kind == 2:
            event[at : at + 1] = bytes([random.randrange(256)])
        elif kind == 3:
            event[at : at + 1] = bytes([event[at] ^ (1 << random.randrange(8))])
        elif kind == 4:
            del event[at : at + random.choice([1, 2, 8])]
        else:
            event[at:at] = event[random.randrange(at + 1) : at]
        if not event:
            break
    return bytes(event)


def shuffled_fields(random: Random, one: bytes, other: bytes) -> bytes:
    """A well-formed event whose numbers, keys and lines are another's or out of bounds."""
    event, donor = pb.Event.FromString(one), pb.Event.FromString(other)
    event.time_ns += random.choice([0, 0, 1, 100, -1, -1_000, 10**12])
    kind, donor_kind = event.WhichOneof("change"), donor.WhichOneof("change")
    change, gift = getattr(event, kind), getattr(donor, donor_kind)
    shared = [name for name in change.DESCRIPTOR.fields_by_name if hasattr(gift, name)]
    for name in random.sample(shared, min(len(shared), random.randrange(4))):
        value = getattr(gift, name)
        if isinstance(value, (int, str, bytes)) and isinstance(getattr(change, name), type(value)):
            setattr(change, name, value)
    if kind in ("reserved", "committed", "released") and change.lines and random.random() < 0.5:
        random.choice(change.lines).quantity += random.choice([-1, 1, 5, 10**9, -(10**12)])
    if kind == "cap_set" and random.random() < 0.5:
        change.counts_reset = not change.counts_reset
    if kind == "stock_changed" and random.random() < 0.5:
        delta = random.choice([-3, 7, 10**12])
        change.on_hand_quantity += delta
        change.adjusted_quantity += delta
    return event.SerializeToString()
