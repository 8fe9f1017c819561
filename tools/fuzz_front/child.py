"""One round of fuzzing in this process: an engine with something to sell, and the loop of its kind.

Owns the engine's small world and the recount of its laws after the round; draws nothing itself.
"""

from __future__ import annotations

import socket
import time
from typing import Any

import canonical
import fuzz_front

from atp._core import Engine
from atp.vocabulary import Cap, CapSubject

NOW_NS = 1_700_000_000_000_000_000
DIGEST_EVERY = 16
STOCK = {
    **{"apple": 10**9, "pear": 10**6, "plum": 1_000, "fig": 5, "été": 10**6},
    **{"s" * 64: 10**6, "\0": 10**6},
}


def engine() -> Engine:
    """An engine whose bounds are near, so that they are reached."""
    made = Engine(
        sku_max=64,
        live_holds_max=300,
        cap_counters_max=1_000,
        ended_max=300,
        remember_ns=20_000_000_000,
        longest_life_ns=600_000_000_000,
    )
    for sku, units in STOCK.items():
        made.set_stock(sku, units, now_ns=NOW_NS)
    made.set_cap(Cap("address", CapSubject.IP, limit=500, window_ns=10**10), now_ns=NOW_NS)
    made.set_cap(
        Cap("customer", CapSubject.CUSTOMER, limit=200, skus=("apple", "plum"), per_sku=True),
        now_ns=NOW_NS,
    )
    return made


def recount(made: Engine, now_ns: int) -> None:
    """The laws, from what lies in memory."""
    violations = made.check(now_ns=now_ns).violations
    assert violations == (), f"after the round the laws are broken: {violations}"


def fuzz(kind: str, native: int, seed: int, inputs: int, note: str) -> dict[str, float]:
    """What a round has seen; raises AssertionError with the input at fault."""
    began = time.monotonic()
    if kind == "canonical":
        seen = compare(seed, inputs)
    elif kind == "protobuf":
        seen = judge(seed, inputs, note)
    else:
        seen = talk(native, seed, inputs, note)
    return {"inputs": inputs, **seen, "seconds": time.monotonic() - began}


def judge(seed: int, inputs: int, note: str) -> dict[str, Any]:
    """Messages to the judge."""
    made = engine()
    judging = fuzz_front.Judging(
        made, seed=seed, note_path=note.encode(), now_ns=NOW_NS + 1, digest_every=DIGEST_EVERY
    )
    judging.run(inputs)
    recount(made, judging.now_ns)
    seen = {"changes": judging.granted, "kept": judging.kept, "ways": judging.ways}
    return {**seen, "leak": judging.leak()}


def talk(native: int, seed: int, inputs: int, note: str) -> dict[str, Any]:
    """Bytes to a connection."""
    made = engine()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        sessions = fuzz_front.Sessions(
            made,
            kind=native,
            seed=seed,
            note_path=note.encode(),
            now_ns=NOW_NS + 1,
            listener=listener.detach(),
        )
    sessions.run(inputs)
    recount(made, sessions.now_ns)
    seen = {"answered": sessions.answered, "changes": sessions.changes}
    return {**seen, "kept": sessions.kept, "ways": sessions.ways, "leak": sessions.leak()}


def compare(seed: int, inputs: int) -> dict[str, Any]:
    """The front's reader against protobuf's runtime."""
    engines = (engine(), engine())
    codes = canonical.run(
        fuzz_front.Drawing(seed=seed, now_ns=NOW_NS + 1), engines, inputs, NOW_NS + 1
    )
    for made in engines:
        recount(made, NOW_NS + 1)
    return {"ok": codes[0], "refused": codes.total() - codes[0], "leak": 0}
