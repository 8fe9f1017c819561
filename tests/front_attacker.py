"""An attack in a process of its own, out of its victim's and the other client's way.

Owns starting it, with as many open files as the machine allows and at the lowest priority (an
attack comes from another machine, and should not compete here for the cores), and its report.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from front_attacks import ATTACKS, IDLE_CONNECTIONS
from front_tls_attacks import HALF_OPEN, TLS_ATTACKS

END_SECONDS = 60.0


class Attacker:
    """A running attack; `endings` once it has ended."""

    def __init__(self) -> None:
        self.endings: dict[str, int] = {}


@contextmanager
def attacking(name: str, address: str, seconds: float) -> Iterator[Attacker]:
    """Attacks for so long; the block's end waits for the attack's."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, __file__, name, address, str(seconds)]
    attacker = Attacker()
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield attacker
            out, _ = process.communicate(timeout=seconds + END_SECONDS)
            assert process.returncode == 0, f"the attack {name} itself failed"
            attacker.endings = json.loads(out)
        finally:
            process.kill()


def files_allowed() -> int:
    """Raises the bound of open files as far as it goes; how far that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def main() -> None:
    """Attacks, and prints how its connections ended."""
    name, address, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
    os.nice(19)
    wanted = {"idle_connections": IDLE_CONNECTIONS} | dict.fromkeys(TLS_ATTACKS, HALF_OPEN)
    if files_allowed() < wanted.get(name, 0) + 100:
        sys.exit(f"this machine allows {files_allowed()} open files, too few for the attack")
    attack = (ATTACKS | TLS_ATTACKS)[name]
    until = time.monotonic() + seconds
    print(json.dumps(attack(address, lambda: time.monotonic() < until)))


if __name__ == "__main__":
    main()
