"""Shared by the benchmarks: their size, and where their figures go.

Owns the last lines `bench NAME VALUE UNIT` and the files bench/out/NAME.json. Without `--full`
every benchmark runs in a small size, as a test that it still works and still checks its result; the
figures of a small run are printed, and written nowhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

OUT = Path(__file__).parent / "out"
FIGURES = pytest.StashKey[list[tuple[str, float, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Full size on request."""
    parser.addoption("--full", action="store_true", help="run the benchmarks in full size")


@pytest.fixture(scope="session")
def full(request: pytest.FixtureRequest) -> bool:
    """Is this a run in full size?"""
    return bool(request.config.getoption("--full"))


@pytest.fixture
def figure(request: pytest.FixtureRequest, full: bool) -> Callable[[str, float, str], None]:
    """Reports one figure: its name, its value, its unit."""

    def report(name: str, value: float, unit: str) -> None:
        request.config.stash.setdefault(FIGURES, []).append((name, value, unit))
        if full:
            OUT.mkdir(exist_ok=True)
            content = {"name": name, "value": value, "unit": unit}
            (OUT / f"{name}.json").write_text(json.dumps(content) + "\n")

    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures, one line each, after everything else."""
    for name, value, unit in terminalreporter.config.stash.get(FIGURES, []):
        terminalreporter.write_line(f"bench {name} {value:.6g} {unit}")
