"""Builds the native units in place, in two passes: the compiler is shown a sale before the second.

The first pass counts which paths are taken (tools/train.py runs them), the second lays out the code
by it: a seventh faster (docs/performance.md). `--plain` builds once, without; so does a compiler
that is not GCC, whose way of it differs. Owns the order of the steps; setup.py has the flags.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(profile: str) -> None:
    """One pass; all of it is compiled anew, because the flags differ."""
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace", "--force", "-j", "2"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "ATP_PROFILE": profile}, check=True)


def is_gcc() -> bool:
    """Whether the C++ compiler is GCC."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    asked = subprocess.run([compiler, "-v"], capture_output=True, text=True, check=False)
    return "gcc version" in asked.stderr


def main() -> None:
    """Builds; says in a line what it does, because it takes most of a minute."""
    if "--plain" in sys.argv[1:] or not is_gcc():
        print("atp: building the native engine", flush=True)
        build("")
        return
    print("atp: building the native engine (1 of 2: to learn which paths are taken)", flush=True)
    for old in (ROOT / "build").glob("temp*/**/*.gcda"):
        old.unlink()
    build("record")
    subprocess.run([sys.executable, "tools/train.py"], cwd=ROOT, check=True)
    print("atp: building the native engine (2 of 2)", flush=True)
    build("use")


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as error:
        sys.exit(f"atp: the native engine was not built: {' '.join(map(str, error.cmd))} failed")
