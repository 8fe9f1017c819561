"""Counts caps anew from the answers: did any subject ever have more in force than its cap?

Owns the client's count of each enforced cap, kept over the history's order of grants and give-
backs. Counts what this sale was granted and no more, so that it can only find too much, never too
little; a window is counted exactly, where the server may count a unit up to a step longer.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Callable, Iterable

from atp.replay.findings import Findings, Law
from atp.replay.ledger import Change, ChangeKind, Hold
from atp.vocabulary import Cap, CapMode, CapSubject

Count = tuple[str, int]
"""What is counted together: a subject and a SKU, -1 where all concerned SKUs are one."""

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def audit_caps(
    caps: Iterable[Cap], changes: Iterable[Change], skus: list[str], findings: Findings
) -> int:
    """Recount every enforced cap; returns how many were. `changes` come in the server's order."""
    enforced = [cap for cap in caps if cap.mode is CapMode.ENFORCE]
    counters = [_Counter(cap, skus) for cap in enforced]
    for change in changes:
        hold = change.hold
        if hold is None or change.kind is ChangeKind.SELL:
            continue
        for counter in counters:
            if change.kind is ChangeKind.GRANT:
                counter.grant(hold, findings)
            else:
                counter.give_back(hold)
    return len(enforced)


class _Counter:
    """The counts of one cap."""

    def __init__(self, cap: Cap, skus: list[str]) -> None:
        self._cap = cap
        self._names = skus
        self._concerned = {index for index, sku in enumerate(skus) if sku in set(cap.skus)}
        self._in_force: Counter[Count] = Counter()
        self._granted: dict[Count, deque[tuple[int, Hold, int]]] = {}
        self._subject = _subject_of(cap)
        self._limit = _limit_of(cap)
        self._limits: dict[str, int | None] = {}

    def grant(self, hold: Hold, findings: Findings) -> None:
        subject = self._subject(hold)
        if subject is None:
            return
        if subject not in self._limits:
            self._limits[subject] = self._limit(subject)
        limit = self._limits[subject]
        for count, units in self._units(subject, hold).items():
            if self._cap.window_ns is not None:
                self._forget(count, hold.create_time_ns - self._cap.window_ns)
                self._granted.setdefault(count, deque()).append((hold.create_time_ns, hold, units))
            self._in_force[count] += units
            if limit is not None and self._in_force[count] > limit:
                self._report(hold, count, limit, findings)

    def give_back(self, hold: Hold) -> None:
        subject = self._subject(hold)
        if subject is None:
            return
        for count, units in self._units(subject, hold).items():
            granted = self._granted.get(count)
            if self._cap.window_ns is None:
                self._in_force[count] -= units
            elif granted and (hold.create_time_ns, hold, units) in granted:
                granted.remove((hold.create_time_ns, hold, units))
                self._in_force[count] -= units

    def _forget(self, count: Count, until_ns: int) -> None:
        """Let the window pass over what was granted at that time or before."""
        granted = self._granted.get(count)
        while granted and granted[0][0] <= until_ns:
            self._in_force[count] -= granted.popleft()[2]

    def _units(self, subject: str, hold: Hold) -> dict[Count, int]:
        """What a hold adds to each count."""
        units: dict[Count, int] = {}
        for sku, quantity in zip(hold.skus, hold.quantities, strict=True):
            if not self._cap.skus or sku in self._concerned:
                count = (subject, sku if self._cap.per_sku else -1)
                units[count] = units.get(count, 0) + quantity
        return units

    def _report(self, hold: Hold, count: Count, limit: int, findings: Findings) -> None:
        sku = self._names[count[1]] if count[1] >= 0 else ""
        whom = count[0] or "everyone"
        text = (
            f"order {hold.order.invoice} brought {whom} to {self._in_force[count]:,} units "
            f"under cap {self._cap.cap_id}, whose limit is {limit:,}"
        )
        findings.add(Law.CAPS, sku, text)


def _subject_of(cap: Cap) -> Callable[[Hold], str | None]:
    """How a cap names whom it counts; None where it does not concern a hold."""
    if cap.subject is CapSubject.CUSTOMER:
        return lambda hold: hold.order.customer_id or None
    if cap.subject is CapSubject.IP:
        return lambda hold: _address(hold).compressed if hold.order.client_ip else None
    if cap.subject is CapSubject.SUBNET:
        return lambda hold: _subnet(cap, hold).compressed if hold.order.client_ip else None
    if cap.subject is CapSubject.RESERVATION:
        return lambda hold: hold.reservation_id
    return lambda hold: ""


def _limit_of(cap: Cap) -> Callable[[str], int | None]:
    """How a cap limits a subject: by its override, else by its own limit."""
    exact = {override.subject: override.limit for override in cap.overrides}
    if cap.subject not in (CapSubject.IP, CapSubject.SUBNET):
        return lambda subject: exact.get(subject, cap.limit)
    ranges: list[tuple[_Network, int | None]] = sorted(
        ((ipaddress.ip_network(name), limit) for name, limit in exact.items()),
        key=lambda pair: -pair[0].prefixlen,
    )

    def limit(subject: str) -> int | None:
        network = ipaddress.ip_network(subject)
        for wide, its_limit in ranges:
            if _contains(wide, network):
                return its_limit
        return cap.limit

    return limit


def _contains(wide: _Network, network: _Network) -> bool:
    if isinstance(wide, ipaddress.IPv4Network):
        return isinstance(network, ipaddress.IPv4Network) and network.subnet_of(wide)
    return isinstance(network, ipaddress.IPv6Network) and network.subnet_of(wide)


def _address(hold: Hold) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4-mapped IPv6 address is an IPv4 address."""
    address = ipaddress.ip_address(hold.order.client_ip)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _subnet(cap: Cap, hold: Hold) -> _Network:
    address = _address(hold)
    bits = cap.ipv4_prefix_length if address.version == 4 else cap.ipv6_prefix_length
    return ipaddress.ip_network((address, bits), strict=False)
