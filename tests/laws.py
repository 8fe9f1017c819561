"""A recount of the laws from what an engine said, and its dump; it asks the engine nothing.

Owns the second opinion on a run of many threads. Every answer that changed something has a
sequence; in that order the answers are walked, and after each the laws must hold. Needs every
answer of the run, and an engine that has forgotten nothing of it. Knows no engine code.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from atp.vocabulary import (
    Cap,
    CapMode,
    ChangeReply,
    Reservation,
    ReservationState,
    ReserveOutcome,
    ReserveReply,
    StockReply,
)
from model_caps import counts_at, limit_of, same_counting, subject_of


class Said(NamedTuple):
    """One call and what it was answered."""

    name: str
    words: tuple[Any, ...]
    keywords: dict[str, Any]
    answer: Any


@dataclass
class Grant:
    """A hold as the walk knows it."""

    reservation: Reservation
    expire_time_ns: int
    held: Counter[str]
    committed: Counter[str] = field(default_factory=Counter)
    released: Counter[str] = field(default_factory=Counter)
    expired: Counter[str] = field(default_factory=Counter)
    sequence: int = 0

    def in_force(self, sku: str) -> int:
        """Units that caps count."""
        return self.held[sku] + self.committed[sku]


class Recount:
    """Walks the answers of a run in order of their sequence; `violations` is what it found."""

    def __init__(self, said: list[Said], dump: dict[str, Any], now_ns: int) -> None:
        """`now_ns` is the instant of the dump."""
        self.said = said
        self.now_ns = now_ns
        self.dump = dump
        self.violations: list[str] = []
        self.on_hand: Counter[str] = Counter()
        self.held: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self.grants: dict[str, Grant] = {}
        self.in_order: list[Grant] = []
        self.caps: dict[str, tuple[Cap, int]] = {}
        # Who was granted what, by what a cap goes by; only to be quick.
        self.by_subject: dict[Any, tuple[dict[str, list[Grant]], list[Grant]]] = {}

    def law(self, holds: bool, text: str) -> None:
        """Note a law that does not hold."""
        if not holds:
            self.violations.append(text)

    def run(self) -> list[str]:
        """Recount everything."""
        self.one_answer_for_each_request()
        for sequence, change in self.changes():
            if isinstance(change, Said):
                getattr(self, f"walk_{change.name}")(sequence, change)
            else:
                self.walk_expiry(sequence, change)
            self.no_oversell(sequence)
        self.same_as_dump()
        return self.violations

    # What changed, in order.

    def changes(self) -> list[tuple[int, Said | str]]:
        """Every change with its sequence; an expiry is known from the dump alone."""
        changes: list[tuple[int, Said | str]] = []
        cap_changes: set[int] = set()
        for said in self.said:
            answer = said.answer
            if isinstance(answer, ReserveReply | ChangeReply | StockReply):
                if answer.sequence and not answer.repeated:
                    changes.append((answer.sequence, said))
            elif said.name == "set_cap" and answer[1] not in cap_changes:
                cap_changes.add(answer[1])  # the same cap set again gets the same sequence
                changes.append((answer[1], said))
            elif said.name == "remove_cap" and isinstance(answer, int):
                changes.append((answer, said))
        for key, reservation in self.dump["reservations"].items():
            if reservation.state == ReservationState.EXPIRED:
                changes.append((reservation.sequence, key))
        changes.sort(key=lambda change: change[0])
        sequences = [sequence for sequence, _ in changes]
        gapless = sequences == list(range(1, len(changes) + 1))
        twice = [sequence for sequence, times in Counter(sequences).items() if times > 1]
        self.law(
            gapless, f"sequence: {len(changes)} changes, up to {sequences[-1:]}, twice {twice}"
        )
        return changes

    def one_answer_for_each_request(self) -> None:
        """Law 4: a request id has one hold at most, and every repeat gets its answer."""
        answers: dict[str, list[ReserveReply]] = defaultdict(list)
        for said in self.said:
            if said.name == "reserve" and said.answer.reservation is not None:
                answers[said.words[0]].append(said.answer)
        for request_id, replies in answers.items():
            first = [reply for reply in replies if not reply.repeated]
            self.law(len(first) == 1, f"law 4: {request_id} was granted {len(first)} times")
            told = {
                (r.sequence, r.reservation.reservation_id, r.outcome)  # type: ignore[union-attr]
                for r in replies
            }
            self.law(len(told) == 1, f"law 4: {request_id} was answered differently: {told}")

    # One change after another.

    def walk_reserve(self, sequence: int, said: Said) -> None:
        reservation = said.answer.reservation
        key = reservation.reservation_id
        replaced = self.grants.get(said.keywords.get("replaces", ""))
        if replaced is not None:
            self.law(replaced.held.total() > 0, f"law 3: {key} replaced an ended hold")
            self.move(replaced, replaced.held.copy(), replaced.released, sequence)
        asked: Counter[str] = Counter()
        for sku, quantity in said.words[1]:
            asked[sku] += quantity
        granted = Counter({line.sku: line.quantity for line in reservation.lines})
        if said.answer.outcome == ReserveOutcome.GRANTED:
            self.law(granted == asked, f"law 5: {key} asked {asked}, granted {granted}")
        self.law(granted <= asked, f"law 5: {key} was granted more than asked")
        grant = Grant(reservation, reservation.expire_time_ns, granted.copy(), sequence=sequence)
        self.law(reservation.state == ReservationState.HELD, f"a grant that is not held: {key}")
        self.law(key not in self.grants, f"law 4: {key} was granted twice")
        self.grants[key] = grant
        self.in_order.append(grant)
        self.held += granted
        self.caps_hold(sequence, reservation)

    def walk_commit(self, sequence: int, said: Said) -> None:
        grant = self.grant_of(said.words[0])
        self.in_time(grant, sequence, said)
        units = self.move(grant, self.named_units(said, grant), grant.committed, sequence)
        self.sold += units
        self.on_hand -= units

    def walk_release(self, sequence: int, said: Said) -> None:
        grant = self.grant_of(said.words[0])
        self.in_time(grant, sequence, said)
        self.move(grant, self.named_units(said, grant), grant.released, sequence)

    def walk_extend(self, sequence: int, said: Said) -> None:
        grant = self.grant_of(said.words[0])
        self.in_time(grant, sequence, said)
        grant.expire_time_ns = said.answer.reservation.expire_time_ns
        grant.sequence = sequence

    def walk_expiry(self, sequence: int, key: str) -> None:
        grant = self.grant_of(key)
        self.law(grant.held.total() > 0, f"law 3: {key} expired after its end")
        ended = self.dump["reservations"][key].end_time_ns
        exact = ended == grant.expire_time_ns
        self.law(exact, f"law 9: {key} ended at {ended}, not {grant.expire_time_ns}")
        self.move(grant, grant.held.copy(), grant.expired, sequence)

    def walk_set_stock(self, _sequence: int, said: Said) -> None:
        sku, on_hand = said.words
        self.on_hand[sku] = on_hand

    def walk_adjust_stock(self, _sequence: int, said: Said) -> None:
        _, sku, delta, _ = said.words
        self.on_hand[sku] += delta

    def walk_set_cap(self, sequence: int, said: Said) -> None:
        (cap,) = said.words
        old = self.caps.get(cap.cap_id)
        keeps = old is not None and same_counting(old[0], cap)
        self.caps[cap.cap_id] = (cap, old[1] if old is not None and keeps else sequence)

    def walk_remove_cap(self, _sequence: int, said: Said) -> None:
        del self.caps[said.words[0]]

    def grant_of(self, key: str) -> Grant:
        """The grant of a reservation; one that nobody was told of is a violation of its own."""
        if key not in self.grants:
            self.law(False, f"law 4: {key} changed, and its grant was never answered")
            nobody = Reservation(key, ReservationState.HELD, (), 0, 0, None, 0, "", "")
            self.grants[key] = Grant(nobody, 0, Counter())
        return self.grants[key]

    def named_units(self, said: Said, grant: Grant) -> Counter[str]:
        """The units of a commit or release."""
        lines = said.words[1] if len(said.words) > 1 else ()
        return Counter(dict(lines)) if lines else grant.held.copy()

    def move(
        self, grant: Grant, units: Counter[str], to: Counter[str], sequence: int
    ) -> Counter[str]:
        """Law 3: units leave a hold once, and only units that it holds."""
        key = grant.reservation.reservation_id
        self.law(units <= grant.held, f"law 3: {key} gave {units} of {grant.held}")
        self.law(units.total() > 0, f"law 3: {key} gave nothing at {sequence}")
        grant.held -= units
        to += units
        self.held -= units
        grant.sequence = sequence
        return units

    # The laws.

    def no_oversell(self, sequence: int) -> None:
        """Law 1, after every change."""
        for sku, units in self.held.items():
            on_hand = self.on_hand[sku]
            self.law(0 <= units <= on_hand, f"law 1: {sku} at {sequence}: {units} of {on_hand}")

    def in_time(self, grant: Grant, sequence: int, said: Said) -> None:
        """Law 9: nobody who came at the end of a hold or later changed it."""
        late = said.keywords["now_ns"] >= grant.expire_time_ns
        self.law(not late, f"law 9: {said.name} at {sequence}, after {grant.expire_time_ns}")

    def caps_hold(self, sequence: int, reservation: Reservation) -> None:
        """Law 6: a grant leaves nobody above a limit."""
        for cap, since in self.caps.values():
            subject = concerned(cap, reservation)
            if subject is None or cap.mode != CapMode.ENFORCE:
                continue
            limit = limit_of(cap, subject)
            counts = self.cap_counts(cap, since, reservation)
            for line in reservation.lines:
                counted = not cap.skus or line.sku in cap.skus
                units = counts[subject, line.sku if cap.per_sku else ""]
                within = limit is None or not counted or units <= limit
                self.law(within, f"law 6: {cap.cap_id} {subject} at {sequence}: {units} > {limit}")

    def cap_counts(
        self, cap: Cap, since: int, newest: Reservation | None, now_ns: int = 0
    ) -> Counter[tuple[str, str]]:
        """Units in force by (subject, SKU) at the newest grant, or at an instant."""
        now_ns = newest.create_time_ns if newest is not None else now_ns
        counts: Counter[tuple[str, str]] = Counter()
        wanted = None if newest is None else concerned(cap, newest)
        for subject, grants in self.grants_by_subject(cap).items():
            for grant in grants if wanted in (None, subject) else ():
                reservation = grant.reservation
                if reservation.sequence <= since:
                    continue
                if not counts_at(cap, reservation.create_time_ns, now_ns):
                    continue
                for line in reservation.lines:
                    if not cap.skus or line.sku in cap.skus:
                        sku = line.sku if cap.per_sku else ""
                        counts[subject, sku] += grant.in_force(line.sku)
        return counts

    def grants_by_subject(self, cap: Cap) -> dict[str, list[Grant]]:
        """The grants that a cap counts, by whom."""
        kind = (cap.subject, cap.ipv4_prefix_length, cap.ipv6_prefix_length)
        index, indexed = self.by_subject.setdefault(kind, ({}, []))
        for grant in self.in_order[len(indexed) :]:
            indexed.append(grant)
            subject = concerned(cap, grant.reservation)
            if subject is not None:
                index.setdefault(subject, []).append(grant)
        return index

    def same_as_dump(self) -> None:
        """Laws 2, 3 and 6: what the answers come to is what the engine holds."""
        for sku, stock in self.dump["stock"].items():
            seen = (stock.on_hand, stock.held, stock.sold)
            told = (self.on_hand[sku], self.held[sku], self.sold[sku])
            self.law(seen == told, f"law 2: {sku}: engine {seen}, answers {told}")
            balanced = stock.on_hand == stock.received + stock.adjusted - stock.sold
            self.law(balanced, f"law 2: {sku}: {stock}")
        keys = set(self.dump["reservations"]) == set(self.grants)
        self.law(keys, "law 4: the engine's reservations are not those that were granted")
        for key, reservation in self.dump["reservations"].items():
            grant = self.grants.get(key)
            if grant is None:
                continue
            self.law(reservation.sequence == grant.sequence, f"sequence: last change of {key}")
            for line in reservation.lines:
                sku, parts = line.sku, line[2:]
                counters = (grant.held, grant.committed, grant.released, grant.expired)
                agree = parts == tuple(counter[sku] for counter in counters)
                whole = line.quantity == sum(parts)
                self.law(agree and whole, f"law 3: {key} {line}")

        for cap_id, (cap, since) in self.caps.items():
            counts = self.cap_counts(cap, since, None, self.now_ns)
            ours = {(cap_id, *key): units for key, units in counts.items() if units}
            engines = {key: n for key, n in self.dump["cap_counts"].items() if key[0] == cap_id}
            self.law(engines == ours, f"law 6: {cap_id}: engine {engines}, answers {ours}")


def concerned(cap: Cap, reservation: Reservation) -> str | None:
    """Whom a cap counts for a reservation, if it is any that counts over several."""
    if cap.subject.name == "RESERVATION":
        return None
    address = ipaddress.ip_address(reservation.client_ip) if reservation.client_ip else None
    return subject_of(cap, address, reservation.customer_id)
