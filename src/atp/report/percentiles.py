"""From counts of durations in buckets to percentiles; buckets.h counts, and knows the same bounds.

Owns that arithmetic. A percentile is the upper end of its bucket, so it is never told too low.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_BITS = 40
"""What is longer than 2^40 ns counts as that."""
FINE_BITS, COARSE_BITS = 7, 5
"""2^bits buckets for each doubling: under 1 % wide over all, under 4 % in each step of time."""
SHARES = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}


def bucket_ends_ns(bits: int) -> NDArray[np.int64]:
    """The longest duration of each bucket."""
    numbers = np.arange((LONGEST_BITS - bits + 1) << bits, dtype=np.int64)
    shift = np.maximum((numbers >> bits) - 1, 0)
    ends: NDArray[np.int64] = ((numbers - (shift << bits) + 1) << shift) - 1
    return ends


def percentile_ns(counts: NDArray[np.int64], share: float, bits: int) -> int | None:
    """The duration that this share of all is not above; None where nothing was counted."""
    total = int(counts.sum())
    if total == 0:
        return None
    rank = max(1, int(np.ceil(share * total)))
    return int(bucket_ends_ns(bits)[int(np.searchsorted(np.cumsum(counts), rank))])


def percentiles_ms(rows: NDArray[np.int64], share: float, bits: int) -> NDArray[np.float64]:
    """The same for each row, in milliseconds; NaN where nothing was counted."""
    sums = np.cumsum(rows, axis=1)
    ranks = np.maximum(1, np.ceil(share * sums[:, -1]))
    places = np.argmax(sums >= ranks[:, None], axis=1)
    found = bucket_ends_ns(bits)[places] / 1e6
    return np.where(sums[:, -1] > 0, found, np.nan)
