# The typed face of the native engine. A test compares it with the compiled module.
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from atp.vocabulary import (
    Cap,
    CapStatus,
    ChangeReply,
    CheckReport,
    EngineStatus,
    Limit,
    Reservation,
    ReserveReply,
    Stock,
    StockReason,
    StockReply,
    StockTotals,
)

LIMITS: Final[dict[str, int]]
"""Compile-time bounds by name: sku_bytes_max, request_id_bytes_max, customer_id_bytes_max,
cap_id_bytes_max, basket_lines_max, quantity_max, stock_max, caps_max, cap_skus_max,
cap_overrides_max, cap_refusals_max, subnet_prefixes_max, shards."""

class Engine:
    """The reservation engine. Safe to call from any number of threads; the GIL is not held while
    a command is judged. Reads no clock: every command brings its time, `now_ns`.

    Raises FieldInvalid for a malformed command (nothing is changed); refusals are outcomes.
    """

    def __init__(
        self,
        *,
        sku_max: int = ...,
        live_holds_max: int = ...,
        cap_counters_max: int = ...,
        ended_max: int = ...,
        remember_ns: int = ...,
        longest_life_ns: int = ...,
        record_events: bool = ...,
    ) -> None: ...
    def reserve(
        self,
        request_id: str,
        lines: Sequence[tuple[str, int]],
        *,
        now_ns: int,
        ttl_ns: int | None = None,
        expire_time_ns: int | None = None,
        client_ip: str = "",
        customer_id: str = "",
        allow_partial: bool = False,
        replaces: str = "",
        default_ttl_ns: int = 0,
    ) -> ReserveReply:
        """Set aside the lines of one basket. Exactly one of ttl_ns, expire_time_ns, or neither with
        default_ttl_ns (which is no part of the request's content) is given."""

    def commit(
        self,
        reservation_id: str,
        lines: Sequence[tuple[str, int]] = (),
        *,
        now_ns: int,
        request_id: str = "",
    ) -> ChangeReply: ...
    def release(
        self,
        reservation_id: str,
        lines: Sequence[tuple[str, int]] = (),
        *,
        now_ns: int,
        request_id: str = "",
    ) -> ChangeReply: ...
    def extend(
        self,
        reservation_id: str,
        *,
        now_ns: int,
        ttl_ns: int | None = None,
        expire_time_ns: int | None = None,
        request_id: str = "",
        default_ttl_ns: int = 0,
    ) -> ChangeReply: ...
    def sweep(self, *, now_ns: int) -> int:
        """Expire what is due and forget what is old; returns the number of holds expired."""

    def get_reservation(self, reservation_id: str, *, now_ns: int) -> Reservation | None: ...
    def get_availability(self, skus: Sequence[str], *, now_ns: int) -> list[Stock | None]:
        """Counters of many SKUs at one instant; None for an unknown one."""

    def set_stock(
        self, sku: str, on_hand: int, *, now_ns: int, expected: int | None = None
    ) -> StockReply: ...
    def adjust_stock(
        self, request_id: str, sku: str, delta: int, reason: StockReason, *, now_ns: int
    ) -> StockReply: ...
    def list_stock(
        self, *, now_ns: int, page_size: int = 1000, page_token: str = ""
    ) -> tuple[list[Stock], str]: ...
    def set_cap(self, cap: Cap, *, now_ns: int, etag: str = "") -> tuple[CapStatus, int]:
        """Set a cap; returns it and the sequence from which it holds.

        Raises CapChanged, LimitReached.
        """

    def remove_cap(self, cap_id: str, *, now_ns: int, etag: str = "") -> int:
        """Remove a cap; returns the sequence. Raises CapNotFound, CapChanged."""

    def apply_cap(
        self,
        cap_id: str,
        cap: Cap | None,
        *,
        sequence: int,
        time_ns: int,
        counts_reset: bool = ...,
    ) -> None:
        """Set or (None) remove a cap as an event tells that it was, with that event's sequence and
        time; records nothing. Raises FieldInvalid, LimitReached, CapNotFound: nothing changed."""

    def restore_caps(
        self,
        rows: list[tuple[Cap, int, int, int, int, int, int]],
        *,
        generation: int,
        next_cap_uid: int,
    ) -> None:
        """Set all caps of a fresh engine as a snapshot has them, in order of cap id.

        A row is the cap, its uid, since which generation of caps it counts, its sequence, its time,
        and how often it refused and would have. Raises ValueError for what cannot be.
        """

    def get_cap(self, cap_id: str) -> CapStatus:
        """Raises CapNotFound."""

    def list_caps(self) -> list[CapStatus]:
        """All caps in order of cap id (bytes)."""

    def status(self) -> EngineStatus: ...
    def totals(self) -> StockTotals:
        """Sums over all SKUs, shard by shard, each as it is then."""

    def lines_due(self, *, sooner_ns: int, later_ns: int) -> tuple[int, int]:
        """How many lines of live holds end by the one time and by the other, which is later. Locks
        a shard for some ten microseconds at a time, so that what moves meanwhile may be missed."""

    def hot_skus(self, count: int) -> list[tuple[str, int]]:
        """The SKUs that reserves ask for most, hottest first, and how hot each is: how often it was
        asked for since cool_skus(), and half of what it was before. Some 1,500 are known.

        While the engine is busy a sixteenth of the reserves stands for all.
        """

    def cool_skus(self) -> None:
        """Half of all heat goes. How often this is called is how long a SKU stays hot.

        It also finds out whether the engine is busy, which it is taken for before the first time.
        """

    def cap_hits(self) -> list[tuple[str, int, int]]:
        """Of each cap: its id, how many commands it refused, how many it would have in shadow mode,
        as get_cap() has them."""

    def limits(self) -> list[Limit]:
        """Every bound with its use."""

    def check(self, *, now_ns: int) -> CheckReport:
        """Recount every law with all shards locked."""

    def digest(self, *, now_ns: int) -> str:
        """Hash of the whole state as of now_ns, 32 hexadecimal digits."""

    def dump(self, *, now_ns: int) -> dict[str, Any]:
        """The whole state as plain Python, for tests and analysis: keys 'stock' {sku: Stock},
        'reservations' {reservation_id: Reservation}, 'receipts' {request key hex: sequence},
        'cap_counts' {(cap_id, subject, sku): units in force}, zero counts left out."""

    def set_gate(self, level: int) -> None:
        """Say what the journal has room for: 0 every change, 1 only what ends a hold, 2 none, 3
        none because too much waits to be written. What is refused meets the limit journal_space
        (at 3: journal_backlog); expiries, repeats and reads pass. Raises ValueError."""

    def take_events(self) -> list[tuple[int, bytes]]:
        """Take the events recorded since the last call, in order: (sequence, atp.v1.Event bytes).
        Empty unless the engine was made with record_events."""

    def execute(self, commands: np.ndarray, lines: np.ndarray, *, now_ns: int) -> np.ndarray:
        """Judge many commands in order, without the GIL.

        The arrays are of COMMAND_DTYPE and LINE_DTYPE, the answers of OUTCOME_DTYPE. All commands
        are checked before the first is judged; a row that somebody changes after that is not
        judged, and its outcome is 0.
        """

    def load_stock(self, skus: np.ndarray, on_hand: np.ndarray, *, now_ns: int) -> np.ndarray:
        """Set the stock of many SKUs (S1 to S64, int64); returns StockOutcome numbers (uint8)."""

COMMAND_DTYPE: Final[np.dtype]
"""One command: kind (1 reserve, 2 commit, 3 release, 4 extend), flags (1 allow_partial),
request_id (S64), key (V16: the reservation of a commit, release, extend; what a reserve
replaces), client_ip (V16, IPv4 mapped; zero for none), customer_id (S64), ttl_ns, expire_time_ns
(0 for unset), first_line, line_count. The string fields of an array passed in may be of any width
up to 64."""
LINE_DTYPE: Final[np.dtype]
"""One line: sku (S64), quantity (int64)."""
OUTCOME_DTYPE: Final[np.dtype]
"""One answer: outcome, repeated, limit, line_index, sequence, key (V16, the reservation)."""
NUMBERS: Final[dict[str, dict[str, int]]]
"""The engine's numbers by the names of vocabulary's enumerations."""

def request_keys(request_ids: np.ndarray) -> np.ndarray:
    """The reservation keys (V16) of request ids (S1 to S64): XXH3-128 in canonical order."""
