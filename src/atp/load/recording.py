"""Where a load's history goes: one new file in a folder, begun before the first call.

Owns the file and what its first entry says of the load; the native part writes all that follows.
A file that is already there is never written over.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atp.history import clock
from atp.history.writer import SUFFIX
from atp.load._native import Generator
from atp.load.encrypting import Tls
from atp.load.plan import LoadPlan

RECORDER = "atp load-test"


@contextmanager
def recorded(plan: LoadPlan, generator: Generator) -> Iterator[None]:
    """Records what the generator does in this block, if the plan says so.

    Raises OSError when the file is there already, can't be made, or can't be written to the end.
    """
    if plan.history is None:
        yield
        return
    plan.history.mkdir(parents=True, exist_ok=True)
    path = plan.history / f"{plan.run_name.strip('-')}{SUFFIX}"
    with path.open("xb", buffering=0) as file:
        generator.record(
            file.fileno(),
            path=str(path),
            clock_name=clock.clock_name().encode(),
            recorder=RECORDER.encode(),
            settings_json=settings_json(plan).encode(),
        )
        try:
            yield
        finally:
            generator.end_record()


def settings_json(plan: LoadPlan) -> str:
    """The plan as a JSON object."""
    fields = (field.name for field in dataclasses.fields(plan) if field.name != "baskets")
    return json.dumps({name: getattr(plan, name) for name in fields}, default=_plain)


def _plain(value: object) -> object:
    """What JSON has no word for: outcomes are told by name, paths as text, of TLS no secret."""
    if isinstance(value, Tls):
        return value.facts()
    if isinstance(value, frozenset):
        return sorted(each.name for each in value)
    return os.fspath(value) if isinstance(value, Path) else str(value)
