"""Turns the lines of a file into a sale: orders, cancellations, write-offs, in their order.

Owns the decision what each line means. Drops nothing in silence: a line that cannot be part of a
sale is counted under a reason, and an oddity that is kept is counted too. Sends nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from atp.replay.addresses import Addresses
from atp.replay.draw import draw
from atp.replay.events import Correction, Event, Fate, Order, Plan, Tally
from atp.replay.reader import Row

SKU_BYTES_MAX: Final = 64
CUSTOMER_BYTES_MAX: Final = 64
INVOICE_BYTES_MAX: Final = 32
BASKET_LINES_MAX: Final = 4096
QUANTITY_MAX: Final = 1_000_000_000

SERVICES: Final[dict[str, str]] = {
    "POST": "postage",
    "DOT": "postage",
    "C2": "carriage",
    "M": "entered by hand",
    "m": "entered by hand",
    "D": "discount",
    "S": "samples",
    "B": "bad debt",
    "BANK CHARGES": "bank charges",
    "AMAZONFEE": "marketplace fee",
    "CRUK": "charity commission",
}
"""Codes that stand for no goods: nothing lies on a shelf, so there is nothing to reserve."""

VOUCHER_PREFIX: Final = "gift_"
"""Gift vouchers are printed when sold: they have no stock either."""

BAD_DEBT = "bad debt (invoice A...)"
NO_PRODUCT = "no product (postage, fees, vouchers)"
ZERO = "quantity is zero"
POSITIVE_CANCELLATION = "cancellation with a positive quantity"
TOO_MANY = f"quantity over {QUANTITY_MAX:,}"
BAD_SKU = f"stock code empty or over {SKU_BYTES_MAX} bytes"
BAD_INVOICE = f"invoice number empty or over {INVOICE_BYTES_MAX} bytes"
BASKET_TOO_LARGE = f"basket over {BASKET_LINES_MAX:,} lines, or over {QUANTITY_MAX:,} of a SKU"


class _Invoice:
    """The usable lines of one invoice while the file is read."""

    __slots__ = ("codes", "customer_id", "line_ids", "lines", "place", "quantities", "time_s")

    def __init__(self, place: int, row: Row) -> None:
        self.place = place
        self.time_s = row.time_s
        self.customer_id = row.customer_id
        self.lines = 0
        self.codes: list[int] = []
        self.quantities: list[int] = []
        self.line_ids: list[int] = []


class _Planner:
    """Collects lines into invoices, and counts."""

    def __init__(self, source: str) -> None:
        self.plan = Plan(source)
        self._sku_index: dict[str, int] = {}
        self._invoices: dict[str, _Invoice] = {}
        self._seen_in_invoice: tuple[str, set[tuple[object, ...]]] = ("", set())
        self._last_invoice = ""
        self._spanning: set[str] = set()
        self._quirks: Counter[str] = Counter()

    def add(self, row: Row) -> None:
        self.plan.rows += 1
        invoice = self._invoices.get(row.invoice)
        if invoice is None:
            invoice = _Invoice(len(self._invoices), row)
            self._invoices[row.invoice] = invoice
        elif row.time_s != invoice.time_s:
            self._spanning.add(row.invoice)
        invoice.lines += 1
        if not row.customer_id:
            self._quirks["lines without a customer, kept"] += 1
        if reason := _unusable(row):
            self._refuse(reason, row.quantity)
            if reason == NO_PRODUCT:
                self.plan.no_product[row.stock_code] += 1
            return
        self._note_duplicate(row)
        invoice.codes.append(self._index(row.stock_code))
        invoice.quantities.append(row.quantity)
        invoice.line_ids.append(invoice.lines)

    def finish(self, addresses: Addresses, seed: int, shares: dict[Fate, float]) -> Plan:
        plan = self.plan
        plan.invoices = len(self._invoices)
        for number, invoice in self._invoices.items():
            for event in self._events(number, invoice, addresses, seed, shares):
                plan.events.append(event)
        # Stable: events of one minute keep the order of the file.
        plan.events.sort(key=lambda event: event.time_s)
        plan.demand = [0] * len(plan.skus)
        for event in plan.events:
            if isinstance(event, Order):
                for sku, quantity in zip(event.skus, event.quantities, strict=True):
                    plan.demand[sku] += quantity
        twins = Counter(code.lower() for code in plan.skus)
        self._quirks["SKUs that differ from another only by case, kept apart"] = sum(
            count for count in twins.values() if count > 1
        )
        self._quirks["invoices that span more than one minute, taken at their first"] = len(
            self._spanning
        )
        plan.quirks = dict(self._quirks)
        return plan

    def _index(self, code: str) -> int:
        index = self._sku_index.get(code)
        if index is None:
            index = self._sku_index[code] = len(self.plan.skus)
            self.plan.skus.append(code)
        return index

    def _note_duplicate(self, row: Row) -> None:
        if row.invoice != self._seen_in_invoice[0]:
            self._seen_in_invoice = (row.invoice, set())
        seen = self._seen_in_invoice[1]
        same_line = (row.stock_code, row.quantity, row.time_s)
        if same_line in seen:
            self._quirks["lines exactly like another of their invoice, kept"] += 1
        elif (row.stock_code,) in seen:
            self._quirks["further lines of a SKU in one invoice, added up"] += 1
        seen.update(((row.stock_code,), same_line))

    def _refuse(self, reason: str, quantity: int) -> None:
        tally = self.plan.unusable.get(reason, Tally(0, 0))
        self.plan.unusable[reason] = tally.plus(abs(quantity))

    def _events(
        self,
        number: str,
        invoice: _Invoice,
        addresses: Addresses,
        seed: int,
        shares: dict[Fate, float],
    ) -> Iterable[Event]:
        customer = invoice.customer_id
        if len(customer.encode()) > CUSTOMER_BYTES_MAX:
            self._quirks[
                f"orders whose customer is over {CUSTOMER_BYTES_MAX} bytes, kept without"
            ] += 1
            customer = ""
        lines = list(zip(invoice.codes, invoice.quantities, invoice.line_ids, strict=True))
        gone = [line for line in lines if line[1] < 0]
        asked = [line for line in lines if line[1] > 0]
        if gone:
            skus, quantities, line_ids = zip(*gone, strict=True)
            positive = tuple(-quantity for quantity in quantities)
            is_return = number.startswith("C")
            yield Correction(number, invoice.time_s, customer, is_return, skus, positive, line_ids)
        if asked and self._basket_fits(asked):
            skus, quantities, _ = zip(*asked, strict=True)
            address = addresses.of(seed, customer, number)
            fate = _fate(draw(seed, "fate", number), shares)
            yield Order(number, invoice.time_s, customer, address, fate, skus, quantities)

    def _basket_fits(self, asked: list[tuple[int, int, int]]) -> bool:
        sums: Counter[int] = Counter()
        for sku, quantity, _ in asked:
            sums[sku] += quantity
        if len(asked) <= BASKET_LINES_MAX and max(sums.values()) <= QUANTITY_MAX:
            return True
        for _, quantity, _ in asked:
            self._refuse(BASKET_TOO_LARGE, quantity)
        return False


def make_plan(
    rows: Iterable[Row],
    *,
    source: str,
    addresses: Addresses,
    seed: int,
    abandon_share: float,
    release_share: float,
) -> Plan:
    """Make a sale of a file's lines; `source` says in words where they are from.

    Which orders are abandoned or released is drawn by seed and invoice number.
    """
    planner = _Planner(source)
    for row in rows:
        planner.add(row)
    return planner.finish(
        addresses, seed, {Fate.ABANDON: abandon_share, Fate.RELEASE: release_share}
    )


def _unusable(row: Row) -> str:
    """Why a line cannot be part of the sale; empty if it can. Reasons in order of precedence."""
    code, quantity = row.stock_code, row.quantity
    reason = ""
    if row.invoice.startswith("A"):
        reason = BAD_DEBT
    elif code in SERVICES or code.startswith(VOUCHER_PREFIX):
        reason = NO_PRODUCT
    elif quantity == 0:
        reason = ZERO
    elif quantity > 0 and row.invoice.startswith("C"):
        reason = POSITIVE_CANCELLATION
    elif abs(quantity) > QUANTITY_MAX:
        reason = TOO_MANY
    elif not 0 < len(code.encode()) <= SKU_BYTES_MAX:
        reason = BAD_SKU
    elif not 0 < len(row.invoice.encode()) <= INVOICE_BYTES_MAX:
        reason = BAD_INVOICE
    return reason


def _fate(drawn: float, shares: dict[Fate, float]) -> Fate:
    if drawn < shares[Fate.ABANDON]:
        return Fate.ABANDON
    if drawn < shares[Fate.ABANDON] + shares[Fate.RELEASE]:
        return Fate.RELEASE
    return Fate.BUY
