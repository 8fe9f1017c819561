"""Breaks things in the midst of a sale, at the moments of a plan, and notes each in the history.

Owns the order of it and that everything broken is whole again at the end, whatever happens between.
Waits for a server that it killed or stopped before the next fault.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence

from atp.cli.supervisor import Supervisor
from atp.history import HistoryWriter
from loadtests.faults import Due
from loadtests.faults.disk import STEP_NS, Disk
from loadtests.faults.proxy import Proxy


class Scene:
    """A server and what is around it; faults are done by a thread of its own."""

    def __init__(
        self,
        writer: HistoryWriter,
        server: Supervisor | None,
        proxy: Proxy | None,
        disk: Disk | None,
    ) -> None:
        """`server` may be missing when no fault of the plan needs it, and so may the others."""
        self._writer = writer
        self._server = server
        self._proxy = proxy
        self._disk = disk
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.failure: Exception | None = None
        """Why a fault could not be done, or what it broke for good."""

    def begin(self, plan: Sequence[Due]) -> None:
        """Time runs from now on."""
        self._thread = threading.Thread(target=self._run, args=(plan, time.monotonic()))
        self._thread.start()

    def end(self) -> None:
        """No more faults; what is broken is mended."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _run(self, plan: Sequence[Due], begun_s: float) -> None:
        try:
            for due in plan:
                if self._stop.wait(max(0.0, begun_s + due.at_s - time.monotonic())):
                    return
                self._do(due)
        except Exception as error:  # told by whoever waits for the sale
            self.failure = error

    def _do(self, due: Due) -> None:
        kind = due.kind.name
        if kind == "kill":
            self._kill(due)
        elif kind == "pause":
            self._pause(due)
        elif kind == "cut":
            assert self._proxy is not None
            cut = self._proxy.cut()
            self._writer.note(kind, f"{due.kind.text} ({cut} of them)")
        else:
            assert self._disk is not None
            self._writer.note(kind, self._text(due), round(due.lasts_s * 1e9))
            self._disk.begin(kind)
            try:
                self._stop.wait(due.lasts_s)
            finally:
                self._disk.restore(kind)
            self._writer.note(f"{kind}_over", f"{kind} is over")

    def _text(self, due: Due) -> str:
        if due.kind.name == "clock_step":
            return f"the clock goes {STEP_NS // 10**9:,} s forward, and back {due.lasts_s:.1f} s on"
        return due.kind.text

    def _kill(self, due: Due) -> None:
        assert self._server is not None
        self._writer.note(due.kind.name, due.kind.text)
        self._server.strike()
        away_s = self._server.wait_back()
        self._writer.note("start", f"the server serves again, {away_s:.2f} s after it was killed")

    def _pause(self, due: Due) -> None:
        assert self._server is not None
        self._writer.note(due.kind.name, due.kind.text, round(due.lasts_s * 1e9))
        os.kill(self._server.pid, signal.SIGSTOP)
        try:
            self._stop.wait(due.lasts_s)
        finally:
            os.kill(self._server.pid, signal.SIGCONT)
        self._writer.note("resume", "the server goes on")
