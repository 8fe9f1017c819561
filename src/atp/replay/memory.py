"""Does the server still know what it answered? Asked once, after the sale: law 7 from outside.

Owns the look-up of every answered change in the change feed, by its sequence, and of every hold
that a killed server had granted. A sequence that the feed has not, or has for something else, is a
lost answer. Takes nobody's word for it: what is compared is what was answered during the sale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing
from typing import NamedTuple

from atp.client import AsyncClient, NotFound, OutOfRange, changes
from atp.client.changes import Change as Told
from atp.replay.findings import Findings, Law
from atp.replay.ledger import Change, ChangeKind, Hold, Ledger
from atp.vocabulary import ReservationState

CALLS_AT_ONCE = 16
_TOLD_AS = {
    ChangeKind.GRANT: changes.Reserved,
    ChangeKind.SELL: changes.Committed,
    ChangeKind.RELEASE: changes.Released,
}
_WORDS = {
    ChangeKind.GRANT: "grant",
    ChangeKind.SELL: "commit",
    ChangeKind.RELEASE: "release",
}
_HAPPENED = {
    changes.Reserved: "a grant",
    changes.Committed: "a commit",
    changes.Released: "a release",
    changes.Expired: "an expiry",
    changes.Extended: "an extension",
    changes.StockChanged: "a change of stock",
    changes.CapSet: "a cap that was set",
    changes.CapRemoved: "a cap that was removed",
}


class Memory(NamedTuple):
    """What the server was asked about, and how much of it is lost.

    `answers` were looked for by their sequence, `holds` by their id. `gone` is empty, or says why
    the feed could not be asked: the journal begins later by now.
    """

    answers: int
    holds: int
    lost: int
    gone: str = ""


async def look_back(client: AsyncClient, ledger: Ledger, holds: list[Hold]) -> Memory:
    """Looks up every answered change, and these holds. Raises AtpError.

    Nothing of the sale may be under way.
    """
    wanted = {change.sequence: change for change in ledger.changes if change.sequence > 0}
    lost_before = ledger.findings.count
    gone = ""
    try:
        await _compare(client, wanted, ledger)
    except OutOfRange as error:
        gone = error.message
    await _look_up(client, holds, ledger.findings)
    answers = 0 if gone else len(wanted) + len(ledger.loads)
    return Memory(answers, len(holds), ledger.findings.count - lost_before, gone)


async def _compare(client: AsyncClient, wanted: dict[int, Change], ledger: Ledger) -> None:
    """Reads the feed over all answered sequences."""
    left = wanted.keys() | ledger.loads.keys()
    end = (await client.get_status()).sequence
    last = min(end, max(left, default=0))
    if left and min(left) <= end:
        async with aclosing(client.watch(min(left))) as feed:
            async for told in feed:
                if told.sequence in left:
                    left.remove(told.sequence)
                    if not _is_answered(told, wanted, ledger):
                        happened = _HAPPENED[type(told.what)]
                        _lose(told.sequence, wanted, ledger, f"which is {happened} of another")
                if told.sequence >= last:
                    break
    for sequence in sorted(left):
        _lose(sequence, wanted, ledger, "which the server's journal has not")


def _is_answered(told: Told, wanted: dict[int, Change], ledger: Ledger) -> bool:
    """Is what the feed tells what was answered with its sequence?"""
    change, what = wanted.get(told.sequence), told.what
    if change is not None:
        return _is_same(change, what, ledger)
    sku, on_hand = ledger.loads[told.sequence]
    if not isinstance(what, changes.StockChanged):
        return False
    return (what.sku, what.on_hand) == (ledger.skus[sku], on_hand)


def _is_same(change: Change, what: changes.What, ledger: Ledger) -> bool:
    """A whole commit or release names no lines."""
    names = [ledger.skus[sku] for sku in change.skus]
    if isinstance(what, changes.StockChanged):
        return change.kind is ChangeKind.ADJUST and [what.sku] == names
    if not isinstance(what, changes.Reserved | changes.Committed | changes.Released):
        return False
    if change.hold is None or type(what) is not _TOLD_AS[change.kind]:
        return False
    units = dict(zip(names, change.quantities, strict=True))
    same_hold = what.reservation_id == change.hold.reservation_id
    return same_hold and (not what.lines or dict(what.lines) == units)


def _lose(sequence: int, wanted: dict[int, Change], ledger: Ledger, why: str) -> None:
    """Notes a lost answer."""
    change = wanted.get(sequence)
    if change is None:
        what, sku = "load of stock", ledger.skus[ledger.loads[sequence][0]]
    elif change.hold is None:
        what, sku = "correction of stock", ledger.skus[change.skus[0]]
    else:
        what, sku = f"{_WORDS[change.kind]} of order {change.hold.order.invoice}", ""
    ledger.findings.add(Law.DURABLE, sku, f"the {what} was answered with {sequence}, {why}")


async def _look_up(client: AsyncClient, holds: list[Hold], findings: Findings) -> None:
    """Asks for each of these holds: it must be in the state that was answered last."""
    left = iter(holds)
    async with asyncio.TaskGroup() as group:
        for _ in range(CALLS_AT_ONCE):
            group.create_task(_ask(client, left, findings))


async def _ask(client: AsyncClient, holds: Iterator[Hold], findings: Findings) -> None:
    for hold in holds:
        try:
            known = await client.get_reservation(hold.reservation_id)
        except NotFound:
            text = f"order {hold.order.invoice} was granted, and its hold is not known any more"
            findings.add(Law.DURABLE, "", text)
            continue
        # No answer tells the sequence of an expiry.
        expired = hold.state is ReservationState.EXPIRED
        if known.state is hold.state and (expired or known.sequence == hold.last_sequence):
            continue
        text = (
            f"order {hold.order.invoice} was answered as {_state(hold.state)} at"
            f" {hold.last_sequence}; the server has it as {_state(known.state)} at"
            f" {known.sequence}"
        )
        findings.add(Law.DURABLE, "", text)


def _state(state: ReservationState) -> str:
    return state.name.lower()
