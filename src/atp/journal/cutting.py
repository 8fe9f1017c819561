"""Taking out of the journal what must not stand there, and never destroying it.

Owns DIR/cut: a copy of everything that a start or a repair cut off, and a README with a line for
each. Decides nothing about what is to be cut.
"""

from __future__ import annotations

import os
from pathlib import Path

from atp.journal.directory import Places, sync_folder, write_durably

README = "README"
README_HEAD = """\
What atp cut out of its journal and its snapshots, byte by byte; atp never reads or removes it.
"""


def cut_tail(places: Places, path: Path, offset: int, end: int, why: str) -> Path:
    """Cuts a file at an offset, after all that stands from there to `end` was copied.

    What stands after `end` is zeros. Returns the copy. Whoever is interrupted does it again.
    """
    with path.open("r+b") as file:
        file.seek(offset)
        data = file.read(end - offset)
        copy = _free_name(places.cut, f"{path.name}.from-{offset}", data)
        write_durably(copy, data)
        note(places, f"{copy.name}: bytes {offset} to {end} of {path.name}: {why}")
        file.truncate(offset)
        os.fsync(file.fileno())
    return copy


def take_out(places: Places, path: Path, why: str) -> Path:
    """Moves a whole file out of the way. Returns where it is now."""
    moved = _free_name(places.cut, path.name, None)
    places.cut.mkdir(exist_ok=True)
    note(places, f"{moved.name}: {path.relative_to(places.path)}, whole: {why}")
    path.rename(moved)
    sync_folder(path.parent)
    sync_folder(places.cut)
    return moved


def copy_whole(places: Places, path: Path, why: str) -> Path:
    """Copies a whole file that is about to be written anew. Returns the copy."""
    data = path.read_bytes()
    copy = _free_name(places.cut, path.name, data)
    write_durably(copy, data)
    note(places, f"{copy.name}: {path.relative_to(places.path)}, whole: {why}")
    return copy


def note(places: Places, line: str) -> None:
    """Adds a line to the README."""
    readme = places.cut / README
    text = readme.read_text() if readme.exists() else README_HEAD
    write_durably(readme, f"{text}{line}\n".encode())


def _free_name(folder: Path, name: str, data: bytes | None) -> Path:
    """A name that no other copy has; that of the very same copy is free to be written again."""
    folder.mkdir(exist_ok=True)
    number = 1
    while True:
        path = folder / (name if number == 1 else f"{name}.{number}")
        if not path.exists() or (data is not None and path.read_bytes() == data):
            return path
        number += 1
