"""Small programs under the shim, in a directory of their own, for the shim's own tests.

Owns running them and reading what the disk holds afterwards, without the shim.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import faults
from faults import Rule

PRELUDE = """
import os, sys
here = os.environ["FAULTS_DIRECTORY"]
def put(name, text, at=0, flags=os.O_RDWR | os.O_CREAT):
    file = os.open(f"{here}/{name}", flags, 0o644)
    os.pwrite(file, text, at)
    return file
def sync(file): os.fdatasync(file)
def sync_names(folder=here):
    file = os.open(folder, os.O_RDONLY)
    os.fsync(file)
    os.close(file)
def told(call, *words):
    try:
        return call(*words)
    except OSError as error:
        print(error.errno and os.strerror(error.errno))
def kept(name, text):
    sync(put(name, text)); sync_names()
def go(): os.path.exists(here) and os.open(f"{here}/go", os.O_CREAT)
"""
CUT = Rule("cut", call="create", file="go")
KILL = Rule("kill", call="create", file="go")
EIO, ENOSPC = "Input/output error\n", "No space left on device\n"


class Disk:
    """A data directory, and programs that work in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "data"
        self.folder.mkdir()
        self.log = folder / "log"
        self.aside = folder

    def run(self, program: str, *rules: Rule, seed: int = 0, **more: Path) -> str:
        """Runs a program; returns what it printed. It must end as its plan says."""
        told = faults.environment(self.folder, *rules, seed=seed, log=self.log, trace=True, **more)
        done = subprocess.run(
            [sys.executable, "-S", "-c", PRELUDE + program],
            env={**os.environ, **told},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        dies = any(rule.do.startswith(("cut", "kill", "within")) for rule in rules)
        expected = -signal.SIGKILL if dies else 0
        assert done.returncode == expected, f"{done.returncode} {done.stderr}"
        return done.stdout

    def files(self) -> dict[str, bytes]:
        """Everything there is, by its path."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {str(path.relative_to(self.folder)): path.read_bytes() for path in found}

    def calls(self) -> list[str]:
        """The calls that the shim saw: "KIND PATH SIZE"."""
        lines = self.log.read_text().splitlines()
        return [line.removeprefix("call ") for line in lines if line.startswith("call ")]
