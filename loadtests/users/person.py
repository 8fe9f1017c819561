"""What all users have in common: a name, chance, calls, and pauses in which they can be sent home.

Owns that alone; what they do is in shopper.py, bot.py and operator.py.
"""

from __future__ import annotations

from typing import Any, ClassVar

from locust import User

from atp.v1 import reservation_pb2 as pb
from loadtests.users.calling import Caller
from loadtests.users.shop import Shop

OPERATOR_DEADLINE_S = 5.0


class Person(User):
    """Somebody at the sale. `shop` is set, once for the process, before anybody is made."""

    abstract = True
    shop: ClassVar[Shop]

    def __init__(self, environment: Any) -> None:
        super().__init__(environment)
        self.name, self.rng, self.checkout = self.shop.enter()
        self.profile = self.shop.profile
        habits = self.profile.habits
        self.caller = Caller(environment.events, habits.deadline_s, habits.tries)
        self._asked = 0
        self._pause_s = 0.0

    def wait_time(self) -> float:
        """What Locust asks before it lets a user wait."""
        pause_s, self._pause_s = self._pause_s, 0.0
        return pause_s

    def pause(self, seconds: float) -> None:
        """Waits about so long; whoever is sent home leaves here, and not in the midst of a call."""
        self._pause_s = seconds * self.rng.uniform(0.5, 1.5)
        self.wait()

    def next_id(self) -> str:
        """A request id that nobody else has."""
        self._asked += 1
        return f"{self.name}-{self._asked:x}"

    def ask(self, method: str, request: Any) -> Any | None:
        """A call to a checkout; None when there was no answer."""
        return self.caller.call(self.checkout, method, request)

    def commit(self, hold: pb.Reservation, lines: list[pb.Line] | None = None) -> Any | None:
        """Sells the hold, or these lines of it."""
        request = pb.CommitRequest(reservation_id=hold.reservation_id, lines=lines)
        if lines:
            request.request_id = self.next_id()
        return self.ask("Commit", request)

    def release(self, hold: pb.Reservation, lines: list[pb.Line] | None = None) -> Any | None:
        """Gives the hold back, or these lines of it."""
        request = pb.ReleaseRequest(reservation_id=hold.reservation_id, lines=lines)
        if lines:
            request.request_id = self.next_id()
        return self.ask("Release", request)

    def extend(self, hold: pb.Reservation) -> Any | None:
        """Asks for the hold's time once more."""
        request = pb.ExtendRequest(reservation_id=hold.reservation_id, request_id=self.next_id())
        request.ttl.seconds = self.profile.hold_s
        return self.ask("Extend", request)
