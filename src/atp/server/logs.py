"""The server's log: one line on stderr for each thing that happened, as text or as a JSON object.

Owns how a line is written, the last one of a process included, and how many of one event are
written: what is over it is counted and told in one line. The words are log_events.py's; who logs
says when.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
import time
import traceback
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO

from atp.server.log_events import LINES_LEFT_OUT, OTHER, LogEvent
from atp.settings import Settings, is_journal

LAST_WORDS_SECONDS = 1.0
LINE_BYTES_MAX = 4_000
"""What a pipe takes at once without waiting, once it takes anything."""
WINDOW_SECONDS = 60.0
FRAMES_MAX = 8
"""Of a traceback, the innermost ones."""
PRIORITIES = {
    logging.CRITICAL: 2,
    logging.ERROR: 3,
    logging.WARNING: 4,
    logging.INFO: 6,
    logging.DEBUG: 7,
}
"""Levels as the system's journal counts them."""
_LOG = logging.getLogger("atp")


def tell(event: LogEvent, **fields: Any) -> None:
    """Logs an event; `fields` are those that its words name."""
    if _LOG.isEnabledFor(event.level):
        _LOG.handle(_record(event, fields))


def _record(event: LogEvent, fields: dict[str, Any]) -> logging.LogRecord:
    what = printable(event.what.format(**fields))
    record = logging.LogRecord(_LOG.name, event.level, "", 0, what, None, None)
    record.__dict__.update(event=event, fields=fields)
    return record


def place_of(error: BaseException) -> str:
    """Where an error was raised: its innermost frames, and nothing of what it says, which may be
    about a customer."""
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    places = (f"{os.path.basename(frame.filename)}:{frame.lineno}" for frame in frames)
    return " > ".join(places) or "an unknown place"


def printable(text: str) -> str:
    """The text on one line, without control characters."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


class _Words:
    """What a line says: of an event as it is, of any other message as the event `other`."""

    def __init__(self, record: logging.LogRecord) -> None:
        event = getattr(record, "event", None)
        self.fields: dict[str, Any] = {}
        if isinstance(event, LogEvent):
            self.event = event
            self.fields = record.__dict__["fields"]
        else:
            self.event = OTHER
            self.fields = {"text": _foreign_text(record)}
        self.name = self.event.name
        self.level = record.levelname.lower()
        self.what = printable(self.event.what.format(**self.fields))
        self.action = printable(self.event.action.format(**self.fields))


def _foreign_text(record: logging.LogRecord) -> str:
    """A library's message; of what it failed of only the kind and the place."""
    text = f"{record.name}: {record.getMessage()}"
    error = record.exc_info[1] if record.exc_info else None
    return text if error is None else f"{text} ({type(error).__name__} at {place_of(error)})"


class TextFormatter(logging.Formatter):
    """2026-01-31T12:00:00.123Z WARNING event_name: what happened -> what to do

    Under the system's journal, which has the time itself, a priority instead of time and level.
    """

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, *, for_journal: bool = False) -> None:
        super().__init__()
        self.converter = time.gmtime
        self._for_journal = for_journal

    def format(self, record: logging.LogRecord) -> str:
        """Writes one line."""
        words = _Words(record)
        said = f"{words.name}: {words.what} -> {words.action}"
        if self._for_journal:
            return f"<{_priority(record)}>{said}"
        return f"{self.formatTime(record)} {record.levelname} {said}"


class JsonFormatter(TextFormatter):
    """One JSON object a line: time, level, event, message, action, and the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Writes one line."""
        words = _Words(record)
        line = {
            "time": self.formatTime(record),
            "level": words.level,
            "event": words.name,
            "message": words.what,
            "action": words.action,
            **words.fields,
        }
        prefix = f"<{_priority(record)}>" if self._for_journal else ""
        return prefix + json.dumps(line, ensure_ascii=False, default=str)


def _priority(record: logging.LogRecord) -> int:
    return PRIORITIES.get(record.levelno, PRIORITIES[logging.WARNING])


class Handler(logging.StreamHandler[TextIO]):
    """Writes lines, so many of one event a minute; those over it are counted, and then told.

    Time is that of the records: where it goes back, another minute begins.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.lines_per_minute = 1
        self._windows: dict[str, tuple[float, int, int]] = {}  # begin, written, left out

    def emit(self, record: logging.LogRecord) -> None:
        """Writes a record, unless there were too many of its event; has the lock."""
        name = _Words(record).name
        for line in self._due(record.created):
            super().emit(line)
        begin, written, left_out = self._windows.get(name, (record.created, 0, 0))
        if written < self.lines_per_minute or record.levelno >= logging.CRITICAL:
            super().emit(record)
            written += 1
        else:
            left_out += 1
        self._windows[name] = begin, written, left_out

    def tell_left_out(self, *, at_once: bool = False) -> None:
        """Says what was left out in minutes that are over; with `at_once` in those that are not."""
        with contextlib.ExitStack() as stack:
            self.acquire()
            stack.callback(self.release)
            now = _record(LINES_LEFT_OUT, {"left_out": 0, "of": ""}).created
            for line in self._due(now + WINDOW_SECONDS if at_once else now):
                super().emit(line)

    def _due(self, now: float) -> Iterator[logging.LogRecord]:
        """Ends the minutes that are over; gives a line for each that left some out."""
        for name, (begin, _, left_out) in list(self._windows.items()):
            if not 0 <= now - begin < WINDOW_SECONDS:
                del self._windows[name]
                if left_out:
                    yield _record(LINES_LEFT_OUT, {"left_out": left_out, "of": name})


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends every log message to stderr as the settings say; may be called again."""
    root = logging.getLogger()
    handler = _handler()
    if handler is None or stream is not None:
        handler = Handler(stream or sys.stderr)
        logging.basicConfig(handlers=[handler], force=True)
    as_json = settings["log.format"] == "json"
    for_journal = stream is None and is_journal(2)
    kind = JsonFormatter if as_json else TextFormatter
    handler.setFormatter(kind(for_journal=for_journal))
    handler.lines_per_minute = settings.integer("log.lines_per_minute")
    root.setLevel(settings.text("log.level").upper())


def is_for_programs(settings: Settings) -> bool:
    """Whether what a start says for people goes into the log as well, or instead."""
    return settings["log.format"] == "json" or is_journal(2)


def tell_left_out(*, at_once: bool = False) -> None:
    """Says how many lines were left out in minutes that are over, or with `at_once` so far."""
    handler = _handler()
    if handler is not None:
        handler.tell_left_out(at_once=at_once)


def _handler() -> Handler | None:
    handlers = logging.getLogger().handlers
    return next((each for each in handlers if isinstance(each, Handler)), None)


def last_words(event: LogEvent, **fields: Any) -> None:
    """Writes one last line on stderr, as the log would, for a process that ends in this moment.

    Takes no lock that another thread may hold and waits at most LAST_WORDS_SECONDS for a reader.
    """
    handler = _handler()
    formatter = (handler and handler.formatter) or TextFormatter()
    line = formatter.format(_record(event, fields))
    data = line.encode(errors="replace")[: LINE_BYTES_MAX - 1] + b"\n"
    with contextlib.suppress(OSError, ValueError):
        _, writable, _ = select.select([], [2], [], LAST_WORDS_SECONDS)
        if writable:
            os.write(2, data)


def leave(status: int) -> NoReturn:
    """Ends the process without waiting for threads that still work for nobody."""
    tell_left_out(at_once=True)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
