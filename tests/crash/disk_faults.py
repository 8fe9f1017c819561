"""Faults of the file system at each call that a server makes, one run for each.

Owns the count of the calls, the runs, and what must hold after each: the server goes on, or ends
and says why, or does not start and says why; and what was answered is there at the next start.
"""

from __future__ import annotations

import asyncio
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import NamedTuple

from crash.asks import ask
from crash.campaign import Round, last_line
from crash.clients import connected
from crash.judge import WRONG, Finding
from crash.script import script
from faults import Rule

ERRORS = {
    "create": ("EIO", "ENOSPC"),
    "write": ("EIO", "ENOSPC"),
    "allocate": ("EIO", "ENOSPC"),
    "sync": ("EIO",),
    "syncdir": ("EIO",),
    "rename": ("EIO",),
    "truncate": ("EIO",),
    "unlink": ("EIO",),
    "mkdir": ("EIO", "ENOSPC"),
}
START_ENDS, JOURNAL_ENDS = 2, 74
"""Exit statuses: of a start that can't be made, and of a journal that could not be written."""


class Fault(NamedTuple):
    """One fault at one call."""

    call: str
    nth: int
    error: str = ""

    @property
    def rule(self) -> Rule:
        """The same for the shim."""
        if not self.error:
            return Rule("short", call=self.call, nth=self.nth)
        return Rule("error", call=self.call, nth=self.nth, error=self.error)

    def __str__(self) -> str:
        return f"{self.error or 'short'} at {self.call} {self.nth}"


def census(folder: Path) -> Counter[str]:
    """How many calls of each kind a whole run makes, from the start of the server to its end."""
    log = folder / "faults.log"
    folder.mkdir()
    one = Round(folder, seed=1)
    one.trace = True
    asyncio.run(sell(one, ()))
    calls = [line.split()[1] for line in log.read_text().splitlines() if line.startswith("call ")]
    shutil.rmtree(folder)
    return Counter(calls)


def all_faults(calls: Counter[str]) -> Iterator[Fault]:
    """Every fault at every call."""
    for call, errors in ERRORS.items():
        for nth in range(1, calls[call] + 1):
            for error in errors:
                yield Fault(call, nth, error)
            if call == "write":
                yield Fault(call, nth)


def suffer(folder: Path, fault: Fault) -> list[Finding]:
    """One run with a fault, and the life after it; returns what was found wrong."""
    folder.mkdir()
    one = Round(folder, seed=fault.nth)
    findings = asyncio.run(sell(one, (fault.rule,)))
    findings += asyncio.run(look_back(one))
    if not findings:
        shutil.rmtree(folder)
    return [Finding(f.kind, f"{fault}: {f.text} ({folder})") for f in findings]


async def sell(one: Round, rules: tuple[Rule, ...]) -> list[Finding]:
    """The whole script; the server may end at any point of it, if it says why."""
    with ExitStack() as stack:
        life = one.start(stack, rules)
        if not life.wait_ready():
            return told_why(life.process.returncode, (START_ENDS, JOURNAL_ENDS), last_line(life))
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            for asked in script("first"):
                said = await connection.say(asked)
                if not said.is_answered and not said.refused:
                    break
        if life.is_alive():
            life.stop()
        if life.process.returncode != 0:
            return told_why(life.process.returncode, (JOURNAL_ENDS,), last_line(life))
        return []


def told_why(status: int, expected: tuple[int, ...], line: str) -> list[Finding]:
    """A server that ended says why in its last line, and by its status."""
    if status in expected and ("the journal failed: " in line or "data.directory " in line):
        return []
    return [Finding(WRONG, f"ended with status {status}, not {expected}: {line}")]


async def look_back(one: Round) -> list[Finding]:
    """The next start on a sound disk: all that was answered is there, and it sells on."""
    with ExitStack() as stack:
        life = one.start(stack, ())
        if not life.wait_ready():
            return [Finding(WRONG, f"no start after it: {last_line(life)}")]
        async with connected(one.ledger, life.data_plane, life.control_plane) as connection:
            findings = await one.audit.run(connection, one.directory, None)
            for asked in script("second"):
                said = await connection.say(asked)
                if not said.is_answered:
                    findings.append(Finding(WRONG, f"does not sell on: {said}"))
                    break
            await connection.say(ask("CheckInvariants"))
            findings += await one.audit.run(connection, one.directory, None)
        if life.is_alive() and life.stop() != 0:
            findings.append(Finding(WRONG, f"does not stop in order: {last_line(life)}"))
        return findings


def sample(faults: list[Fault], count: int, seed: int) -> list[Fault]:
    """Some of the faults, each kind among them."""
    random = Random(seed)
    by_kind: dict[tuple[str, str], list[Fault]] = {}
    for fault in faults:
        by_kind.setdefault((fault.call, fault.error), []).append(fault)
    chosen = [random.choice(same) for same in by_kind.values()]
    rest = [fault for fault in faults if fault not in chosen]
    return chosen[:count] + random.sample(rest, max(0, count - len(chosen)))
