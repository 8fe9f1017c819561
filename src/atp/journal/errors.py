"""What can be wrong with what the journal remembers, as exceptions.

Owns the words; each message is one line that says what is wrong and where. Raises nothing itself.
"""

from __future__ import annotations


class EventRefused(Exception):
    """An event that cannot be applied: it does not fit the state before it, or is malformed.

    `sequence` is the event's, `reason` what is wrong with it. The engine is as it was before it.
    """

    def __init__(self, sequence: int, reason: str) -> None:
        super().__init__(f"change {sequence} {reason}")
        self.sequence = sequence
        self.reason = reason
