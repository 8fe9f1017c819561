"""One sale: which profile, where, and where it is recorded; what the parts of a rehearsal share.

Owns that alone, so that neither Locust nor gevent is needed to speak of a sale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from atp.history.writer import SUFFIX
from loadtests.encryption import Files
from loadtests.profiles import Profile


@dataclass(frozen=True)
class Sale:
    """What a process of users is told: which sale, where, and where to record.

    `run` begins every request id and customer id, so that two runs on one server are apart. Of
    `processes` that make the load together this is number `process`, from 1 on; 0: it is alone.
    """

    profile: Profile
    data_address: str
    control_address: str
    history: Path
    run: str
    seed: int
    recorder: str = "locust"
    data_tls: Files | None = None
    control_tls: Files | None = None
    processes: int = 1
    process: int = 0

    @property
    def place(self) -> str:
        """Tells this process's names from those of the others."""
        return f"{self.run}-{self.process}" if self.process else self.run

    def history_of(self, process: int) -> Path:
        """The file that one of the processes records in."""
        each = replace(self, process=process)
        return self.history / f"{self.recorder}-{each.place}{SUFFIX}"
