"""Operators: they tune caps, close and reopen a hot SKU, and restock, while the sale goes on.

Owns what an operator does; puts back at the end what it closed. Their calls go to the control plane
and into the history like everybody's.
"""

from __future__ import annotations

from typing import Any

from locust import task

from atp.v1 import cap_service_pb2 as caps_pb
from atp.v1 import stock_service_pb2 as stock_pb
from loadtests.goods import closing_cap
from loadtests.users.calling import Caller
from loadtests.users.person import OPERATOR_DEADLINE_S, Person

PAUSES_IN_A_SALE = 25
"""About so many things each operator does."""


class Operator(Person):
    """Somebody with access to the control plane."""

    def on_start(self) -> None:
        """Nothing is closed yet."""
        self.caller = Caller(self.environment.events, OPERATOR_DEADLINE_S, tries=5)
        self._closed: caps_pb.Cap | None = None
        self._between_s = min(5.0, self.profile.seconds / PAUSES_IN_A_SALE)

    def on_stop(self) -> None:
        """What is closed is opened again."""
        self.open()

    @task(3)
    def tune(self) -> None:
        """One cap more or less strict, or only watched for a while."""
        self.pause(self._between_s)
        if not self.profile.caps:
            return
        cap = caps_pb.Cap()
        cap.CopyFrom(self.rng.choice(self.profile.caps))
        cap.limit_quantity = max(1, cap.limit_quantity + self.rng.choice((-1, 0, 1, 2)))
        if self.rng.random() < 0.1:
            cap.mode = caps_pb.CAP_MODE_SHADOW
        self.set_cap(cap)

    @task(2)
    def close_and_open(self) -> None:
        """A hot SKU is sold to nobody for a moment."""
        self.pause(self._between_s)
        sku = self.hot()
        self._closed = caps_pb.Cap(
            cap_id=closing_cap(sku),
            subject=caps_pb.CAP_SUBJECT_EVERYONE,
            skus=[sku],
            limit_quantity=0,
            mode=caps_pb.CAP_MODE_ENFORCE,
        )
        self.set_cap(self._closed)
        self.pause(self._between_s)
        self.open()

    @task(2)
    def restock(self) -> None:
        """A few more have come, or one was found broken."""
        self.pause(self._between_s)
        is_broken = self.rng.random() < 0.2
        few = max(1, self.profile.goods.hot_units // 40)
        request = stock_pb.AdjustStockRequest(
            request_id=self.next_id(),
            sku=self.hot(),
            delta_quantity=-1 if is_broken else few,
            reason=stock_pb.STOCK_REASON_WRITTEN_OFF
            if is_broken
            else stock_pb.STOCK_REASON_RECEIVED,
        )
        self.caller.call(self.shop.stock, "AdjustStock", request)

    def hot(self) -> str:
        """A hot SKU."""
        return self.profile.goods.hot_name(self.rng.randrange(self.profile.goods.hot))

    def set_cap(self, cap: caps_pb.Cap) -> Any:
        """Puts a cap in force."""
        return self.caller.call(self.shop.caps, "SetCap", caps_pb.SetCapRequest(cap=cap))

    def open(self) -> None:
        """Takes the cap of limit 0 away again."""
        if self._closed is None:
            return
        request = caps_pb.RemoveCapRequest(cap_id=self._closed.cap_id)
        self._closed = None
        self.caller.call(self.shop.caps, "RemoveCap", request)
