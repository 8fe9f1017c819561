"""The two that make the load: Locust in processes of its own, and the product's own generator.

Owns starting them, when the sale has begun, and their end; both record into the sale's history.
What they do is in users/ and in atp.load.
"""

from __future__ import annotations

import os
import socket
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
    """Locust with the profile's users, headless or with its web page.

    With `processes` of a sale it is one that leads and has the page, and so many that have the
    users, each begun anew: grpcio can't be taken along by a fork once it is at work.
    """

    def __init__(
        self, sale: Sale, log: Path, *, web_port: int | None = None, only_operators: bool = False
    ) -> None:
        super().__init__(sale)
        self._only_operators = only_operators
        self._log_path = log
        self._web_port = web_port
        self._processes: list[subprocess.Popen[bytes]] = []

    def begin(self) -> None:
        """Starts it, and waits until each of its histories begins."""
        numbers = [0] if self.sale.processes == 1 else range(1, self.sale.processes + 1)
        lead, follow = [], []
        if self.sale.processes > 1:
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = str(free.getsockname()[1])
            lead = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
            lead += ["--expect-workers", str(self.sale.processes)]
            follow = ["--worker", "--master-host", "127.0.0.1", "--master-port", port]
        self._log_path.unlink(missing_ok=True)
        self._start([*lead, *self._page_words()])
        for number in numbers if follow else ():
            self._start([*follow, "--sale-process", str(number)])
        until_s = time.monotonic() + START_S
        while not all(self.sale.history_of(number).exists() for number in numbers):
            if not self._are_running() or time.monotonic() > until_s:
                raise LoadFailed(f"Locust did not start: {self._log_tail()}")
            time.sleep(LOOK_S)

    def _page_words(self) -> list[str]:
        words = ["--headless", "--only-summary"]
        if self._web_port is not None:
            words = ["--autostart", "--autoquit", "1", "--web-host", "127.0.0.1"]
            words += ["--web-port", str(self._web_port)]
        return [*words, "--json-file", str(self._log_path.with_suffix(""))]  # it adds .json itself

    def _start(self, words: list[str]) -> None:
        sale, profile = self.sale, self.sale.profile
        command = [sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", *words]
        command += ["--exit-code-on-error", "0", "--host", sale.data_address]
        command += ["--control-address", sale.control_address, "--sale", profile.name]
        command += ["--sale-users", str(profile.users), "--sale-seconds", str(profile.seconds)]
        command += ["--sale-seed", str(sale.seed), "--sale-run", sale.run]
        command += ["--history", str(sale.history), "--sale-recorder", sale.recorder]
        command += ["--only-operators"] if self._only_operators else []
        for plane, files in (("data", sale.data_tls), ("control", sale.control_tls)):
            command += files.words(plane) if files else []
        # The same modules that run here, wherever they were found.
        path = os.pathsep.join(filter(None, sys.path))
        with self._log_path.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": path},
                process_group=0,
            )
        self._processes.append(process)

    def _are_running(self) -> bool:
        return all(process.poll() is None for process in self._processes)

    def wait(self) -> None:
        """Until Locust has ended by itself, all of it."""
        until_s = time.monotonic() + self.sale.profile.seconds + AFTER_S
        for process in self._processes:
            try:
                status = process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                raise LoadFailed(f"Locust does not end: {self._log_tail()}") from None
            if status != 0:
                raise LoadFailed(f"Locust ended with status {status}: {self._log_tail()}")

    def stop(self) -> None:
        """Ends what is still there of it."""
        running = [process for process in self._processes if process.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(START_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _log_tail(self) -> str:
        lines = self._log_path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return f"{self._log_path} ends: {' | '.join(lines)}" if lines else "it said nothing"
