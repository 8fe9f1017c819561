"""Faults of the file system under a real server, at single calls; all of them in `make crash`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import pytest

from crash.disk_faults import ERRORS, Fault, all_faults, census, sample, suffer
from crash.judge import WRONG
from faults import Rule

SAMPLED = 10


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    return census(tmp_path_factory.mktemp("census") / "data")


def test_every_kind_of_call_is_made(calls: Counter[str]) -> None:
    """A whole run begins a store, turns a segment and takes a snapshot."""
    assert set(ERRORS) - {"unlink"} <= set(calls)
    assert calls["sync"] > 20
    assert calls["rename"] >= 3


def test_faults_at_single_calls(calls: Counter[str], tmp_path: Path) -> None:
    """Drawn anew each time; what is found names the fault, and its directory is kept."""
    faults = sample(list(all_faults(calls)), SAMPLED, Random().randrange(1 << 30))
    findings = []
    for number, fault in enumerate(faults):
        findings += suffer(tmp_path / str(number), fault)
    assert findings == []


def test_an_owner_that_cannot_be_named_owns_the_directory_all_the_same(tmp_path: Path) -> None:
    """The second time that LOCK is cut to its text is after the ports were opened."""
    assert suffer(tmp_path / "one", Fault("truncate", 2, "EIO")) == []


def test_this_test_can_fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ends without a word is found."""
    monkeypatch.setattr(Fault, "rule", Rule("kill", call="sync", nth=12))
    assert WRONG in {finding.kind for finding in suffer(tmp_path / "one", Fault("sync", 12, "EIO"))}
