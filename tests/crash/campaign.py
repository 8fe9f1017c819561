"""Many kills, one after another, and after each the count of what was lost and what was invented.

Owns the order of a round: one data directory, one server after another on it, each ended in a way
of its own. What is found is told with the one command that does the same again, and the data
directory is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import faults
from atp.journal.errors import JournalDamaged
from crash import audit
from crash.asks import Shopper, ask, opening
from crash.clients import Connection, ask_all, connected, shop
from crash.judge import INVENTED, LOST, WRONG, Finding
from crash.kills import KINDS, Kind, nothing
from crash.ledger import Ledger
from crash.life import Life, lived
from crash.offline import Replayed, replay_all

SHOPPERS = 6
ANSWERS_MOST = 500
FINISH_S = 30.0
Say = Callable[[str], None]


@dataclass
class Count:
    """What came of the kills of one kind."""

    kills: int = 0
    missed: int = 0
    """Ended from outside, because the fault did not come up."""
    acknowledged: int = 0
    findings: list[Finding] = field(default_factory=list)

    def number(self, kind: str) -> int:
        """How many findings of a kind."""
        return sum(finding.kind == kind for finding in self.findings)

    def add(self, other: Count) -> None:
        """Counts another one's as well."""
        self.kills += other.kills
        self.missed += other.missed
        self.acknowledged += other.acknowledged
        self.findings += other.findings


