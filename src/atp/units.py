"""Durations and sizes as people write them: "10m", "1h30m", "500ms", "4MiB".

Owns reading and writing them, exactly: durations are whole nanoseconds, sizes whole bytes, and
nothing passes through a float. Knows no setting and no other module of atp.
"""

from __future__ import annotations

import re
from fractions import Fraction

DURATION_UNITS = {
    "d": 86_400_000_000_000,
    "h": 3_600_000_000_000,
    "m": 60_000_000_000,
    "s": 1_000_000_000,
    "ms": 1_000_000,
    "us": 1_000,
    "ns": 1,
}
SIZE_UNITS = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "B": 1}
TEXT_CHARACTERS_MAX = 40

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(d|h|ms|m|s|us|ns)", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(GiB|MiB|KiB|B)?", re.ASCII)


def parse_duration(text: str) -> int:
    """Reads a duration, such as "10m" or "1h30m"; returns nanoseconds.

    Raises ValueError, whose message says what would be right, for anything else: a number without a
    unit, a fraction of a nanosecond, a unit named twice or out of order.
    """
    position, total = 0, Fraction(0)
    units_left = list(DURATION_UNITS)
    while position < len(text) <= TEXT_CHARACTERS_MAX:
        part = _DURATION_PART.match(text, position)
        if part is None or part[2] not in units_left:
            break
        total += Fraction(part[1]) * DURATION_UNITS[part[2]]
        units_left = units_left[units_left.index(part[2]) + 1 :]
        position = part.end()
    if not text or position < len(text) or total.denominator != 1:
        raise ValueError(
            f'"{_shortened(text)}" is not a duration; write numbers with units from largest to'
            ' smallest, such as "500ms", "30s", "10m", "1h30m", "7d"'
        )
    return int(total)


def format_duration(nanoseconds: int) -> str:
    """Writes a duration so that parse_duration gives the same number back."""
    if nanoseconds == 0:
        return "0s"
    parts, rest = [], abs(nanoseconds)
    for unit, size in DURATION_UNITS.items():
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return ("-" if nanoseconds < 0 else "") + "".join(parts)


def parse_size(text: str) -> int:
    """Reads a size, such as "4MiB" or "1000"; returns bytes. Raises ValueError for others."""
    size = _SIZE.fullmatch(text) if len(text) <= TEXT_CHARACTERS_MAX else None
    total = Fraction(size[1]) * SIZE_UNITS[size[2] or "B"] if size else Fraction(1, 2)
    if total.denominator != 1:
        raise ValueError(
            f'"{_shortened(text)}" is not a size; write a number of bytes or one with a unit,'
            ' such as "512KiB", "4MiB", "1GiB"'
        )
    return int(total)


def format_size(size_bytes: int) -> str:
    """Writes a size so that parse_size gives the same number back."""
    for unit, size in SIZE_UNITS.items():
        if size_bytes and size_bytes % size == 0:
            return f"{size_bytes // size}{unit}"
    return f"{size_bytes}B"


def _shortened(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS_MAX else text[:TEXT_CHARACTERS_MAX] + "..."
