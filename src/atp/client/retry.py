"""When a call is tried again, and after how long.

Owns the policy and the count of one call's attempts; shared by the sync and the async client.
Refuses to try again on anything but UNAVAILABLE, beyond the call's deadline, more often than the
policy allows, or when a repeat could do twice what was asked once. Reads no clock of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from atp.client.call import Call
from atp.client.clock import Clock
from atp.client.errors import AtpError, InvalidArgument, Unavailable

DEFAULT_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential back-off with full jitter: before attempt n + 1 waits a random time up to
    `backoff_first_s * backoff_factor ** (n - 1)`, at most `backoff_max_s`, on top of what the
    server asks for. `attempts_max` counts the first attempt; 1 never tries again.
    """

    attempts_max: int = 5
    backoff_first_s: float = 0.05
    backoff_factor: float = 2.0
    backoff_max_s: float = 2.0

    def __post_init__(self) -> None:
        if self.attempts_max < 1:
            raise ValueError(f"attempts_max is {self.attempts_max}; it must be 1 or more")
        if self.backoff_first_s < 0 or self.backoff_max_s < 0 or self.backoff_factor < 1:
            raise ValueError("back-off times must not be negative, and its factor 1 or more")

    def delay_s(self, attempts: int, asked_s: float | None, chance: float) -> float:
        """How long to wait after this many attempts; `chance` is from 0.0 up to 1.0."""
        ceiling = self.backoff_first_s * self.backoff_factor ** (attempts - 1)
        return (asked_s or 0.0) + chance * min(ceiling, self.backoff_max_s)


class Attempts:
    """The attempts of one call within its deadline."""

    __slots__ = ("_call", "_clock", "_deadline", "_made", "_policy")

    def __init__(
        self, call: Call[Any], policy: RetryPolicy, clock: Clock, default_timeout_s: float
    ) -> None:
        timeout_s = default_timeout_s if call.timeout_s is None else call.timeout_s
        if not 0 < timeout_s < float("inf"):
            raise InvalidArgument.before_sending(
                "timeout_s", f"is {timeout_s}; every call is bounded, by more than 0 seconds"
            )
        self._call = call
        self._policy = policy
        self._clock = clock
        self._deadline = clock.monotonic() + timeout_s
        self._made = 0
        call.fill_request_id(clock.request_id)

    def remaining_s(self) -> float:
        """What is left until the deadline, for the next attempt."""
        return max(0.0, self._deadline - self._clock.monotonic())

    def delay_after(self, error: AtpError, address: str) -> float:
        """How long to wait before the next attempt; raises the error if there is to be none."""
        self._made += 1
        error.address = address
        error.method = self._call.method.name
        error.request_id = getattr(self._call.request, "request_id", "")
        if not isinstance(error, Unavailable) or self._made >= self._policy.attempts_max:
            raise error
        if not (self._call.repeatable or error.answered):
            raise error
        delay_s = self._policy.delay_s(self._made, error.retry_delay_s, self._clock.random())
        if delay_s >= self.remaining_s():
            raise error
        return delay_s
