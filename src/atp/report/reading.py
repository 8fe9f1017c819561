"""Reads a sale: every file of its history and every segment of its journal, once each, natively.

Owns the choice of the steps of time and of the hot SKUs, and bringing the server's time and the
recorders' together. Judges nothing; what is damaged is told with its file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from atp.history import HistoryDamaged, list_files
from atp.report import _native
from atp.v1.history_pb2 import HistoryBegun, HistoryEntry, HistoryNote

STEPS_MOST = 240
SOLD = 2
"""Place of the units sold among the levels of a SKU."""
HOT_SKUS = 6
STOCK_FIELDS = ("on_hand", "held", "sold", "received", "adjusted", "held_most")
"""What is known of a SKU at the end, in the order of the native pass."""
NICE = (1, 2, 5)
ENDINGS = {"start": "kill", "resume": "pause"}
"""Notes that end a fault, and which; `..._over` ends the fault of that name."""


class JournalUnreadable(Exception):
    """A data directory whose journal can't be read: which file, and why."""


@dataclass(frozen=True)
class Fault:
    """Something that was done to the server: seconds from the begin of the sale, and how long."""

    kind: str
    text: str
    begin_s: float
    seconds: float


@dataclass(frozen=True)
class Stock:
    """The journal's part: levels of the hot SKUs in each step, and every SKU at the end."""

    hot: tuple[str, ...]
    levels: NDArray[np.int64]
    """(hot SKU; on hand, held, sold; step)."""
    at_end: Mapping[str, Mapping[str, int]]
    """STOCK_FIELDS of every SKU; what was sold before the sale is not in it."""
    changes: tuple[int, ...]
    first_sequence: int
    last_sequence: int
    strangers: int
    """Changes of holds from before the first segment that is there."""


@dataclass(frozen=True)
class Sale:
    """All that was counted. Steps are `step_s` seconds long; the first begins with the sale."""

    history: Path
    begun: tuple[HistoryBegun, ...]
    unfinished: int
    step_s: float
    seconds: float
    counts: Mapping[str, NDArray[np.int64]]
    caps: Mapping[str, NDArray[np.int64]]
    asked: Mapping[str, int]
    totals: Mapping[str, int]
    unsent: int
    faults: tuple[Fault, ...]
    stock: Stock | None = field(default=None)

    @property
    def wall_time_ns(self) -> int:
        """When the first recorder began: nanoseconds since the Unix epoch."""
        return min(each.wall_time_ns for each in self.begun)

    def settings(self) -> dict[str, Any]:
        """What the recorders were told, the later ones winning."""
        made: dict[str, Any] = {}
        for each in self.begun:
            made |= json.loads(each.settings_json or "{}")
        return made


def step_for(seconds: float) -> float:
    """The shortest of 1, 2, 5, 10... times a power of ten that needs at most STEPS_MOST steps."""
    least = max(seconds, 1e-3) / STEPS_MOST
    power = 10.0 ** math.floor(math.log10(least))
    for times in (*NICE, 10):
        if times * power >= least * (1 - 1e-9):
            return times * power
    raise AssertionError(seconds)


def read_sale(history: Path, data: Path | None) -> Sale:
    """Reads all there is. Raises HistoryDamaged, JournalUnreadable, OSError."""
    files = list_files(history)
    first_ns, last_ns = _span(files)
    seconds = max((last_ns - first_ns) / 1e9, 1e-3)
    step_s = step_for(seconds)
    steps = max(1, math.ceil(seconds / step_s - 1e-9))
    scan = _native.HistoryScan(begin_ns=first_ns, step_ns=round(step_s * 1e9), steps=steps)
    for path in files:
        try:
            scan.feed(_bytes_of(path))
        except ValueError as error:
            what, offset = error.args
            raise HistoryDamaged(path, offset, f"this is no entry: {what}") from None
    others = [HistoryEntry.FromString(each) for each in scan.others()]
    begun = tuple(each.begun for each in others if each.WhichOneof("entry") == "begun")
    if not begun:
        raise HistoryDamaged(files[0], 0, "the file does not begin as one")
    if len({each.clock_name for each in begun}) > 1:
        what = "its files are of several clocks, whose times can't be compared: read them apart"
        raise HistoryDamaged(history, 0, what)
    asked = scan.asked()
    stock = None
    if data is not None:
        wall_ns = first_ns + begun[0].wall_time_ns - begun[0].time_ns
        stock = _read_stock(data, asked, wall_ns, step_s, steps)
    return Sale(
        history=history,
        begun=begun,
        unfinished=len(begun) - sum(each.WhichOneof("entry") == "finished" for each in others),
        step_s=step_s,
        seconds=seconds,
        counts=scan.counts(),
        caps=dict(sorted(scan.caps().items())),
        asked=asked,
        totals=scan.totals(),
        unsent=sum(e.unsent.call_count for e in others if e.WhichOneof("entry") == "unsent"),
        faults=_faults(
            [each.note for each in others if each.WhichOneof("entry") == "note"], first_ns, seconds
        ),
        stock=stock,
    )


