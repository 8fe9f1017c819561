"""The product's own generator as the engine of a sale: rates that Python's users can't reach.

Owns the translation of a profile into a plan of atp.load. Shoppers' habits are Locust's alone: here
everybody reserves, and most of them buy.
"""

from __future__ import annotations

import threading

from atp import load
from atp.load import Kind, LoadPlan, LoadResult, Spread
from atp.vocabulary import ReserveOutcome
from loadtests.engines import AFTER_S, Engine, LoadFailed
from loadtests.sale import Sale

CONNECTIONS = 8
IN_FLIGHT = 128
EXPECTED = frozenset(
    {
        ReserveOutcome.GRANTED,
        ReserveOutcome.GRANTED_PARTIALLY,
        ReserveOutcome.STOCK_SHORT,
        ReserveOutcome.CAP_REACHED,
    }
)


def plan_of(sale: Sale) -> LoadPlan:
    """The profile in the generator's words."""
    profile, goods = sale.profile, sale.profile.goods
    is_hot = not goods.plain
    return LoadPlan(
        address=sale.data_address,
        run_name=f"native-{sale.run}-",
        kind=Kind.PAIR,
        connections=CONNECTIONS,
        in_flight=IN_FLIGHT,
        duration_s=profile.seconds,
        rate=profile.rate,
        deadline_s=max(1.0, profile.habits.deadline_s),
        batch=profile.batch,
        skus=goods.hot if is_hot else goods.plain,
        sku_prefix="HOT-" if is_hot else "PLAIN-",
        sku_digits=2 if is_hot else 5,
        spread=Spread.UNIFORM if is_hot else Spread.ZIPF,
        ttl_s=profile.hold_s,
        seed=sale.seed,
        outcomes=EXPECTED,
        allow_refused_calls=True,
        history=sale.history,
    )


class Native(Engine):
    """atp.load on a thread of its own, which it leaves to native code."""

    def __init__(self, sale: Sale) -> None:
        super().__init__(sale)
        self._began = threading.Event()
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts it, and waits for its first answers."""
        plan = plan_of(self.sale)
        self._thread = threading.Thread(target=self._run, args=(plan,), daemon=True)
        self._thread.start()
        self._began.wait(AFTER_S)
        self._raise_failure()

    def wait(self) -> None:
        """Until the load has ended by itself."""
        assert self._thread is not None
        self._thread.join(self.sale.profile.seconds + AFTER_S)
        if self._thread.is_alive():
            raise LoadFailed("the load does not end")
        self._raise_failure()

    def stop(self) -> None:
        """Nothing: it ends with its time."""

    def _run(self, plan: LoadPlan) -> None:
        try:
            load.run(plan, on_step=self._step)
        except (load.LoadFailed, OSError, ValueError) as error:
            self._failure = error
        finally:
            self._began.set()

    def _step(self, result: LoadResult) -> None:
        self._began.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise LoadFailed(str(self._failure)) from self._failure
