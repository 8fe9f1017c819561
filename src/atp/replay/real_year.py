"""The statistics of a real shop's year, measured on the UCI Online Retail data.

Owns numbers only: what generator.py makes orders from where the real ones are not at hand. Quantile
tables are (share, value): that share of all is at most the value. Rank tables are (rank, value).
"""

from __future__ import annotations

from typing import Final

Table = tuple[tuple[float, int], ...]

FIRST_DAY: Final = (2010, 12, 1)
LAST_DAY: Final = (2011, 12, 9)
LAST_MINUTE_OF_LAST_DAY: Final = 12 * 60 + 50

CLOSED: Final = frozenset({
    (2010, 12, 24), (2010, 12, 26), (2010, 12, 27), (2010, 12, 28), (2010, 12, 29),
    (2010, 12, 30), (2010, 12, 31), (2011, 1, 2), (2011, 1, 3), (2011, 4, 22), (2011, 4, 24),
    (2011, 4, 25), (2011, 4, 29), (2011, 5, 2), (2011, 5, 30), (2011, 8, 29),
})  # fmt: skip
"""Days without a single order, besides all Saturdays."""

NAMED_SALES: Final = 18_536
NAMELESS_SALES: Final = 2_189
CANCELLATIONS: Final = 3_836
NAMELESS_CANCELLATIONS: Final = 182
WRITE_OFFS: Final = 1_336
BAD_DEBTS: Final = 3
SPANNING_INVOICES: Final = 43
SALE_SKUS: Final = 3_927
OTHER_SKUS: Final = 134
CASE_TWINS: Final = 112
CUSTOMERS: Final = 4_339
CANCELLING_CUSTOMERS: Final = 33

SALES_BY_MONTH: Final = (
    1629, 1120, 1126, 1531, 1318, 1731, 1576, 1540, 1406, 1896, 2129, 2884, 839,
)  # fmt: skip
WRITE_OFFS_BY_MONTH: Final = (70, 96, 48, 134, 186, 117, 107, 117, 50, 98, 146, 137, 30)
WEEKDAY_WEIGHTS: Final = (0.84, 0.92, 0.93, 1.07, 0.83, 0.0, 0.48)
HOUR_WEIGHTS: Final = (
    (6, 22), (7, 31), (8, 624), (9, 1824), (10, 2961), (11, 3165), (12, 3961), (13, 3369),
    (14, 3137), (15, 3069), (16, 1952), (17, 1205), (18, 333), (19, 219), (20, 28),
)  # fmt: skip

LINES_NAMED: Final[Table] = (
    (0.0, 1), (0.075, 1), (0.1, 2), (0.15, 4), (0.2, 5), (0.25, 6), (0.3, 8), (0.35, 10),
    (0.4, 11), (0.45, 13), (0.5, 15), (0.55, 17), (0.6, 19), (0.65, 21), (0.7, 24), (0.75, 28),
    (0.8, 32), (0.85, 38), (0.9, 48), (0.925, 54), (0.95, 65), (0.97, 78), (0.98, 89),
    (0.99, 111), (0.995, 136), (0.998, 178), (0.999, 239), (0.9995, 353), (1.0, 542),
)  # fmt: skip
LINES_NAMELESS: Final[Table] = (
    (0.0, 1), (0.42, 1), (0.45, 2), (0.5, 3), (0.55, 5), (0.6, 13), (0.65, 28), (0.7, 45),
    (0.75, 58), (0.8, 88), (0.85, 157), (0.9, 198), (0.925, 230), (0.95, 292), (0.97, 418),
    (0.98, 503), (0.99, 592), (0.995, 650), (0.998, 705), (0.999, 731), (0.9995, 749), (1.0, 1114),
)  # fmt: skip
LINES_CANCELLED: Final[Table] = (
    (0.0, 1), (0.57, 1), (0.58, 2), (0.76, 2), (0.78, 3), (0.86, 3), (0.9, 4), (0.925, 5),
    (0.95, 7), (0.97, 10), (0.98, 12), (0.99, 18), (0.995, 24), (0.998, 36), (0.999, 41),
    (0.9995, 57), (1.0, 101),
)  # fmt: skip

