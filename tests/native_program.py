"""Headers of the native parts as programs that tests speak to, built with the sanitizer for
undefined behaviour.

Owns how they are built; what they are asked is each test's.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent


def built(source: str, folder: Path) -> Path:
    """The program of a source in this folder, built into `folder`."""
    program = folder / Path(source).stem
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"]
    flags += ["-fno-sanitize-recover=all", f"-I{HERE.parent}/src"]
    subprocess.run(["c++", *flags, str(HERE / source), "-o", str(program)], check=True)
    return program
