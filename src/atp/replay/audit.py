"""Compares the client's books with the server's counters, SKU by SKU, and recounts the laws.

Owns the verdict of a replay. Every difference has a name: the law, the SKU, what the answers said
and what the server counts. Changes nothing and asks nothing: what it needs is brought to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from atp.replay import answers
from atp.replay.cap_audit import audit_caps
from atp.replay.findings import Finding, Findings, Law
from atp.replay.history import History, history_of
from atp.replay.ledger import Ledger
from atp.replay.memory import Memory
from atp.vocabulary import Cap, CheckReport, ReservationState, Stock

COUNTERS = ("on hand", "held", "sold", "received", "adjusted")


@dataclass(frozen=True, slots=True)
class Audit:
    """The verdict. Units are added up over SKUs.

    `oversold_units`: held beyond what was on hand, for each SKU at its worst moment by the answers
    or by the server's counters, whichever is worse. `unexplained_units`: for each SKU the largest
    difference between the books and the server's counters. `memory`: which answers the server
    still knew; None when it was not asked.
    """

    skus: int
    changes: int
    caps: int
    oversold_units: int
    unexplained_units: int
    finding_count: int
    findings: tuple[Finding, ...]
    recount: CheckReport
    memory: Memory | None

    @property
    def holds(self) -> bool:
        """True when every law held."""
        return not (self.finding_count or self.oversold_units or self.unexplained_units)


def audit(
    ledger: Ledger,
    stocks: Sequence[Stock],
    recount: CheckReport,
    caps: Sequence[Cap],
    memory: Memory | None,
) -> tuple[Audit, History]:
    """Judge a sale that has ended: `stocks` are the server's counters, `recount` its own check,
    `memory` what was found when it was asked for its answers (those lost are findings already).
    """
    findings = ledger.findings
    history = history_of(ledger.changes, ledger.opening)
    oversold = _check_history(ledger, history, findings)
    unexplained = _compare(ledger, stocks, oversold, findings)
    for hold in ledger.holds.values():
        if hold.state is ReservationState.HELD:
            text = f"order {hold.order.invoice} is still held at the end"
            findings.add(Law.ENDS_ONCE, "", text)
    for violation in recount.violations:
        findings.add(Law.RECOUNT, "", violation)
    in_order = (ledger.changes[index] for index in history.order.tolist())
    capped = audit_caps(caps, in_order, ledger.skus, findings)
    verdict = Audit(
        skus=len(ledger.skus),
        changes=len(ledger.changes),
        caps=capped,
        oversold_units=sum(oversold.values()),
        unexplained_units=unexplained,
        finding_count=findings.count,
        findings=tuple(findings.kept),
        recount=recount,
        memory=memory,
    )
    return verdict, history


def _check_history(ledger: Ledger, history: History, findings: Findings) -> dict[int, int]:
    oversold = history.oversold()
    for sku, units in oversold.items():
        text = f"{units:,} units were held, by the answers, that were not on hand"
        findings.add(Law.NO_OVERSELL, ledger.skus[sku], text)
    return oversold


def _compare(
    ledger: Ledger, stocks: Sequence[Stock], oversold: dict[int, int], findings: Findings
) -> int:
    """Compare each SKU's counters; returns units unexplained and adds to `oversold`."""
    by_sku = {stock.sku: stock for stock in stocks}
    unexplained = 0
    for sku, name in enumerate(ledger.skus):
        books = (
            ledger.on_hand(sku),
            ledger.held[sku],
            ledger.sold[sku],
            ledger.received[sku],
            ledger.adjusted[sku],
        )
        stock = by_sku.get(name)
        if stock is None:
            findings.add(Law.CONSERVATION, name, "the server does not know this SKU any more")
            unexplained += max(map(abs, books))
            continue
        answers.check_stock(findings, name, stock)
        if (beyond := stock.held - stock.on_hand) > oversold.get(sku, 0):
            oversold[sku] = beyond
        counted = (stock.on_hand, stock.held, stock.sold, stock.received, stock.adjusted)
        if counted != books:
            unexplained += max(abs(a - b) for a, b in zip(counted, books, strict=True))
            findings.add(Law.CONSERVATION, name, _difference(books, counted))
    return unexplained


def _difference(books: tuple[int, ...], counted: tuple[int, ...]) -> str:
    parts = [
        f"{counter} {book:,} by the answers, {count:,} by the server"
        for counter, book, count in zip(COUNTERS, books, counted, strict=True)
        if book != count
    ]
    return "; ".join(parts)
