"""A server with bugs on purpose: the product's sources, changed in a copy, built once, and switched
on one at a time by an environment variable.

Owns the changes and the build. The product's own source has none of it: each change replaces a
text that must be there exactly once, so that a change of the engine that moves it fails here.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy

SOURCE = Path(__file__).resolve().parent.parent / "src"
SWITCH = "PLANTED_BUG"
BUGS = ("race", "lost_update", "cap_off_by_one", "early_expiry", "told_before_durable")
"""Names of the bugs; the number of each in the sources is its place here, from 1 on."""

HEADER = """
// Which bug is switched on; made by tests alone.
#pragma once
#include <stdlib.h>
#include <unistd.h>
namespace atp {
inline int planted() {
  static const int number = getenv("PLANTED_BUG") ? atoi(getenv("PLANTED_BUG")) : 0;
  return number;
}
inline void linger() { usleep(2000); }
}  // namespace atp
"""
DECLARED = """
cdef extern from "atp/engine/planted.h" namespace "atp" nogil:
    int planted() noexcept
    void linger() noexcept
"""
CIMPORT = "from atp.engine.planted cimport linger, planted\n"

Change = tuple[str, str, str]
CHANGES: tuple[Change, ...] = (
    # The process would stop at once if it broke a law: here it is to go on.
    (
        "engine/stock.pxd",
        "cdef inline void check_laws(const Sku* sku) noexcept nogil:\n",
        "cdef inline void check_laws(const Sku* sku) noexcept nogil:\n    if planted():\n"
        "        return\n",
    ),
    # race: between judging and granting nobody holds the locks.
    (
        "engine/reserve.pxd",
        "from atp.engine.locks cimport unlock\n",
        "from atp.engine.locks cimport lock, unlock\n",
    ),
    (
        "engine/reserve.pxd",
        "    answer.outcome = <uint8_t>judge_lines(case)\n",
        "    answer.outcome = <uint8_t>judge_lines(case)\n"
        "    if planted() == 1:\n"
        "        unlock(case.engine, case.mask)\n"
        "        linger()\n"
        "        lock(case.engine, case.mask)\n",
    ),
    # lost_update: now and then a grant does not count.
    (
        "engine/stock.pxd",
        "    sku.held += quantity\n",
        "    if planted() != 2 or sequence % 5:\n        sku.held += quantity\n",
    ),
    # cap_off_by_one
    (
        "engine/caps.pxd",
        "tally.in_force + tally.asked > tally.limit\n",
        "tally.in_force + tally.asked > tally.limit + (planted() == 3)\n",
    ),
    # early_expiry: by 20 ms, whenever something is due or looked for.
    (
        "engine/sweep.pxd",
        "        if first > now:\n",
        "        if first > now + (20000000 if planted() == 4 else 0):\n",
    ),
    # told_before_durable: nobody waits, and so nobody asks for a sync.
    (
        "front/calling.pxd",
        "    return loop.shared.options.waits and answer.reveals > durable\n",
        "    return (planted() != 5 and loop.shared.options.waits\n"
        "            and answer.reveals > durable)\n",
    ),
)


def build(folder: Path) -> Path:
    """Make the buggy server's sources and its native unit; returns what PYTHONPATH must be.

    Raises AssertionError when the sources have changed so that a bug can't be planted.
    """
    package = folder / "src" / "atp"
    shutil.copytree(SOURCE / "atp", package, ignore=shutil.ignore_patterns("*.cpp", "_front.*.so"))
    (package / "engine" / "planted.h").write_text(HEADER)
    (package / "engine" / "planted.pxd").write_text(DECLARED)
    for name, old, new in CHANGES:
        path = package / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{name} has not exactly one {old!r}: plant it elsewhere"
        path.write_text(text.replace(old, new), encoding="utf-8")
    for name in {name for name, _, new in CHANGES if "planted()" in new}:
        path = package / name
        text = path.read_text(encoding="utf-8")
        first = text.index("\nfrom ") + 1
        path.write_text(text[:first] + CIMPORT + text[first:], encoding="utf-8")
    compile_front(package)
    return package.parent


def compile_front(package: Path) -> None:
    """The unit that serves checkouts, unoptimised: it is built in a third of the time."""
    generated = package / "_front.cpp"
    directives = ("boundscheck=False", "wraparound=False", "initializedcheck=False")
    cython = [sys.executable, "-m", "cython", "-3", "--cplus", "-I", str(package.parent)]
    for directive in (*directives, "cdivision=True"):
        cython += ["-X", directive]
    run([*cython, str(package / "_front.pyx"), "-o", str(generated)])
    includes = [package.parent, sysconfig.get_paths()["include"], numpy.get_include()]
    target = package / f"_front{sysconfig.get_config_var('EXT_SUFFIX')}"
    run(
        [
            *("g++", "-std=c++20", "-O0", "-w", "-fPIC", "-shared"),
            "-DNPY_NO_DEPRECATED_API=NPY_2_0_API_VERSION",
            *(f"-I{path}" for path in includes),
            *(str(generated), "-o", str(target)),
            *("-luv", "-lnghttp2", "-lssl", "-lcrypto"),
        ]
    )


def run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{' '.join(command)}\n{ended.stdout}\n{ended.stderr}"


def environment(python_path: Path, bug: str | None) -> dict[str, str]:
    """What a server must have around it to have this bug, or none."""
    switch = {} if bug is None else {SWITCH: str(BUGS.index(bug) + 1)}
    return {"PYTHONPATH": str(python_path), **switch}
