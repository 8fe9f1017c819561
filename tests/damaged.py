"""Kinds of damage to a store, and the offline commands that are run on it.

Owns making each damage once, in a store made by remembered.py; finds and mends none.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from click.testing import CliRunner

from atp.cli import main
from atp.journal._native import checksum
from atp.journal.segments import HEADER
from journal_files import STORE_ID, Read
from remembered import NOW_NS, overwrite, segments_of


class Ended(NamedTuple):
    """A command that ran."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it printed."""
        return self.out.splitlines()


def atp(*words: str | Path) -> Ended:
    """Run `atp` with these words, in this process."""
    ended = CliRunner().invoke(main, [str(word) for word in words])
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return Ended(ended.exit_code, ended.stdout, ended.stderr)


class Past(NamedTuple):
    """A store, the digest after each batch, and its records by segment."""

    path: Path
    digests: dict[int, str]
    records: list[list[Read]]

    @property
    def last(self) -> int:
        """The last change."""
        return self.records[-1][-1].sequence

    def file(self, number: int) -> Path:
        """A segment's file."""
        return segments_of(self.path)[number].path


def header(**fields: int | bytes) -> bytes:
    """A segment's header with some other fields and a right checksum."""
    known = {
        "magic": b"ATPSEGMT",
        "version": 1,
        "zero": 0,
        "store_id": STORE_ID,
        "first_sequence": 1,
        "create_time_ns": NOW_NS,
        "zeros": 0,
    }
    body = HEADER.pack(*(known | fields).values(), 0)[:-8]
    return body + struct.pack("<Q", checksum(body))


# Damage, one kind each. What is damaged, and what a repair loses: the last change that is left.


def a_bit(past: Past) -> int:
    """A durable record in a sealed segment."""
    victim = past.records[-2][1]
    overwrite(past.file(-2), victim.offset + 30, b"\xff\xff\xff")
    return victim.sequence - 1


def a_bit_in_the_last_segment(past: Past) -> int:
    """Proven by a later record."""
    victim = past.records[-1][1]
    overwrite(past.file(-1), victim.offset + 30, b"\xff\xff\xff")
    return victim.sequence - 1


def a_lost_end(past: Past) -> int:
    """The mark knows of more."""
    victim = past.records[-1][-2]
    size = past.file(-1).stat().st_size
    overwrite(past.file(-1), victim.offset, bytes(size - victim.offset))
    return victim.sequence - 1


def a_missing_segment(past: Past) -> int:
    """After the newest snapshot."""
    first = past.records[-2][0].sequence
    past.file(-2).unlink()
    return first - 1


def a_header(past: Past) -> int:
    """Of a sealed segment; nothing is lost by it."""
    overwrite(past.file(-2), 3, b"xyz")
    return past.last


def the_last_header(past: Past) -> int:
    overwrite(past.file(-1), 60, b"xyz")
    return past.last


def junk_between_segments(past: Past) -> int:
    """After the last record of a sealed segment; nothing is lost by it."""
    with past.file(-2).open("ab") as file:
        file.write(b"junk")
    return past.last


def junk_between_records(past: Past) -> int:
    """Records are all there, but not one after another."""
    victim = past.records[-2][1]
    data = past.file(-2).read_bytes()
    past.file(-2).write_bytes(data[: victim.offset] + b"junk" + data[victim.offset :])
    return past.last


def a_covered_bit(past: Past) -> int:
    """In a change that the newest snapshot has: nothing is lost."""
    victim = past.records[1][1]
    overwrite(past.file(1), victim.offset + 30, b"\xff\xff\xff")
    return past.last


def a_segment_of_another_store(past: Past) -> int:
    """A file that somebody copied into the wrong directory."""
    first = past.records[-1][0].sequence
    overwrite(past.file(-1), 0, header(first_sequence=first, store_id=b"x" * 16))
    return first - 1


def the_newest_snapshot(past: Past) -> int:
    (_, new) = sorted((past.path / "snapshots").iterdir())
    overwrite(new, 200, b"xyz")
    return past.last


def store_gone(past: Past) -> int:
    (past.path / "STORE").unlink()
    return past.last


DAMAGE: list[Callable[[Past], int]] = [
    a_bit,
    a_bit_in_the_last_segment,
    a_lost_end,
    a_missing_segment,
    a_header,
    the_last_header,
    junk_between_segments,
    junk_between_records,
    a_covered_bit,
    a_segment_of_another_store,
    the_newest_snapshot,
    store_gone,
]
