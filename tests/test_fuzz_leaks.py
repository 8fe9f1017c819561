"""When the fuzzers of the front say that memory leaks: the hunt alone, with told figures.

The program that speaks to the hunt is fuzz_leaks.cpp.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path

import pytest

from native_program import built

TURNS = 100
WARM_UP = [10_118, 1_668, 200, 1_257, 74, 430, 161, 78]
"""What each of the first turns left in a run that leaked nothing."""
Leaves = Callable[[int], int]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hunt as a program."""
    return built("fuzz_leaks.cpp", tmp_path_factory.mktemp("leaks"))


def told(program: Path, leaves: Leaves) -> str:
    """What the hunt says when turn after turn leaves so many bytes more."""
    after = [*WARM_UP, *(leaves(turn) for turn in range(TURNS))]
    figures = "\n".join(str(allocated) for allocated in accumulate(after, initial=1 << 20))
    ended = subprocess.run([program], input=figures, capture_output=True, text=True, check=True)
    return ended.stdout.strip()


@pytest.mark.parametrize("bytes_each", [80, 236, 4096])
def test_what_grows_at_each_turn_leaks(program: Path, bytes_each: int) -> None:
    assert told(program, lambda _: bytes_each) == str(bytes_each)


def test_a_leak_is_found_beside_what_comes_and_goes(program: Path) -> None:
    assert int(told(program, lambda turn: 300 + (236, -236)[turn % 2])) == 300


LEAK_FREE: dict[str, Leaves] = {
    "nothing": lambda _: 0,
    "what comes and goes": lambda turn: (236, 8, -244)[turn % 3],
    "a table that doubles once": lambda turn: 16_384 if turn == 20 else 0,
    "and once more": lambda turn: {3: 16_384, 30: 32_768}.get(turn, 0),
}


@pytest.mark.parametrize("leaves", LEAK_FREE.values(), ids=LEAK_FREE.keys())
def test_six_turns_that_each_kept_a_little_more_were_called_a_leak(
    program: Path, leaves: Leaves
) -> None:
    """By chance, after which a seventh left less: a clean run of all tests ended there."""
    assert told(program, leaves) == "0"
