"""The two that make the load: Locust in a process of its own, and the product's own generator.

Owns starting them, when the sale has begun, and their end; both record into the sale's history.
What they do is in users/ and in atp.load.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from pathlib import Path

from loadtests.sale import Sale

START_S = 30.0
AFTER_S = 60.0
"""So long a load may take to end after its time: users finish what they are at."""
LOOK_S = 0.02
LOG_TAIL_LINES = 6
ROOT = Path(__file__).resolve().parent.parent
WEB_PORT = 8089


class LoadFailed(Exception):
    """A load that did not begin, or did not end as one; says why."""


class Engine(ABC):
    """Something that makes the load of a sale. Used as a context: at its end nothing runs on."""

    def __init__(self, sale: Sale) -> None:
        self.sale = sale

    @abstractmethod
    def begin(self) -> None:
        """Returns when the sale has begun. Raises LoadFailed."""

    @abstractmethod
    def wait(self) -> None:
        """Returns when the sale is over. Raises LoadFailed."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it, whatever it is at."""

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()


class Locust(Engine):
    """Locust with the profile's users, headless or with its web page."""

    def __init__(
        self, sale: Sale, log: Path, *, web_port: int | None = None, only_operators: bool = False
    ) -> None:
        super().__init__(sale)
        self._only_operators = only_operators
        self._log_path = log
        self._web_port = web_port
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Starts it, and waits until its history begins."""
        sale, profile = self.sale, self.sale.profile
        page = ["--headless", "--only-summary"]
        if self._web_port is not None:
            page = ["--autostart", "--autoquit", "1", "--web-host", "127.0.0.1"]
            page += ["--web-port", str(self._web_port)]
        command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *page]
        command += ["--exit-code-on-error", "0", "--host", sale.data_address]
        command += ["--control-address", sale.control_address, "--sale", profile.name]
        command += ["--sale-users", str(profile.users), "--sale-seconds", str(profile.seconds)]
        command += ["--sale-seed", str(sale.seed), "--sale-run", sale.run]
        command += ["--history", str(sale.history), "--sale-recorder", sale.recorder]
        command += ["--only-operators"] if self._only_operators else []
        command += ["--json-file", str(self._log_path.with_suffix(""))]  # it adds .json itself
        # The same modules that run here, wherever they were found.
        path = os.pathsep.join(filter(None, sys.path))
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                process_group=0,
            )
        history = sale.history / f"{sale.recorder}-{sale.run}.history"
        until_s = time.monotonic() + START_S
        while not history.exists():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise LoadFailed(f"Locust did not start: {self._log_tail()}")
            time.sleep(LOOK_S)

    def wait(self) -> None:
        """Until Locust has ended by itself."""
        assert self._process is not None
        try:
            status = self._process.wait(self.sale.profile.seconds + AFTER_S)
        except subprocess.TimeoutExpired:
            raise LoadFailed(f"Locust does not end: {self._log_tail()}") from None
        if status != 0:
            raise LoadFailed(f"Locust ended with status {status}: {self._log_tail()}")

    def stop(self) -> None:
        """Ends the process if it is still there."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(START_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _log_tail(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return f"{self._log_path} ends: {' | '.join(lines)}" if lines else "it said nothing"
