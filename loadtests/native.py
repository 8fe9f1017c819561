"""The product's own generator as the engine of a sale: rates that Python's users can't reach.

Owns the translation of a profile into a plan of atp.load: the crowd as baskets in the order in
which they come, the profile's curve as a rate. Operators stay Locust's: they change caps and stock
meanwhile, as at every sale.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from itertools import accumulate, pairwise
from pathlib import Path
from random import Random

from atp import load
from atp.load import Kind, LoadPlan, Shares, Want
from atp.vocabulary import ChangeOutcome, ReserveOutcome
from loadtests.curves import Curve, hour_of
from loadtests.engines import AFTER_S, Engine, LoadFailed, Locust
from loadtests.profiles import Profile
from loadtests.sale import Sale

CONNECTIONS = 8
IN_FLIGHT = 128
BATCHES_IN_FLIGHT = 2
BASKETS_MOST = 200_000
"""Different baskets of one sale; after them the first come again."""
POINTS = 240
"""Of the curve of the rate: straight lines between them."""
TRIES = 20
STALLED_S = 30.0
DEADLINE_LEAST_S = 1.0
REPEATS = 0.05
PAID_LATE_AFTER = 0.8
"""Shoppers who pay late think for this share of a hold's life, on average: some for too long."""
RESERVES = frozenset(
    {
        *(ReserveOutcome.GRANTED, ReserveOutcome.STOCK_SHORT, ReserveOutcome.CAP_REACHED),
        ReserveOutcome.GRANTED_PARTIALLY,
    }
)
CHANGES = frozenset(
    {
        *(ChangeOutcome.DONE, ChangeOutcome.ALREADY_EXPIRED),
        # What was done before an answer was lost.
        *(ChangeOutcome.ALREADY_COMMITTED, ChangeOutcome.ALREADY_RELEASED),
    }
)


def plan_of(sale: Sale) -> LoadPlan:
    """The profile in the generator's words."""
    profile, habits = sale.profile, sale.profile.habits
    shares = Shares(
        late=habits.pay_late,
        releases=habits.change_mind + habits.abandon / 2,
        extends=habits.pay_late / 3,
        abandons=habits.abandon / 2,
        repeats=min(1.0, REPEATS + habits.doubled),
        bots=profile.bots,
    )
    curve = rate_curve(profile)
    return LoadPlan(
        address=sale.data_address,
        run_name=f"native-{sale.run}-",
        kind=Kind.SALE,
        connections=CONNECTIONS,
        in_flight=BATCHES_IN_FLIGHT if profile.batch else IN_FLIGHT,
        duration_s=profile.seconds,
        curve=curve,
        by_chance=True,
        deadline_s=max(DEADLINE_LEAST_S, habits.deadline_s),
        batch=profile.batch,
        baskets=load.of_wants(
            wants(profile, curve, sale),
            shares,
            think_s=profile.hold_s * PAID_LATE_AFTER,
            seed=sale.seed,
            looks=not profile.batch,
        ),
        ttl_s=profile.hold_s,
        seed=sale.seed,
        outcomes=RESERVES,
        change_outcomes=CHANGES,
        allow_refused_calls=True,
        tries=TRIES,
        stalled_s=STALLED_S,
        tls=None if sale.data_tls is None else sale.data_tls.of_load(sale.data_address),
        history=sale.history,
    )


def rate_curve(profile: Profile) -> tuple[tuple[float, float], ...]:
    """Shoppers a second over the time of the sale."""
    curve: Curve = profile.arrivals or profile.curve
    seconds = profile.seconds
    times = [seconds * point / POINTS for point in range(POINTS + 1)]
    return tuple((at_s, profile.rate * curve(at_s, seconds)) for at_s in times)


def wants(profile: Profile, curve: tuple[tuple[float, float], ...], sale: Sale) -> Iterator[Want]:
    """Who comes, in order: as many as the curve brings, and BASKETS_MOST at most."""
    rng = Random(f"wants {sale.seed}")
    step_s = profile.seconds / POINTS
    steps = [(a + b) / 2 * step_s for (_, a), (_, b) in pairwise(curve)]
    arrived = list(accumulate(steps))
    count = max(1, min(BASKETS_MOST, round(arrived[-1])))
    step = 0
    for number in range(count):
        while arrived[step] < number * arrived[-1] / count:
            step += 1
        hot = rng.randrange(profile.goods.hot)
        if profile.hot_by_hour:
            hot = hour_of(step * step_s, profile.seconds)
        basket = profile.goods.basket(rng, hot)
        yield Want(
            customer=f"customer-{sale.run}-{number}",
            address=f"10.{rng.randrange(256)}.{rng.randrange(256)}.7",
            lines=[(line.sku, line.quantity) for line in basket],
        )


class Native(Engine):
    """atp.load on a thread of its own, which it leaves to native code or to processes, and Locust's
    operators."""

    def __init__(self, sale: Sale, log: Path) -> None:
        super().__init__(sale)
        operators = dataclasses.replace(sale, recorder="operators", processes=1)
        self._operators = Locust(operators, log, only_operators=True)
        self._ready = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts it, and waits until its connections stand."""
        plan = plan_of(self.sale)
        self._operators.begin()
        self._thread = threading.Thread(target=self._run, args=(plan,), daemon=True)
        self._thread.start()
        self._ready.wait(AFTER_S)
        self._raise_failure()

    def wait(self) -> None:
        """Until the load has ended by itself: those who came have done what they came for."""
        assert self._thread is not None
        self._thread.join(self.sale.profile.seconds + AFTER_S)
        if self._thread.is_alive():
            raise LoadFailed("the load does not end")
        self._raise_failure()
        self._operators.wait()

    def stop(self) -> None:
        """Ends the operators; the load ends with its time."""
        self._operators.stop()

    def _run(self, plan: LoadPlan) -> None:
        try:
            if self.sale.processes == 1:
                load.run(plan, on_ready=self._ready.set)
            else:
                # It is told how far they are once all of them are connected.
                load.run_many(plan, self.sale.processes, on_step=lambda result: self._ready.set())
        except (load.LoadFailed, OSError, ValueError) as error:
            self._failure = error
        finally:
            self._ready.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise LoadFailed(str(self._failure)) from self._failure
