"""What a load came to: counts of everything asked and answered, and how long answers took.

Owns the names of what the native part counts by number, the quantiles, and what is a fault: a load
whose answers were not what the plan expects measures nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from atp.load.plan import LoadPlan
from atp.vocabulary import CALL_CODES, ChangeOutcome, ReserveOutcome

BUCKET_BITS = 7
"""As in histogram.h: 128 buckets for each doubling."""
NO_STATUS = "NONE"
STATUS_NAMES = (*CALL_CODES, NO_STATUS)
"""gRPC's codes in order of their numbers, and after them what is none."""
REFUSED_CALLS = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"})


@dataclass(frozen=True, slots=True)
class LoadResult:
    """Counts of one load. A call is a unary call or a batch; a command is judged by itself.

    `seconds` is from when the first call was due to the last answer. `good` calls were answered OK
    within the deadline, `late` ones OK after it, `expired` ones were never sent, because it had
    passed before. `lost` commands had no answer when their connection ended; of them and of those
    that were turned away, `tried_again` counts every time one was sent again and `given_up` those
    that were not any more. `statuses` are of calls by gRPC code; `reserves`, `commits`, `releases`
    and `extends` of commands by outcome, apart from `repeats` of reserves that had been granted;
    `command_errors` of a batch's commands that could not be judged. Latencies are of calls
    answered OK, in nanoseconds, in buckets under 1 % wide.
    """

    seconds: float
    asked: int
    answered: int
    good: int
    late: int
    expired: int
    lost: int
    tried_again: int
    given_up: int
    reconnects: int
    commands: int
    repeats: int
    repeated: int
    forgotten: int
    malformed: int
    unknown: int
    bytes_sent: int
    bytes_received: int
    statuses: Mapping[str, int]
    reserves: Mapping[ReserveOutcome, int]
    commits: Mapping[ChangeOutcome, int]
    releases: Mapping[ChangeOutcome, int]
    extends: Mapping[ChangeOutcome, int]
    command_errors: Mapping[str, int]
    first_error: str
    latency_counts: np.ndarray = field(repr=False)
    latency_most_ns: int

    @property
    def unanswered(self) -> int:
        """Calls sent that got no answer."""
        return self.asked - self.answered

    @property
    def calls_per_s(self) -> float:
        """Calls answered a second."""
        return self.answered / self.seconds if self.seconds else 0.0

    @property
    def goodput_per_s(self) -> float:
        """Calls answered OK within the deadline a second."""
        return self.good / self.seconds if self.seconds else 0.0

    @property
    def commands_per_s(self) -> float:
        """Commands judged a second."""
        return self.commands / self.seconds if self.seconds else 0.0

    def changes(self) -> tuple[tuple[str, Mapping[ChangeOutcome, int]], ...]:
        """What became of commits, releases and extends, by name."""
        return (("commits", self.commits), ("releases", self.releases), ("extends", self.extends))

    def latency_ms(self, share: float) -> float:
        """The time in milliseconds within which this share of the calls was answered OK.

        The upper end of its bucket; 0.0 where no call was answered. `share` 0.99 gives the p99.
        """
        total = int(self.latency_counts.sum())
        if total == 0:
            return 0.0
        rank = max(1, int(np.ceil(share * total)))
        bucket = int(np.searchsorted(np.cumsum(self.latency_counts), rank))
        return min(bucket_end_ns(bucket), self.latency_most_ns) / 1e6

    def faults(self, plan: LoadPlan) -> list[str]:
        """What was not as the plan expects; empty when the load measured what it was to."""
        allowed = REFUSED_CALLS if plan.allow_refused_calls else frozenset()
        told = f", the first: {self.first_error}" if self.first_error else ""
        found = [
            f"{count:,} calls ended as {name}{told}"
            for name, count in self.statuses.items()
            if name != "OK" and name not in allowed
        ]
        found += [
            f"{count:,} commands of batches could not be judged: {name}"
            for name, count in self.command_errors.items()
            if name not in allowed
        ]
        found += [
            f"{count:,} reserves were answered {outcome.name}"
            for outcome, count in self.reserves.items()
            if outcome not in plan.outcomes
        ]
        found += [
            f"{count:,} {name} were answered {outcome.name}"
            for name, counts in self.changes()
            for outcome, count in counts.items()
            if outcome not in plan.change_outcomes
        ]
        for count, meaning in (
            (0 if plan.tries else self.unanswered, "calls were not answered"),
            (self.malformed, "answers were malformed"),
            (self.repeated, "answers were to a request id that had been used before"),
            (self.forgotten, "repeats of a granted reserve were not answered with its hold"),
            (self.unknown, "calls asked for a SKU that the server does not know"),
        ):
            if count:
                found.append(f"{count:,} {meaning}")
        return found


def bucket_end_ns(bucket: int) -> int:
    """The longest time that a bucket holds, in nanoseconds."""
    whole = 1 << BUCKET_BITS
    shift = max(bucket // whole - 1, 0)
    return ((bucket - shift * whole + 1) << shift) - 1


def added(results: Sequence[LoadResult]) -> LoadResult:
    """What several loads came to at the same time, as one; there must be one at least."""
    values: dict[str, Any] = {}
    for each in fields(LoadResult):
        parts = [getattr(result, each.name) for result in results]
        if each.name in ("seconds", "latency_most_ns"):
            values[each.name] = max(parts)
        elif each.name == "first_error":
            values[each.name] = next(filter(None, parts), "")
        elif isinstance(parts[0], Mapping):
            counts: Counter[Any] = Counter()
            for part in parts:
                counts.update(part)
            values[each.name] = dict(counts)
        else:
            values[each.name] = sum(parts)
    return LoadResult(**values)