class Round:
    """One data directory and the servers that live on it, one after another."""

    def __init__(self, folder: Path, seed: int, settings: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.seed = seed
        self.random = Random(seed)
        self.settings = settings or {}
        self.directory = folder / "data"
        self.directory.mkdir()
        self.armed = folder / "armed"
        self.ledger = Ledger()
        self.audit = audit.Audit(self.ledger, self.random)
        self.counts: dict[str, Count] = {}
        self.last: Kind | None = None
        self.replayed: Replayed | None = None
        self.recounted: Any = None
        """What the server itself said of its whole state, when nothing changed any more."""
        self.is_open = False
        self.trace = False
        self.compared = 0
        """How often the live state could be compared with a replay of the journal."""

    def start(self, stack: ExitStack, rules: Iterable[faults.Rule]) -> Life:
        """Starts a server whose files meet these rules."""
        environment = faults.environment(
            self.directory,
            *rules,
            seed=self.random.randrange(1 << 30),
            log=self.folder / "faults.log",
            trace=self.trace,
            unsynced=self.folder / "unsynced",
        )
        return stack.enter_context(lived(self.directory, environment, settings=self.settings))

    def run(self, kinds: Iterable[Kind]) -> dict[str, Count]:
        """Kills in these ways, one after another; then lives once more, and stops in order."""
        for kind in kinds:
            asyncio.run(self.live(kind))
        asyncio.run(self.live(None))
        return self.counts

    async def live(self, kind: Kind | None) -> None:
        """One life: the audit of the one before it, clients, and an end of this kind."""
        rules = kind.rules(self.random, self.armed) if kind is not None else ()
        with ExitStack() as stack:
            life = self.start(stack, rules)
            if not life.wait_ready():
                self.found([Finding(WRONG, f"no start: {last_line(life)}")])
                raise Broken(self.counts)
            async with connected(self.ledger, life.data_plane, life.control_plane) as connection:
                await self.look_back(connection)
                if kind is None:
                    status = life.stop()
                    if status != 0:
                        self.found([Finding(WRONG, f"a stop in order ended with {status}")])
                    return
                await self.go_shopping(kind, connection, life)
            self.note_end(kind, life)
        self.after_death(kind)

    async def look_back(self, connection: Connection) -> None:
        """What the life before this left: is it what was told?"""
        if not self.is_open:
            await ask_all(connection, list(opening(self.random, 1)))
            self.is_open = True
        self.found(await self.audit.run(connection, self.directory, self.replayed))

    async def go_shopping(self, kind: Kind, connection: Connection, life: Life) -> None:
        """Clients ask until the server is dead."""
        self.ledger.life += 1
        before = self.ledger.answered
        most = before + self.random.randint(20, ANSWERS_MOST)
        if kind.rules(Random(0), self.armed):
            most = before + 3 * ANSWERS_MOST
        self.armed.touch()
        shoppers = [
            Shopper(Random(self.random.random()), f"{self.ledger.life}.{i}", kind.padding)
            for i in range(SHOPPERS)
        ]
        dead = lambda: not life.is_alive()  # noqa: E731
        enough = lambda: dead() or (self.ledger.answered >= most)  # noqa: E731
        shopping = asyncio.ensure_future(shop(connection, shoppers, until=enough))
        photographing = asyncio.ensure_future(self.take_snapshots(kind, connection, enough))
        while not shopping.done() and (kind.quiet or not enough()):
            await asyncio.sleep(0.002)
        if kind.quiet and not dead():
            await shopping
            self.recounted = (await connection.say(ask("CheckInvariants"))).answer
        elif shopping.done() and self.ledger.answered < most:
            await wait_end(life)
        life.kill()
        await asyncio.wait([shopping], timeout=FINISH_S)
        photographing.cancel()
        shopping.result()
        self.count(kind).acknowledged += self.ledger.answered - before

    async def take_snapshots(
        self, kind: Kind, connection: Connection, enough: Callable[[], bool]
    ) -> None:
        """Snapshots one after another, if this kind wants them."""
        while kind.snapshots and not enough():
            await connection.say(ask("TakeSnapshot"))

    def note_end(self, kind: Kind, life: Life) -> None:
        """Counts a kill, and whether it was the one that was meant."""
        count = self.count(kind)
        count.kills += 1
        log = self.folder / "faults.log"
        fired = "fired" in log.read_text() if log.exists() else False
        count.missed += bool(kind.rules(Random(0), self.armed)) and not fired
        if kind.dies_itself and fired:
            line = last_line(life)
            if life.was_killed or life.process.returncode == 0:
                self.found([Finding(WRONG, f"went on after an error of the disk: {line}")], kind)
            elif "journal" not in line:
                self.found([Finding(WRONG, f"went without saying why: {line}")], kind)
        log.unlink(missing_ok=True)
        self.last = kind

    def after_death(self, kind: Kind) -> None:
        """What the journal comes to by itself, and starts that are ended too."""
        self.armed.unlink(missing_ok=True)
        self.replayed = None
        at_start = kind.at_start or nothing
        for _ in range(self.random.randint(1, 3) if kind.at_start else 0):
            with ExitStack() as stack:
                life = self.start(stack, at_start(self.random, self.armed))
                if life.wait_ready():
                    self.count(kind).missed += 1
                life.kill()
                self.count(kind).kills += 1
        (self.folder / "faults.log").unlink(missing_ok=True)
        try:
            self.replayed = replay_all(self.directory, self.folder / "copy")
        except JournalDamaged as damaged:
            self.found([Finding(LOST, f"the journal alone: {damaged}")])
            raise Broken(self.counts) from damaged
        self.compare_recount(self.replayed)

    def compare_recount(self, replayed: Replayed) -> None:
        """The digest of the live state is that of a replay, if no hold has expired since."""
        live, self.recounted = self.recounted, None
        if live is not None and live.sequence == replayed.sequence:
            self.compared += 1
            if live.digest != replayed.digest:
                text = f"live {live.digest} at {live.sequence}, replayed {replayed.digest}"
                self.found([Finding(WRONG, text)])

    def count(self, kind: Kind | None) -> Count:
        """The count that something belongs to."""
        return self.counts.setdefault(kind.name if kind is not None else "start", Count())

    def found(self, findings: Iterable[Finding], kind: Kind | None = None) -> None:
        """Counts findings under the kind of kill that they came after."""
        self.count(kind or self.last).findings.extend(findings)


class Broken(Exception):
    """A round can't go on: the server does not start any more."""

    def __init__(self, counts: dict[str, Count]) -> None:
        super().__init__("the server does not start any more")
        self.counts = counts


async def wait_end(life: Life) -> None:
    """Waits for the end of a server that answers no more."""
    deadline = time.monotonic() + FINISH_S
    while life.is_alive():
        assert time.monotonic() < deadline, f"it answers nobody, and lives on: {life.stderr()}"
        await asyncio.sleep(0.01)


def last_line(life: Life) -> str:
    """The last thing that a server wrote."""
    lines = life.stderr().strip().splitlines()
    return lines[-1] if lines else "(nothing on stderr)"


def plan(seed: int, kinds: tuple[Kind, ...]) -> list[Kind]:
    """The kinds in the order of one round."""
    return Random(seed).sample(kinds, len(kinds))


def run(
    kills: int, seed: int, kinds: tuple[Kind, ...] = KINDS, say: Say = print, **settings: str
) -> tuple[dict[str, Count], list[str]]:
    """Rounds until so many servers were killed; returns the counts and what failed, as told."""
    totals: dict[str, Count] = {}
    failures: list[str] = []
    done = 0
    for number in itertools.count():
        if done >= kills:
            return totals, failures
        folder = Path(tempfile.mkdtemp(prefix=f"atp-crash-{seed + number}-"))
        chosen = itertools.islice(itertools.cycle(plan(seed + number, kinds)), kills - done)
        chosen = list(itertools.islice(chosen, max(len(kinds), 8)))
        one = Round(folder, seed + number, settings)
        try:
            counts = one.run(chosen)
        except Broken as broken:
            counts = broken.counts
        except Exception:
            one.found([Finding(WRONG, traceback.format_exc())])
            counts = one.counts
        add(totals, counts)
        done += sum(count.kills for count in counts.values())
        findings = [(name, f) for name, count in counts.items() for f in count.findings]
        for name, finding in findings[:20]:
            failures.append(f"{finding.kind} after {name}: {finding.text}")
        say(f"round {number}: seed {seed + number}, {done} kills, {len(findings)} findings")
        if findings:
            only = f" --only {kinds[0].name}" if len(kinds) == 1 else ""
            failures.append(
                f"the data directory is {one.directory}; again: make crash"
                f' CRASH="--kills {len(chosen)} --seed {seed + number}{only}"'
            )
        else:
            shutil.rmtree(folder)
    raise AssertionError("rounds go on for ever")


def add(totals: dict[str, Count], counts: dict[str, Count]) -> None:
    """Adds the counts of a round."""
    for name, count in counts.items():
        totals.setdefault(name, Count()).add(count)


def whole(counts: dict[str, Count]) -> Count:
    """All kinds together."""
    together = Count()
    for count in counts.values():
        together.add(count)
    return together


def table(totals: dict[str, Count]) -> str:
    """What a campaign came to, by kind of kill."""
    rows = [("kill", "kills", "missed", "acknowledged", LOST, INVENTED, WRONG)]
    for name, count in [*sorted(totals.items()), ("all", whole(totals))]:
        found = (count.number(kind) for kind in (LOST, INVENTED, WRONG))
        rows.append((name, *map(str, (count.kills, count.missed, count.acknowledged, *found))))
    return "\n".join(f"{row[0]:16}" + "".join(f"{cell:>14}" for cell in row[1:]) for row in rows)
