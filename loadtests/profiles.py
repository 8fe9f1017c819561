"""The profiles: each sale with its goods, caps, crowd, shape, length, and what it promises.

Owns the table of all of them, in one place, and their bounds. Runs nothing: users read their habits
here, the set-up its stock and caps, the orchestrator the rest. docs/sale-rehearsal.md says how to
write one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from atp.v1 import cap_service_pb2 as caps_pb
from loadtests import curves, promises
from loadtests.curves import Curve
from loadtests.goods import Goods
from loadtests.promises import Promise

USERS_MOST = 20_000
SECONDS_MOST = 86_400.0
RATE_MOST = 1_000_000.0
BOT_SUBNET = "198.51.100."
"""All bots come from the 254 addresses of this subnet."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How shoppers behave. Shares are of all holds; what is left over commits in time.

    `change_mind`: gives a part back, or replaces the hold by another basket. `pay_late`: pays when
    the hold is about to end or has ended, some after an extension. `abandon`: does nothing more.
    `think_s`: the pause before each step, drawn around it. `deadline_s`: how long an answer is
    waited for. `tries`: how often the same request is sent when it was not answered. `doubled`:
    the share of reserves that are sent twice at once, as by a button that is pressed twice.
    """

    think_s: float = 0.5
    change_mind: float = 0.1
    pay_late: float = 0.1
    abandon: float = 0.15
    deadline_s: float = 5.0
    tries: int = 5
    doubled: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Profile:
    """One sale. `users` are there at the height of `curve`; `bots` of them hold and never buy.

    `operators` change caps and stock during the sale, and count as users too. `hold_s`: how long
    holds live. `server`: settings of a server that is started. The native engine alone knows
    `rate`, shoppers that come a second at the height, `arrivals`, their curve where it is not that
    of those who are there, and `batch`, commands in each batch; 0: a call each.
    """

    name: str
    text: str
    goods: Goods
    caps: tuple[caps_pb.Cap, ...]
    curve: Curve
    promise: tuple[Promise, ...]
    users: int
    bots: float = 0.0
    operators: int = 1
    seconds: float = 60.0
    hold_s: int = 4
    habits: Habits = Habits()
    hot_by_hour: bool = False
    rate: float = 2_000.0
    arrivals: Curve | None = None
    batch: int = 0
    server: tuple[tuple[str, str], ...] = ()

    def sized(
        self, *, users: int | None, seconds: float | None, rate: float | None = None
    ) -> Profile:
        """The same sale with another crowd or length. ValueError says what is out of bounds."""
        made = replace(
            self,
            users=users or self.users,
            seconds=seconds or self.seconds,
            rate=rate or self.rate,
        )
        least = made.operators + (2 if self.bots else 1)
        if not least <= made.users <= USERS_MOST:
            raise ValueError(f"{made.users} users: {self.name} takes {least} to {USERS_MOST:,}")
        if not 1.0 <= made.rate <= RATE_MOST:
            raise ValueError(f"{made.rate:g} shoppers a second: a sale takes 1 to {RATE_MOST:,.0f}")
        if not 2.0 <= made.seconds <= SECONDS_MOST:
            raise ValueError(f"{made.seconds:g} seconds: a sale takes 2 to {SECONDS_MOST:,.0f}")
        return made

    def bot_count(self) -> int:
        """Users that are bots: at least one where the profile has some."""
        return max(1, round(self.users * self.bots)) if self.bots else 0

    def shopper_count(self) -> int:
        """Users that are shoppers."""
        return self.users - self.operators - self.bot_count()

    def users_at(self, at_s: float) -> int:
        """Users that are there at a moment; operators are always."""
        crowd = self.users - self.operators
        return self.operators + max(1, round(crowd * self.curve(at_s, self.seconds)))


def customer_cap(limit: int, **more: Any) -> caps_pb.Cap:
    """So many units of each hot SKU for each customer."""
    return caps_pb.Cap(
        cap_id="customer",
        subject=caps_pb.CAP_SUBJECT_CUSTOMER,
        per_sku=True,
        limit_quantity=limit,
        mode=caps_pb.CAP_MODE_ENFORCE,
        **more,
    )


def subnet_cap(limit: int, window_s: int) -> caps_pb.Cap:
    """So many units for each subnet within a time, given-back ones not counted."""
    cap = caps_pb.Cap(
        cap_id="subnet",
        subject=caps_pb.CAP_SUBJECT_SUBNET,
        ipv4_prefix_length=24,
        ipv6_prefix_length=48,
        limit_quantity=limit,
        mode=caps_pb.CAP_MODE_ENFORCE,
    )
    cap.window.seconds = window_s
    return cap


def address_cap(limit: int, mode: caps_pb.CapMode = caps_pb.CAP_MODE_ENFORCE) -> caps_pb.Cap:
    """So many units for each address."""
    return caps_pb.Cap(
        cap_id="address", subject=caps_pb.CAP_SUBJECT_IP, limit_quantity=limit, mode=mode
    )


def basket_cap(limit: int) -> caps_pb.Cap:
    """So many units in one basket."""
    return caps_pb.Cap(
        cap_id="basket",
        subject=caps_pb.CAP_SUBJECT_RESERVATION,
        limit_quantity=limit,
        mode=caps_pb.CAP_MODE_ENFORCE,
    )


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="cyber_monday",
            text="a day's curve compressed, with a rush at each hour's deal",
            goods=Goods(hot=24, hot_units=100, plain=400, plain_units=5_000, hot_share=0.6),
            caps=(customer_cap(2), subnet_cap(25, 30), basket_cap(6)),
            curve=curves.day,
            promise=(promises.peak_is_above_quiet, promises.sold_something, promises.caps_worked),
            users=150,
            bots=0.1,
            operators=2,
            seconds=120.0,
            hot_by_hour=True,
            rate=3_000.0,
        ),
        Profile(
            name="drop",
            text="everybody in the first two seconds, for 500 units",
            goods=Goods(hot=1, hot_units=500, plain=0, plain_units=0, hot_share=1.0),
            caps=(customer_cap(1),),
            curve=curves.rush,
            promise=(promises.demand_met_stock, promises.sold_something),
            users=300,
            bots=0.1,
            seconds=20.0,
            habits=Habits(think_s=0.05, change_mind=0.03, pay_late=0.05, abandon=0.05),
            rate=25_000.0,
            arrivals=curves.burst,
        ),
        Profile(
            name="hold_attack",
            text="bots of one subnet hold all they can and never buy; shoppers still get through",
            goods=Goods(hot=3, hot_units=300, plain=50, plain_units=2_000, hot_share=0.7),
            caps=(customer_cap(3), subnet_cap(60, 60), address_cap(4)),
            curve=curves.siege,
            promise=(promises.bots_were_stopped, promises.sold_something),
            users=200,
            bots=0.6,
            seconds=45.0,
            rate=3_000.0,
        ),
        Profile(
            name="steady",
            text="the same crowd all the time, with nothing in short supply",
            goods=Goods(hot=5, hot_units=10**6, plain=1_000, plain_units=10**6, hot_share=0.1),
            caps=(basket_cap(10), address_cap(1_000, caps_pb.CAP_MODE_SHADOW)),
            curve=curves.steady,
            promise=(promises.mostly_granted, promises.sold_something),
            users=100,
            seconds=60.0,
            rate=3_000.0,
        ),
        Profile(
            name="retry_storm",
            text="impatient clients that send everything twice and again, in two bursts",
            goods=Goods(hot=4, hot_units=2_000, plain=100, plain_units=10_000, hot_share=0.6),
            caps=(customer_cap(4), basket_cap(8)),
            curve=curves.storm,
            promise=(promises.requests_were_repeated, promises.sold_something),
            users=200,
            seconds=45.0,
            habits=Habits(think_s=0.1, deadline_s=0.25, tries=8, doubled=0.4),
            rate=3_000.0,
        ),
    )
}
"""Every profile, by its name."""
