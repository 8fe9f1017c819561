"""Values put into the form that Prometheus's library writes out.

Owns that every value goes under a name of the table, with that name's labels, and that no row is
left without a word about it. Gathers nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from atp._front import TIME_BOUNDS_NS, TimeCounts
from atp.server.metrics_table import METRICS

SECOND = 1_000_000_000
_BOUNDS = [*(str(bound / SECOND) for bound in TIME_BOUNDS_NS), "+Inf"]


class Families:
    """What one scrape tells. Rows that are given no value are told without samples."""

    def __init__(self) -> None:
        self._families: dict[str, Metric] = {}
        for name, kind, labels, meaning in METRICS.values():
            if kind == "counter":
                self._families[name] = CounterMetricFamily(name, meaning, labels=labels)
            elif kind == "gauge":
                self._families[name] = GaugeMetricFamily(name, meaning, labels=labels)
            else:
                self._families[name] = HistogramMetricFamily(name, meaning, labels=labels)

    def set(self, name: str, value: float, *labels: str) -> None:
        """One sample of a counter or gauge; `labels` in the order of the table's."""
        family = self._families[name]
        assert isinstance(family, CounterMetricFamily | GaugeMetricFamily), name
        assert len(labels) == len(METRICS[name].labels), name
        family.add_metric(labels, value)

    def set_times(self, name: str, times: TimeCounts, *labels: str) -> None:
        """One histogram of times."""
        family = self._families[name]
        assert isinstance(family, HistogramMetricFamily), name
        assert len(labels) == len(METRICS[name].labels), name
        buckets: Sequence[tuple[str, float]] = list(
            zip(_BOUNDS, accumulate(times.counts), strict=True)
        )
        family.add_metric(labels, buckets, times.sum_ns / SECOND)

    def __iter__(self) -> Iterator[Metric]:
        return iter(self._families.values())
