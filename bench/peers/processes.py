"""Programs beside the benchmark: on loopback, with a port and a folder of their own, ended by their
process id.

Owns the folder of a run, on the disk that all peers share, and how large a load is. Knows no peer.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

DEADLINE_S = 60.0
PAUSE_S = 0.01


class Pattern(NamedTuple):
    """How many calls are under way at once."""

    name: str
    connections: int
    in_flight: int


A = Pattern("A", 50, 1)
B = Pattern("B", 8, 16)
C = Pattern("C", 8, 100)
ONE = Pattern("one", 1, 1)
PATTERNS = (A, B, C)


class Size(NamedTuple):
    """How much is measured: seconds of each load, rounds of all of them in turn."""

    seconds: float
    rounds: int

    def count(self, measure: Callable[[int], float], least: int) -> int:
        """How many calls fill the time; `measure` does so many and gives the rate."""
        return max(least, round(measure(least) * self.seconds))


@contextmanager
def folder_for(name: str, within: Path | None = None) -> Iterator[Path]:
    """A new folder that others may enter, gone at the end."""
    folder = Path(tempfile.mkdtemp(prefix=f"atp-peer-{name}-", dir=within))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(
    command: list[str],
    *,
    log: Path,
    program: str | None = None,
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
) -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until the block ends; its output goes to the log.

    `program` is the file that is run, where it is not the command's first word.
    """
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            executable=program,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            user=user,
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], log: Path, what: str
) -> None:
    """Waits until it holds; fails when the process ends, and at the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f"no {what}: {log.read_text()}"
        assert time.monotonic() < deadline, f"no {what} in {DEADLINE_S} s: {log.read_text()}"
        time.sleep(PAUSE_S)


def accepts(port: int) -> bool:
    """Whether something listens on this port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def told(command: list[str], *, environment: Mapping[str, str] | None = None) -> str:
    """What a program printed; it must end well."""
    ended = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        timeout=10 * DEADLINE_S,
        env={**os.environ, **(environment or {})},
    )
    assert ended.returncode == 0, f"{command}: {ended.stderr}{ended.stdout}"
    return ended.stdout
