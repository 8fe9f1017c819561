"""How a command ends when it could not do its work.

Owns the exit statuses and the one exception that carries one. Knows no client and no server.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

REFUSED = 1
"""The question was judged, and the answer was no."""
BAD_INPUT = 2
"""Wrong usage, or input that cannot be used; nothing was changed."""
NOT_JUDGED = 3
"""The server could not be reached, or could not judge."""
INTERRUPTED = 130
READER_GONE = 141


class Failed(Exception):
    """A command's end: what to say on stderr, and the exit status.

    `details`, if given, makes it one JSON object whose key is `error`, for scripts.
    """

    def __init__(
        self, message: str, status: int, details: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.details = details

    def text(self) -> str:
        """What to print on stderr."""
        if self.details is None:
            return "\n".join(f"atp: {line}" for line in self.message.splitlines())
        return json.dumps({"error": {"message": self.message, **self.details}})
