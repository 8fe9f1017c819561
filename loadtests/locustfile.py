"""What Locust runs: the users of a profile, in its shape, against a server that runs already.

Owns Locust's options for it, and the start and end of the history. Used by the orchestrator; by
hand: `locust -f loadtests/locustfile.py --set-up --sale drop --host 127.0.0.1:7300`, with
--headless or without.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import grpc.experimental.gevent as grpc_gevent
from locust import LoadTestShape, User, events
from locust.runners import MasterRunner

# Before any channel is made: grpcio waits in gevent's way from then on.
grpc_gevent.init_gevent()
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from atp.client.channel import DEFAULT_CONTROL_ADDRESS, DEFAULT_DATA_ADDRESS  # noqa: E402
from loadtests import encryption  # noqa: E402
from loadtests.profiles import PROFILES, Profile  # noqa: E402
from loadtests.sale import Sale  # noqa: E402
from loadtests.users.bot import Bot  # noqa: E402
from loadtests.users.operator import Operator  # noqa: E402
from loadtests.users.person import Person  # noqa: E402
from loadtests.users.shop import Shop  # noqa: E402
from loadtests.users.shopper import Shopper  # noqa: E402

__all__ = ["Bot", "Operator", "SaleShape", "Shopper"]


class SaleShape(LoadTestShape):
    """The profile's curve, looked at once a second."""

    profile: Profile
    only_operators = False
    process = 0

    def tick(self) -> tuple[int, float, list[type[User]] | None] | None:
        """Users wanted now, how fast they come, and of which kinds; None at the end."""
        at_s = self.get_run_time()
        if at_s >= self.profile.seconds:
            return None
        if self.only_operators:
            return self.profile.operators, float(self.profile.operators), [Operator]
        return self.profile.users_at(at_s), max(1.0, float(self.profile.users)), None


@events.init_command_line_parser.add_listener
def add_options(parser: Any, **_: Any) -> None:
    """Which sale it is."""
    group = parser.add_argument_group("Sale")
    group.add_argument("--sale", choices=sorted(PROFILES), default="steady", help="The profile.")
    group.add_argument("--sale-seconds", type=float, help="How long.  [default: the profile's]")
    group.add_argument("--sale-users", type=int, help="Users.  [default: the profile's]")
    group.add_argument("--sale-seed", type=int, default=1, help="Decides who does what.")
    group.add_argument("--sale-run", default="", help="Begins all names.  [default: the time]")
    group.add_argument("--sale-recorder", default="locust", help="Names the history's file.")
    group.add_argument(
        "--only-operators", action="store_true", help="Nobody else: the load is made elsewhere."
    )
    group.add_argument("--sale-process", type=int, default=0, help="Which of several it is.")
    group.add_argument("--set-up", action="store_true", help="Its stock and caps first.")
    group.add_argument("--control-address", default=DEFAULT_CONTROL_ADDRESS, help="HOST:PORT.")
    group.add_argument(
        "--history", default="sale-history", help="Directory in which calls are recorded."
    )
    encryption.add_options(group)


def sale_of(environment: Any) -> Sale:
    """The sale that the options tell of."""
    told = environment.parsed_options
    return Sale(
        profile=SaleShape.profile,
        data_address=environment.host or DEFAULT_DATA_ADDRESS,
        control_address=told.control_address,
        history=Path(told.history),
        run=told.sale_run or f"{time.time_ns() // 1_000_000:x}",
        seed=told.sale_seed,
        recorder=told.sale_recorder,
        data_tls=encryption.files_told(told, "data"),
        control_tls=encryption.files_told(told, "control"),
        process=SaleShape.process,
    )


@events.init.add_listener
def announce(environment: Any, **_: Any) -> None:
    """Says how many users there are of each kind."""
    told = environment.parsed_options
    profile = PROFILES[told.sale].sized(users=told.sale_users, seconds=told.sale_seconds)
    SaleShape.profile = profile
    SaleShape.only_operators = told.only_operators
    SaleShape.process = told.sale_process  # who leads sends its own options to all
    Operator.fixed_count = profile.operators
    Bot.weight, Shopper.weight = profile.bot_count(), profile.shopper_count()
    environment.stop_timeout = profile.habits.deadline_s + 1.0


@events.test_start.add_listener
def open_shop(environment: Any, **_: Any) -> None:
    """The sale begins: connections, the history, its clock. Who leads others has no users."""
    if isinstance(environment.runner, MasterRunner):
        return
    if not hasattr(Person, "shop"):  # a page may start it again
        Person.shop = Shop(sale_of(environment))
        if environment.parsed_options.set_up:
            Person.shop.fill_shelves()
    Person.shop.begin()


@events.quit.add_listener
def close_shop(**_: Any) -> None:
    """The history is whole when its last entry is written."""
    if hasattr(Person, "shop"):
        Person.shop.close()
