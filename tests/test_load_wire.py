"""The load generator believes nothing: answers in pieces are put together, broken ones are told.

Each server here does just what its script says, well or badly.
"""

from __future__ import annotations

import struct
import time

import pytest

import scripted_http2 as http2
from atp import load
from atp.load import Kind, LoadFailed, LoadPlan
from atp.v1 import reservation_pb2 as pb
from scripted_http2 import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    Asked,
    frame,
    granted,
    prefixed,
    scripted,
    whole,
)  # fmt: skip

CALLS = 20


def plan(address: str, **other: object) -> LoadPlan:
    values: dict[str, object] = {"connections": 1, "in_flight": 4, "calls": CALLS, "stalled_s": 1.0}
    return LoadPlan(address=address, run_name="wire-", **(values | other))  # type: ignore[arg-type]


def test_whole_answers_are_counted_and_each_request_is_another() -> None:
    asked: list[pb.ReserveRequest] = []

    def answer(call: Asked) -> bytes:
        asked.append(pb.ReserveRequest.FromString(call.message))
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(plan(address, skus=7, customers=5, addresses=3, ttl_s=60))
    assert (result.asked, result.answered, result.good, result.commands) == (CALLS,) * 4
    assert result.statuses == {"OK": CALLS}
    assert {outcome.name: count for outcome, count in result.reserves.items()} == {"GRANTED": CALLS}
    assert int(result.latency_counts.sum()) == CALLS
    ids = {request.request_id for request in asked}
    assert len(ids) == CALLS
    assert all(name.startswith("wire-") and len(name) == 36 for name in ids)
    assert 1 < len({request.lines[0].sku for request in asked}) <= 7
    assert {request.lines[0].sku[:10] for request in asked} == {"SKU-000000"}
    assert 1 < len({request.customer_id for request in asked}) <= 5
    assert {request.client_ip for request in asked} <= {f"10.100.100.1{n:02d}" for n in range(3)}
    assert all(request.ttl.seconds == 60 for request in asked)
    assert all(len(request.lines) == 1 and request.lines[0].quantity == 1 for request in asked)


def in_pieces(call: Asked) -> bytes:
    """Header blocks over several frames, one byte of data in each, padding, and what is unknown."""
    said = frame(HEADERS, 0, call.stream, http2.HEADS[:5])
    said += frame(http2.CONTINUATION, END_HEADERS, call.stream, http2.HEADS[5:])
    said += frame(http2.PING, 0, 0, b"12345678") + frame(0x77, 0xFF, call.stream, b"unknown")
    for byte in prefixed(granted()):
        said += frame(DATA, PADDED, call.stream, bytes([3, byte, 0, 0, 0]))
    said += frame(DATA, 0, call.stream)
    return said + frame(HEADERS, END_HEADERS | END_STREAM, call.stream, http2.OK)


def test_answers_in_pieces_are_put_together() -> None:
    with scripted(in_pieces) as address:
        result = load.run(plan(address))
    assert (result.commands, result.malformed) == (CALLS, 0)


def status(number: int, text: str = "") -> bytes:
    return http2.fields(("grpc-status", str(number)), ("grpc-message", text))


def without_trailers(call: Asked) -> bytes:
    heads = frame(HEADERS, END_HEADERS, call.stream, http2.HEADS)
    return heads + frame(DATA, END_STREAM, call.stream, prefixed(granted()))


def refusal(outcome: int) -> bytes:
    return pb.ReserveResponse(outcome=outcome).SerializeToString()


