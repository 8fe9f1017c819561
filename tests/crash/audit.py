"""After each death: does the next life remember all that was told, and nothing that was not asked?

Owns what is asked of the new life, and the reading of the journal as it lies on the disk. Keeps its
place in both, so that each answer and each change is judged once.
"""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from crash.asked_for import Asked
from crash.asks import Ask, ask
from crash.clients import Connection, ask_all
from crash.history import History
from crash.judge import LOST, WRONG, Finding, Judge
from crash.ledger import Ledger, Said
from crash.offline import Replayed
from format_reader import records

HOLDS_READ = 80
RETRIED = 40
RETRIABLE = ("Reserve", "Commit", "Release", "Extend", "AdjustStock")


class Audit:
    """The judgement of one round, life after life."""

    def __init__(self, ledger: Ledger, random: Random) -> None:
        self.ledger = ledger
        self.random = random
        self.history = History()
        self.asked = Asked(ledger)
        self.judge = Judge(self.history)
        self.judged = 0
        self.read_before: list[int] = []
        """The checksum of each record that was read, to see that none changes."""

    async def run(
        self, connection: Connection, directory: Path, replayed: Replayed | None
    ) -> list[Finding]:
        """Asks the new life what it remembers, reads its journal, and judges all that is new."""
        first = self.judged
        findings = await self.recount(connection, replayed)
        await ask_all(connection, [ask("ListStock"), ask("ListCaps"), *self.holds_to_read()])
        findings += await self.retry(connection, self.ledger.said[first:])
        # Expiries go on; what was told is durable by now, and so much is judged.
        status = await connection.say(ask("GetStatus"))
        durable = status.answer.journal.durable_sequence if status.answer is not None else 0
        findings += self.read_journal(directory, durable)
        self.asked.take_in()
        for said in self.ledger.said[self.judged :]:
            findings += self.judge.check(said)
        self.judged = len(self.ledger.said)
        findings += [Finding(WRONG, text) for text in self.history.early]
        self.history.early.clear()
        return findings

    async def recount(self, connection: Connection, replayed: Replayed | None) -> list[Finding]:
        """The laws, and the digest of what was recovered against that of the whole journal."""
        status = await connection.say(ask("GetStatus"))
        checked = await connection.say(ask("CheckInvariants"))
        if status.answer is None or checked.answer is None:
            return [Finding(WRONG, f"no audit: {status.error} {checked.error}")]
        findings = [Finding(WRONG, f"laws: {text}") for text in checked.answer.violations]
        recovery = status.answer.journal.last_recovery
        if replayed is not None:
            findings += [Finding(WRONG, f"a full replay: {text}") for text in replayed.violations]
            told = (recovery.sequence, recovery.digest)
            if told != (replayed.sequence, replayed.digest):
                text = f"recovered {told}, a replay of all is {replayed.sequence, replayed.digest}"
                findings.append(Finding(WRONG, text))
        if recovery.damaged_snapshots:
            text = f"damaged by no fault of the disk: {list(recovery.damaged_snapshots)}"
            findings.append(Finding(WRONG, text))
        return findings

    def holds_to_read(self) -> list[Ask]:
        """Reads of reservations that were told of, most of them in the last life."""
        told: dict[str, None] = {}
        for said in self.ledger.said[self.judged :]:
            hold = getattr(said.answer, "reservation", None)
            if hold is not None and hold.reservation_id:
                told[hold.reservation_id] = None
        recent, older = list(told), list(self.history.holds)
        chosen = self.random.sample(recent, min(len(recent), HOLDS_READ))
        chosen += self.random.sample(older, min(len(older), HOLDS_READ // 2))
        return [ask("GetReservation", reservation_id=key) for key in chosen]

    async def retry(self, connection: Connection, said: list[Said]) -> list[Finding]:
        """The same again, as a client does that got no answer, or lost it."""
        once: dict[str, Said] = {}
        for one in said:
            if one.ask.method in RETRIABLE and one.ask.request.request_id and was_done(one):
                once[one.ask.request.request_id] = one
        chosen = self.random.sample(list(once.values()), min(len(once), RETRIED))
        findings = []
        again = await ask_all(connection, [one.ask for one in chosen])
        for first, second in zip(chosen, again, strict=True):
            findings += same_answer(first, second)
        return findings

    def read_journal(self, directory: Path, durable: int) -> list[Finding]:
        """Every record that is durable: those read before are as they were, new ones are judged."""
        findings = []
        self.asked.take_in()
        for record in records(directory):
            if record.sequence > durable:
                break
            if record.sequence <= len(self.read_before):
                if self.read_before[record.sequence - 1] != record.checksum:
                    text = f"change {record.sequence} is not the one that was there before"
                    findings.append(Finding(LOST, text))
                continue
            self.read_before.append(record.checksum)
            event: Any = record.event
            self.history.apply(record.sequence, event)
            findings += self.asked.check(record.sequence, event)
        return findings


def was_done(said: Said) -> bool:
    """Whether a command changed something, or may have: its answer never came."""
    return not said.is_answered or bool(said.answer.sequence)


def same_answer(first: Said, second: Said) -> list[Finding]:
    """A repeat gets the first answer."""
    if second.answer is None:
        return [Finding(WRONG, f"a retry was not answered: {second}")]
    if not first.is_answered:
        return []
    one, two = first.answer, second.answer
    told = (one.outcome, one.sequence, True)
    if (two.outcome, two.sequence, two.repeated) != told:
        return [Finding(LOST, f"a retry of {first} was answered otherwise: {second}")]
    return []
