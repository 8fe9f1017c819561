"""The data directory: who owns it, which store it is, and where everything in it lies.

Owns LOCK, STORE and the names of the folders. Knows no record and no snapshot. One process owns a
directory at a time, by a lock that the system takes back when the process ends, however it does.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from atp.journal._native import checksum
from atp.journal.errors import DirectoryBusy, FutureVersion, StoreDamaged

STORE_VERSION = 1
STORE_ID_BYTES = 16
OWNER_BYTES_MAX = 4096


class Store(NamedTuple):
    """What STORE says: every file of a store carries its id, so that none is mixed with others."""

    store_id: bytes
    version: int
    create_time_ns: int


class Places:
    """Where things are in a data directory. Opens nothing."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / "LOCK"
        self.store = path / "STORE"
        self.journal = path / "journal"
        self.snapshots = path / "snapshots"
        self.cut = path / "cut"


class Directory:
    """A data directory that this process owns, until close()."""

    def __init__(self, path: Path, *, now_ns: int, owner_text: str) -> None:
        """Takes the directory, and makes what is missing of it.

        Raises DirectoryBusy, FutureVersion, StoreDamaged, OSError.
        """
        self.places = Places(path.absolute())
        new = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        self._lock = take_lock(self.places)
        try:
            self.tell_owner(owner_text)
            self.store = _read_or_make_store(self.places, now_ns)
            for folder in (self.places.journal, self.places.snapshots, self.places.cut):
                folder.mkdir(exist_ok=True)
                # Whoever had it before may have ended before the names in it were durable.
                sync_folder(folder)
            sync_folder(self.places.path)
            if new:
                sync_folder(self.places.path.parent)
        except BaseException:
            self.close()
            raise

    def tell_owner(self, text: str) -> None:
        """What others are told who want the directory: one line; the lock holds without it."""
        data = text.encode()[:OWNER_BYTES_MAX]
        with contextlib.suppress(OSError):
            os.pwrite(self._lock, data + b"\n", 0)
            os.ftruncate(self._lock, len(data) + 1)

    def close(self) -> None:
        """Gives the directory back. Harmless the second time."""
        if self._lock >= 0:
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = -1


def take_lock(places: Places) -> int:
    """Locks a directory; the lock holds as long as the file returned is open.

    Raises DirectoryBusy, OSError.
    """
    lock = os.open(places.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(lock, OWNER_BYTES_MAX, 0).decode(errors="replace")
        os.close(lock)
        raise DirectoryBusy(places.path, " ".join(holder.split())) from None
    except BaseException:
        os.close(lock)
        raise
    return lock


def sync_folder(path: Path) -> None:
    """Makes the names in a folder durable."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_durably(path: Path, data: bytes) -> None:
    """Writes a small file that is there whole or not at all, whatever happens meanwhile."""
    part = path.with_name(path.name + ".part")
    file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)
    part.rename(path)
    sync_folder(path.parent)


def store_text(store: Store) -> bytes:
    """STORE as it lies in the directory."""
    text = (
        f"atp store\nversion {store.version}\nid {store.store_id.hex()}\n"
        f"created {store.create_time_ns}\n"
    )
    return f"{text}checksum {checksum(text.encode()):016x}\n".encode()


def read_store(places: Places) -> Store:
    """Which store it is. Raises FileNotFoundError, FutureVersion, StoreDamaged."""
    try:
        lines = dict(line.split(" ", 1) for line in places.store.read_text("ascii").splitlines())
        version = int(lines["version"])
        if lines.get("atp") == "store" and version > STORE_VERSION:
            raise FutureVersion(places.store, version, STORE_VERSION)
        store = Store(bytes.fromhex(lines["id"]), version, int(lines["created"]))
    except (KeyError, ValueError):
        store = None
    if store is None or store_text(store) != places.store.read_bytes():
        raise StoreDamaged(places.store, "is damaged: copy it back from a backup of the directory")
    return store


def _read_or_make_store(places: Places, now_ns: int) -> Store:
    with contextlib.suppress(FileNotFoundError):
        return read_store(places)
    for folder in (places.journal, places.snapshots):
        if folder.exists() and any(folder.iterdir()):
            raise StoreDamaged(
                places.store, f"is missing beside {folder}: copy it back from a backup"
            )
    store = Store(os.urandom(STORE_ID_BYTES), STORE_VERSION, now_ns)
    write_durably(places.store, store_text(store))
    return store
