"""The server's disk and clock under the tests' shim: slow, full, or another time of day.

Owns the switches, which are files, and the environment that makes a server see them. The shim
itself is the tests' own (tests/faults), where what it can do is proved.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent.parent / "tests"))

import faults as shim

SLOWER_MS = 40
STEP_NS = 3_600 * 10**9
NoCompiler = shim.NoCompiler
"""The shim can't be built; one line says why."""


class Disk:
    """The disk and the clock of a server whose data is in `data`; switches lie in `folder`."""

    def __init__(self, folder: Path, data: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._data = data
        self._switches = {name: folder / name for name in ("slow_disk", "full_disk")}
        self._clock = folder / "clock"
        self.restore()

    def environment(self) -> dict[str, str]:
        """What to add to the server's environment. Raises NoCompiler."""
        slow = shim.Rule(
            "delay", call="sync", file="journal/*", when=self._switches["slow_disk"],
            first=1, ms=SLOWER_MS,
        )  # fmt: skip
        full = shim.Rule("full", when=self._switches["full_disk"])
        told: dict[str, str] = shim.environment(self._data, slow, full, clock=self._clock)
        return told

    def begin(self, kind: str) -> None:
        """The fault is there from now on."""
        if kind == "clock_step":
            beside = self._clock.with_suffix(".new")
            beside.write_text(str(STEP_NS))
            beside.replace(self._clock)  # at once: a clock is never half written
        else:
            self._switches[kind].touch()

    def restore(self, kind: str = "") -> None:
        """That fault is over, or all are."""
        for name, path in (*self._switches.items(), ("clock_step", self._clock)):
            if kind in ("", name):
                path.unlink(missing_ok=True)
