"""Writes one file of a history while calls are under way on many threads or greenlets.

Owns the file's order (begun first, finished last), its numbers and its buffer. Never waits for
anything but the file system, so a lock is never held across a switch of greenlets, and never
changes an entry that is written.
"""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

from google.protobuf import proto

from atp.history import clock
from atp.v1.history_pb2 import (
    CallEnded,
    CallSent,
    CallsUnsent,
    HistoryBegun,
    HistoryEntry,
    HistoryFinished,
    HistoryMethod,
    HistoryNote,
)

FORMAT_VERSION = 1
SUFFIX = ".history"
BUFFER_BYTES = 256 * 1024
"""What may wait to be written; a recorder that is killed loses at most this much and one entry."""


class HistoryWriter:
    """Records one process's calls as DIRECTORY/NAME.history, a new file.

    Safe to use from many threads, and under gevent. Raises FileExistsError when there is a file of
    that name, and OSError when the file can't be written. Used as a context manager, or closed by
    close(); a writer that is neither leaves a file that ends like that of a killed recorder.
    """

    def __init__(
        self,
        directory: Path | str,
        name: str,
        *,
        recorder: str,
        settings: Mapping[str, object] | None = None,
        buffer_bytes: int = BUFFER_BYTES,
        now_ns: Callable[[], int] = clock.now_ns,
    ) -> None:
        self._now_ns = now_ns
        self._buffer_bytes = buffer_bytes
        self._lock = threading.Lock()
        self._buffer = io.BytesIO()
        self._call_count = 0
        begun = HistoryBegun(
            format_version=FORMAT_VERSION,
            clock_name=clock.clock_name(),
            time_ns=now_ns(),
            wall_time_ns=clock.wall_ns(),
            recorder=recorder,
            settings_json=json.dumps(dict(settings or {}), sort_keys=True),
        )
        folder = Path(directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{name}{SUFFIX}"
        self._file: io.FileIO | None = io.FileIO(self.path, "xb")
        self._append(HistoryEntry(begun=begun))
        self.flush()

    def sent(self, method: HistoryMethod, request: bytes, due_time_ns: int = 0) -> int:
        """Record a call that is about to be sent; returns its number, for ended().

        To be called before the first byte leaves. `due_time_ns` is by clock.now_ns, 0: now.
        """
        sent = CallSent(
            time_ns=self._now_ns(), method=method, request=request, due_time_ns=due_time_ns
        )
        with self._lock:
            self._call_count += 1
            sent.number = self._call_count
            self._append(HistoryEntry(sent=sent))
            return sent.number

    def ended(
        self,
        number: int,
        status: int = 0,
        response: bytes = b"",
        status_message: str = "",
        *,
        refused_by_server: bool = False,
    ) -> None:
        """Record how a call ended; to be called after its last byte came.

        `status` is a gRPC status code. `refused_by_server`: the status carries an ErrorInfo of
        domain atp, so the server says that nothing was done.
        """
        ended = CallEnded(
            number=number,
            time_ns=self._now_ns(),
            status=status,
            response=response,
            status_message=status_message,
            refused_by_server=refused_by_server,
        )
        with self._lock:
            self._append(HistoryEntry(ended=ended))

    def unsent(self, call_count: int) -> None:
        """Record calls that were due and were given up."""
        unsent = CallsUnsent(time_ns=self._now_ns(), call_count=call_count)
        with self._lock:
            self._append(HistoryEntry(unsent=unsent))

    def note(self, kind: str, text: str = "", duration_ns: int = 0) -> None:
        """Record what was done to the server, in one word and for people; written at once."""
        note = HistoryNote(time_ns=self._now_ns(), kind=kind, text=text, duration_ns=duration_ns)
        with self._lock:
            self._append(HistoryEntry(note=note))
        self.flush()

    def flush(self) -> None:
        """Hand everything to the file system."""
        with self._lock:
            self._write_out()

    def close(self) -> None:
        """Write what waits and the entry that ends the file. Does nothing the second time."""
        finished = HistoryFinished(time_ns=self._now_ns())
        with self._lock:
            if self._file is None:
                return
            finished.call_count = self._call_count
            self._append(HistoryEntry(finished=finished))
            self._write_out()
            self._file.close()
            self._file = None

    def __enter__(self) -> HistoryWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _append(self, entry: HistoryEntry) -> None:
        if self._file is None:
            raise ValueError(f"{self.path} is closed: nothing can be recorded any more")
        proto.serialize_length_prefixed(entry, self._buffer)
        if self._buffer.tell() >= self._buffer_bytes:
            self._write_out()

    def _write_out(self) -> None:
        if self._file is None:
            return
        waiting = memoryview(self._buffer.getvalue())
        while waiting:
            waiting = waiting[self._file.write(waiting) :]
        self._buffer = io.BytesIO()
