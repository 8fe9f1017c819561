"""The audit reads the journal on one thread and replays it on another: what is wrong at any place
of a long journal is found there, or told, and never waited for.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from atp.audit import AuditFailed, Verdict, audit
from atp.v1 import reservation_pb2 as pb
from atp.v1 import stock_service_pb2 as stock_pb
from audit_recorded import Recorded
from audit_small_shop import Shop

CHANGES = 2_500
"""More than the reader may be ahead."""
PLACES = (0, 63, 64, 1_023, 1_024, CHANGES - 1)


@cache
def long_sale() -> Recorded:
    """Every change is about a SKU of its own; at the end one question is about two of them."""
    shop = Shop()
    for number in range(CHANGES):
        request = stock_pb.SetStockRequest(sku=f"sku-{number}", on_hand_quantity=number)
        shop.do("stock", request, 0, 0, answered=True)
    names = ["sku-0", f"sku-{CHANGES - 1}", "no-sku"]
    shop.do("look", pb.GetAvailabilityRequest(skus=names), 0, 0, answered=True)
    return shop.recorded()


def judged(recorded: Recorded, folder: Path) -> Verdict:
    return audit(*recorded.write(folder))


def test_a_long_journal_is_judged_to_its_end(tmp_path: Path) -> None:
    verdict = judged(long_sale(), tmp_path)
    assert verdict.ok, verdict.text()
    assert verdict.figures["changes"] == verdict.checks["acknowledged"] // 2 == CHANGES
    assert verdict.figures["skus"] == CHANGES
    assert verdict.checks["truth"] == 1


@pytest.mark.parametrize("place", PLACES)
def test_what_is_wrong_at_any_place_is_found_there(place: int, tmp_path: Path) -> None:
    recorded = long_sale().copy()
    recorded.events[place].stock_changed.received_quantity += 1
    verdict = judged(recorded, tmp_path)
    assert verdict.counts == {"not_conserved": 1, "other_change": 1}
    assert all(f"change {place + 1} " in finding.text for finding in verdict.findings)


@pytest.mark.parametrize("place", PLACES)
def test_an_event_that_cannot_be_read_is_told_at_any_place(place: int, tmp_path: Path) -> None:
    recorded = long_sale().copy()
    recorded.events[place].released.reservation_key = b"no key"
    with pytest.raises(AuditFailed, match="an event names something with no key"):
        judged(recorded, tmp_path)