FAULTS = {
    "an error": (
        lambda call: frame(
            HEADERS, END_HEADERS | END_STREAM, call.stream, http2.HEADS + status(13, "it broke")
        ),
        "20 calls ended as INTERNAL, the first: it broke",
    ),
    "a status that is none": (
        lambda call: frame(
            HEADERS, END_HEADERS | END_STREAM, call.stream, http2.HEADS + status(99)
        ),
        "20 calls ended as NONE",
    ),
    "HTTP's error": (
        lambda call: frame(
            HEADERS, END_HEADERS | END_STREAM, call.stream, http2.fields((":status", "502"))
        ),
        "20 calls ended as NONE, the first: HTTP status 502",
    ),
    "no trailers": (without_trailers, "20 calls ended as NONE"),
    "a reset": (
        lambda call: frame(http2.RESET, 0, call.stream, struct.pack(">I", 11)),
        "20 calls ended as RESOURCE_EXHAUSTED, the first: the stream was reset: HTTP/2 error 11",
    ),
    "a refusal": (
        lambda call: whole(call.stream, refusal(10)),
        "20 reserves were answered STOCK_SHORT",
    ),
    "an outcome that is none": (
        lambda call: whole(call.stream, refusal(0)),
        "20 answers were malformed",
    ),
    "no protobuf": (lambda call: whole(call.stream, b"\x0a\xff"), "20 answers were malformed"),
    "a grant of no hold": (
        lambda call: whole(call.stream, refusal(1)),
        "20 answers were malformed",
    ),
    "no message": (
        lambda call: frame(HEADERS, END_HEADERS | END_STREAM, call.stream, http2.HEADS + http2.OK),
        "20 answers were malformed",
    ),
    "a repeat": (
        lambda call: whole(call.stream, granted(repeated=True)),
        "20 answers were to a request id that had been used before",
    ),
    "silence": (lambda call: b"", "it stood still for 1 s, 4 calls open"),
    "goodbye": (
        lambda call: frame(http2.GOAWAY, 0, 0, struct.pack(">II", 0, 11) + b"calm down"),
        "HTTP/2 error 11 calm down",
    ),
    "an end": (lambda call: None, "the server closed the connection"),
    "a large frame": (
        lambda call: frame(DATA, 0, call.stream, bytes(16_385)),
        "the server sent too large a frame",
    ),
    "a broken header block": (
        lambda call: frame(HEADERS, END_HEADERS, call.stream, b"\xff\xff\xff\xff\xff\xff"),
        "the server sent a broken header block",
    ),
    "a header block without an end": (
        lambda call: (
            frame(HEADERS, 0, call.stream, http2.HEADS) + frame(http2.PING, 0, 0, bytes(8))
        ),
        "the server broke off a header block",
    ),
    "too much padding": (
        lambda call: frame(DATA, PADDED, call.stream, b"\xffx"),
        "a frame is too short",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_server_fails_the_load(fault: str) -> None:
    answer, told = FAULTS[fault]
    with scripted(answer) as address, pytest.raises(LoadFailed) as failed:
        load.run(plan(address))
    assert told in str(failed.value)
    assert failed.value.result is not None


def test_the_reason_was_overwritten_by_the_fields_after_it() -> None:
    """The decoder gives each field's memory to later ones: what is to be told must be a copy."""
    more = [(f"x-other-{number}", "b" * 40) for number in range(20)]
    block = http2.fields(("grpc-status", "13"), ("grpc-message", "a" * 40), *more)

    def answer(call: Asked) -> bytes:
        return frame(HEADERS, END_HEADERS | END_STREAM, call.stream, http2.HEADS + block)

    with scripted(answer) as address, pytest.raises(LoadFailed) as failed:
        load.run(plan(address))
    assert str(failed.value) == f"{CALLS} calls ended as INTERNAL, the first: {'a' * 40}"


def test_a_server_that_files_no_header_fields_is_sent_all_in_full() -> None:
    blocks: list[bytes] = []

    def answer(call: Asked) -> bytes:
        blocks.append(call.block)
        return whole(call.stream, granted())

    with scripted(answer, settings=struct.pack(">HI", 1, 0)) as address:
        load.run(plan(address))
    assert blocks[0][:1] == b"\x20"
    assert blocks[0][1:] == blocks[1] == blocks[-1]
    assert b"/atp.v1.ReservationService/Reserve" in blocks[-1]


def test_the_window_of_the_connection_is_kept() -> None:
    """A server that never gives room gets 64 KiB, and not a byte more."""
    with scripted(lambda call: whole(call.stream, granted()), gives_room=False) as address:
        with pytest.raises(LoadFailed) as failed:
            load.run(plan(address, calls=10_000))
        assert "it stood still for 1 s, 0 calls open" in str(failed.value)
        result = failed.value.result
    assert result is not None
    assert 500 < result.asked == result.answered < 700


def test_a_pause_counts_for_every_call_that_was_due_in_it() -> None:
    """An open loop leaves nothing out: with one long answer, a closed loop would tell of one."""
    numbers = iter(range(1_000))

    def answer(call: Asked) -> bytes:
        if next(numbers) == 10:
            time.sleep(0.4)  # the pause that is to be seen
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(plan(address, calls=100, rate=200.0, in_flight=2))
    late_ms = [result.latency_ms(share) for share in (0.5, 0.9, 0.99)]
    assert result.good == 100
    assert late_ms[2] > 300
    assert late_ms[1] > 200


def test_what_comes_after_the_deadline_is_not_good() -> None:
    def answer(call: Asked) -> bytes:
        time.sleep(0.05)  # each call takes this long
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(plan(address, calls=50, rate=100.0, in_flight=1, deadline_s=0.1))
    assert result.good + result.late + result.expired == 50
    assert result.expired > 10
    assert result.latency_ms(1.0) > 50


def test_pairs_commit_the_holds_that_were_granted() -> None:
    committed: list[str] = []

    def answer(call: Asked) -> bytes:
        if call.message.startswith(b"\x0a\x20"):
            committed.append(pb.CommitRequest.FromString(call.message).reservation_id)
            return whole(call.stream, pb.CommitResponse(outcome=1).SerializeToString())
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(plan(address, kind=Kind.PAIR))
    assert committed == ["ab" * 16] * CALLS
    assert (result.commands, sum(result.commits.values())) == (2 * CALLS, CALLS)


def test_a_stream_refused_while_the_bound_fell_is_a_refused_call() -> None:
    """It was once taken for an end without a status, and failed a load on a busy machine.

    A server that lowers how many streams a connection may have refuses those on their way to it.
    """

    def answer(call: Asked) -> bytes:
        if call.stream % 4 == 1:
            return frame(http2.RESET, 0, call.stream, struct.pack(">I", 7))
        return whole(call.stream, granted())

    with scripted(answer) as address:
        result = load.run(plan(address, allow_refused_calls=True))
    assert result.statuses == {"UNAVAILABLE": CALLS // 2, "OK": CALLS // 2}


def test_where_nobody_listens_it_says_so() -> None:
    with pytest.raises(LoadFailed, match="can't connect to 127"):
        load.run(plan("127.0.0.1:1"))
    with pytest.raises(LoadFailed, match="can't connect to nowhere"):
        load.run(plan("nowhere"))


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"connections": 0}, "connections is 0: it must be from 1 to 60,000"),
        ({"rate": 0.0}, "rate is 0.0"),
        ({"calls": None}, "would never end"),
        ({"skus": 100, "sku_digits": 1}, "skus is 100: it must be from 1 to 10"),
        ({"kind": Kind.AVAILABILITY, "batch": 2}, "no availability"),
        ({"run_name": "x" * 25}, "run_name must have 1 to 24 bytes"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(value: dict[str, object], told: str) -> None:
    values = {"address": "a:1", "run_name": "x", "calls": 1} | value
    with pytest.raises(ValueError, match=told):
        LoadPlan(**values)  # type: ignore[arg-type]
