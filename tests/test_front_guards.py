"""What a connection may do before it is ended, kind by kind: the guards alone, with told times.

Owns the numbers that honest clients need (a floor under every budget) and those that a flood must
not pass. The program that speaks to the guards is front_guards.cpp.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from native_program import built

SECOND = 1_000_000_000
NOW = SECOND
DATA, HEADERS, PRIORITY, RESET, SETTINGS, _, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
ACK = END_STREAM = 1
END_HEADERS = 4


class Said(NamedTuple):
    """The guards' word, and after how many repeats they said it."""

    word: str
    times: int


Ask = Callable[..., Said]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guards as a program, built with the sanitizers for undefined behaviour."""
    return built("front_guards.cpp", tmp_path_factory.mktemp("guards"))


@pytest.fixture
def ask(program: Path) -> Iterator[Ask]:
    """One connection's guards; asks `times` times and gives the last word."""
    with subprocess.Popen(
        [str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        into, out = process.stdin, process.stdout

        def say(call: str, *numbers: int, now: int = NOW, times: int = 1) -> Said:
            words = [*numbers, 0, 0, 0][:3]
            into.write(" ".join(map(str, (call, *words, now, times))) + "\n")
            into.flush()
            word, done = out.readline().split()
            return Said(word, int(done))

        yield say
        into.close()
        assert process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("name", "frame", "honest"),
    [
        ("resets", (RESET, 0, 4), 1_000),
        ("settings", (SETTINGS, 0, 6), 64),
        ("pings", (PING, 0, 8), 1_000),
        ("pings", (PING, ACK, 8), 1_000),
        ("priorities", (PRIORITY, 0, 5), 256),
        ("window_updates", (WINDOW_UPDATE, 0, 4), 4_000),
        ("empty_data", (DATA, 0, 0), 100),
        ("strange", (0xBE, 0, 9), 100),
        ("strange", (GOAWAY, 0, 8), 100),
    ],
)
def test_a_flood_is_ended_after_its_budget(
    ask: Ask, name: str, frame: tuple[int, int, int], honest: int
) -> None:
    """What is honest passes, the next is one too many, and a long pause gives the budget back."""
    assert ask("frame", *frame, times=100_000) == (name, honest + 1)
    later = NOW + 3_600 * SECOND
    assert ask("frame", *frame, now=later, times=100_000) == (name, honest + 1)


@pytest.mark.parametrize(("frame", "calls"), [((RESET, 0, 4), 1), ((PING, 0, 8), 1)])
def test_who_has_calls_answered_may_go_on(
    ask: Ask, frame: tuple[int, int, int], calls: int
) -> None:
    """A client that takes back every second call, or measures at every call, is no flood."""
    for _ in range(200):
        assert ask("frame", *frame, times=100).word == "fine"
        ask("answered", times=100 * calls)


@pytest.mark.parametrize("frame", [(PING, 0, 8), (WINDOW_UPDATE, 0, 4)])
def test_who_is_refused_may_ask_again(ask: Ask, frame: tuple[int, int, int]) -> None:
    """A client that is told why not, and asks again, measures at each call as any other."""
    for _ in range(200):
        assert ask("frame", *frame, times=100).word == "fine"
        ask("refused", times=100)


@pytest.mark.parametrize(("name", "frame"), [("resets", (RESET, 0, 4)), ("faults", None)])
def test_refusals_pay_for_no_attack(
    ask: Ask, name: str, frame: tuple[int, int, int] | None
) -> None:
    """A refusal costs its client nothing: calls taken back and broken frames stay as dear."""
    ask("refused", times=100_000)
    said = ask("frame", *frame, times=2_000) if frame else ask("fault", times=2_000)
    assert said.word == name


def test_long_answers_earn_their_windows(ask: Ask) -> None:
    """Two WINDOW_UPDATE frames for each DATA frame of an answer without end."""
    for _ in range(100):
        ask("sent", times=1_000)
        assert ask("frame", WINDOW_UPDATE, 0, 4, times=2_000).word == "fine"


def test_slow_frames_are_never_too_many(ask: Ask) -> None:
    """A setting a second, for hours: parts of a second's allowance are not lost on the way."""
    for second in range(2_000):
        now = NOW + second * SECOND
        assert ask("frame", SETTINGS, 0, 6, now=now).word == "fine"


def test_data_with_bytes_or_an_end_costs_nothing(ask: Ask) -> None:
    """Only frames that carry neither are counted."""
    assert ask("frame", DATA, 0, 1, times=100_000).word == "fine"
    assert ask("frame", DATA, END_STREAM, 0, times=100_000).word == "fine"


def test_a_header_block_in_too_many_frames(ask: Ask) -> None:
    """Eight CONTINUATION frames may follow, however many blocks there are; a ninth may not."""
    for _ in range(100):
        ask("frame", HEADERS, 0, 100)
        assert ask("frame", CONTINUATION, 0, 0, times=8).word == "fine"
    assert ask("frame", CONTINUATION, 0, 0).word == "continuations"


def test_header_bytes_are_counted_uncompressed(ask: Ask) -> None:
    """Above the bound the call is refused; at four times the bound the connection ends."""
    ask("frame", HEADERS, END_HEADERS, 100)
    assert ask("header", 10, 4_054, 16_384, times=4).word == "fine"
    assert ask("header", 10, 4_054, 16_384).word == "refuse"
    assert ask("header", 10, 4_054, 16_384, times=1_000) == ("headers", 12)
    ask("frame", HEADERS, END_HEADERS, 100)
    assert ask("header", 10, 4_054, 16_384).word == "fine"


def test_many_small_fields_are_counted(ask: Ask) -> None:
    """Fields without a byte of text have their bounds too."""
    ask("frame", HEADERS, END_HEADERS, 100)
    assert ask("header", 0, 0, 1 << 30, times=256).word == "fine"
    assert ask("header", 0, 0, 1 << 30).word == "refuse"
    assert ask("header", 0, 0, 1 << 30, times=10_000) == ("headers", 768)


def test_faults_are_counted(ask: Ask) -> None:
    """Two hundred broken frames or malformed calls, and what calls in between have earned."""
    assert ask("fault", times=10_000) == ("faults", 201)


def test_a_start_that_takes_too_long(ask: Ask) -> None:
    """Ten seconds to the client's SETTINGS; after them there is no hurry."""
    assert ask("overdue", now=NOW + 10 * SECOND).word == "fine"
    assert ask("overdue", now=NOW + 10 * SECOND + 1).word == "slow_start"
    ask("frame", SETTINGS, ACK, 0)
    assert ask("overdue", now=NOW + 11 * SECOND).word == "slow_start"
    ask("frame", SETTINGS, 0, 0)
    assert ask("overdue", now=NOW + 1_000 * SECOND).word == "fine"


def test_a_header_block_that_takes_too_long(ask: Ask) -> None:
    """Ten seconds from HEADERS to END_HEADERS."""
    ask("frame", SETTINGS, 0, 0)
    ask("frame", HEADERS, 0, 10, now=NOW + 50 * SECOND)
    assert ask("overdue", now=NOW + 60 * SECOND).word == "fine"
    assert ask("overdue", now=NOW + 61 * SECOND).word == "slow_headers"
    ask("frame", CONTINUATION, END_HEADERS, 10, now=NOW + 61 * SECOND)
    assert ask("overdue", now=NOW + 90 * SECOND).word == "fine"


def test_answers_that_are_not_taken(ask: Ask) -> None:
    """Thirty seconds without 16 KiB taken of what waits; a drop now and then is no progress."""
    ask("frame", SETTINGS, 0, 0)
    ask("output", 0, 100_000, now=NOW)
    for second in range(1, 31):
        ask("output", 100, 100_000, now=NOW + second * SECOND)
        assert ask("overdue", now=NOW + second * SECOND).word == "fine"
    assert ask("overdue", now=NOW + 31 * SECOND).word == "stalled"
    ask("output", 20_000, 80_000, now=NOW + 31 * SECOND)
    assert ask("overdue", 1, now=NOW + 33 * SECOND).word == "fine"
    assert ask("overdue", 1, now=NOW + 34 * SECOND).word == "stalled"  # while room is short
    assert ask("overdue", now=NOW + 60 * SECOND).word == "fine"
    ask("output", 80_000, 0, now=NOW + 60 * SECOND)
    assert ask("overdue", now=NOW + 1_000 * SECOND).word == "fine"
