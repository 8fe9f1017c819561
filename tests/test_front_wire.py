"""Odd protobuf, as no well-behaved writer sends it: the native reader takes and refuses just what
protobuf's own runtime does, and understands the same.

Every message goes to the native judge and to the runtime with the slow way behind it, on two equal
engines; whole answers are compared.
"""

from __future__ import annotations

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from atp.v1 import reservation_pb2 as pb
from front_messages import groups, head, nested, varint
from front_twins import Twins, stocked
from histories import BASE_NS

UNKNOWN_ID = b"0" * 32
HOLD = pb.ReserveRequest(request_id="h", lines=[pb.Line(sku="a", quantity=2)])

# What may stand where a field is expected, with a number that a message knows or does not.
TEXTS = st.one_of(
    st.sampled_from([b"a", b"b", b"r", b"h", b"", b"10.0.0.1", b"::1", UNKNOWN_ID, b"\xff"]),
    st.text(max_size=12).map(str.encode),
    st.binary(max_size=6),
    st.sampled_from(
        [b"\xc0\x80", b"\xe0\x80\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x8f\xbf\xbf"]
    ),
    st.sampled_from(
        [b"\xf4\x8f\xbf\xbf", b"\xed\x9f\xbf", b"x" * 20 + b"\x80", b"\xc3", b"\xe2\x82"]
    ),
)
NUMBERS = st.one_of(
    st.sampled_from([0, 1, 2, 50, 10**9, 10**9 + 1, -1, 2**31, 2**32 + 1, 2**63 - 1, -(2**63)]),
    st.integers(-(2**63), 2**64 - 1),
)
VARINTS = st.builds(varint, NUMBERS, st.sampled_from([0, 0, 0, 1, 2, 9, 12]))
LONG_VARINTS = st.sampled_from(
    [b"\xff" * 9 + b"\x01", b"\xff" * 9 + b"\x7f", b"\xff" * 10 + b"\x01", b"\x80" * 9 + b"\x00"]
)
FIELD_NUMBERS = st.one_of(
    st.integers(1, 9), st.sampled_from([15, 16, 18_999, 19_000, 19_999, 20_000, 2**29 - 1])
)


@st.composite
def fields(draw: st.DrawFn, known: list[st.SearchStrategy[bytes]]) -> bytes:
    """A few fields, one after another: known ones mostly."""
    odd = st.one_of(
        st.builds(lambda number, value: head(number, 0) + value, FIELD_NUMBERS, VARINTS),
        st.builds(lambda number, value: head(number, 0) + value, FIELD_NUMBERS, LONG_VARINTS),
        st.builds(lambda number: head(number, 1) + b"8 bytes.", FIELD_NUMBERS),
        st.builds(lambda number: head(number, 5) + b"four", FIELD_NUMBERS),
        st.builds(nested, FIELD_NUMBERS, TEXTS),
        st.builds(groups, FIELD_NUMBERS, st.sampled_from([1, 2, 97, 98, 99, 100, 101])),
        st.builds(head, FIELD_NUMBERS, st.integers(0, 7)),
        st.builds(lambda number, content: groups(number, 1, content), FIELD_NUMBERS, TEXTS),
        # Heads of more bytes than they need, and of more than there may be.
        st.builds(
            lambda number, padding, value: varint(number << 3 | 2, padding) + value,
            FIELD_NUMBERS,
            st.integers(0, 5),
            st.sampled_from([b"\0", b"\1a"]),
        ),
        # Lengths of more bytes than they need, or of more than follows.
        st.builds(
            lambda number, size, padding: head(number, 2) + varint(size, padding) + b"abc",
            st.integers(1, 8),
            st.sampled_from([0, 1, 3, 4, 2**31 - 1, 2**31, 2**32 + 1, 2**63]),
            st.integers(0, 6),
        ),
        st.just(b"\0"),
        st.just(b"\0\0"),
    )
    parts = draw(st.lists(st.one_of(*known, *known, *known, *known, odd), max_size=4))
    return b"".join(parts)


def texts(number: int) -> st.SearchStrategy[bytes]:
    """A field of text."""
    return st.builds(nested, st.just(number), TEXTS)


def numbers(number: int) -> st.SearchStrategy[bytes]:
    """A field of a number."""
    return st.builds(lambda value: head(number, 0) + value, VARINTS)


