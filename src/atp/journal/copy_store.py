"""A copy of a data directory to work on, even of one that is in use.

Owns the order of copying, by which the copy is one that a start takes: the mark first, which is
then a floor for the segments copied after it, and segments last, oldest first.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from atp.journal.directory import Places, sync_folder
from atp.journal.segments import MARK_NAME, list_segments
from atp.journal.snapshots import list_snapshots

TRIES = 5


def copy_store(source: Places, to: Path) -> Places:
    """Copies a store into a directory that must not exist. Raises FileExistsError, OSError.

    What goes while it is copied, because a newer snapshot has it, makes it begin again.
    """
    to.mkdir(parents=True)
    for tried in range(1, TRIES + 1):
        copy = Places(to.absolute())
        try:
            _copy(source, copy)
        except FileNotFoundError:
            if tried == TRIES:
                raise
        else:
            if tried == TRIES or _goes_on(copy):
                break
        for folder in (copy.journal, copy.snapshots):
            shutil.rmtree(folder, ignore_errors=True)
    sync_folder(copy.path)
    return copy


def _copy(source: Places, copy: Places) -> None:
    for folder in (copy.journal, copy.snapshots, copy.cut):
        folder.mkdir(exist_ok=True)
    for file in source.path.iterdir():
        if file.is_file() and file != source.lock:
            shutil.copy2(file, copy.path)
    if (source.journal / MARK_NAME).exists():
        shutil.copy2(source.journal / MARK_NAME, copy.journal)
    for snapshot in list_snapshots(source.snapshots):
        shutil.copy2(snapshot.path, copy.snapshots)
    for segment in list_segments(source.journal):
        shutil.copy2(segment.path, copy.journal)


def _goes_on(copy: Places) -> bool:
    """Does the journal go on from the newest snapshot that was copied?"""
    snapshots, segments = list_snapshots(copy.snapshots), list_segments(copy.journal)
    newest = snapshots[-1].sequence if snapshots else 0
    return not segments or segments[0].first_sequence <= newest + 1