def _bytes_of(path: Path) -> NDArray[np.uint8]:
    """A file as it is on disk; nothing is read before it is looked at."""
    if path.stat().st_size == 0:
        return np.zeros(0, np.uint8)
    return np.memmap(path, np.uint8, "r")


def _span(files: list[Path]) -> tuple[int, int]:
    first_ns, last_ns = [], []
    for path in files:
        try:
            first, last = _native.span(_bytes_of(path))
        except ValueError as error:
            raise HistoryDamaged(path, 0, f"there is what is no entry: {error}") from None
        if first is not None and last is not None:
            first_ns.append(first)
            last_ns.append(last)
    if not first_ns:
        raise HistoryDamaged(files[0], 0, "nobody called the data plane: there is no sale in it")
    return min(first_ns), max(last_ns)


def _fields(facts: tuple[int, ...]) -> dict[str, int]:
    """A SKU's facts by name, with what was sold in the sale alone."""
    made = dict(zip(STOCK_FIELDS, facts, strict=False))
    made["sold"] -= facts[-1]
    return made


def _hottest(asked: Mapping[str, int], at_end: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The SKUs that were fought over: much asked for, and much for what there was."""

    def heat(sku: str) -> float:
        there = at_end[sku]["on_hand"] + at_end[sku]["sold"] if sku in at_end else 0
        return asked[sku] * (asked[sku] / max(1, there))

    return sorted(asked, key=lambda sku: (-heat(sku), sku))[:HOT_SKUS]


def _read_stock(
    data: Path, asked: Mapping[str, int], wall_ns: int, step_s: float, steps: int
) -> Stock:
    segments = sorted((data / "journal").glob("*.segment"))
    if not segments:
        raise JournalUnreadable(f"{data}: there is no journal: no file journal/*.segment")
    chosen: list[str] = []
    # Twice: which SKUs are hot is known when it is known what there was of them.
    for _ in range(2):
        scan = _native.JournalScan(
            begin_ns=wall_ns, step_ns=round(step_s * 1e9), steps=steps, chosen=chosen
        )
        for path in segments:
            # A server may be writing to the last, and cuts it when it is full: that one is copied.
            data_of = np.fromfile(path, np.uint8) if path == segments[-1] else _bytes_of(path)
            try:
                scan.feed(data_of)
            except ValueError as error:
                raise JournalUnreadable(f"{path}: {error}") from None
        levels = scan.levels()
        stock = scan.stock()
        at_end = {sku: _fields(facts) for sku, facts in stock.items()}
        hot, chosen = chosen, _hottest(asked, at_end)
    for number, sku in enumerate(hot):
        levels[number, SOLD] -= stock[sku][-1]
    totals = scan.totals()
    numbers = {name: value for name, value in totals.items() if isinstance(value, int)}
    changes = totals["changes"]
    assert isinstance(changes, list)
    return Stock(
        hot=tuple(hot),
        levels=levels,
        at_end=at_end,
        changes=tuple(changes),
        **numbers,
    )


def _faults(notes: list[HistoryNote], first_ns: int, seconds: float) -> tuple[Fault, ...]:
    """Notes as spans: one that ends another is part of that one."""
    made: list[Fault] = []
    open_at: dict[str, int] = {}
    for note in sorted(notes, key=lambda note: note.time_ns):
        at_s = (note.time_ns - first_ns) / 1e9
        begun = ENDINGS.get(note.kind, note.kind.removesuffix("_over"))
        if begun != note.kind:
            if begun in open_at:
                number = open_at.pop(begun)
                fault = made[number]
                made[number] = Fault(fault.kind, fault.text, fault.begin_s, at_s - fault.begin_s)
            continue
        open_at[note.kind] = len(made)
        lasted_s = min(note.duration_ns / 1e9, max(0.0, seconds - at_s))
        made.append(Fault(note.kind, note.text, at_s, lasted_s))
    return tuple(made)
