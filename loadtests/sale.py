"""One sale: which profile, where, and where it is recorded; what the parts of a rehearsal share.

Owns that alone, so that neither Locust nor gevent is needed to speak of a sale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loadtests.profiles import Profile


@dataclass(frozen=True)
class Sale:
    """What a process of users is told: which sale, where, and where to record.

    `run` begins every request id and customer id, so that two runs on one server are apart.
    """

    profile: Profile
    data_address: str
    control_address: str
    history: Path
    run: str
    seed: int
    recorder: str = "locust"
