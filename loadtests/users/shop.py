"""The shop as its users find it: the connections, the recorder, the sale's clock and its chance.

Owns the channels, shared as those of a few checkout services are, and the history of this process.
Decides nothing about who does what.
"""

from __future__ import annotations

import time
from random import Random
from types import TracebackType
from typing import Any

from atp.client.channel import ChannelOptions
from atp.history import HistoryWriter, record_calls
from atp.v1.cap_service_pb2_grpc import CapServiceStub
from atp.v1.reservation_service_pb2_grpc import ReservationServiceStub
from atp.v1.stock_service_pb2_grpc import StockServiceStub
from loadtests.curves import hour_of
from loadtests.encryption import open_channel
from loadtests.sale import Sale
from loadtests.shelves import Shelves

CHANNELS = 8
"""Connections for checkouts: users share them, as they share a shop's checkout services."""
CHANNEL_OPTIONS = ChannelOptions(own_connection=True, reconnect_max_s=0.5, keepalive_s=0)


class Shop:
    """The server as the users of one process reach it. Close it for a history that is whole."""

    def __init__(self, sale: Sale) -> None:
        self.sale = sale
        self.profile = sale.profile
        self.writer = HistoryWriter(
            sale.history,
            f"{sale.recorder}-{sale.place}",
            recorder=sale.recorder,
            settings={"profile": sale.profile.name, "seed": sale.seed, "run": sale.run},
        )
        self._channels = [
            open_channel(address, files, CHANNEL_OPTIONS)
            for address, files in [(sale.data_address, sale.data_tls)] * CHANNELS
            + [(sale.control_address, sale.control_tls)]
        ]
        recorded = [record_calls(channel, self.writer) for channel in self._channels]
        self._checkouts: list[Any] = [ReservationServiceStub(each) for each in recorded[:-1]]
        self.stock: Any = StockServiceStub(recorded[-1])
        self.caps: Any = CapServiceStub(recorded[-1])
        self._users = 0
        self._begun_s = time.monotonic()

    def __enter__(self) -> Shop:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def fill_shelves(self) -> None:
        """The profile's stock and caps, on a server that has them not. Raises NotSetUp."""
        sale = self.sale
        Shelves(self.profile, sale.control_address, self.writer, sale.control_tls).set_up()

    def begin(self) -> None:
        """The sale begins now."""
        self._begun_s = time.monotonic()

    def at_s(self) -> float:
        """Seconds since the sale began."""
        return time.monotonic() - self._begun_s

    def enter(self) -> tuple[str, Random, Any]:
        """A new user: a name that no other has, chance of its own, and a checkout to call."""
        self._users += 1
        name = f"{self.sale.place}-{self._users:x}"
        seed = f"{self.sale.seed} {self._users} {self.sale.process or ''}".rstrip()
        return name, Random(seed), self.checkout(self._users)

    def checkout(self, number: int) -> Any:
        """One of the checkout services' stubs."""
        return self._checkouts[number % CHANNELS]

    def hot_now(self, rng: Random) -> int:
        """Number of the hot SKU that is wanted at this moment."""
        if self.profile.hot_by_hour:
            return hour_of(self.at_s(), self.profile.seconds)
        return rng.randrange(self.profile.goods.hot)

    def close(self) -> None:
        """Ends the connections, then the history."""
        for channel in self._channels:
            channel.close()
        self.writer.close()
