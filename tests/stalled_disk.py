"""A real server whose disk stands still when a test says so: every sync of its journal waits.

Owns the server, its stubs and the switch. Expects nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import faults
from server_process import ServerProcess, serving
from server_stubs import Stubs, stubs_to


class Stalling(NamedTuple):
    """A server and its disk."""

    server: ServerProcess
    stubs: Stubs
    switch: Path

    def stall(self) -> None:
        """From now on nothing becomes durable."""
        self.switch.touch()

    def go_on(self) -> None:
        """The disk goes on."""
        self.switch.unlink(missing_ok=True)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Nothing becomes durable until the block ends."""
        self.stall()
        try:
            yield
        finally:
            self.go_on()


@contextmanager
def stalling(folder: Path, *arguments: str) -> Iterator[Stalling]:
    """Runs a server in the folder until the block ends; ends with a disk that goes on."""
    data, switch = folder / "data", folder / "the disk stands still"
    rule = faults.Rule(do="wait", call="sync", file="journal/*", when=switch)
    environment = faults.environment(data, rule)
    with (
        serving("--data", str(data), *arguments, environment=environment) as server,
        stubs_to(server) as stubs,
    ):
        made = Stalling(server, stubs, switch)
        try:
            yield made
        finally:
            made.go_on()
