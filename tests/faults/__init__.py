"""Faults of disk, power and clock for a real process, made at its system calls.

Owns building the shim (shim.c) and telling a process of it by its environment. The rules of a plan
are described in plan.h; what a power cut loses, in disk.h. Knows nothing of atp.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).resolve().parent
BUILD = FOLDER.parent.parent / "build" / "faults"
FLAGS = ("-shared", "-fPIC", "-O2", "-g1", "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-pthread")


class NoCompiler(Exception):
    """The shim can't be built."""


class Rule(NamedTuple):
    """One rule of a plan: what is to be done (`do`), and at which calls. See plan.h."""

    do: str
    call: str = ""
    file: str = ""
    when: str | Path = ""
    nth: int = 0
    first: int = 0
    """The first of all the calls that it is done at."""
    chance: float = 0.0
    times: int = 0
    error: str = ""
    bytes: int = 0
    ms: int = 0
    lose: str = ""
    piece: int = 0
    keep: str = ""

    def __str__(self) -> str:
        fields = ("from" if name == "first" else name for name in self._fields)
        pairs = zip(fields, self, strict=True)
        return ",".join(f"{name}={value}" for name, value in pairs if value)


def library() -> Path:
    """The shim, built when it is not yet. Raises NoCompiler with one line."""
    sources = [path for path in sorted(FOLDER.iterdir()) if path.suffix in (".c", ".h")]
    content = hashlib.sha256(b"".join(path.read_bytes() for path in sources))
    built = BUILD / f"shim-{content.hexdigest()[:16]}.so"
    if built.exists():
        return built
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NoCompiler("faults can't be made: no C compiler; install the Debian package gcc")
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as folder:
        made = Path(folder) / built.name
        command = [compiler, *FLAGS, str(FOLDER / "shim.c"), "-o", str(made), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NoCompiler(f"the shim of the faults does not compile: {done.stderr.strip()}")
        made.replace(built)  # at once, for whoever builds it at the same time
    return built


def environment(  # a word for each thing that the shim can be told
    directory: Path,
    *rules: Rule,
    seed: int = 0,
    log: Path | None = None,
    trace: bool = False,
    unsynced: Path | None = None,
    clock: Path | None = None,
) -> dict[str, str]:
    """What to add to a process's environment, so that its files in `directory` meet these rules.

    `unsynced` carries what was not synced from a process that was killed by a rule to the next,
    for a later power cut. `clock` names a file with nanoseconds to move the time of day by.
    """
    told = {
        "LD_PRELOAD": str(library()),
        "FAULTS_DIRECTORY": os.path.realpath(directory),
        "FAULTS_PLAN": ";".join(map(str, rules)),
        "FAULTS_SEED": str(seed),
        "FAULTS_LOG": str(log or ""),
        "FAULTS_TRACE": "1" if trace else "",
        "FAULTS_UNSYNCED": str(unsynced or ""),
        "FAULTS_CLOCK": str(clock or ""),
    }
    return {name: text for name, text in told.items() if text}
