"""Real servers for tests: `atp serve` in a process of its own, on loopback and free ports.

Owns starting them, each in a folder of its own unless told otherwise and so with a data directory
of its own, waiting until they answer, and ending them by their process id. Waits for real
conditions with a deadline and never sleeps in hope.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import grpc

ROOT = Path(__file__).resolve().parent.parent
COMMAND = "from atp.cli import main; main()"
DEADLINE_SECONDS = 30.0


class ServerProcess:
    """One running `atp serve`; `data_plane` and `control_plane` are the addresses it told.

    `folder` is where it was started; without another word its data directory is in there.
    """

    def __init__(self, process: subprocess.Popen[str], errors: IO[str], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self._errors = errors
        ready = json.loads(_first_line(process, self.stderr))
        assert ready["pid"] == process.pid
        self.data_plane: str = ready["data_plane"]
        self.control_plane: str = ready["control_plane"]
        self.metrics: str = ready["metrics"] or ""

    def stderr(self) -> str:
        """All that it has written on stderr so far."""
        self._errors.flush()
        return Path(self._errors.name).read_text(encoding="utf-8")

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to this very process."""
        self.process.send_signal(number)

    def wait(self, seconds: float = DEADLINE_SECONDS) -> int:
        """Its exit status, once it has ended."""
        return self.process.wait(timeout=seconds)


@contextmanager
def serving(
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    command: str = COMMAND,
    folder: Path | None = None,
) -> Iterator[ServerProcess]:
    """Runs a server on free ports until the block ends. `command` is Python code that serves.

    Without a `folder` it has one of its own, which goes with it.
    """
    with (
        tempfile.NamedTemporaryFile("w+", suffix=".stderr") as errors,
        tempfile.TemporaryDirectory(prefix="atp-server-") as own_folder,
    ):
        started_in = folder or Path(own_folder)
        process = subprocess.Popen(
            [sys.executable, "-c", command, "serve", "--json", *free_ports(arguments), *arguments],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=started_in,
            env=clean_environment(environment),
        )
        try:
            yield ServerProcess(process, errors, started_in)
        except BaseException:
            # pytest shows this with the failure.
            print(f"stderr of the server:\n{Path(errors.name).read_text(encoding='utf-8')}")
            raise
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(timeout=DEADLINE_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            assert process.stdout is not None
            process.stdout.close()


def run_atp(
    *arguments: str, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the `atp` command to its end, in a folder of its own unless one is given."""
    with tempfile.TemporaryDirectory(prefix="atp-command-") as own_folder:
        return subprocess.run(
            [sys.executable, "-c", COMMAND, *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_SECONDS,
            cwd=folder or own_folder,
            env=clean_environment(environment),
        )


def free_ports(arguments: tuple[str, ...]) -> list[str]:
    """Options for free ports, for the planes whose address the arguments do not give."""
    options = []
    for option, setting in (
        ("--data-address", "data_plane.address"),
        ("--control-address", "control_plane.address"),
    ):
        if not any(option in word or f"{setting}=" in word for word in arguments):
            options += [option, "127.0.0.1:0"]
    return options


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment without settings of atp, and with `extra`.

    Servers have no port for metrics unless it is asked for: the default one is there once only.
    """
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("ATP_")}
    return {**inherited, "ATP_METRICS_ADDRESS": "off", **(extra or {})}


def wait_until(condition: Callable[[], bool], what: str, *, pause_s: float = 0.005) -> None:
    """Waits until the condition holds; fails with `what` at the deadline."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_SECONDS} s for {what}"
        time.sleep(pause_s)  # between two looks at a real condition


@contextmanager
def channel_to(address: str, **options: int) -> Iterator[grpc.Channel]:
    """A channel of its own connection, closed at the end; options as {"max_streams": 1}."""
    arguments = [("grpc.use_local_subchannel_pool", 1)]
    arguments += [(f"grpc.{name}", value) for name, value in options.items()]
    with grpc.insecure_channel(address, options=arguments) as channel:
        yield channel


def _first_line(process: subprocess.Popen[str], stderr: Callable[[], str]) -> str:
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        assert selector.select(DEADLINE_SECONDS), f"no ready line; stderr: {stderr()}"
    line = process.stdout.readline()
    assert line, f"the server ended with {process.wait()}; stderr: {stderr()}"
    return line
