"""The native front, frame by frame: what a client may send and what becomes of it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp.v1 import reservation_pb2 as pb
from front_process import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    RST_STREAM,
    SETTINGS,
    WINDOW,
    Raw,
    Running,
    call_head,
    fields,
    frame,
    framed,
    running,
)
from others import unwatched
from server_process import wait_until

RESERVE = pb.ReserveRequest(
    request_id="r", lines=[pb.Line(sku="A", quantity=1)]
).SerializeToString()
OK, INTERNAL, UNIMPLEMENTED, EXHAUSTED, DEADLINE, UNKNOWN, CANCELLED = 0, 13, 12, 8, 4, 2, 1
PADDED = 8


@pytest.fixture
def front() -> Iterator[Running]:
    with running() as served:
        served.engine.set_stock("A", 100, now_ns=0)
        yield served


def head(stream: int = 1, method: str = "Reserve", flags: int = END_HEADERS, **more: str) -> bytes:
    return frame(HEADERS, flags, stream, call_head(method, **more))


def codes(served: Running) -> dict[int, int]:
    """How many calls were answered, by code."""
    found: dict[int, int] = {}
    for (_, code), count in served.front.statistics().answered.items():
        found[code] = found.get(code, 0) + count
    return found


def answered(served: Running, sent: bytes, code: int, stream: int = 1) -> None:
    """Sends on a connection of its own and waits for the end of the stream."""
    with Raw(served.address) as raw:
        raw.send(sent)
        last = raw.read_until(HEADERS, stream)
        while last is not None and not last.flags & END_STREAM:
            last = raw.read_until(HEADERS, stream)
        assert last is not None, "the connection was closed"
        raw.send(frame(PING, body=bytes(8)))
        assert raw.read_until(PING) is not None, "the connection serves no more"
    assert codes(served) == {code: 1}


def holds(served: Running) -> int:
    return int(served.engine.status().live_holds)


@pytest.mark.parametrize("piece", [1, 3, 7, 1_000])
def test_a_message_may_be_cut_anywhere(front: Running, piece: int) -> None:
    data = framed(RESERVE)
    frames = [
        frame(DATA, 0, 1, data[start : start + piece]) for start in range(0, len(data), piece)
    ]
    answered(front, head() + b"".join(frames) + frame(DATA, END_STREAM, 1), OK)
    assert holds(front) == 1


def test_bytes_may_come_one_by_one(front: Running) -> None:
    sent = head() + frame(DATA, END_STREAM, 1, framed(RESERVE))
    with Raw(front.address) as raw:
        for byte in sent:
            raw.send(bytes((byte,)))
        last = raw.read_until(HEADERS, 1)
        assert last is not None
    wait_until(lambda: codes(front) == {OK: 1}, "the answer")


def test_padding_and_continuations_are_read(front: Running) -> None:
    block = call_head("Reserve")
    sent = frame(HEADERS, 0, 1, block[:20]) + frame(CONTINUATION, END_HEADERS, 1, block[20:])
    body = b"\x03" + framed(RESERVE) + b"\0\0\0"
    answered(front, sent + frame(DATA, PADDED | END_STREAM, 1, body), OK)
    assert holds(front) == 1


def test_trailers_of_a_client_end_its_call(front: Running) -> None:
    sent = head() + frame(DATA, 0, 1, framed(RESERVE))
    answered(front, sent + frame(HEADERS, END_HEADERS | END_STREAM, 1, fields(x_checksum="1")), OK)


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (head(method="Nonsense") + frame(DATA, END_STREAM, 1, framed(b"")), UNIMPLEMENTED),
        (head(method="/x.Y/Reserve") + frame(DATA, END_STREAM, 1, framed(b"")), UNIMPLEMENTED),
        (head(method="Nonsense", flags=END_HEADERS | END_STREAM), UNIMPLEMENTED),
        (head(flags=END_HEADERS | END_STREAM), UNIMPLEMENTED),
        (head() + frame(DATA, END_STREAM, 1), UNIMPLEMENTED),
        (head() + frame(DATA, END_STREAM, 1, framed(RESERVE) * 2), UNIMPLEMENTED),
        (head() + frame(DATA, END_STREAM, 1, framed(RESERVE) + b"\0"), UNIMPLEMENTED),
        (head() + frame(DATA, END_STREAM, 1, framed(RESERVE)[:-1]), INTERNAL),
        (head() + frame(DATA, END_STREAM, 1, b"\0\0"), INTERNAL),
        (head() + frame(DATA, END_STREAM, 1, b"\1\0\0\0\1x"), UNIMPLEMENTED),
        (head() + frame(DATA, 0, 1, b"\0\x00\x50\0\0"), EXHAUSTED),
        (head() + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff"), EXHAUSTED),
        (head(grpc_timeout="soon") + frame(DATA, END_STREAM, 1, framed(RESERVE)), INTERNAL),
        (head(grpc_timeout="0n") + frame(DATA, END_STREAM, 1, framed(RESERVE)), DEADLINE),
        (head(content_type="text/html") + frame(DATA, END_STREAM, 1, framed(RESERVE)), UNKNOWN),
        (head(content_type="") + frame(DATA, END_STREAM, 1, framed(RESERVE)), UNKNOWN),
        (head(content_type="application/grpcx") + frame(DATA, END_STREAM, 1), UNKNOWN),
        (head(_method="GET", flags=END_HEADERS | END_STREAM), UNKNOWN),
        (head(x_long="y" * 17_000)[:9], -1),
    ],
)
def test_what_is_no_call_is_refused_and_changes_nothing(
    front: Running, sent: bytes, code: int
) -> None:
    if code < 0:  # larger than one frame: the block goes on
        block = call_head("Reserve", x_long="y" * 17_000)
        sent = frame(HEADERS, 0, 1, block[:16_000])
        sent += frame(CONTINUATION, END_HEADERS, 1, block[16_000:])
        sent += frame(DATA, END_STREAM, 1, framed(RESERVE))
        code = EXHAUSTED
    answered(front, sent, code)
    assert holds(front) == 0


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;charset=utf-8"])
def test_grpc_has_more_than_one_content_type(front: Running, kind: str) -> None:
    sent = head(content_type=kind) + frame(DATA, END_STREAM, 1, framed(RESERVE))
    answered(front, sent, OK)


def test_http_itself_is_told_what_is_no_grpc(front: Running) -> None:
    def status(*arguments: str) -> str:
        url = f"http://{front.address}/atp.v1.ReservationService/Reserve"
        wanted = ("-w", "%{http_code}")
        return subprocess.run(
            ["curl", "-s", "--http2-prior-knowledge", "-o", "/dev/null", *wanted, *arguments, url],
            capture_output=True,
            text=True,
            check=True,
            env=unwatched(),
        ).stdout

    assert status() == "405"
    assert status("-d", "{}", "-H", "content-type: application/json") == "415"
    assert status("-d", "{}", "-H", "content-type: application/grpc") == "200"


def test_the_rest_of_a_refused_message_is_not_wanted(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(head() + frame(DATA, 0, 1, b"\0\xff\xff\xff\xff"))
        assert raw.read_until(HEADERS, 1) is not None
        reset = raw.read_until(RST_STREAM, 1)
        assert reset is not None
        assert int.from_bytes(reset.body, "big") == 0  # NO_ERROR
        raw.send(frame(DATA, END_STREAM, 1, b"x" * 10_000))  # was on its way
        raw.send(head(3) + frame(DATA, END_STREAM, 3, framed(RESERVE)))
        assert raw.read_until(HEADERS, 3) is not None


def test_a_call_that_is_taken_back_before_it_was_whole_is_not_judged(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(head() + frame(DATA, 0, 1, framed(RESERVE)) + cancel(1))
        raw.send(head(3) + frame(DATA, END_STREAM, 3, framed(RESERVE)[:6]))
        assert raw.read_until(HEADERS, 3) is not None
    assert holds(front) == 0
    assert codes(front) == {CANCELLED: 1, INTERNAL: 1}
    assert front.front.statistics().held_bytes == 0


def test_a_call_taken_back_in_the_same_breath_is_not_judged(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(head() + frame(DATA, END_STREAM, 1, framed(RESERVE)) + cancel(1))
        raw.send(frame(PING, body=bytes(8)))
        assert raw.read_until(PING) is not None
    wait_until(lambda: codes(front) == {CANCELLED: 1}, "the call to end")
    assert holds(front) == 0
    assert front.front.open_calls == 0


def cancel(stream: int) -> bytes:
    return frame(RST_STREAM, 0, stream, (8).to_bytes(4, "big"))


def test_a_client_that_vanishes_in_the_midst_of_a_message_leaves_nothing(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(head() + frame(DATA, 0, 1, framed(RESERVE)[:9]))
        wait_until(lambda: front.front.statistics().held_bytes == 9, "the bytes to come")
        assert front.front.open_calls == 1
    wait_until(lambda: front.front.statistics().connections == 0, "the connection to end")
    assert front.front.open_calls == 0
    assert front.front.statistics().held_bytes == 0
    assert holds(front) == 0


def test_a_message_that_does_not_come_in_time_is_given_up(tmp_path: Path) -> None:
    with running(request_ns=50_000_000) as served, Raw(served.address) as raw:
        raw.send(head() + frame(DATA, 0, 1, framed(RESERVE)[:9]))
        assert raw.read_until(HEADERS, 1) is not None
        assert codes(served) == {DEADLINE: 1}


def test_a_deadline_passes_while_the_message_is_on_its_way(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(head(grpc_timeout="30m") + frame(DATA, 0, 1, framed(RESERVE)))
        assert raw.read_until(HEADERS, 1) is not None
        assert codes(front) == {DEADLINE: 1}
    assert holds(front) == 0


def test_a_header_block_that_does_not_end_ends_the_connection(tmp_path: Path) -> None:
    with running(request_ns=50_000_000) as served, Raw(served.address) as raw:
        raw.send(frame(HEADERS, 0, 1, call_head("Reserve")))
        end = raw.read_until(GOAWAY)
        assert end is not None
        assert int.from_bytes(end.body[4:8], "big") == 11  # ENHANCE_YOUR_CALM
        assert raw.read() is None


def test_a_client_without_a_window_gets_its_answer_once_it_opens_one(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(frame(SETTINGS, 0, 0, b"\0\4\0\0\0\0"))  # INITIAL_WINDOW_SIZE 0
        raw.send(head() + frame(DATA, END_STREAM, 1, framed(RESERVE)))
        found = raw.read_until(HEADERS, 1)
        assert found is not None
        assert not found.flags & END_STREAM
        raw.send(frame(PING, body=bytes(8)))
        assert raw.read_until(PING) is not None
        assert front.front.statistics().held_bytes > 0
        raw.send(frame(WINDOW, 0, 1, (7).to_bytes(4, "big")))
        part = raw.read_until(DATA, 1)
        assert part is not None
        assert len(part.body) == 7
        raw.send(frame(WINDOW, 0, 1, (10_000).to_bytes(4, "big")))
        last = raw.read_until(HEADERS, 1)
        assert last is not None
        assert last.flags & END_STREAM
    assert holds(front) == 1
    wait_until(lambda: front.front.statistics().held_bytes == 0, "the answer to be forgotten")


def test_a_message_larger_than_the_window_gets_through(front: Running) -> None:
    lines = [pb.Line(sku="A" * 60, quantity=1)] + [
        pb.Line(sku=f"{number:060}", quantity=1) for number in range(2_000)
    ]
    message = framed(pb.ReserveRequest(request_id="r", lines=lines).SerializeToString())
    assert len(message) > 2 * 65_535
    with Raw(front.address) as raw:
        raw.send(head())
        window, sent = 65_535, 0
        while sent < len(message):
            part = message[sent : sent + min(16_384, window)]
            if part:
                raw.send(frame(DATA, 0, 1, part))
                sent, window = sent + len(part), window - len(part)
            else:
                update = raw.read_until(WINDOW, 1)
                assert update is not None
                window += int.from_bytes(update.body, "big")
        raw.send(frame(DATA, END_STREAM, 1))
        assert raw.read_until(HEADERS, 1) is not None
    assert codes(front) == {OK: 1}


def test_who_speaks_no_http2_is_hung_up_on(front: Running) -> None:
    with Raw(front.address, greet=False) as raw:
        raw.send(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" + b"x" * 100)
        while raw.read() is not None:
            pass
    wait_until(lambda: front.front.statistics().connections == 0, "the connection to end")


def test_a_connection_has_no_more_than_its_streams(tmp_path: Path) -> None:
    with running(streams_max=4) as served, Raw(served.address) as raw:
        settings = raw.read_until(SETTINGS)
        assert settings is not None
        assert (3).to_bytes(2, "big") + (4).to_bytes(4, "big") in settings.body
        for stream in range(1, 11, 2):
            raw.send(head(stream))
        refused = raw.read_until(RST_STREAM, 9)
        assert refused is not None
        assert int.from_bytes(refused.body, "big") == 7  # REFUSED_STREAM
        raw.send(frame(SETTINGS, ACK) + head(11))  # now it knows better
        assert raw.read_until(GOAWAY) is not None


def test_a_ping_is_answered(front: Running) -> None:
    with Raw(front.address) as raw:
        raw.send(frame(PING, body=b"12345678"))
        found = raw.read_until(PING)
        assert found is not None
        assert (found.flags, found.body) == (ACK, b"12345678")


def test_calls_that_come_at_once_are_judged_each_by_itself(front: Running) -> None:
    good = [
        pb.ReserveRequest(
            request_id=f"r{n}", lines=[pb.Line(sku="A", quantity=1)] * (n % 5 + 1)
        ).SerializeToString()
        for n in range(40)
    ]
    sent = b""
    for index, message in enumerate(good):
        bad = {3: b"\xff\xff", 4: b"", 5: b"\x0a\x01r"}.get(index % 8, message)
        kind = "GetAvailability" if index % 8 == 6 else "Reserve"
        sent += head(2 * index + 1, kind) + frame(DATA, END_STREAM, 2 * index + 1, framed(bad))
    with Raw(front.address) as raw:
        raw.send(sent)
        ended = 0
        while ended < len(good):
            found = raw.read_until(HEADERS)
            assert found is not None
            ended += found.flags & END_STREAM
    assert codes(front) == {OK: 25, 3: 15}
    assert holds(front) == 20
    assert front.engine.get_availability(["A"], now_ns=0)[0].held == sum(
        n % 5 + 1 for n in range(40) if n % 8 in (0, 1, 2, 7)
    )
