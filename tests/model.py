"""The reference engine: what the rules of `docs/semantics.md` say, in plain dictionaries.

Owns a second, independent answer to every command, for the native engine to be compared with.
Written from the laws and the rules, never from engine code. Obviously right comes before all else:
it keeps no running totals, spends O(n) anywhere, and is for one thread. It forgets by time exactly,
and leaves the bounds on ended things and on cap counters to tests of the engine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from atp.vocabulary import (
    Cap,
    CapChanged,
    CapNotFound,
    CapStatus,
    EngineStatus,
    FieldInvalid,
    Limit,
    LimitReached,
    Reservation,
    Stock,
    StockOutcome,
    StockReason,
    StockReply,
)
from model_caps import CapEntry, same_counting
from model_changes import Changes
from model_fields import (
    INT64_MAX,
    LINES_MAX,
    STOCK_MAX,
    check_cap,
    check_name,
    check_reservation_id,
    require,
)
from model_reserve import Reserves
from model_state import Sku, hash_of

CAPS_MAX = 1_024
PAGE_SIZE_MAX = 4_096
HOUR_NS = 3_600 * 1_000_000_000


class ReferenceEngine(Reserves, Changes):
    """The same calls and answers as `atp._core.Engine`, without its speed or its threads."""

    def __init__(
        self,
        *,
        sku_max: int = 1_000_000,
        live_holds_max: int = 1_000_000,
        cap_counters_max: int = 1_000_000,
        ended_max: int = 1_000_000,
        remember_ns: int = 24 * HOUR_NS,
        longest_life_ns: int = HOUR_NS,
        record_events: bool = False,
        key_of: Callable[[str], str] = hash_of,
        expiry_order: Callable[[list[str]], list[str]] = list,
    ) -> None:
        """`key_of` turns a request id into a reservation id; `expiry_order` orders holds that end
        at one instant."""
        super().__init__(remember_ns, longest_life_ns, key_of, expiry_order)
        self.sku_max = sku_max
        self.live_holds_max = live_holds_max
        self.unused = (cap_counters_max, ended_max, record_events)

    # Reads and time.

    def sweep(self, *, now_ns: int) -> int:
        """Expire what is due and forget what is old; returns the number of holds expired."""
        return self.advance(now_ns)

    def get_reservation(self, reservation_id: str, *, now_ns: int) -> Reservation | None:
        """One reservation, None when it is not remembered."""
        check_reservation_id(reservation_id, "reservation_id")
        self.advance(now_ns)
        hold = self.holds.get(reservation_id)
        return None if hold is None else hold.view()

    def get_availability(self, skus: Sequence[str], *, now_ns: int) -> list[Stock | None]:
        """Counters of many SKUs at one instant; None for an unknown one."""
        require(1 <= len(skus) <= LINES_MAX, "skus", f"has {len(skus)}; 1 to {LINES_MAX}")
        for index, sku in enumerate(skus):
            check_name(sku, f"skus[{index}]")
        self.advance(now_ns)
        return [self.stock_view(sku) for sku in skus]

    def list_stock(
        self, *, now_ns: int, page_size: int = 1000, page_token: str = ""
    ) -> tuple[list[Stock], str]:
        """Counters of all SKUs, page by page; the token is the number of SKUs already listed."""
        require(page_size >= 0, "page_size", f"is {page_size}; 0 or more")
        known_token = page_token == "" or page_token.isdecimal()
        require(known_token, "page_token", "is none that was given out")
        self.advance(now_ns)
        size = min(page_size or 1000, PAGE_SIZE_MAX)
        start = int(page_token or "0")
        page = [self.stock_view(sku) for sku in list(self.skus)[start : start + size]]
        more = start + size < len(self.skus)
        return [view for view in page if view is not None], str(start + size) if more else ""

    def status(self) -> EngineStatus:
        """Counters of the engine; `bytes` is not known here."""
        live = self.live_holds()
        return EngineStatus(
            sequence=self.sequence,
            time_ns=self.time_ns,
            skus=len(self.skus),
            live_holds=live,
            ended_reservations=len(self.holds) - live,
            receipts=len(self.receipts),
            cap_counters=len(self.cap_counts()),
            caps=len(self.caps),
            bytes=0,
        )

    def limits(self) -> list[Limit]:
        """The bounds that the reference engine has."""
        return [
            Limit("sku_max", self.sku_max, len(self.skus), "SKUs known"),
            Limit("live_holds_max", self.live_holds_max, self.live_holds(), "live holds"),
            Limit("caps_max", CAPS_MAX, len(self.caps), "caps"),
        ]

    # Stock.

    def set_stock(
        self, sku: str, on_hand: int, *, now_ns: int, expected: int | None = None
    ) -> StockReply:
        """Set the units on hand of one SKU, creating it if it is unknown."""
        check_name(sku, "sku")
        check_on_hand(on_hand, "on_hand_quantity")
        if expected is not None:
            check_on_hand(expected, "expected_on_hand_quantity")
        self.advance(now_ns)
        entry = self.skus.get(sku)
        if entry is None:
            return self.create_sku(sku, on_hand, expected)
        if expected is not None and expected != entry.on_hand:
            return self.refuse_stock(StockOutcome.ON_HAND_CHANGED, sku)
        if on_hand < self.held(sku):
            return self.refuse_stock(StockOutcome.BELOW_HELD, sku)
        if on_hand == entry.on_hand:
            return self.stock_done(sku, entry.sequence, repeated=True)
        adjusted = entry.adjusted + on_hand - entry.on_hand
        if abs(adjusted) > STOCK_MAX:
            return self.refuse_stock(StockOutcome.OUT_OF_RANGE, sku)
        entry.adjusted, entry.sequence = adjusted, self.next_sequence()
        return self.stock_done(sku, self.sequence, repeated=False)

    def create_sku(self, sku: str, on_hand: int, expected: int | None) -> StockReply:
        """Set the stock of an unknown SKU."""
        if expected is not None:
            return self.refuse_stock(StockOutcome.SKU_UNKNOWN, sku)
        if len(self.skus) >= self.sku_max:
            return StockReply(StockOutcome.LIMIT_REACHED, None, 0, False, "sku_max")
        self.skus[sku] = Sku(on_hand, 0, 0, self.next_sequence())
        return self.stock_done(sku, self.sequence, repeated=False)

    def adjust_stock(
        self, request_id: str, sku: str, delta: int, reason: StockReason, *, now_ns: int
    ) -> StockReply:
        """Add units to one SKU, or take them away."""
        check_name(request_id, "request_id")
        check_name(sku, "sku")
        require(delta != 0, "delta_quantity", "is 0; units to add, or, negative, to take away")
        require(abs(delta) <= INT64_MAX, "delta_quantity", "is more than 64 bits hold")
        require(reason in set(StockReason), "reason", f"{reason} is no reason")
        content = ("adjust", sku, delta, reason)
        self.advance(now_ns)
        key = self.key_of(request_id)
        receipt = self.receipts.get(key)
        if receipt is not None and receipt.content == content:
            return self.stock_done(sku, receipt.sequence, repeated=True)
        if receipt is not None or key in self.holds:
            return self.refuse_stock(StockOutcome.REQUEST_ID_REUSED, sku)
        entry = self.skus.get(sku)
        if entry is None:
            return self.refuse_stock(StockOutcome.SKU_UNKNOWN, sku)
        if entry.on_hand + delta < self.held(sku):
            return self.refuse_stock(StockOutcome.BELOW_HELD, sku)
        received, adjusted = entry.received, entry.adjusted
        if reason == StockReason.RECEIVED:
            received += delta
        else:
            adjusted += delta
        sizes = (entry.on_hand + delta, received, abs(adjusted))
        if received < 0 or max(sizes) > STOCK_MAX:
            return self.refuse_stock(StockOutcome.OUT_OF_RANGE, sku)
        entry.received, entry.adjusted = received, adjusted
        entry.sequence = self.next_sequence()
        self.remember(request_id, content, self.sequence)
        return self.stock_done(sku, self.sequence, repeated=False)

    def stock_done(self, sku: str, sequence: int, *, repeated: bool) -> StockReply:
        """A change of stock that is done, now or before."""
        return StockReply(StockOutcome.DONE, self.stock_view(sku), sequence, repeated)

    def refuse_stock(self, outcome: StockOutcome, sku: str) -> StockReply:
        """A change of stock that was refused."""
        return StockReply(outcome, self.stock_view(sku), 0, False)

    # Caps.

    def set_cap(self, cap: Cap, *, now_ns: int, etag: str = "") -> tuple[CapStatus, int]:
        """Set a cap; returns it and the sequence from which it holds."""
        check_cap(cap)
        old = self.caps.get(cap.cap_id)
        if etag and (old is None or old.etag != etag):
            raise CapChanged(cap.cap_id)
        if old is None and len(self.caps) >= CAPS_MAX:
            raise LimitReached("caps_max")
        if old is not None and old.cap == cap:
            return old.status(), old.sequence
        # A cap's command that raised, or changed nothing, brings no time.
        self.advance(now_ns)
        sequence = self.next_sequence()
        keeps = old is not None and same_counting(old.cap, cap)
        entry = CapEntry(cap, f"{sequence}", self.time_ns, sequence, sequence)
        if old is not None:
            entry.refused, entry.shadow_refused = old.refused, old.shadow_refused
            entry.counting_since = old.counting_since if keeps else sequence
        self.caps[cap.cap_id] = entry
        return entry.status(), sequence

    def remove_cap(self, cap_id: str, *, now_ns: int, etag: str = "") -> int:
        """Remove a cap with its counts; returns the sequence."""
        check_name(cap_id, "cap_id")
        entry = self.caps.get(cap_id)
        if entry is None:
            raise CapNotFound(cap_id)
        if etag and entry.etag != etag:
            raise CapChanged(cap_id)
        self.advance(now_ns)
        del self.caps[cap_id]
        return self.next_sequence()

    def get_cap(self, cap_id: str) -> CapStatus:
        """One cap. Raises CapNotFound."""
        check_name(cap_id, "cap_id")
        if cap_id not in self.caps:
            raise CapNotFound(cap_id)
        return self.caps[cap_id].status()

    def list_caps(self) -> list[CapStatus]:
        """All caps in order of cap id (bytes)."""
        return [self.caps[key].status() for key in sorted(self.caps, key=str.encode)]

    def take_events(self) -> list[tuple[int, bytes]]:
        """The reference engine records no events."""
        raise FieldInvalid("record_events", "the reference engine has none")


def check_on_hand(units: int, field: str) -> None:
    """Units on hand are 0 to the bound of a counter."""
    require(0 <= units <= STOCK_MAX, field, f"is {units}; 0 to {STOCK_MAX}")
