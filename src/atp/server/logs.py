"""The server's log: lines on stderr, as text or as JSON objects.

Owns how a message is written; who logs what is said where it happens.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

from atp.settings import Settings


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


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Sends every log message to stderr as the settings say; may be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    as_json = settings["log.format"] == "json"
    handler.setFormatter(JsonFormatter() if as_json else TextFormatter())
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger().setLevel(settings.text("log.level").upper())
