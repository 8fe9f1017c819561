"""Looks about once a second at what can go wrong while the server serves, and logs each once.

Owns when a state of disk, journal, load or memory is worth a line, and when it is over. Changes
nothing and answers nobody: it reads counters that others keep. The words are log_events.py's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from atp._front import TIME_BOUNDS_NS
from atp.server import log_events, logs
from atp.server.log_events import LogEvent
from atp.settings import Settings

if TYPE_CHECKING:
    from atp.journal._native import WriterStatistics
    from atp.journal.journal import Journal
    from atp.vocabulary import Limit

SECOND = 1_000_000_000
MIB = 1 << 20
STANDING_SECONDS = 2
"""A change that has waited for so long to become durable: the disk stands still."""
CALM_SECONDS = 10
"""Without a refusal for so long, an overload is over."""
ENDED_SECONDS = 60
"""Between two lines about connections that were ended: strangers can have any number."""
NEAR_PERCENT, FAR_PERCENT = 90, 85
OVER_NS = (0, *TIME_BOUNDS_NS)
"""What the syncs of each count took longer than."""
LOW_SEGMENTS = 4
"""With room for fewer segments than this the disk is told to be low."""

OVERLOADS: Mapping[str, LogEvent] = {
    "connections_max": log_events.CONNECTIONS_REFUSED,
    "calls_max": log_events.CALLS_REFUSED,
    "buffer_bytes_max": log_events.BUFFERS_FULL,
    "wait_max": log_events.ANSWERS_LATE,
    "control_plane": log_events.CONTROL_PLANE_BUSY,
}
"""What is logged of what was refused, by the name that the counter has."""


class Load(NamedTuple):
    """Counts since the start: what was refused by which bound, connections ended and why."""

    refused: Mapping[str, int]
    ended: Mapping[str, int]


class _State:
    """Something that is so or not: told when it begins, and, in other words, when it ends."""

    def __init__(self) -> None:
        self.event: LogEvent | None = None
        self.since = 0

    def change(self, event: LogEvent | None, over: LogEvent, now: int, **fields: Any) -> None:
        """It is as `event` says, or over. Each is told with those of the fields that it names."""
        if event is self.event:
            return
        if self.event is None:
            self.since = now
        self.event = event
        told, fields = event or over, {**fields, "seconds": (now - self.since) // SECOND}
        logs.tell(told, **{name: fields[name] for name in told.fields()})


class _Overload:
    """One kind of refusal: told when it begins, once a minute while it lasts, and when it ends."""

    def __init__(self, limit: str) -> None:
        self.limit = limit
        self.counted = 0
        self.told_at: int | None = None
        self.last = 0
        self.untold = 0

    def look(self, counted: int, now: int) -> None:
        """Takes the count of now."""
        self.untold += counted - self.counted
        if counted != self.counted:
            self.counted, self.last = counted, now
            if self.told_at is None or now - self.told_at >= ENDED_SECONDS * SECOND:
                self.told_at = now
                logs.tell(OVERLOADS[self.limit], refused=self.untold)
                self.untold = 0
        elif self.told_at is not None and now - self.last >= CALM_SECONDS * SECOND:
            if self.untold:
                logs.tell(OVERLOADS[self.limit], refused=self.untold)
            logs.tell(log_events.OVERLOAD_OVER, limit=self.limit, seconds=CALM_SECONDS)
            self.told_at, self.untold = None, 0


class Lookout:
    """What was told, and what is to be told next."""

    def __init__(
        self,
        journal: Journal,
        load: Callable[[], Load],
        limits: Callable[[], list[Limit]],
        settings: Callable[[], Settings],
    ) -> None:
        """`limits` gives the engine's bounds with their use."""
        self._journal = journal
        self._load = load
        self._limits = limits
        self._settings = settings
        self._room, self._low, self._standing, self._sync = (_State() for _ in range(4))
        self._near: set[str] = set()
        self._overloads = {name: _Overload(name) for name in OVERLOADS}
        self._ended: dict[str, int] = {}
        self._ended_at: int | None = None
        self._syncs = (0,) * len(OVER_NS)
        self._slow_at: int | None = None
        self._snapshot = journal.snapshots.last

    def look(self, now_ns: int) -> None:
        """Looks at everything once. Raises OSError: the disk can't be asked."""
        load = self._load()
        for name, overload in self._overloads.items():
            overload.look(load.refused.get(name, 0), now_ns)
        self._look_at_ended(load.ended, now_ns)
        self._look_at_bounds()
        self._look_at_snapshot()
        self._look_at_writer(now_ns)
        logs.tell_left_out()

    def _look_at_writer(self, now: int) -> None:
        told = self._journal.writer.statistics()
        standing = told.lag_ns >= STANDING_SECONDS * SECOND
        self._standing.change(
            log_events.DISK_STANDS_STILL if standing else None,
            log_events.DISK_MOVES_AGAIN,
            now,
            waiting=told.waiting_records,
            lag=told.lag_ns // SECOND,
        )
        self._look_at_syncs(told, now)
        self._look_at_room(told.space_level, told.is_behind, told.waiting_bytes, now)

    def _look_at_syncs(self, told: WriterStatistics, now: int) -> None:
        """Those since the last look: more than one in a hundred that was slow is told."""
        new = [count - was for count, was in zip(told.sync_counts, self._syncs, strict=True)]
        self._syncs = told.sync_counts
        limit = self._settings().integer("log.slow_sync")
        slow = sum(count for count, over in zip(new, OVER_NS, strict=True) if over >= limit)
        if 100 * slow > sum(new):
            self._slow_at = now
        is_slow = self._slow_at is not None and now - self._slow_at < CALM_SECONDS * SECOND
        self._sync.change(
            log_events.SYNC_SLOW if is_slow else None,
            log_events.SYNC_FAST_AGAIN,
            now,
            slow=slow,
            syncs=sum(new),
            limit=limit / 1e6,
            most=told.sync_most_ns / 1e6,
        )

    def _look_at_room(self, level: int, is_behind: bool, waiting_bytes: int, now: int) -> None:
        directory = self._journal.directory.places.path
        free = self._journal.free_bytes()
        words = {"directory": directory, "free": free // MIB, "waiting": waiting_bytes // MIB}
        event = None
        if level:
            event = log_events.HOLDS_REFUSED if level == 1 else log_events.CHANGES_REFUSED
        elif is_behind:
            event = log_events.JOURNAL_BEHIND
        self._room.change(event, log_events.CHANGES_TAKEN_AGAIN, now, **words)
        options = self._journal.options
        needed = options.room_kept_bytes + LOW_SEGMENTS * options.segment_bytes
        is_low = free < needed and not level
        if is_low and self._low.event is None:
            self._low.change(log_events.DISK_LOW, log_events.CHANGES_TAKEN_AGAIN, now, **words)
        elif free >= needed:
            self._low = _State()

    def _look_at_ended(self, ended: Mapping[str, int], now: int) -> None:
        more = {name: count - self._ended.get(name, 0) for name, count in ended.items()}
        reasons = ", ".join(f"{name} {count}" for name, count in more.items() if count)
        waited = self._ended_at is None or now - self._ended_at >= ENDED_SECONDS * SECOND
        if reasons and waited:
            self._ended, self._ended_at = dict(ended), now
            logs.tell(log_events.CONNECTIONS_ENDED, reasons=reasons)

    def _look_at_bounds(self) -> None:
        for limit in self._limits():
            if limit.used < 0 or not limit.value:
                continue
            percent = 100 * limit.used // limit.value
            is_near = limit.name in self._near
            if percent >= NEAR_PERCENT and not is_near:
                self._near.add(limit.name)
            elif percent < FAR_PERCENT and is_near:
                self._near.remove(limit.name)
            else:
                continue
            event = log_events.BOUND_FAR if is_near else log_events.BOUND_NEAR
            words = {"bound": limit.name, "used": limit.used, "value": limit.value}
            logs.tell(event, **words, percent=percent)

    def _look_at_snapshot(self) -> None:
        taken = self._journal.snapshots.last
        if taken is not None and taken is not self._snapshot:
            logs.tell(
                log_events.SNAPSHOT_TAKEN,
                snapshot=taken.name,
                size=taken.size_bytes // MIB,
                seconds=taken.duration_ns / 1e9,
                stall=taken.longest_stall_ns / 1e6,
            )
        self._snapshot = taken
