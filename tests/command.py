"""The `atp` command for tests: run in this process against a server, its ending told.

Owns giving it addresses and reading what it printed. For what depends on a process of its own
(pipes, signals, start-up) there is server_process.run_atp.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from click.testing import CliRunner

from atp.cli import main
from server_process import ServerProcess

NO_SERVER = "127.0.0.1:1"


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Its output, one JSON value."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        """Its output, one JSON value a line."""
        return [json.loads(line) for line in self.out.splitlines()]


class Command:
    """Runs commands against one server; without one, against an address where none is."""

    def __init__(self, server: ServerProcess | None = None) -> None:
        data = server.data_plane if server else NO_SERVER
        control = server.control_plane if server else NO_SERVER
        self.environment = {"ATP_DATA_ADDRESS": data, "ATP_CONTROL_ADDRESS": control}

    def __call__(self, *arguments: object) -> Ended:
        """Runs `atp` with these arguments to its end."""
        words = [str(argument) for argument in arguments]
        result = CliRunner(env=self.environment).invoke(main, words)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ended(result.exit_code, result.stdout, result.stderr)
