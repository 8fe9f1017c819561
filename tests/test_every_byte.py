"""A start on every kind of damage: sampled here, every byte and every bit in `make crash`."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from crash.every_byte import all_cuts, all_flips, check_all
from crash.judge import LOST, WRONG
from specimen import Specimen, make, start

MEMORY = Path("/dev/shm")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Where directories are laid out: in memory where there is such a place."""
    made = Path(tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None))
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def specimen(folder: Path) -> Specimen:
    made = make(folder / "made", commands=70, seed=3)
    assert len(made.segments) > 1
    assert made.end == start(made.lay(folder / "whole")).sequence
    return made


def test_a_specimen_starts_as_it_was(specimen: Specimen, folder: Path) -> None:
    outcome = start(specimen.lay(folder / "data"))
    assert (outcome.sequence, outcome.digest) == (specimen.end, specimen.digests[-1])
    assert outcome.report.torn_bytes == 0


def test_a_segment_cut_anywhere_comes_to_what_was_whole(specimen: Specimen, folder: Path) -> None:
    cuts = Random(1).sample(list(all_cuts(specimen)), 150)
    assert check_all(specimen, folder / "data", cuts) == []


@pytest.mark.parametrize("mark", [None, 0])
def test_a_flipped_bit_is_noticed(specimen: Specimen, folder: Path, mark: int | None) -> None:
    flips = Random(2).sample(list(all_flips(specimen, "*.segment")), 120)
    assert check_all(specimen, folder / "data", flips, mark) == []


def test_a_flipped_bit_elsewhere_is_noticed(specimen: Specimen, folder: Path) -> None:
    flips = Random(3).sample(list(all_flips(specimen, "STORE", "synced")), 60)
    assert check_all(specimen, folder / "data", flips) == []


def test_this_test_can_fail(specimen: Specimen, folder: Path) -> None:
    """A state that never was, a loss that is not told, and a mark that is ahead are found."""
    cuts = list(all_cuts(specimen))[-3:]
    other = specimen._replace(digests=("0" * 32,) * len(specimen.digests))
    assert {found.kind for found in check_all(other, folder / "data", cuts)} == {WRONG}
    last = specimen.syncs[-1]
    ahead = specimen._replace(syncs=(*specimen.syncs, last._replace(durable=last.durable + 1)))
    assert {found.kind for found in check_all(ahead, folder / "data", cuts)} == {LOST}
    flips = Random(4).sample(list(all_flips(specimen, "*.segment")), 40)
    shorter = specimen._replace(digests=specimen.digests[:1] * len(specimen.digests))
    assert check_all(shorter, folder / "data", flips) != []