def messages(number: int, content: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    """A field of a message."""
    return st.builds(nested, st.just(number), content)


LINES = fields([texts(1), numbers(2), st.just(b"\x0a\x01a"), st.just(b"\x10\x02")])
SPANS = fields([numbers(1), numbers(2), st.just(b"\x08\x05"), st.just(b"\x10\x05")])
GOOD = HOLD.SerializeToString()
RESERVE = fields(
    [
        *(st.just(part) for part in (GOOD, GOOD, nested(1, b"r"), nested(2, b"\x0a\x01b\x10\x01"))),
        *(texts(number) for number in (1, 3, 4, 8)),
        *(messages(2, LINES), messages(5, SPANS), messages(6, SPANS), numbers(7)),
        *(st.just(nested(5, b"\x08\x05")), st.just(nested(6, b"\x10\x05"))),
    ]
)
CHANGE = fields(
    [st.just(nested(1, UNKNOWN_ID)), texts(1), messages(2, LINES), texts(3), st.just(b"\x1a\x01c")]
)
EXTEND = fields(
    [st.just(nested(1, UNKNOWN_ID)), texts(1), messages(2, SPANS), messages(3, SPANS), texts(4)]
)
COMMAND = fields(
    [messages(1, RESERVE), messages(2, CHANGE), messages(3, CHANGE), messages(4, EXTEND)]
)
BATCH = fields([messages(1, COMMAND), messages(1, COMMAND), numbers(2)])
METHODS = {
    "Reserve": RESERVE,
    "Commit": CHANGE,
    "Release": CHANGE,
    "Extend": EXTEND,
    "GetReservation": fields([st.just(nested(1, UNKNOWN_ID)), texts(1)]),
    "GetAvailability": fields([texts(1), st.just(nested(1, b"a"))]),
    "Execute": BATCH,
}
SEEDS = {
    "Reserve": pb.ReserveRequest(
        request_id="seed",
        lines=[pb.Line(sku="a", quantity=1), pb.Line(sku="bé", quantity=200)],
        client_ip="10.0.0.1",
        customer_id="ann",
        ttl=Duration(seconds=1, nanos=300),
        allow_partial=True,
        replaces_reservation_id=UNKNOWN_ID.decode(),
    ),
    "Extend": pb.ExtendRequest(
        reservation_id=UNKNOWN_ID.decode(), expire_time=Timestamp(seconds=5), request_id="x"
    ),
}


def pair_with_a_hold() -> Twins:
    """Two engines with something to sell, and something held."""
    pair = stocked()
    pair.judge("Reserve", GOOD)
    return pair


@pytest.mark.parametrize("method", METHODS)
@given(data=st.data())
def test_odd_messages_are_understood_as_protobufs_runtime_does(
    method: str, data: st.DataObject
) -> None:
    pair = pair_with_a_hold()
    for raw in data.draw(st.lists(METHODS[method], min_size=1, max_size=2)):
        pair.judge(method, raw)
    pair.assert_equal()


@pytest.mark.parametrize("method", SEEDS)
def test_every_message_that_breaks_off_is_refused_or_read_as_the_runtime_does(method: str) -> None:
    pair = pair_with_a_hold()
    whole = SEEDS[method].SerializeToString()
    codes = [pair.judge(method, whole[:size]).code for size in range(len(whole) + 1)]
    assert codes.count(3) > len(whole) // 2
    pair.assert_equal()


@pytest.mark.parametrize("method", SEEDS)
def test_every_byte_changed_is_refused_or_read_as_the_runtime_does(method: str) -> None:
    pair = pair_with_a_hold()
    whole = SEEDS[method].SerializeToString()
    for place in range(len(whole)):
        for byte in (0, 1, 2, 3, 4, 5, 8, 10, 0x7F, 0x80, 0xC3, 0xFF, whole[place] ^ 1):
            pair.judge(method, whole[:place] + bytes([byte]) + whole[place + 1 :])
    pair.assert_equal()


@pytest.mark.parametrize("depth", [1, 97, 98, 99, 100, 101, 5_000, 200_000])
def test_deep_groups_are_bounded_as_the_runtime_bounds_them(depth: int) -> None:
    pair = pair_with_a_hold()
    deep = groups(9, depth)
    codes = {
        pair.judge("Reserve", GOOD + deep).code,
        pair.judge("Reserve", GOOD + nested(6, b"\x10\x05" + deep)).code,
        pair.judge("Reserve", GOOD + head(9, 3) * depth).code,
        pair.judge("Execute", nested(1, nested(1, GOOD + deep))).code,
    }
    assert codes == ({0, 3} if depth < 101 else {3})
    pair.assert_equal()


def test_a_message_of_many_unknown_fields_is_read_in_one_go() -> None:
    pair = pair_with_a_hold()
    many = head(100, 0) + varint(7)
    assert pair.judge("Reserve", many * 100_000 + GOOD + nested(77, b"x" * 10**6)).code == 0


def test_given_again_the_last_one_counts_and_messages_are_merged() -> None:
    pair = pair_with_a_hold()
    line = nested(2, b"\x0a\x01a\x10\x01")
    soon = nested(5, head(1, 0) + varint(BASE_NS // 10**9))
    for parts in (
        [nested(1, b"r"), nested(1, b"s"), line],
        [nested(1, b"r"), line, nested(2, b"\x10\x01\x0a\x01a\x0a\x01b")],
        # A duration in two parts, and one that a time came between.
        [nested(1, b"t"), line, nested(6, b"\x08\x00\x10\x05"), nested(6, b"\x10\x32")],
        [nested(1, b"u"), line, nested(6, b"\x08\x01"), nested(6, b"\x10\x05")],
        [nested(1, b"v"), line, nested(6, b"\x08\x01"), soon, nested(6, b"\x10\x05")],
        [nested(1, b"w"), line, nested(6, b"\x10\x05"), soon],
        [nested(1, b"x"), line, soon, nested(5, head(2, 0) + varint(50)), nested(5, b"")],
        [nested(1, b"y"), line, nested(3, b"1.2.3"), nested(3, b"10.0.0.1")],
        [nested(1, b"z"), line, nested(3, b"\xff"), nested(3, b"10.0.0.1")],
        [nested(1, b"1"), line, head(7, 0) + varint(2**40), head(7, 0) + varint(0, 3)],
        # Known numbers of another wire type are unknown fields.
        [nested(1, b"2"), line, head(1, 0) + b"\5", head(2, 5) + b"four", head(7, 2) + b"\1x"],
        [nested(1, b"3"), line, groups(2, 1, b"\x0a\x01a"), groups(6, 3)],
    ):
        pair.judge("Reserve", b"".join(parts))
    pair.assert_equal()
