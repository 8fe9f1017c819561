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


DUPLICATES = "lines exactly like another of their invoice, kept"
FURTHER = "further lines of a SKU in one invoice, added up"
NAMELESS = "lines without a customer, kept"
OTHER_CUSTOMER = "lines whose customer is not their invoice's first, taken as its"
CASE_TWINS = "SKUs that differ from another only by case, kept apart"
SPANNING = "invoices that span more than one minute, taken at their first"
LONG_CUSTOMER = f"orders whose customer is over {CUSTOMER_BYTES_MAX} bytes, kept without"


class _Invoice:
    """The usable lines of one invoice while the file is read."""

    __slots__ = (
        "codes", "customer_id", "is_cancellation", "line_ids", "lines", "quantities", "seen",
        "spans", "time_s", "unusable",
    )  # fmt: skip

    def __init__(self, number: str, time_s: int, customer_id: str) -> None:
        self.time_s = time_s
        self.customer_id = customer_id
        self.is_cancellation = number.startswith("C")
        self.unusable = _unusable_invoice(number)
        self.spans = False
        self.lines = 0
        self.codes: list[int] = []
        self.quantities: list[int] = []
        self.line_ids: list[int] = []
        self.seen: set[tuple[int, ...]] = set()


class _Planner:
    """Collects lines into invoices, and counts."""

    def __init__(self, source: str) -> None:
        self.plan = Plan(source)
        self._invoices: dict[str, _Invoice] = {}
        self._index: dict[str, int] = {}
        self._unusable_codes: dict[str, str] = {}
        self._quirks: Counter[str] = Counter()

    def add_all(self, rows: Iterable[Row]) -> None:
        """Collect lines. One loop and no calls for a plain line: there are half a million."""
        invoices, index, count = self._invoices, self._index, self._quirks
        last, invoice = None, _Invoice("", 0, "")
        for _, number, code, quantity, time_s, customer_id in rows:
            self.plan.rows += 1
            if number != last:
                invoice.seen = set()  # The lines of an invoice stand together.
                last = number
                found = invoices.get(number)
                if found is None:
                    found = invoices[number] = _Invoice(number, time_s, customer_id)
                invoice = found
            if time_s != invoice.time_s:
                invoice.spans = True
            if customer_id != invoice.customer_id:
                count[OTHER_CUSTOMER] += 1
            if not customer_id:
                count[NAMELESS] += 1
            invoice.lines += 1
            sku = index.get(code)
            if (
                sku is None
                or invoice.unusable
                or not 0 < abs(quantity) <= QUANTITY_MAX
                or (quantity > 0 and invoice.is_cancellation)
            ):
                if reason := self._unusable(invoice, code, quantity):
                    self._refuse(reason, code, quantity)
                    continue
                sku = self._new_sku(code) if sku is None else sku
            seen, line = invoice.seen, (sku, quantity, time_s)
            if line in seen:
                count[DUPLICATES] += 1
            else:
                if (sku,) in seen:
                    count[FURTHER] += 1
                seen.add((sku,))
                seen.add(line)
            invoice.codes.append(sku)
            invoice.quantities.append(quantity)
            invoice.line_ids.append(invoice.lines)
        invoice.seen = set()

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
        self._quirks[CASE_TWINS] = sum(count for count in twins.values() if count > 1)
        self._quirks[SPANNING] = sum(invoice.spans for invoice in self._invoices.values())
        plan.quirks = dict(self._quirks)
        return plan

    def _new_sku(self, code: str) -> int:
        index = self._index[code] = len(self.plan.skus)
        self.plan.skus.append(code)
        return index

    def _unusable(self, invoice: _Invoice, code: str, quantity: int) -> str:
        """Why a line cannot be part of the sale, in order of precedence; empty if it can."""
        reason = invoice.unusable
        if not reason and code not in self._index:
            if code not in self._unusable_codes:
                self._unusable_codes[code] = _unusable_code(code)
            reason = self._unusable_codes[code]
        if reason:
            return reason
        if quantity == 0:
            return ZERO
        if quantity > 0 and invoice.is_cancellation:
            return POSITIVE_CANCELLATION
        return TOO_MANY if abs(quantity) > QUANTITY_MAX else ""

    def _refuse(self, reason: str, code: str, quantity: int) -> None:
        tally = self.plan.unusable.get(reason, Tally(0, 0))
        self.plan.unusable[reason] = tally.plus(abs(quantity))
        if reason == NO_PRODUCT:
            self.plan.no_product[code] += 1

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
            self._quirks[LONG_CUSTOMER] += 1
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
        for sku, quantity, _ in asked:
            self._refuse(BASKET_TOO_LARGE, self.plan.skus[sku], quantity)
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
    planner.add_all(rows)
    return planner.finish(
        addresses, seed, {Fate.ABANDON: abandon_share, Fate.RELEASE: release_share}
    )


def _unusable_invoice(number: str) -> str:
    if number.startswith("A"):
        return BAD_DEBT
    return "" if 0 < len(number.encode()) <= INVOICE_BYTES_MAX else BAD_INVOICE


def _unusable_code(code: str) -> str:
    if code in SERVICES or code.startswith(VOUCHER_PREFIX):
        return NO_PRODUCT
    return "" if 0 < len(code.encode()) <= SKU_BYTES_MAX else BAD_SKU


def _fate(drawn: float, shares: dict[Fate, float]) -> Fate:
    if drawn < shares[Fate.ABANDON]:
        return Fate.ABANDON
    if drawn < shares[Fate.ABANDON] + shares[Fate.RELEASE]:
        return Fate.RELEASE
    return Fate.BUY
