"""A recovery's report for people: one screen, the most important first.

Owns the words; knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator

from atp.journal.report import RecoveryReport


def report_text(report: RecoveryReport) -> str:
    """What a start found, as lines."""
    return "\n".join(_lines(report))


def _lines(report: RecoveryReport) -> Iterator[str]:
    seconds = report.duration_ns / 1e9
    if report.sequence == 0 and not report.passed_damage and not report.damaged_snapshots:
        yield "a new store: nothing to recover"
    else:
        yield f"recovered to change {report.sequence:,} in {seconds:.2f} s"
        yield f"  snapshot  {report.snapshot or 'none: from the first change on'}"
        yield f"  journal   {_count(report.replayed_record_count, 'change')} replayed"
        yield f"  expired   {_count(report.expired_count, 'hold')} meanwhile"
        yield f"  digest    {report.digest}"
    if report.torn_bytes:
        yield (
            f"  cut       {_count(report.torn_bytes, 'byte')} that a crash broke off, of changes"
            " that nobody was told of"
        )
        yield f"            copy: {report.torn_copy}"
    for damaged in report.damaged_snapshots:
        yield f"  damaged   snapshot passed over: {damaged}"
    for passed in report.passed_damage:
        yield f"  damaged   {passed}"
    if report.damaged_snapshots or report.passed_damage:
        yield "            to clear it away, with the server stopped: atp journal repair"


def _count(number: int, unit: str) -> str:
    return f"{number:,} {unit}" if number == 1 else f"{number:,} {unit}s"
