"""Shoppers: they look, reserve, change their mind, pay late, abandon, and mostly buy.

Owns what an honest customer does with a basket; how often, the profile's habits say.
"""

from __future__ import annotations

from locust import task

from atp.v1 import reservation_pb2 as pb
from loadtests.users.person import Person

REGULARS = 0.3
"""Share of visits by the customer who came before: caps for each customer meet these."""


class Shopper(Person):
    """An honest customer, and after some visits the next one."""

    def on_start(self) -> None:
        """The first customer."""
        self._visits = 0
        self._come()

    def _come(self) -> None:
        self._visits += 1
        self.customer = f"{self.name}-{self._visits}"
        self.address = f"10.{self.rng.randrange(256)}.{self.rng.randrange(256)}.7"

    @task
    def visit(self) -> None:
        """From a look at the goods to the end of the hold, whichever it is."""
        if self.rng.random() >= REGULARS:
            self._come()
        self.pause(self.profile.habits.think_s)
        basket = self.profile.goods.basket(self.rng, self.shop.hot_now(self.rng))
        if self.rng.random() < 0.5:
            self.look(basket)
        hold = self.reserve(basket)
        if hold is None:
            return
        self.pause(self.profile.habits.think_s)
        self.go_on(hold, basket)

    def look(self, basket: list[pb.Line]) -> None:
        """Asks how many there are."""
        skus = [line.sku for line in basket]
        self.ask("GetAvailability", pb.GetAvailabilityRequest(skus=skus))

    def reserve(self, basket: list[pb.Line], replaces: str = "") -> pb.Reservation | None:
        """A hold of the basket; of what is left of it, for some, when it is short."""
        request = pb.ReserveRequest(
            request_id=self.next_id(),
            lines=basket,
            client_ip=self.address,
            customer_id=self.customer,
            replaces_reservation_id=replaces,
            allow_partial=self.rng.random() < 0.2,
        )
        request.ttl.seconds = self.profile.hold_s
        if self.rng.random() < self.profile.habits.doubled:
            other = self.shop.checkout(self.rng.randrange(100))
            answer = self.caller.call_twice((other, self.checkout), "Reserve", request)
        else:
            answer = self.ask("Reserve", request)
        granted = (pb.RESERVE_OUTCOME_GRANTED, pb.RESERVE_OUTCOME_GRANTED_PARTIALLY)
        if answer is None or answer.outcome not in granted:
            return None
        hold: pb.Reservation = answer.reservation
        return hold

    def go_on(self, hold: pb.Reservation, basket: list[pb.Line]) -> None:
        """What becomes of the hold."""
        habits = self.profile.habits
        luck = self.rng.random()
        if luck < habits.change_mind:
            self.change_mind(hold, basket)
        elif luck < habits.change_mind + habits.pay_late:
            self.pay_late(hold)
        elif luck < habits.change_mind + habits.pay_late + habits.abandon:
            if self.rng.random() < 0.5:
                self.release(hold)  # the others just leave: their holds expire
        else:
            self.commit(hold)

    def change_mind(self, hold: pb.Reservation, basket: list[pb.Line]) -> None:
        """Another basket instead, or a part of it back and the rest bought."""
        held = [pb.Line(sku=line.sku, quantity=line.held_quantity) for line in hold.lines]
        if len(held) > 1 and self.rng.random() < 0.5:
            self.release(hold, held[:1])
            self.pause(self.profile.habits.think_s)
            self.commit(hold, held[1:])
            return
        fewer = basket[-1:] if self.rng.random() < 0.5 else basket[:1]
        replaced = self.reserve(fewer, replaces=hold.reservation_id)
        if replaced is not None and self.rng.random() < 0.7:
            self.commit(replaced)

    def pay_late(self, hold: pb.Reservation) -> None:
        """Pays when the hold is about to end, some too late, some after they asked for time."""
        if self.rng.random() < 0.3:
            self.pause(self.profile.hold_s * 0.4)
            self.extend(hold)
        self.pause(self.profile.hold_s)
        self.commit(hold)
