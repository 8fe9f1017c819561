"""Lints proto/ with buf: STANDARD and COMMENTS rules, as proto/buf.yaml says.

Owns getting the pinned buf, once, from its npm package into build/npm. Where npm or the package
can't be had it says so and exits 3, so that nobody takes "not linted" for "clean".
Run: python tools/lint_proto.py [FOLDER]
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO_FOLDER = ROOT / "proto"
NPM_FOLDER = ROOT / "build" / "npm"
BUF_PACKAGE = "@bufbuild/buf"
BUF_VERSION = "1.75.0"
INSTALL_SECONDS_MAX = 120
EXIT_UNAVAILABLE = 3


class BufUnavailable(Exception):
    """buf can't be had on this machine; the message says why."""


def buf_binary() -> Path:
    """The pinned buf, installed on first use. Raises BufUnavailable."""
    package_folder = NPM_FOLDER / "node_modules" / "@bufbuild" / "buf"
    if _installed_version(package_folder) != BUF_VERSION:
        _install()
    binary = NPM_FOLDER / "node_modules" / ".bin" / "buf"
    if _installed_version(package_folder) != BUF_VERSION or not binary.exists():
        raise BufUnavailable(f"npm installed no {BUF_PACKAGE}@{BUF_VERSION} for this platform")
    return binary


def lint(folder: Path = PROTO_FOLDER) -> subprocess.CompletedProcess[str]:
    """Runs `buf lint` on folder: exit status 0 when nothing was found. Raises BufUnavailable."""
    return subprocess.run(
        [buf_binary(), "lint", folder], capture_output=True, text=True, check=False, cwd=ROOT
    )


def _installed_version(package_folder: Path) -> str | None:
    try:
        return json.loads((package_folder / "package.json").read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError):
        return None


def _install() -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise BufUnavailable("npm is not on the PATH")
    NPM_FOLDER.mkdir(parents=True, exist_ok=True)
    package = f"{BUF_PACKAGE}@{BUF_VERSION}"
    # The binary comes inside a package for the platform, so no install script is needed or run.
    command = [npm, "install", "--no-save", "--ignore-scripts", "--prefix", NPM_FOLDER, package]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS_MAX
        )
    except subprocess.TimeoutExpired:
        raise BufUnavailable(f"npm did not install {package} in {INSTALL_SECONDS_MAX} s") from None
    if done.returncode != 0:
        raise BufUnavailable(f"npm could not install {package}: {done.stderr.strip()[-300:]}")


def main() -> int:
    """Lints the folder named on the command line; returns the exit status."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else PROTO_FOLDER
    try:
        result = lint(folder)
    except BufUnavailable as reason:
        print(f"proto not linted: {reason}", file=sys.stderr)
        return EXIT_UNAVAILABLE
    print(result.stdout + result.stderr, end="")
    return result.returncode


if __name__ == "__main__":
    sys.exit(main())
