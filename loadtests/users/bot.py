"""Bots: they hold all they can of the hot goods, from many addresses of one subnet, and never buy.

Owns what an attacker does: refused, it asks again at once under another name.
"""

from __future__ import annotations

from locust import task

from atp.v1 import reservation_pb2 as pb
from loadtests.profiles import BOT_SUBNET
from loadtests.users.person import Person

ACCOUNTS = 3
"""Customer ids of one bot."""
UNITS = 3
RETRY_S = 0.1


class Bot(Person):
    """A program that takes goods off the shelf."""

    @task
    def hold(self) -> None:
        """Takes what it can, keeps it until it ends, and comes again."""
        request = pb.ReserveRequest(
            request_id=self.next_id(),
            lines=[pb.Line(sku=self.sku(), quantity=self.rng.randint(1, UNITS))],
            client_ip=f"{BOT_SUBNET}{self.rng.randint(1, 254)}",
            customer_id=f"bot-{self.name}-{self.rng.randrange(ACCOUNTS)}",
            allow_partial=True,
        )
        request.ttl.seconds = self.profile.hold_s
        answer = self.ask("Reserve", request)
        if answer is None or not answer.HasField("reservation"):
            self.pause(RETRY_S)
            return
        self.pause(self.profile.hold_s * 0.9)
        if self.rng.random() < 0.2:
            self.extend(answer.reservation)

    def sku(self) -> str:
        """What everybody wants at this moment."""
        return self.profile.goods.hot_name(self.shop.hot_now(self.rng))
