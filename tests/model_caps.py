"""Caps of the reference engine: whom they count, what is in force, what they leave.

Keeps no running counter at all: whatever is in force is added up from the list of grants each time
it is asked for, so that a count cannot drift. Knows nothing of the native engine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from atp.vocabulary import Cap, CapMode, CapRefusal, CapStatus, CapSubject
from model_fields import ADDRESS_SUBJECTS, Address, parse_range, subnet_of

CAP_REFUSALS_MAX = 16
WINDOW_STEPS = 256


@dataclass
class Grant:
    """Units of one SKU granted in one reserve; `units` shrinks as they are given back."""

    reservation_id: str
    sequence: int
    time_ns: int
    address: Address | None
    customer_id: str
    sku: str
    units: int


@dataclass
class CapEntry:
    """A cap with what it has done; grants count whose sequence is after `counting_since`."""

    cap: Cap
    etag: str
    update_time_ns: int
    sequence: int
    counting_since: int
    refused: int = 0
    shadow_refused: int = 0

    def status(self) -> CapStatus:
        """The cap as a caller sees it."""
        return CapStatus(
            self.cap, self.etag, self.update_time_ns, self.refused, self.shadow_refused
        )


def same_counting(old: Cap, new: Cap) -> bool:
    """Whether a change from old to new keeps the counts."""

    def counted(cap: Cap) -> tuple[object, ...]:
        prefixes = (cap.ipv4_prefix_length, cap.ipv6_prefix_length)
        return cap.subject, prefixes, frozenset(cap.skus), cap.per_sku, cap.window_ns

    return counted(old) == counted(new)


def subject_of(cap: Cap, address: Address | None, customer_id: str) -> str | None:
    """Whom the cap counts for this caller; None when the cap does not concern the caller."""
    if cap.subject == CapSubject.CUSTOMER:
        return customer_id or None
    if cap.subject not in ADDRESS_SUBJECTS:
        return ""
    if address is None:
        return None
    if cap.subject == CapSubject.IP:
        return str(address)
    length = cap.ipv4_prefix_length if address.version == 4 else cap.ipv6_prefix_length
    return str(subnet_of(address, length))


def limit_of(cap: Cap, subject: str) -> int | None:
    """The limit for one subject: its override, else the cap's; None is no limit."""
    if cap.subject == CapSubject.CUSTOMER:
        named = {override.subject: override.limit for override in cap.overrides}
        return named.get(subject, cap.limit)
    if cap.subject not in ADDRESS_SUBJECTS:
        return cap.limit
    whole = parse_range(subject, "subject")
    best_length, limit = -1, cap.limit
    for override in cap.overrides:
        candidate = parse_range(override.subject, "subject")
        same_version = candidate.version == whole.version
        if not same_version or not whole.subnet_of(candidate):  # type: ignore[arg-type]
            continue
        if candidate.prefixlen > best_length:
            best_length, limit = candidate.prefixlen, override.limit
    return limit


def counts_at(cap: Cap, grant_time_ns: int, now_ns: int) -> bool:
    """Whether the cap's window has not yet passed over a grant."""
    if cap.window_ns is None:
        return True
    step = max(1, -(-cap.window_ns // WINDOW_STEPS))
    return now_ns < (grant_time_ns // step + 1) * step + cap.window_ns


def in_force(entry: CapEntry, grants: Iterable[Grant], now_ns: int) -> dict[tuple[str, str], int]:
    """Units in force by (subject, SKU), the SKU empty unless the cap counts each apart."""
    cap = entry.cap
    totals: dict[tuple[str, str], int] = {}
    if cap.subject == CapSubject.RESERVATION:
        return totals
    for grant in grants:
        subject = subject_of(cap, grant.address, grant.customer_id)
        if subject is None or (cap.skus and grant.sku not in cap.skus):
            continue
        if grant.sequence <= entry.counting_since or not counts_at(cap, grant.time_ns, now_ns):
            continue
        key = (subject, grant.sku if cap.per_sku else "")
        totals[key] = totals.get(key, 0) + grant.units
    return totals


@dataclass
class Count:
    """One count of one cap, as one reserve meets it."""

    entry: CapEntry
    subject: str
    sku: str
    skus: list[str]
    asked: int
    limit: int | None
    in_force: int
    granted: int = 0
    failed: bool = False

    def leaves(self) -> int | None:
        """Units it leaves after what this basket was granted so far; None is no limit."""
        if self.limit is None:
            return None
        return max(0, self.limit - self.in_force - self.granted)

    def refusal(self) -> CapRefusal:
        """The report of its failure."""
        assert self.limit is not None
        cap_id = self.entry.cap.cap_id
        return CapRefusal(cap_id, self.subject, self.sku, self.limit, self.in_force, self.asked)


def counts_of(
    entries: Iterable[CapEntry],
    basket: dict[str, int],
    address: Address | None,
    customer_id: str,
    *,
    grants: list[Grant],
    now_ns: int,
) -> list[Count]:
    """The counts that a basket meets: caps in order of id, counts in order of lines."""
    counts: list[Count] = []
    for entry in sorted(entries, key=lambda entry: entry.cap.cap_id.encode()):
        cap = entry.cap
        subject = subject_of(cap, address, customer_id)
        concerned = [sku for sku in basket if not cap.skus or sku in cap.skus]
        if subject is None or not concerned or cap.mode == CapMode.OFF:
            continue
        totals = in_force(entry, grants, now_ns)
        groups = [[sku] for sku in concerned] if cap.per_sku else [concerned]
        for group in groups:
            sku = group[0] if cap.per_sku else ""
            asked = sum(basket[member] for member in group)
            limit = limit_of(cap, subject)
            present = totals.get((subject, sku), 0)
            counts.append(Count(entry, subject, sku, group, asked, limit, present))
    return counts


def judge_whole(counts: list[Count]) -> set[str]:
    """Judge all or nothing: mark the counts that fail, return the SKUs that caps refuse."""
    refused: set[str] = set()
    for count in counts:
        count.failed = count.limit is not None and count.in_force + count.asked > count.limit
        if count.failed and count.entry.cap.mode == CapMode.ENFORCE:
            refused.update(count.skus)
    return refused


def judge_partial(counts: list[Count], sku: str, asked: int) -> int:
    """Judge one line of a partial basket: mark what fails, return the units that caps leave."""
    allowed = asked
    for count in counts:
        leaves = count.leaves()
        if sku in count.skus and leaves is not None and leaves < asked:
            count.failed = True
            if count.entry.cap.mode == CapMode.ENFORCE:
                allowed = min(allowed, leaves)
    return allowed


def tally(counts: list[Count], *, refused: bool) -> tuple[CapRefusal, ...]:
    """Count the commands that caps refused or would have refused; return the reports."""
    enforced = [c for c in counts if c.failed and c.entry.cap.mode == CapMode.ENFORCE]
    shadow = [c for c in counts if c.failed and c.entry.cap.mode == CapMode.SHADOW]
    for entry in {id(c.entry): c.entry for c in enforced}.values():
        entry.refused += 1 if refused else 0
    for entry in {id(c.entry): c.entry for c in shadow}.values():
        entry.shadow_refused += 1
    return tuple(count.refusal() for count in enforced[:CAP_REFUSALS_MAX])
