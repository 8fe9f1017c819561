"""Histories: what a load asked and what it was told, and when, kept as files.

Owns writing and reading the files of docs/history-format.md, and recording calls on a gRPC channel.
Judges nothing: that is the audit's.
"""

from __future__ import annotations

from atp.history.channel import record_calls
from atp.history.reader import (
    HistoryDamaged,
    HistoryReader,
    list_files,
    read,
)
from atp.history.writer import HistoryWriter

__all__ = [
    "HistoryDamaged",
    "HistoryReader",
    "HistoryWriter",
    "list_files",
    "read",
    "record_calls",
]
