"""Long random histories over the native engine and the reference engine, every answer compared.

The state machine of `test_machine.py` finds small histories and shrinks them; this one has volume:
hundreds of commands a history, with a mix like that of a sale. Hypothesis draws the seeds, and
prints the command that repeats a failure.
"""

from __future__ import annotations

from random import Random

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from atp.vocabulary import ChangeOutcome, ReserveOutcome, StockReason
from conftest import native_engine
from histories import LIFE_NS, History
from pair import Pair, key_teller


@given(
    seed=st.integers(0, 2**32),
    remember_ns=st.sampled_from([1, 100, 2_000]),
    live_holds_max=st.sampled_from([5, 1_000, 1_000]),
)
@settings(phases=[Phase.generate])  # a seed does not shrink
def test_long_histories(seed: int, remember_ns: int, live_holds_max: int) -> None:
    """Both engines tell the same story from first to last."""
    key_of = key_teller(native_engine)
    bounds = {"longest_life_ns": LIFE_NS, "live_holds_max": live_holds_max}
    pair = Pair(native_engine, key_of, remember_ns=remember_ns, **bounds)
    history = History(Random(seed), key_of)
    for number, command in enumerate(history.commands(300)):
        answer = pair.call(command.name, *command.words, **command.keywords)
        history.note(command, answer)
        if number % 50 == 49:
            pair.compare_all(history.now_ns)
    pair.compare_all(history.now_ns)


def test_a_receipt_under_a_forgotten_holds_name_is_no_hold_that_could_be_extended() -> None:
    """Found by seed 1128: a hold is forgotten, and the id of its request, which hashes to its
    name, is used for a delivery. Extending the old name with a third id, one that stands for
    another command, told when the "hold" could end at the latest: as if the receipt were one."""
    key_of = key_teller(native_engine)
    pair = Pair(native_engine, key_of, remember_ns=100, longest_life_ns=LIFE_NS)
    now_ns = 1_700_000_000_000_000_000
    pair.call("set_stock", "a", 10, now_ns=now_ns)
    held = pair.call("reserve", "first", [("a", 1)], now_ns=now_ns, ttl_ns=LIFE_NS)
    gone = pair.call("reserve", "second", [("a", 1)], now_ns=now_ns, ttl_ns=1)
    now_ns += 200
    pair.call("adjust_stock", "second", "a", 1, StockReason.RECEIVED, now_ns=now_ns)
    reply = pair.call(
        "extend", gone.reservation.reservation_id, now_ns=now_ns, ttl_ns=9, request_id="first"
    )
    assert held.outcome is ReserveOutcome.GRANTED
    assert reply.outcome is ChangeOutcome.REQUEST_ID_REUSED
    assert reply.latest_expire_time_ns is None
