"""The journal's place in the server: opened before anything is served, tended while it is.

Owns what the settings mean to the journal, how a start that can't be made is told, and the end of
the process when the journal fails. Remembers nothing itself: atp.journal does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from atp.clock import Clock
from atp.journal.errors import DirectoryBusy, FutureVersion, JournalDamaged, StoreDamaged
from atp.journal.journal import Journal, Options, open_journal
from atp.journal.report import RecoveryReport
from atp.server import clock_file, log_events, logs
from atp.server.listen import StartFailed
from atp.settings import PLANES, Settings

if TYPE_CHECKING:
    from atp._core import Engine

SECOND = 1_000_000_000
ROOM_KEPT_BYTES = 16 << 20
"""Free on the disk below which new holds are refused, so that commits and releases go on."""
JOURNAL_FAILED = 74
"""Exit status of a server whose journal could not be written (EX_IOERR)."""
TEND_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Opened(NamedTuple):
    """What a start found and made."""

    directory: Path
    engine: Engine
    journal: Journal
    report: RecoveryReport
    clock_file: clock_file.ClockFile


def open_data(settings: Settings, clock: Clock) -> Opened:
    """Takes the data directory, recovers what is in it, and sets the clock to go on from there.

    Raises StartFailed; then nothing was changed but what the message says.
    """
    directory = directory_of(settings)
    resumed = clock.resume(clock_file.read(directory))
    try:
        engine, journal, report = open_journal(
            options_of(settings, directory),
            engine_bounds(settings),
            now_ns=clock.now_ns(),
            owner_text=owner_text(settings.text(f"{plane}.address") for plane in PLANES),
        )
        file = clock_file.ClockFile(directory)
    except (DirectoryBusy, FutureVersion, JournalDamaged, StoreDamaged) as error:
        raise StartFailed(str(error)) from None
    except OSError as error:
        raise StartFailed(_unusable(directory, error)) from None
    except (MemoryError, ValueError) as error:
        reason = str(error) or "out of memory"
        raise StartFailed(f"no engine can be made with these memory settings: {reason}") from None
    floored = clock.not_before(engine.status().time_ns)
    _tell_time(clock, resumed=resumed, floored=floored)
    with contextlib.suppress(OSError):  # tending says what is in the way
        file.write(clock.mark())
    return Opened(directory, engine, journal, report, file)


def _unusable(directory: Path, error: OSError) -> str:
    reason = str(error.strerror or error).lower()
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "not a directory"
    where = str(error.filename or directory)
    if where != str(directory):
        reason = f"{where}: {reason}"
    return f"data.directory {directory} can't be used: {reason}"


def directory_of(settings: Settings) -> Path:
    """The data directory, as an absolute path."""
    return Path(settings.text("data.directory")).absolute()


def options_of(settings: Settings, directory: Path) -> Options:
    """The settings that are the journal's."""
    return Options(
        directory=directory,
        durability=settings.text("journal.durability"),
        sync_interval_ns=settings.integer("journal.sync_interval"),
        segment_bytes=settings.integer("journal.segment_bytes"),
        backlog_bytes_max=settings.integer("journal.backlog_bytes_max"),
        room_kept_bytes=ROOM_KEPT_BYTES,
        keep_segments_ns=settings.integer("journal.keep"),
        snapshot_bytes=settings.integer("snapshot.every_bytes"),
        snapshot_interval_ns=settings.integer("snapshot.every"),
        snapshots_kept=settings.integer("snapshot.keep"),
    )


def engine_bounds(settings: Settings) -> dict[str, Any]:
    """The settings that are the engine's bounds, by the names that it has for them."""
    bounds: dict[str, Any] = {
        "longest_life_ns": settings.integer("hold.longest_life"),
        "remember_ns": settings.integer("memory.remember"),
    }
    for name in ("sku_max", "live_holds_max", "cap_counters_max", "ended_max"):
        bounds[name] = settings.integer(f"memory.{name}")
    return bounds


def owner_text(addresses: Iterable[str]) -> str:
    """Who has the directory, for whoever finds it taken."""
    return f"process {os.getpid()} on {socket.gethostname()}, which serves {', '.join(addresses)}"


def _tell_time(clock: Clock, *, resumed: bool, floored: bool) -> None:
    """Says when time does not start where the system's clock is."""
    ahead_s = clock.drift_ns / SECOND
    if abs(clock.drift_ns) <= SECOND:
        return
    why = ""
    if floored:
        why = "what is recorded happened later than that, and time never goes back"
    elif resumed:
        why = "this machine has run on since the last start, and time goes on as it did"
    pace = "by a tenth" if clock.catches_up else "by 0.5 ms a second"
    logs.tell(log_events.TIME_GOES_ON, ahead=ahead_s, pace=pace, why=why)


def end_process(error: OSError) -> NoReturn:
    """Ends the process because the journal could not be written. Never returns, answers nothing.

    What is in memory is ahead of the disk, and nobody can say what of it got there: the next start
    reads what did. What was answered is there.
    """
    where = f"{error.filename}: " if error.filename else ""
    reason = f"{where}{error.strerror or error}"
    logs.last_words(log_events.JOURNAL_FAILED, reason=reason, status=JOURNAL_FAILED)
    os._exit(JOURNAL_FAILED)


class Tending:
    """Looks after the journal about once a second, in a thread, until told to stop."""

    def __init__(
        self,
        opened: Opened,
        clock: Clock,
        executor: Executor,
        look: Callable[[int], None] = lambda now_ns: None,
    ) -> None:
        """`look` is called with the time each time, and may raise OSError."""
        self._look = look
        self._opened = opened
        self._clock = clock
        self._executor = executor
        self._stop = asyncio.Event()
        self._complaint = ""
        self._snapshot_error = ""

    async def run(self) -> None:
        """Tends until stop(); what is under way then is finished first."""
        loop = asyncio.get_running_loop()
        while not self._stop.is_set():
            await loop.run_in_executor(self._executor, self._tend)
            try:
                await asyncio.wait_for(self._stop.wait(), TEND_SECONDS)
            except TimeoutError:
                continue

    def stop(self) -> None:
        """Ends run()."""
        self._stop.set()

    def _tend(self) -> None:
        complaint = ""
        # Each whatever becomes of the others. Looking is first: the disk that the others wait for
        # may be what is to be told.
        for look_after in (self._look_about, self._note_time, self._tend_journal):
            try:
                look_after()
            except OSError as error:
                complaint = f"{error.filename or self._opened.directory}: {error.strerror or error}"
        if complaint and complaint != self._complaint:
            logs.tell(log_events.UPKEEP_FAILED, reason=complaint)
        self._complaint = complaint
        failed = self._opened.journal.snapshots.error
        if failed and failed != self._snapshot_error:
            logs.tell(log_events.SNAPSHOT_FAILED, reason=failed)
        self._snapshot_error = failed

    def _note_time(self) -> None:
        self._opened.clock_file.write(self._clock.mark())

    def _look_about(self) -> None:
        try:
            self._look(self._clock.now_ns())
        except OSError:
            raise
        except Exception:
            # What is only told must not end what serves.
            _LOG.exception("what can go wrong was not looked at")

    def _tend_journal(self) -> None:
        self._opened.journal.tend(self._clock.now_ns())
