"""What clients asked and what they were told, in the order in which it happened.

Owns the record of a round, over all lives of its server. Judges nothing. An answer that never came
leaves its command in doubt: it may have been done or not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from crash.asks import Ask

SEQUENCES = ("sequence", "durable_sequence")


@dataclass(eq=False, slots=True)
class Said:
    """One call: what was asked and, if it came, the answer or the error."""

    ask: Ask
    floor: int
    """The newest change that anybody had been told of when this was asked."""
    life: int
    answer: Any = None
    error: str = ""
    refused: str = ""
    """Why the call was not judged, if the server itself said so."""

    @property
    def is_answered(self) -> bool:
        return self.answer is not None

    def __str__(self) -> str:
        told = self.answer if self.is_answered else f"no answer ({self.error or 'none yet'})"
        return f"{self.ask.method} {{{flat(self.ask.request)}}} told {{{flat(told)}}}"


class Ledger:
    """Everything said in a round."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.newest = 0
        self.life = 0

    def asks(self, ask: Ask) -> Said:
        """Notes a call that is about to be sent."""
        said = Said(ask, self.newest, self.life)
        self.said.append(said)
        return said

    def hears(self, said: Said, answer: Any) -> None:
        """Notes the answer to a call."""
        said.answer = answer
        self.newest = max(self.newest, newest_in(answer))

    @property
    def answered(self) -> int:
        """How many calls were answered."""
        return sum(said.is_answered for said in self.said)


def newest_in(message: Message) -> int:
    """The newest change that a message names, wherever in it."""
    return max(sequences_in(message), default=0)


def sequences_in(message: Message) -> Iterator[int]:
    """Every change that a message names; the tags of caps are the hexadecimal of theirs."""
    for field, value in message.ListFields():
        if field.name in SEQUENCES:
            yield value
        elif field.name == "etag":
            yield int(value, 16)
        elif field.type == field.TYPE_MESSAGE:
            for part in value if field.is_repeated else (value,):
                yield from sequences_in(part)


def flat(message: object) -> str:
    """A message on one line."""
    return " ".join(str(message).split())