QUANTITIES_NAMED: Final = (
    (1, 0.1842), (12, 0.1509), (2, 0.1458), (6, 0.0947), (4, 0.0809), (3, 0.0677), (24, 0.0597),
    (10, 0.0533), (8, 0.0293), (5, 0.0205), (48, 0.015), (25, 0.0126), (20, 0.012), (16, 0.0099),
    (36, 0.0094), (72, 0.0049),
)  # fmt: skip
"""The most usual quantities of a line and the share of each; the rest is in the tail."""
QUANTITIES_NAMED_TAIL: Final[Table] = (
    (0.0, 7), (0.06, 7), (0.1, 9), (0.2, 18), (0.3, 30), (0.4, 32), (0.5, 50), (0.6, 96),
    (0.7, 100), (0.8, 120), (0.9, 200), (0.95, 288), (0.98, 512), (0.99, 720), (0.995, 1056),
    (0.999, 2100), (0.9995, 3000), (1.0, 4800),
)  # fmt: skip
QUANTITIES_NAMELESS: Final = (
    (1, 0.5617), (2, 0.1787), (3, 0.0763), (4, 0.0472), (5, 0.027), (6, 0.0238), (7, 0.0121),
    (8, 0.0111),
)  # fmt: skip
QUANTITIES_NAMELESS_TAIL: Final[Table] = (
    (0.0, 9), (0.1, 9), (0.2, 10), (0.3, 11), (0.4, 12), (0.5, 14), (0.6, 16), (0.7, 20),
    (0.8, 27), (0.9, 48), (0.95, 78), (0.98, 147), (0.99, 225), (0.995, 344), (0.999, 1287),
    (0.9995, 2560), (1.0, 5568),
)  # fmt: skip
QUANTITIES_CANCELLED: Final = (
    (1, 0.442), (2, 0.1439), (3, 0.0626), (12, 0.0588), (6, 0.0519), (4, 0.0503),
)  # fmt: skip
QUANTITIES_CANCELLED_TAIL: Final[Table] = (
    (0.0, 5), (0.1, 5), (0.2, 8), (0.3, 10), (0.4, 14), (0.5, 20), (0.6, 24), (0.7, 32),
    (0.8, 48), (0.9, 100), (0.95, 192), (0.98, 420), (0.99, 720), (0.995, 1300), (1.0, 9360),
)  # fmt: skip
QUANTITIES_WRITTEN_OFF: Final[Table] = (
    (0.0, 1), (0.08, 1), (0.1, 2), (0.15, 4), (0.2, 6), (0.25, 8), (0.3, 11), (0.35, 15),
    (0.4, 20), (0.45, 24), (0.5, 30), (0.55, 36), (0.6, 42), (0.65, 53), (0.7, 66), (0.75, 84),
    (0.8, 110), (0.85, 160), (0.9, 270), (0.925, 390), (0.95, 664), (0.97, 1128), (0.98, 1440),
    (0.99, 2472), (0.995, 3167), (0.998, 9058), (1.0, 9600),
)  # fmt: skip

HUGE_ORDERS: Final = ((80_995, 12), (74_215, 16))
"""Units of one line, and after how many minutes the order was cancelled."""

RETURN_HOURS: Final[Table] = (
    (0.0, 0), (0.1, 2), (0.2, 71), (0.3, 120), (0.4, 168), (0.5, 220), (0.6, 334), (0.7, 478),
    (0.8, 814), (0.9, 1635), (0.95, 2879), (0.99, 5285), (1.0, 8836),
)  # fmt: skip
"""Hours from an order to its cancellation."""
RETURNED_UNKNOWN_SHARE: Final = 0.15
"""Share of cancelled lines whose order is not in the year."""

SKU_RANKS: Final = (
    (1, 2270), (2, 2115), (3, 2019), (5, 1595), (10, 1328), (20, 1174), (50, 916), (100, 689),
    (200, 487), (400, 344), (600, 258), (800, 208), (1000, 166), (1250, 133), (1500, 104),
    (1750, 82), (2000, 63), (2250, 45), (2500, 33), (2750, 23), (3000, 15), (3250, 8), (3500, 4),
    (3750, 2), (3927, 1),
)  # fmt: skip
"""Lines of the most ordered SKU, of the second, ..."""
CUSTOMER_RANKS: Final = (
    (1, 210), (2, 201), (3, 124), (5, 93), (10, 62), (20, 46), (50, 28), (100, 20), (200, 14),
    (400, 9), (700, 7), (1000, 5), (1500, 4), (2000, 3), (2500, 2), (2846, 1), (4339, 1),
)  # fmt: skip
"""Orders of the busiest customer, of the second, ..."""

REPEATS: Final = (
    (0.0, 0.0), (0.013, 1.15), (0.009, 1.41), (0.036, 1.29), (0.116, 1.73), (0.378, 3.33),
    (0.642, 6.14), (0.408, 9.02), (0.292, 4.81), (0.478, 3.18), (0.478, 3.18),
)  # fmt: skip
"""For orders of 1, 2-3, 4-7, 8-15, ... lines: the share that has some SKU more than once, and how
many further lines such an order then has."""

SERVICE_LINES: Final = (
    ("POST", 1130, 126), ("DOT", 709, 1), ("M", 327, 244), ("C2", 142, 2), ("D", 0, 77),
    ("S", 2, 61), ("BANK CHARGES", 12, 25), ("AMAZONFEE", 2, 32), ("CRUK", 0, 16), ("m", 1, 0),
    ("gift_0001_20", 10, 0), ("gift_0001_10", 9, 0), ("gift_0001_30", 8, 0),
    ("gift_0001_50", 4, 0), ("gift_0001_40", 3, 0),
)  # fmt: skip
"""Codes that are no product: lines in orders, and lines in cancellations."""
