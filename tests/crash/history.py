"""What the journal says happened, change by change, and what everything was after each of them.

Owns the past as rebuilt from events alone (events_replay.py), with every state that a reservation,
a SKU, a cap or a cap's count has had and from which sequence on. Knows no client.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

from atp.v1.cap_service_pb2 import Cap
from atp.v1.event_pb2 import Event
from atp.vocabulary import Reservation
from events_replay import Entry, Replayer, subject_of

State = TypeVar("State")


class Figures(NamedTuple):
    """The counters of one SKU."""

    on_hand: int
    held: int
    sold: int
    received: int
    adjusted: int
    sequence: int


class Past(Generic[State]):
    """The states that one thing has had."""

    def __init__(self) -> None:
        self.sequences: list[int] = []
        self.states: list[State] = []

    def add(self, sequence: int, state: State) -> None:
        """The state from this change on."""
        self.sequences.append(sequence)
        self.states.append(state)

    def at(self, sequence: int) -> State | None:
        """The state after this change; None: it was not there yet."""
        index = bisect_right(self.sequences, sequence)
        return self.states[index - 1] if index else None

    def since(self, sequence: int) -> Iterable[State | None]:
        """The state after this change, and all later ones."""
        index = bisect_right(self.sequences, sequence)
        return [self.states[index - 1] if index else None, *self.states[index:]]


class History:
    """The whole past. Feed it every event in order."""

    def __init__(self) -> None:
        self.replay = Replayer(many_threads=True)
        self.events: list[Event] = []
        self.holds: dict[str, Past[Reservation]] = defaultdict(Past)
        self.stock: dict[str, Past[Figures]] = defaultdict(Past)
        self.caps: dict[str, Past[Cap | None]] = defaultdict(Past)
        self.counts: dict[tuple[str, str, str], Past[int]] = defaultdict(Past)
        self.held: dict[str, int] = defaultdict(int)
        self.early: list[str] = []
        """Ends of holds at the wrong time (law 9), told by sequence."""

    @property
    def end(self) -> int:
        """Sequence of the last change."""
        return len(self.events)

    def event(self, sequence: int) -> Event | None:
        """What one change was."""
        return self.events[sequence - 1] if 1 <= sequence <= self.end else None

    def apply(self, sequence: int, event: Event) -> None:
        """Goes on by one change."""
        kind = event.WhichOneof("change")
        change = getattr(event, kind)
        touched = [key for key in keys_of(change) if key in self.replay.entries]
        self.in_time(sequence, kind, event, change)
        before = {key: units_of(self.replay.entries[key]) for key in touched}
        self.replay.apply(sequence, event)
        self.events.append(event)
        if kind == "reserved":
            touched.append(change.reservation_key.hex())
        for key in touched:
            self.note_hold(sequence, key, before.get(key, {}))
        if kind == "stock_changed":
            self.note_stock(sequence, change.sku)
        elif kind in ("cap_set", "cap_removed"):
            self.note_cap(sequence, kind, change)

    def in_time(self, sequence: int, kind: str, event: Event, change: Any) -> None:
        """Law 9: before its end a hold does not expire, and after it nothing else happens to it."""
        if kind not in ("committed", "released", "extended", "expired"):
            return
        entry = self.replay.entries[change.reservation_key.hex()]
        over = event.time_ns >= entry.expire_time_ns
        if over != (kind == "expired"):
            late = event.time_ns - entry.expire_time_ns
            self.early.append(
                f"law 9: sequence {sequence}: {kind} {late / 1e9:+.6f} s from the end"
            )

    def note_hold(self, sequence: int, key: str, before: dict[str, tuple[int, int]]) -> None:
        """A reservation has changed, and with it its SKUs and what caps count."""
        entry = self.replay.entries[key]
        for sku, (held, in_force) in units_of(entry).items():
            held_before, in_force_before = before.get(sku, (0, 0))
            self.held[sku] += held - held_before
            self.note_counts(sequence, entry, sku, in_force - in_force_before)
            if self.replay.stock[sku].sequence == sequence:
                self.note_stock(sequence, sku)
        self.holds[key].add(sequence, self.replay.reservation(key, entry))

    def note_stock(self, sequence: int, sku: str) -> None:
        """A SKU has changed."""
        now = self.replay.stock[sku]
        figures = Figures(
            now.on_hand, self.held[sku], now.sold, now.received, now.adjusted, now.sequence
        )
        self.stock[sku].add(sequence, figures)

    def note_cap(self, sequence: int, kind: str, change: Any) -> None:
        """A cap was set or removed."""
        cap_id = change.cap.cap_id if kind == "cap_set" else change.cap_id
        self.caps[cap_id].add(sequence, change.cap if kind == "cap_set" else None)
        if kind == "cap_removed" or change.counts_reset:
            for key, past in self.counts.items():
                if key[0] == cap_id:
                    past.add(sequence, 0)

    def note_counts(self, sequence: int, entry: Entry, sku: str, units: int) -> None:
        """Units came into force under caps, or left it. Those of windows are not followed."""
        for cap_id, (cap, since) in self.replay.caps.items():
            subject = subject_of(cap, entry)
            counted = not cap.skus or sku in cap.skus
            if units == 0 or subject is None or not counted or entry.grant_sequence <= since:
                continue
            past = self.counts[cap_id, subject, sku if cap.per_sku else ""]
            past.add(sequence, (past.at(sequence) or 0) + units)


def keys_of(change: Any) -> Iterator[str]:
    """The reservations that an event is about, the new one left out."""
    if hasattr(change, "replaced_reservation_key"):
        if change.replaced_reservation_key:
            yield change.replaced_reservation_key.hex()
    elif hasattr(change, "reservation_key"):
        yield change.reservation_key.hex()


def units_of(entry: Entry) -> dict[str, tuple[int, int]]:
    """Units held, and units that caps count, of each SKU of a reservation."""
    return {sku: (units.held, units.cap_units) for sku, units in entry.lines.items()}
