"""A server in a process of its own, for as long as a command needs one: started, killed, ended.

Owns the process by its id, whatever happens in between: at the end it is gone. Starts it again only
after it killed it itself; a server that dies otherwise is told, with the end of its log.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from atp.cli.failed import NOT_JUDGED, Failed
from atp.replay.clock import Clock

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 30.0
LOOK_EVERY_SECONDS = 0.02
LOG_TAIL_LINES = 5
SERVE = "from atp.cli import main; main()"
ANY_PORT = "127.0.0.1:0"


class Supervisor:
    """One server on loopback. `data_plane` and `control_plane` are its addresses for good."""

    def __init__(
        self,
        out: Path,
        data: Path,
        settings: Mapping[str, str],
        clock: Clock,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`out` takes its log, `data` what it remembers; `settings` are more than its defaults, and
        `environment` replaces this process's."""
        self.log_path = out / "server.log"
        self._ready_path = out / "ready.json"
        self._data = data
        self._settings = settings
        self._clock = clock
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._restarting: threading.Thread | None = None
        self._away_s = 0.0
        self._failure: Failed | None = None
        self.data_plane = self.control_plane = ANY_PORT
        self.on_start: Callable[[int], None] = lambda pid: None
        """Is told the id of each process that serves, from the thread that started it."""

    def __enter__(self) -> Supervisor:
        """Starts the server. Raises Failed."""
        try:
            self._start("wb")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the server in order. Raises Failed if it did not end so, or had died before."""
        died = self.died()
        status = self._end()
        ended = f"the server ended with status {status}; {self._log_tail()}"
        if isinstance(error, Failed) and error.status == NOT_JUDGED and died:
            raise Failed(f"{error.message}\n{ended}", NOT_JUDGED) from None
        if error is None and status != 0:
            raise Failed(ended, NOT_JUDGED)

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None
        return self._process.pid

    def died(self) -> bool:
        """True when the server has ended, and not because it is just started anew."""
        if self._restarting is not None and self._restarting.is_alive():
            return False
        return self._process is None or self._process.poll() is not None

    def strike(self) -> None:
        """Kills the server with kill -9 and has it started again on the same ports; returns at
        once."""
        assert self._process is not None
        killed_ns = self._clock.elapsed_ns()
        self._process.kill()
        self._restarting = threading.Thread(target=self._restart, args=(killed_ns,))
        self._restarting.start()

    def is_hopeless(self) -> bool:
        """True when the server is gone for good."""
        return self.died()

    def wait_back(self) -> float:
        """Blocks until a killed server serves again; the seconds it was away. Raises Failed."""
        assert self._restarting is not None
        self._restarting.join()
        if self._failure is not None:
            raise self._failure
        return self._away_s

    def _restart(self, killed_ns: int) -> None:
        assert self._process is not None
        self._process.wait()
        try:
            self._start("ab")
        except Failed as failed:
            self._failure = failed
        self._away_s = (self._clock.elapsed_ns() - killed_ns) / 1e9

    def _start(self, log_mode: str) -> None:
        self._ready_path.unlink(missing_ok=True)
        options = [
            *("--data-address", self.data_plane, "--control-address", self.control_plane),
            *("--data", str(self._data), "--ready-file", str(self._ready_path)),
            *("--set", "metrics.address=off"),
        ]
        for name, value in self._settings.items():
            options += ["--set", f"{name}={value}"]
        with self.log_path.open(log_mode) as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVE, "serve", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                # Ctrl-C ends the sale in order; the server must be there until it was audited.
                process_group=0,
            )
        facts = self._wait_ready(self._process)
        self.data_plane, self.control_plane = facts["data_plane"], facts["control_plane"]
        self.on_start(facts["pid"])

    def _wait_ready(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        """What the server says when it answers calls."""
        for _ in range(round(START_SECONDS_MAX / LOOK_EVERY_SECONDS)):
            if self._ready_path.exists():
                facts: dict[str, Any] = json.loads(self._ready_path.read_text())
                return facts
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_SECONDS)
                raise Failed(f"the server did not start: {self._log_tail()}", NOT_JUDGED)
        raise Failed(
            f"the server was not ready in {START_SECONDS_MAX:.0f} s: {self._log_tail()}",
            NOT_JUDGED,
        )

    def _end(self) -> int:
        """Ends the server in order; by force if it takes too long. Its exit status."""
        if self._restarting is not None:
            self._restarting.join()
        if self._process is None:
            return 0
        self._process.terminate()
        try:
            status = self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._ready_path.unlink(missing_ok=True)
        return status

    def _log_tail(self) -> str:
        lines = self.log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        ends = f"ends: {' | '.join(lines)}" if lines else "is empty"
        return f"{self.log_path} {ends}"
