"""Shared by all tests: the two engines, Hypothesis profiles, and how to reproduce a failure.

Owns the fixture that runs a test over the reference engine and over the native one. A native engine
that cannot be imported fails its tests; nothing is skipped. Draws the seed of a run when none is
given, and prints with every failure the one command that repeats it.
"""

from __future__ import annotations

import faulthandler
import secrets
import shlex
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

from model import ReferenceEngine

# The health checks measure speed of generation, which on a shared machine is no property of a test.
# Explaining a failure traces every line, and takes minutes for a history.
COMMON: dict[str, Any] = {
    "deadline": None,
    "phases": [Phase.explicit, Phase.generate, Phase.shrink],
    "print_blob": True,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
}
SHRINKING_SECONDS_MAX = 500
settings.register_profile("suite", max_examples=100, stateful_step_count=50, **COMMON)
settings.register_profile("long", max_examples=3_000, stateful_step_count=120, **COMMON)
settings.load_profile("suite")


def native_engine(**keywords: Any) -> Any:
    """An engine of the compiled module."""
    from atp import _core  # noqa: PLC0415  # imported late: the reference runs without it

    return _core.Engine(**keywords)


ENGINES: dict[str, Callable[..., Any]] = {"reference": ReferenceEngine, "native": native_engine}


@pytest.fixture(params=list(ENGINES))
def make_engine(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes an engine from its keywords; the test runs once for each kind of engine."""
    return ENGINES[request.param]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let slow builds, such as those under sanitizers, run the same tests in a smaller size."""
    parser.addoption(
        "--thread-scale", type=float, default=1.0, help="size of the tests with real threads"
    )


@pytest.fixture
def scaled(request: pytest.FixtureRequest) -> Callable[[int], int]:
    """Turns a size into the size to run with, at least 1."""
    scale = request.config.getoption("--thread-scale")
    return lambda size: max(1, int(size * scale))


@pytest.fixture(autouse=True)
def shrinking_in_peace(request: pytest.FixtureRequest) -> None:
    """Give a failing Hypothesis test its five minutes of shrinking before stacks are dumped.

    A dump while the interpreter runs reads frames that change under it, and may crash.
    """
    if getattr(getattr(request.node, "obj", None), "is_hypothesis_test", False):
        assert sys.__stderr__ is not None
        faulthandler.dump_traceback_later(SHRINKING_SECONDS_MAX, file=sys.__stderr__)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Draw the seed of this run unless `--hypothesis-seed` gave one."""
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(secrets.randbits(32))


def pytest_report_header(config: pytest.Config) -> str:
    """Say the seed even when all is well."""
    return f"hypothesis seed: {config.getoption('hypothesis_seed')}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Add to a failed report of a Hypothesis test the command that repeats the failure."""
    report: Any = yield
    is_hypothesis = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    if report.when == "call" and report.failed and is_hypothesis:
        report.sections.append(("to reproduce", reproduce_command(item)))
    return report


def reproduce_command(item: pytest.Item) -> str:
    """One shell command that runs this test again with the seed of this run."""
    words = ["python", "-m", "pytest", item.nodeid]
    words.append(f"--hypothesis-seed={item.config.getoption('hypothesis_seed')}")
    profile = item.config.getoption("hypothesis_profile", None)
    if profile:
        words.append(f"--hypothesis-profile={profile}")
    return shlex.join(words)
