"""The exact rules, as tables of outcomes in `tests/rules`, run over both engines.

One line a command in the language of `scenario.py`, one file a subject: read them instead of code.
Every case runs plain, and watched: then a refusal, a repeat or a read must leave the whole state as
it was, and all laws are recounted after every step. Malformed calls are in `test_malformed.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from atp.vocabulary import ChangeOutcome, LineOutcome, ReserveOutcome, StockOutcome
from scenario import Scenario, Step, read_cases

RULES = sorted((Path(__file__).parent / "rules").glob("*.txt"))
CASES = [
    pytest.param(steps, id=f"{path.stem}: {name}")
    for path in RULES
    for name, steps in read_cases(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("watched", [False, True], ids=["plain", "watched"])
@pytest.mark.parametrize("steps", CASES)
def test_rules(make_engine: Callable[..., Any], steps: list[Step], watched: bool) -> None:
    """Every step answers as the table says."""
    Scenario(make_engine, steps, watched=watched).run()


def test_every_outcome_is_in_the_tables() -> None:
    """An outcome that no row expects is one that nobody has thought through."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in RULES)
    words = set(text.replace("|", " ").split())
    for outcomes in (ReserveOutcome, LineOutcome, ChangeOutcome, StockOutcome):
        assert {outcome.name for outcome in outcomes} <= words


def test_case_names_are_unique() -> None:
    """A case that is copied gets a name of its own."""
    names = [case.id for case in CASES]
    assert len(names) == len({*names})


def test_a_wrong_table_fails(make_engine: Callable[..., Any]) -> None:
    """The canary: were the reading of tables broken, every table would pass."""
    wrong = [
        "stock apple 1 -> BELOW_HELD",
        "stock apple 1 -> DONE on_hand=2",
        "reserve r1 apple:1 -> GRANTED",
        "reserve r1 apple:1 -> SKU_UNKNOWN line=0|STOCK_SHORT",
        "sku apple -> on_hand=0",
        "sweep -> 1",
        "cap c IP limit=1 -> seq:2",
        "commit 00000000000000000000000000000000 -> INVALID reservation_id",
        "commit nonsense -> NOT_FOUND",
        "commit nonsense -> INVALID request_id",
    ]
    for line in wrong:
        (_, steps) = read_cases(f"== wrong\n{line}")[0]
        with pytest.raises(AssertionError):
            Scenario(make_engine, steps, watched=True).run()


def test_etag_changes_with_every_change_and_only_then(make_engine: Callable[..., Any]) -> None:
    """What an etag is, is nobody's business; that it changes is."""
    (_, steps) = read_cases(
        """== etag
        cap c CUSTOMER limit=3
        cap c CUSTOMER limit=3
        cap c CUSTOMER limit=4
        cap c CUSTOMER limit=3
        reserve r1 plum:1 customer=ann -> SKU_UNKNOWN
        """
    )[0]
    scenario = Scenario(make_engine, steps, watched=False)
    etags = []
    for step in steps:
        scenario.run_step(step)
        etags.append(scenario.engine.get_cap("c").etag)
    assert etags[0] == etags[1]
    assert etags[3] == etags[4]
    assert len({*etags}) == 3
