"""Every byte of a data directory cut off, every bit of it flipped: what does a start make of it?

Owns the damages and what must hold after each: a start either refuses, or comes to a state that
really was, with all that was synced by then. What may be cut as torn is told by the reader that was
written from the page of the format alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import format_reader
from atp.journal.errors import FutureVersion, JournalDamaged
from crash.judge import LOST, WRONG, Finding
from specimen import Outcome, Specimen, start

GARBAGE = bytes(range(7, 256)) * 3
TAILS = ("zeros", "nothing", "garbage")
HEADER_BYTES = 64


class Cut(NamedTuple):
    """The last segment as it was when so many of its bytes had been written."""

    segment: str
    size: int
    tail: str

    def __str__(self) -> str:
        return f"{self.segment} cut at {self.size}, {self.tail} after it"


class Flip(NamedTuple):
    """One bit of one file is another."""

    file: str
    bit: int

    def __str__(self) -> str:
        return f"bit {self.bit % 8} of byte {self.bit // 8} of {self.file}"


def all_cuts(specimen: Specimen) -> Iterator[Cut]:
    """Every segment at every length that it had, as the last one there is."""
    for name in specimen.segments:
        size = max(one.size for one in specimen.syncs if one.segment == name)
        for length in range(size + 1):
            yield from (Cut(name, length, tail) for tail in TAILS)


def all_flips(specimen: Specimen, *patterns: str) -> Iterator[Flip]:
    """Every bit of every file that matches."""
    for name, content in specimen.files.items():
        if any(Path(name).match(pattern) for pattern in patterns):
            yield from (Flip(name, bit) for bit in range(8 * len(content)))


def check_cut(specimen: Specimen, folder: Path, cut: Cut) -> list[Finding]:
    """What is wrong with the start on a segment that was cut."""
    content = specimen.files[cut.segment]
    room = len(content) - cut.size
    tail = {"zeros": bytes(room), "nothing": b"", "garbage": GARBAGE[:room]}[cut.tail]
    mark = synced_by(specimen, cut)
    files = {name: b for name, b in specimen.files.items() if not is_later(name, cut.segment)}
    files[cut.segment] = content[: cut.size] + tail
    specimen._replace(files=files).lay(folder, mark=mark)
    outcome = start(folder)
    whole, end = whole_records(cut, files[cut.segment])
    if cut.size < HEADER_BYTES and outcome.refused is not None:
        return []  # no segment has its name before its header is durable: no crash does this
    if outcome.refused is not None:
        return [Finding(LOST, f"{cut}: refused: {outcome.refused}")]
    if outcome.sequence != whole or whole < mark:
        return [Finding(LOST, f"{cut}: came to {outcome.sequence}, not {whole}; {mark} is synced")]
    if outcome.digest != specimen.digests[whole]:
        return [Finding(WRONG, f"{cut}: the state is not that after change {whole}")]
    if cut.size < HEADER_BYTES:
        return []
    return check_copy(cut, folder, outcome, files[cut.segment][end:])


def check_copy(cut: Cut, folder: Path, outcome: Outcome, torn: bytes) -> list[Finding]:
    """What was cut as torn is kept in a copy, whole; zeros are nothing."""
    report = outcome.report
    if not report.torn_bytes:
        return [Finding(WRONG, f"{cut}: nothing is said to be torn")] if any(torn) else []
    copy = Path(report.torn_copy)
    is_whole = len(torn.rstrip(b"\0")) <= report.torn_bytes <= len(torn)
    kept = copy.read_bytes() if copy.is_relative_to(folder / "cut") else b""
    if not is_whole or torn[: report.torn_bytes] not in kept:
        return [Finding(WRONG, f"{cut}: the copy {copy} does not have what was cut")]
    return []


def synced_by(specimen: Specimen, cut: Cut) -> int:
    """What was synced when the segment had this length: the mark's value at that time."""
    before = [0]
    for one in specimen.syncs:
        if one.segment < cut.segment or (one.segment == cut.segment and one.size <= cut.size):
            before.append(one.durable)
    first = int(Path(cut.segment).stem)
    return max(*before, first - 1 if cut.size >= HEADER_BYTES else 0)


