"""Makes up a year of orders with the statistics of a real one, where the real one is not at hand.

Owns the drawing; the figures are in real_year.py. The same seed gives the same year. What is made
up has the real year's oddities too: repeats, cancellations, write-offs, codes that differ by
case, lines that are no product. It has no seasons of single SKUs, and customers have no taste.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from atp.replay import real_year as real
from atp.replay.reader import Row

FIRST_INVOICE_NUMBER: Final = 536_365
DAY_S: Final = 86_400
EXACT_REPEAT_SHARE: Final = 0.41
"""Further lines of a SKU that copy the quantity too; others may hit upon the same by chance."""

POPULARITY_EXPONENT: Final = 1.07
"""Makes good that a basket has a popular SKU once, however often it is drawn."""

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


class _Invoice(NamedTuple):
    """One invoice before it gets its number; `spans` has its later half a minute later."""

    prefix: str
    time_s: int
    customer_id: str
    codes: list[str]
    quantities: list[int]
    spans: bool = False


def make_rows(seed: int) -> Iterator[Row]:
    """Yield the lines of a made-up year, in the order of its clock."""
    year = _Year(np.random.Generator(np.random.PCG64(seed)))
    invoices = year.sales()
    invoices += year.cancellations(invoices)
    invoices += year.write_offs() + year.bad_debts()
    invoices.sort(key=lambda invoice: invoice.time_s)
    line_number = 1
    for place, invoice in enumerate(invoices):
        number = f"{invoice.prefix}{FIRST_INVOICE_NUMBER + place}"
        half = len(invoice.codes) // 2
        for index, code in enumerate(invoice.codes):
            line_number += 1
            time_s = invoice.time_s + (60 if invoice.spans and index >= half else 0)
            quantity = invoice.quantities[index]
            yield Row(line_number, number, code, quantity, time_s, invoice.customer_id)


class _Year:
    """The drawing of one year."""

    def __init__(self, chance: np.random.Generator) -> None:
        self._chance = chance
        self._days, self._day_weights = _calendar(chance, real.SALES_BY_MONTH)
        self._codes = _make_codes(chance, real.SALE_SKUS + real.OTHER_SKUS)
        weights = _by_rank(real.SKU_RANKS, real.SALE_SKUS) ** POPULARITY_EXPONENT
        self._popularity = np.cumsum(weights) / weights.sum()
        customers = real.CUSTOMERS + real.CANCELLING_CUSTOMERS
        numbers = chance.choice(np.arange(12_346, 18_288), customers, replace=False)
        self._customers = [str(number) for number in numbers]

    def sales(self) -> list[_Invoice]:
        """All orders, in no particular order, two of them huge."""
        customers = self._who_orders()
        named, nameless = real.NAMED_SALES, real.NAMELESS_SALES
        sizes = np.r_[
            _quantiles(real.LINES_NAMED, _spread(self._chance, named)),
            _quantiles(real.LINES_NAMELESS, _spread(self._chance, nameless)),
        ]
        times = self._times(named + nameless, self._days, self._day_weights)
        spans = set(np.argsort(-sizes)[: 8 * real.SPANNING_INVOICES : 8].tolist())
        invoices = []
        for index, size in enumerate(sizes.tolist()):
            is_named = index < named
            codes, quantities = self._basket(size, is_named)
            customer_id = customers[index] if is_named else ""
            invoices.append(
                _Invoice("", int(times[index]), customer_id, codes, quantities, index in spans)
            )
        self._plant_services(invoices, 1, [row[1] for row in real.SERVICE_LINES])
        for place, (units, _) in enumerate(real.HUGE_ORDERS):
            single = next(i for i in invoices[place * 1000 :] if len(i.codes) == 1)
            single.codes[0], single.quantities[0] = self._codes[2500 + place], units
        return invoices

    def cancellations(self, sales: Sequence[_Invoice]) -> list[_Invoice]:
        """Cancellations: some lines of an earlier order each, and lines of orders nobody knows."""
        count = real.CANCELLATIONS - len(real.HUGE_ORDERS)
        sizes = _quantiles(real.LINES_CANCELLED, _spread(self._chance, count))
        drawn = iter(self._quantities(real.QUANTITIES_CANCELLED, real.QUANTITIES_CANCELLED_TAIL,
                                      int(sizes.sum())).tolist())  # fmt: skip
        hours = _quantiles(real.RETURN_HOURS, self._chance.random(count))
        named = [sale for sale in sales if sale.customer_id]
        nameless = [sale for sale in sales if not sale.customer_id]
        invoices = []
        for index, size in enumerate(sizes.tolist()):
            pool = nameless if index < real.NAMELESS_CANCELLATIONS else named
            sale = pool[int(self._chance.integers(len(pool)))]
            time_s = self._later(sale.time_s, int(hours[index]))
            customer = sale.customer_id
            codes, quantities = self._returned(sale, size, drawn)
            if pool is named and index >= count - real.CANCELLING_CUSTOMERS:
                customer = self._customers[real.CUSTOMERS + count - 1 - index]
            invoices.append(_Invoice("C", time_s, customer, codes, quantities))
        self._plant_services(invoices, -1, [row[2] for row in real.SERVICE_LINES])
        huge = {units: sale for sale in named for units in sale.quantities}
        for units, minutes in real.HUGE_ORDERS:
            sale = huge[units]
            when = sale.time_s + minutes * 60
            invoices.append(_Invoice("C", when, sale.customer_id, [*sale.codes], [-units]))
        return invoices

    def write_offs(self) -> list[_Invoice]:
        """Goods written off, one line an invoice, some of them of SKUs never ordered."""
        count = real.WRITE_OFFS
        days, weights = _calendar(self._chance, real.WRITE_OFFS_BY_MONTH)
        times = self._times(count, days, weights).tolist()
        units = _quantiles(real.QUANTITIES_WRITTEN_OFF, _spread(self._chance, count)).tolist()
        skus = self._chance.integers(len(self._codes), size=count).tolist()
        skus[: real.OTHER_SKUS] = range(real.SALE_SKUS, len(self._codes))
        return [
            _Invoice("", times[index], "", [self._codes[skus[index]]], [-units[index]])
            for index in range(count)
        ]

    def bad_debts(self) -> list[_Invoice]:
        """The few invoices that adjust bad debt."""
        start_s = int(self._days[len(self._days) * 2 // 3]) + 15 * 3600
        return [
            _Invoice("A", start_s + 60 * index, "", ["B"], [1]) for index in range(real.BAD_DEBTS)
        ]

    def _who_orders(self) -> list[str]:
        """The customer of each named order: few order often, most once or twice."""
        weights = _by_rank(real.CUSTOMER_RANKS, real.CUSTOMERS)
        extra = weights - 1
        chosen = self._chance.choice(
            real.CUSTOMERS, real.NAMED_SALES - real.CUSTOMERS, p=extra / extra.sum()
        )
        everyone = np.r_[np.arange(real.CUSTOMERS), chosen]
        self._chance.shuffle(everyone)
        return [self._customers[place] for place in everyone.tolist()]

    def _basket(self, size: int, is_named: bool) -> tuple[list[str], list[int]]:
        """The lines of one order."""
        modes = real.QUANTITIES_NAMED if is_named else real.QUANTITIES_NAMELESS
        tail = real.QUANTITIES_NAMED_TAIL if is_named else real.QUANTITIES_NAMELESS_TAIL
        quantities = self._quantities(modes, tail, size).tolist()
        share, mean = real.REPEATS[min(size.bit_length() - 1, len(real.REPEATS) - 1)]
        further = 0
        if share and self._chance.random() < share:
            further = min(int(self._chance.geometric(1 / mean)), size - 1)
        codes = [self._codes[sku] for sku in self._distinct_skus(size - further)]
        for line in range(size - further, size):
            first = int(self._chance.integers(line))
            codes.append(codes[first])
            if self._chance.random() < EXACT_REPEAT_SHARE:
                quantities[line] = quantities[first]
        return codes, quantities

    def _distinct_skus(self, count: int) -> list[int]:
        """Different SKUs, the popular ones more often."""
        found: dict[int, None] = {}
        while len(found) < count:
            drawn = self._chance.random(2 * (count - len(found)) + 4)
            for sku in np.searchsorted(self._popularity, drawn, side="right").tolist():
                found.setdefault(sku)
                if len(found) == count:
                    break
        return list(found)

    def _later(self, time_s: int, hours: int) -> int:
        """A minute of trade about so many hours later, within the year."""
        end_s = int(self._days[-1]) + real.LAST_MINUTE_OF_LAST_DAY * 60
        wanted_s = time_s + 60 + hours * 3600
        if wanted_s > end_s:
            wanted_s = int(self._chance.integers(time_s, end_s + 1))
        day = int(np.searchsorted(self._days, wanted_s, side="right")) - 1
        minute_s = wanted_s % DAY_S // 60 * 60
        if not real.HOUR_WEIGHTS[0][0] * 3600 <= minute_s < (real.HOUR_WEIGHTS[-1][0] + 1) * 3600:
            minute_s = time_s % DAY_S
        moment_s = int(self._days[day]) + minute_s
        if moment_s > end_s:  # The last day ends early.
            moment_s = end_s - minute_s % (4 * 3600)
        return max(time_s, moment_s)

    def _returned(
        self, sale: _Invoice, size: int, drawn: Iterator[int]
    ) -> tuple[list[str], list[int]]:
        """Lines that give back some of a sale, or goods that it does not have."""
        asked = sorted((next(drawn) for _ in range(size)), reverse=True)
        # The largest lines first, because many units can only come back where many were sold.
        lines = np.argsort([-units for units in sale.quantities], kind="stable").tolist()
        codes, quantities = [], []
        for place, units in enumerate(asked):
            unknown = self._chance.random() < real.RETURNED_UNKNOWN_SHARE
            if unknown or place >= len(lines):
                codes.append(self._codes[int(self._chance.integers(real.SALE_SKUS))])
                quantities.append(-units)
            else:
                codes.append(sale.codes[lines[place]])
                quantities.append(-min(units, abs(sale.quantities[lines[place]])))
        return codes, quantities

    def _plant_services(self, invoices: list[_Invoice], sign: int, counts: list[int]) -> None:
        """Turn some lines into lines that are no product."""
        total = sum(counts)
        places = self._chance.choice(len(invoices), total, replace=False).tolist()
        names = [row[0] for row, count in zip(real.SERVICE_LINES, counts, strict=True)
                 for _ in range(count)]  # fmt: skip
        for place, name in zip(places, names, strict=True):
            invoice = invoices[place]
            line = len(invoice.codes) - 1
            invoice.codes[line], invoice.quantities[line] = name, sign

    def _quantities(self, modes: Sequence[tuple[int, float]], tail: real.Table, n: int) -> Integers:
        """Units of lines: mostly a few usual numbers."""
        usual = np.array([units for units, _ in modes], dtype=np.int64)
        shares = np.cumsum([share for _, share in modes])
        drawn = self._chance.random(n)
        place = np.searchsorted(shares, drawn, side="right")
        rest = _quantiles(tail, self._chance.random(n))
        return np.where(place < len(usual), usual[np.minimum(place, len(usual) - 1)], rest)

    def _times(self, count: int, days: Integers, weights: Floats) -> Integers:
        """Moments of orders, in seconds since the Unix epoch, on whole minutes."""
        day = self._chance.choice(len(days), count, p=weights)
        hours = np.array([hour for hour, _ in real.HOUR_WEIGHTS])
        orders = np.array([weight for _, weight in real.HOUR_WEIGHTS], dtype=np.float64)
        hour = self._chance.choice(hours, count, p=orders / orders.sum())
        minute = hour * 60 + self._chance.integers(60, size=count)
        last = day == len(days) - 1
        minute[last] %= real.LAST_MINUTE_OF_LAST_DAY - 8 * 60
        minute[last] += 8 * 60
        moments: Integers = days[day] + minute * 60
        return moments


def _calendar(chance: np.random.Generator, by_month: Sequence[int]) -> tuple[Integers, Floats]:
    """The days of trade, as seconds since the Unix epoch, and the share of orders of each."""
    first = datetime(*real.FIRST_DAY, tzinfo=UTC)
    last = datetime(*real.LAST_DAY, tzinfo=UTC)
    days, weights = [], []
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        weight = real.WEEKDAY_WEIGHTS[day.weekday()]
        if weight and (day.year, day.month, day.day) not in real.CLOSED:
            days.append(day)
            weights.append(weight * float(chance.lognormal(0.0, 0.2)))
    months = [(day.year - first.year) * 12 + day.month - first.month for day in days]
    sums = np.bincount(months, weights)
    orders = np.array(by_month, dtype=np.float64)[months] * np.array(weights) / sums[months]
    seconds = np.array([int(day.timestamp()) for day in days], dtype=np.int64)
    return seconds, orders / orders.sum()


def _make_codes(chance: np.random.Generator, count: int) -> list[str]:
    """Codes of five digits, a fifth of them with a letter; some twins differ by its case alone."""
    numbers = chance.choice(np.arange(10_000, 90_000), count, replace=False).tolist()
    codes = [str(number) for number in numbers]
    lettered = chance.choice(np.arange(count), count // 5, replace=False).tolist()
    for place, index in enumerate(lettered):
        codes[index] += "ABCDEFGHKL"[place % 10]
    for place in range(real.CASE_TWINS):
        codes[lettered[-1 - place]] = codes[lettered[place]].lower()
    return codes


def _by_rank(ranks: Sequence[tuple[int, int]], count: int) -> Floats:
    """A value for each rank from 1, between the table's on logarithmic scales."""
    at = np.log([rank for rank, _ in ranks])
    value = np.log([value for _, value in ranks])
    found: Floats = np.exp(np.interp(np.log(np.arange(1, count + 1)), at, value))
    return found


def _quantiles(table: real.Table, shares: Floats) -> Integers:
    """Whole numbers distributed as a quantile table says, logarithmic between its values."""
    at = [share for share, _ in table]
    value = np.log([value + 1 for _, value in table])
    found: Integers = np.rint(np.exp(np.interp(shares, at, value)) - 1).astype(np.int64)
    return found


def _spread(chance: np.random.Generator, count: int) -> Floats:
    """One share in each of `count` equal parts, shuffled: sums vary little from seed to seed."""
    shares: Floats = (np.arange(count) + chance.random(count)) / count
    chance.shuffle(shares)
    return shares
