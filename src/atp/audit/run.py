"""One audit, from files to a verdict.

Owns the order of the passes and what is said about their input. Judges nothing itself: the native
half does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from atp.audit import clock
from atp.audit._native import NativeAudit
from atp.audit.failed import AuditFailed
from atp.audit.slices import slice_of
from atp.audit.store import from_start, segments, starts, store_id
from atp.audit.verdict import FAULTS, LAWS, Finding, Verdict
from atp.history import HistoryDamaged, list_files

REMEMBER_NS = 3_600_000_000_000
"""The server's default of memory.remember, in nanoseconds."""
ENDED_MAX = 1_000_000
"""The server's default of memory.ended_max."""

Progress = Callable[[str], None]


def audit(
    history: Path | str,
    data: Path | str,
    *,
    remember_ns: int = REMEMBER_NS,
    ended_max: int = ENDED_MAX,
    progress: Progress = lambda step: None,
) -> Verdict:
    """Judge a history (a directory, or one file) by the journal of a data directory.

    `remember_ns` and `ended_max` are the server's memory.remember and memory.ended_max: only what
    these let it forget may be asked for twice. `progress` is told each step. Reads only, and may be
    run beside the server. Raises AuditFailed when the input can't be judged.
    """
    begun = clock.elapsed_ns()
    try:
        paths = list_files(history)
    except HistoryDamaged as error:
        raise AuditFailed(str(error)) from error
    folder = Path(data)
    identity = store_id(folder)
    journal = segments(folder)
    native = NativeAudit(remember_ns, ended_max)
    notes: list[str] = []
    try:
        if journal[0][0] != 1:
            progress("reading a snapshot")
            start = _read_start(native, starts(folder, journal[0][0]), identity, notes)
            journal = from_start(journal, start)
        with ThreadPoolExecutor(1) as beside:
            whole = beside.submit(_read_whole_segments, native, journal, identity)
            for path in paths:
                progress(f"reading {path.name}")
                native.read_history(os.fsencode(path))
            progress("reading the journal")
            whole.result()
        # After the history, so that all that it says was answered is in them.
        rest = [each for each in segments(folder) if each[0] >= journal[-1][0]]
        for sequence, path in rest:
            progress(f"reading {path.name}")
            native.read_segment(os.fsencode(path), identity, sequence, path == rest[-1][1])
        progress("replaying the journal")
        native.replay()
        progress("judging answers")
        native.judge()
    except RuntimeError as error:
        raise AuditFailed(str(error)) from error
    seconds = (clock.elapsed_ns() - begun) / 1e9
    verdict = _verdict(native, [path.name for path in paths], seconds, notes)
    if verdict.figures["start"] and not verdict.checks["acknowledged"] + verdict.checks["truth"]:
        raise AuditFailed(
            f"every answer of the history may be older than change {verdict.figures['start']:,},"
            " and what is left of the journal begins there: nothing can be judged"
        )
    return verdict


def _read_whole_segments(
    native: NativeAudit, journal: list[tuple[int, Path]], identity: bytes
) -> None:
    """Read all but the last, which may still be written to."""
    for sequence, path in journal[:-1]:
        native.read_segment(os.fsencode(path), identity, sequence, False)
    if journal[:-1]:
        native.make_room(journal[-1][1].stat().st_size)


def _read_start(
    native: NativeAudit, found: list[tuple[int, Path]], identity: bytes, notes: list[str]
) -> int:
    """Start from the oldest of these snapshots that is sound. The last change in it."""
    for sequence, path in found[:-1]:
        try:
            native.read_snapshot(os.fsencode(path), identity, sequence)
        except RuntimeError as error:
            notes.append(f"{error}; the next one was taken")
        else:
            return sequence
    sequence, path = found[-1]
    native.read_snapshot(os.fsencode(path), identity, sequence)
    return sequence


def _verdict(native: NativeAudit, files: list[str], seconds: float, notes: list[str]) -> Verdict:
    counts, checks = native.counts(len(FAULTS), len(LAWS))
    figures: dict[str, int | float] = dict(native.figures())
    figures["seconds"] = seconds
    figures["commands_per_s"] = figures["commands"] / max(seconds, 1e-9)
    findings = []
    for fault, text, changes, commands in native.findings():
        name, law = FAULTS[fault]
        findings.append(Finding(name, law, text, slice_of(native, files, changes, commands)))
    return Verdict(
        findings=tuple(findings),
        counts={FAULTS[i][0]: count for i, count in enumerate(counts) if count},
        checks={LAWS[i][0]: count for i, count in enumerate(checks)},
        figures=figures,
        notes=(*notes, *_notes(native, files)),
    )


def _notes(native: NativeAudit, files: list[str]) -> list[str]:
    figures = native.figures()
    notes = []
    if figures["start"]:
        notes.append(
            f"the journal is judged from change {figures['start'] + 1:,} on, with the snapshot of"
            f" change {figures['start']:,} believed: those before were removed."
            f" {figures['before_start']:,} answers that may be older were not judged"
        )
    for name, (_, _, torn_bytes, is_finished) in zip(files, native.files(), strict=True):
        if not is_finished:
            notes.append(
                f"{name} was not finished ({torn_bytes:,} torn bytes at its end): what its recorder"
                " had not written is lost, calls that were sent included"
            )
    if len({clock_name for clock_name, *_ in native.files()}) > 1:
        notes.append("files of several clocks: order in real time is judged for each clock alone")
    if figures["unexplained"]:
        notes.append(
            f"{figures['unexplained']:,} changes may have been asked for by lost calls and were not"
            " judged"
        )
    if figures["after_changes"]:
        notes.append(
            f"{figures['after_changes']:,} changes came after the end of the history: nobody is"
            " asked who wanted them"
        )
    if figures["unjudged"]:
        notes.append(
            f"{figures['unjudged']:,} refusals name a limit or a time that is the server's own, and"
            " were not judged"
        )
    if figures["left_bytes"]:
        notes.append(f"{figures['left_bytes']:,} bytes after the last change are a torn end")
    return notes
