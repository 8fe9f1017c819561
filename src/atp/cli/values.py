"""What commands read from the command line: baskets, durations, instants, overrides of caps.

Owns the reading and the messages when it cannot be read. Judges no bounds that the server judges.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import IntEnum
from typing import Any

import click

from atp.units import parse_duration
from atp.vocabulary import CapOverride


class Value(click.ParamType):  # type: ignore[type-arg]  # generic only in newer versions of click
    """A parameter's type, read by a function whose ValueError says what would be right."""

    def __init__(self, name: str, read: Callable[[str], object], metavar: str = "") -> None:
        self.name = name
        self._read = read
        self._metavar = metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """How help names the value."""
        return self._metavar or None

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Reads text; what is not text has been read before."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


def word_of(kind: type[IntEnum]) -> Value:
    """One word of an enumeration of the vocabulary, in lower case with hyphens."""
    words = {word.name.lower().replace("_", "-"): word for word in kind}

    def read(text: str) -> IntEnum:
        word = words.get(text.lower().replace("_", "-"))
        if word is None:
            raise ValueError(f"{text!r} is none of {', '.join(words)}")
        return word

    return Value("word", read, f"[{'|'.join(words)}]")


def _instant(text: str) -> datetime:
    problem = f"{text!r} is not an instant; write date, time and zone: 2026-11-27T09:00:00Z"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(problem) from None
    if instant.utcoffset() is None:
        raise ValueError(problem)
    return instant


def _line(text: str) -> tuple[str, int]:
    sku, _, quantity = text.rpartition("=")  # the last one, so that a SKU may have one
    if not sku or not _is_number(quantity):
        raise ValueError(f"{text!r} is not a line; write SKU=QUANTITY, such as MUG=2")
    return sku, int(quantity)


def _override(text: str) -> CapOverride:
    subject, _, limit = text.rpartition("=")
    if not subject or not (_is_number(limit) or limit == "none"):
        raise ValueError(
            f"{text!r} is not an override; write SUBJECT=LIMIT, such as 10.0.0.0/8=500, or"
            " SUBJECT=none for no limit"
        )
    return CapOverride(subject, None if limit == "none" else int(limit))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


DURATION = Value("duration", parse_duration)
"""A duration such as 10m; gives nanoseconds."""
INSTANT = Value("instant", _instant)
"""An instant such as 2026-11-27T09:00:00Z; gives an aware datetime."""
LINE = Value("line", _line)
"""A line of a basket, SKU=QUANTITY; gives the pair."""
OVERRIDE = Value("override", _override)
"""Another limit for one subject, SUBJECT=LIMIT; gives a CapOverride."""
