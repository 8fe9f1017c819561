"""One life of the server: started on a data directory, under faults, and ended or found dead.

Owns the process: it is ended by its own id, whatever happens. Knows what it wrote on stderr and
with which status it went.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from server_process import COMMAND, ROOT, clean_environment, free_ports

DEADLINE_S = 60.0
SETTINGS = {
    "journal.segment_bytes": "2MiB",
    "journal.keep": "1d",
    "snapshot.every": "2s",
    "snapshot.every_bytes": "1MiB",
    "server.drain": "5s",
}


class Life:
    """A server that was started; `is_ready` when it came to answer calls."""

    def __init__(self, process: subprocess.Popen[str], errors: Path) -> None:
        self.process = process
        self.errors = errors
        self.data_plane = self.control_plane = ""
        self.is_ready = False

    def wait_ready(self) -> bool:
        """Waits until it answers calls, or has ended: then False."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            if not selector.select(DEADLINE_S):
                raise AssertionError(
                    f"the server is not ready after {DEADLINE_S} s: {self.stderr()}"
                )
        line = self.process.stdout.readline()
        if not line:
            self.process.wait(DEADLINE_S)
            return False
        ready = json.loads(line)
        self.data_plane, self.control_plane = ready["data_plane"], ready["control_plane"]
        self.is_ready = True
        return True

    def is_alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None

    def kill(self) -> None:
        """kill -9, and waits for the end."""
        if self.is_alive():
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(DEADLINE_S)

    def stop(self) -> int:
        """An orderly stop; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)

    def stderr(self) -> str:
        """All that it has written on stderr so far."""
        return self.errors.read_text(encoding="utf-8", errors="replace")

    @property
    def was_killed(self) -> bool:
        """Whether it went by SIGKILL, its own or ours."""
        return self.process.returncode == -signal.SIGKILL


@contextmanager
def lived(
    directory: Path,
    faults: Mapping[str, str],
    *,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Life]:
    """Starts `atp serve` on a data directory under faults; killed at the end if it still runs."""
    errors = directory.parent / "stderr"
    chosen = {**SETTINGS, **(settings or {})}
    words = ["serve", "--json", "--data", str(directory)]
    words += [word for pair in chosen.items() for word in ("--set", "=".join(pair))]
    environment = clean_environment(faults) | {"PYTHONPATH": python_path()}
    with errors.open("a", encoding="utf-8") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, *words, *free_ports(tuple(words))],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=directory.parent,
            env=environment,
        )
    life = Life(process, errors)
    try:
        yield life
    finally:
        life.kill()
        assert process.stdout is not None
        process.stdout.close()


def python_path() -> str:
    """Where this very tree's package is found, whatever is installed."""
    return os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]))