def whole_records(cut: Cut, content: bytes) -> tuple[int, int]:
    """The last change whose record is whole in a segment's content, and where it ends.

    A zero that was cut off is there all the same when zeros follow.
    """
    first = int(Path(cut.segment).stem)
    found = list(format_reader.walk(Path(cut.segment), content, first))
    return (found[-1].sequence, found[-1].end) if found else (first - 1, HEADER_BYTES)


def is_later(name: str, segment: str) -> bool:
    """Whether a file is of a time after the segment was the last one."""
    return name.endswith(".segment") and name > segment


def flipped(specimen: Specimen, flip: Flip) -> Specimen:
    """The same directory with one wrong bit."""
    content = bytearray(specimen.files[flip.file])
    content[flip.bit // 8] ^= 1 << flip.bit % 8
    return specimen._replace(files={**specimen.files, flip.file: bytes(content)})


def check_flip(specimen: Specimen, folder: Path, flip: Flip, mark: int | None) -> list[Finding]:
    """What is wrong with the start on a directory with one wrong bit.

    `mark`: the mark says so; None: as it is.
    """
    flipped(specimen, flip).lay(folder, mark=mark)
    expected = read_alone(folder)
    outcome = start(folder)
    if outcome.refused is not None:
        return compare_refusal(flip, outcome, expected)
    findings = []
    if outcome.sequence > specimen.end or outcome.digest != specimen.digests[outcome.sequence]:
        findings.append(Finding(WRONG, f"{flip}: a state that never was: {outcome}"))
    if isinstance(expected, Exception) or expected.ending == "damaged":
        findings.append(Finding(LOST, f"{flip}: not noticed: {outcome}, the page says {expected}"))
    elif last_of(expected) != outcome.sequence:
        text = f"{flip}: came to {outcome.sequence}, by the page {last_of(expected)}"
        findings.append(Finding(LOST, text))
    return findings


def read_alone(folder: Path) -> format_reader.Journal | Exception:
    """What the page says about the journal."""
    try:
        return format_reader.read_journal(folder)
    except (format_reader.Unsound, format_reader.Newer) as refused:
        return refused
    except ValueError as refused:
        return refused  # STORE is no text, or a number none


def compare_refusal(
    flip: Flip, outcome: Outcome, expected: format_reader.Journal | Exception
) -> list[Finding]:
    """A start that refuses must be right, and tell what is lost."""
    if isinstance(expected, Exception):
        return []
    if expected.ending != "damaged":
        text = f"{flip}: refused ({outcome.refused}), by the page {expected.ending}"
        return [Finding(WRONG, text)]
    if isinstance(outcome.refused, JournalDamaged):
        told = (outcome.refused.first_lost, outcome.refused.last_lost)
        if told != expected.lost:
            return [Finding(WRONG, f"{flip}: {told} are told lost, by the page {expected.lost}")]
    return []


def last_of(journal: format_reader.Journal) -> int:
    """The last change of a journal."""
    return journal.records[-1].sequence if journal.records else 0


def check_all(
    specimen: Specimen, folder: Path, damages: Iterable[Cut | Flip], mark: int | None = None
) -> list[Finding]:
    """What is wrong after any of these damages."""
    findings = []
    for damage in damages:
        if isinstance(damage, Cut):
            findings += check_cut(specimen, folder, damage)
        else:
            findings += check_flip(specimen, folder, damage, mark)
    return findings


def check_snapshot_flip(specimen: Specimen, folder: Path, flip: Flip) -> list[Finding]:
    """What is wrong with the start on a snapshot with one wrong bit: the one before it is taken."""
    newest = max(name for name in specimen.files if name.endswith(".snapshot"))
    outcome = start(flipped(specimen, flip).lay(folder))
    if isinstance(outcome.refused, FutureVersion):
        return []
    if outcome.refused is not None:
        return [Finding(LOST, f"{flip}: refused, with a journal that has it all: {outcome}")]
    findings = []
    if (outcome.sequence, outcome.digest) != (specimen.end, specimen.digests[-1]):
        findings.append(Finding(WRONG, f"{flip}: came to another state: {outcome}"))
    if bool(outcome.report.damaged_snapshots) != (flip.file == newest):
        findings.append(Finding(WRONG, f"{flip}: told {outcome.report.damaged_snapshots}"))
    return findings
