"""What growing costs those who ask meanwhile: tables double while holds come in.

One thread reserves in batches of a thousand until two million holds live, of 10,000 SKUs or of one.
A batch that is in the way of something that grows takes longer; how much longer, and how much a row
of them, is the figure, beside the median batch of the same run.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import workload
from test_engine_pairs import timed
from workload import People

Figure = Callable[[str, float, str], None]
BATCH = 1_000
FULL, SMALL = 2_000_000, 40_000
ROW = 20
SKUS = 10_000


@pytest.mark.parametrize(("name", "skus"), [("growth", SKUS), ("growth_hot", 1)])
def test_growth(name: str, skus: int, full: bool, figure: Figure) -> None:
    names = workload.sku_names(skus)
    engine = workload.engine_with(names, ended_max=640)
    rng = np.random.default_rng(7)
    holds = FULL if full else SMALL
    times = []
    for number in range(holds // BATCH):
        chosen = names[rng.integers(0, skus, BATCH)]
        reserves = workload.reserves(rng, chosen, People(SKUS, SKUS), f"g{number}")
        times.append(timed(engine, [reserves]) * 1e3)
    assert engine.status().live_holds == holds
    assert engine.check(now_ns=workload.START_NS).violations == ()
    median = float(np.median(times))
    row = np.convolve(times, np.ones(ROW), "valid").max()
    figure(f"{name}_batch_ms_p50", median, "ms")
    figure(f"{name}_batch_ms_p99", float(np.quantile(times, 0.99)), "ms")
    figure(f"{name}_batch_ms_most", max(times), "ms")
    figure(f"{name}_row_over_median", row / (ROW * median), "ratio")
