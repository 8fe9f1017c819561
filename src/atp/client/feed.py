"""A watch of the change feed: where it is, and whether it goes on after an interruption.

Owns the position, which moves only once changes were handed out, and the check that no change is
missing; shared by the sync and the async client. Opens no stream and waits for nothing itself.
"""

from __future__ import annotations

import grpc

from atp.client.call import Method, Plane, message
from atp.client.clock import Clock
from atp.client.errors import AtpError, InvalidArgument, ReplyUnknown, Unavailable
from atp.client.retry import RetryPolicy
from atp.v1 import maintenance_service_pb2 as pb

WATCH = Method(Plane.CONTROL, "MaintenanceService", "Watch", pb.WatchResponse)
TOO_SLOW = "WATCH_TOO_SLOW"
_DOUBLINGS_MAX = 32
"""Back-off has reached its ceiling long before."""


class Watch:
    """One watch over all its streams; `request` asks for what has not been handed out yet."""

    def __init__(
        self, from_sequence: int, resume_s: float, policy: RetryPolicy, clock: Clock, address: str
    ) -> None:
        """Raises InvalidArgument."""
        if not resume_s >= 0:
            raise InvalidArgument.before_sending("resume_s", f"is {resume_s}; 0 or more seconds")
        self.request = message(pb.WatchRequest, from_sequence=from_sequence)
        self._resume_s = resume_s
        self._policy = policy
        self._clock = clock
        self._address = address
        self._failures = 0
        self._failing_since = 0.0
        self._begun = False

    def check(self, response: pb.WatchResponse) -> None:
        """Sees that a response goes on where the last one ended. Raises ReplyUnknown."""
        self._failures, self._begun = 0, True
        wanted = self.request.from_sequence or response.resume_sequence - len(response.events)
        told = [event.sequence for event in response.events]
        if told != list(range(wanted, response.resume_sequence)):
            raise ReplyUnknown.about(
                f"the feed was to go on with change {wanted} and tells of {told[:1] or 'none'} up"
                f" to {response.resume_sequence - 1}: changes are missing or told twice"
            )

    def move(self, response: pb.WatchResponse) -> None:
        """Takes note that all of a response was handed out."""
        self.request.from_sequence = response.resume_sequence

    def delay_after(self, error: AtpError) -> float:
        """How long to wait before asking again; raises the error if the watch is to end."""
        error.address, error.method = self._address, WATCH.name
        if not isinstance(error, Unavailable) and error.reason != TOO_SLOW:
            raise error
        now = self._clock.monotonic()
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        delay_s = self._policy.delay_s(
            min(self._failures, _DOUBLINGS_MAX), error.retry_delay_s, self._clock.random()
        )
        if not self._begun:
            # Tried as often as any call.
            if self._failures >= self._policy.attempts_max:
                raise error
        elif now + delay_s >= self._failing_since + self._resume_s:
            raise error
        return delay_s


def ended() -> AtpError:
    """What a stream that ends without an error is taken for."""
    return Unavailable("the feed ended", code=grpc.StatusCode.UNAVAILABLE)
