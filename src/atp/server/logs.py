"""The server's log: lines on stderr, as text or as JSON objects.

Owns how a message is written, the last one of a process included; who logs what is said where it
happens.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import select
import sys
import time
from typing import NoReturn, TextIO

from atp.settings import Settings

LAST_WORDS_SECONDS = 1.0
LINE_BYTES_MAX = 4_000
"""What a pipe takes at once without waiting, once it takes anything."""


class TextFormatter(logging.Formatter):
    """2026-01-31T12:00:00.123Z WARNING atp.server.app: message"""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        self.converter = time.gmtime
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")


class JsonFormatter(TextFormatter):
    """One JSON object a line: time, level, logger, message, and a traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        """Writes one message."""
        fields = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def last_words(message: str) -> None:
    """Writes one last line on stderr, as the log would, for a process that ends in this moment.

    Takes no lock that another thread may hold and waits at most LAST_WORDS_SECONDS for a reader.
    """
    record = logging.LogRecord("atp", logging.CRITICAL, "", 0, message, None, None)
    formatters = (handler.formatter for handler in logging.getLogger().handlers)
    formatter = next((each for each in formatters if each is not None), TextFormatter())
    line = formatter.format(record).encode(errors="replace")[: LINE_BYTES_MAX - 1] + b"\n"
    with contextlib.suppress(OSError, ValueError):
        _, writable, _ = select.select([], [2], [], LAST_WORDS_SECONDS)
        if writable:
            os.write(2, line)


def leave(status: int) -> NoReturn:
    """Ends the process without waiting for threads that still work for nobody."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends every log message to stderr as the settings say; may be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    as_json = settings["log.format"] == "json"
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger().setLevel(settings.text("log.level").upper())
