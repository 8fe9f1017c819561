"""The words of atp in Python: outcomes, replies, caps, and the errors of a call not judged.

Owns the typed shapes that the engine answers with and that every other room passes on. Decides
nothing, imports nothing of atp. The numbers are those of `proto/atp/v1` and of `engine/words.pxd`;
a test holds the three together. Times are integers: nanoseconds since the Unix epoch. Quantities
are whole units.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

CALL_CODES = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"),
    *("ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION"),
    *("ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"),
    "UNAUTHENTICATED",
)
"""gRPC's status codes in order of their numbers, from 0."""


class ReservationState(IntEnum):
    """Where a reservation is in its life."""

    HELD = 1
    COMMITTED = 2
    RELEASED = 3
    EXPIRED = 4


class ReserveOutcome(IntEnum):
    """What was decided about a reserve; refusals in order of precedence."""

    GRANTED = 1
    GRANTED_PARTIALLY = 2
    REQUEST_ID_REUSED = 3
    EXPIRY_OUT_OF_RANGE = 4
    REPLACED_NOT_FOUND = 5
    REPLACED_NOT_OWNED = 6
    REPLACED_ENDED = 7
    SKU_UNKNOWN = 8
    CAP_REACHED = 9
    STOCK_SHORT = 10
    LIMIT_REACHED = 11


class LineOutcome(IntEnum):
    """What was decided about one SKU of a basket; refusals in order of precedence."""

    GRANTED = 1
    SKU_UNKNOWN = 2
    CAP_REACHED = 3
    STOCK_SHORT = 4
    NOT_ATTEMPTED = 5


class ChangeOutcome(IntEnum):
    """What was decided about a commit, release or extension; refusals in order of precedence."""

    DONE = 1
    REQUEST_ID_REUSED = 2
    NOT_FOUND = 3
    ALREADY_COMMITTED = 4
    ALREADY_RELEASED = 5
    ALREADY_EXPIRED = 6
    LINE_NOT_FOUND = 7
    QUANTITY_ABOVE_HELD = 8
    EXPIRY_OUT_OF_RANGE = 9
    LIMIT_REACHED = 10


class StockOutcome(IntEnum):
    """What was decided about stock; refusals in order of precedence."""

    DONE = 1
    REQUEST_ID_REUSED = 2
    SKU_UNKNOWN = 3
    ON_HAND_CHANGED = 4
    BELOW_HELD = 5
    OUT_OF_RANGE = 6
    LIMIT_REACHED = 7


class StockReason(IntEnum):
    """Why units were added or taken away."""

    RECEIVED = 1
    RETURNED = 2
    COUNTED = 3
    WRITTEN_OFF = 4


class CapSubject(IntEnum):
    """Whom a cap counts."""

    IP = 1
    SUBNET = 2
    CUSTOMER = 3
    RESERVATION = 4
    EVERYONE = 5


class CapMode(IntEnum):
    """What a cap does."""

    ENFORCE = 1
    SHADOW = 2
    OFF = 3


class ReservationLine(NamedTuple):
    """One SKU of a reservation: quantity = held + committed + released + expired."""

    sku: str
    quantity: int
    held: int
    committed: int
    released: int
    expired: int


class Reservation(NamedTuple):
    """Units set aside together. `expire_time_ns` is None once ended, `end_time_ns` until then."""

    reservation_id: str
    state: ReservationState
    lines: tuple[ReservationLine, ...]
    create_time_ns: int
    expire_time_ns: int | None
    end_time_ns: int | None
    sequence: int
    customer_id: str
    client_ip: str


class LineResult(NamedTuple):
    """What was decided about one SKU of a basket; `first_expire_time_ns` None: none is held."""

    line_index: int
    outcome: LineOutcome
    granted: int
    available: int
    held: int
    first_expire_time_ns: int | None


class CapRefusal(NamedTuple):
    """A cap that stood in the way; `subject`, `sku` are empty where it does not tell apart."""

    cap_id: str
    subject: str
    sku: str
    limit: int
    in_force: int
    asked: int


class ReserveReply(NamedTuple):
    """The engine's answer to a reserve.

    `reveals`, here and in the other replies, is the sequence of the newest change that the answer
    tells of or lets see: it is true for good once that change is durable.
    """

    outcome: ReserveOutcome
    reservation: Reservation | None
    sequence: int
    repeated: bool
    line_results: tuple[LineResult, ...]
    cap_refusals: tuple[CapRefusal, ...]
    limit_name: str
    reveals: int = 0


class ChangeReply(NamedTuple):
    """The engine's answer to a commit, a release or an extension.

    `line_index` is -1 unless the outcome is about a line; `latest_expire_time_ns` is set for
    extensions of a known reservation.
    """

    outcome: ChangeOutcome
    reservation: Reservation | None
    sequence: int
    repeated: bool
    line_index: int
    latest_expire_time_ns: int | None
    limit_name: str = ""
    reveals: int = 0


class Stock(NamedTuple):
    """The counters of one SKU; on_hand = received + adjusted - sold."""

    sku: str
    on_hand: int
    held: int
    available: int
    sold: int
    received: int
    adjusted: int
    first_expire_time_ns: int | None
    sequence: int


class StockReply(NamedTuple):
    """The engine's answer to a change of stock."""

    outcome: StockOutcome
    stock: Stock | None
    sequence: int
    repeated: bool
    limit_name: str = ""
    reveals: int = 0


class CapOverride(NamedTuple):
    """Another limit for one customer or one address range; None is no limit."""

    subject: str
    limit: int | None


class Cap(NamedTuple):
    """How many units a subject may have in force. `limit` None is no limit, 0 is closed."""

    cap_id: str
    subject: CapSubject
    limit: int | None = None
    skus: tuple[str, ...] = ()
    per_sku: bool = False
    window_ns: int | None = None
    mode: CapMode = CapMode.ENFORCE
    overrides: tuple[CapOverride, ...] = ()
    ipv4_prefix_length: int = 0
    ipv6_prefix_length: int = 0


class CapStatus(NamedTuple):
    """A cap as it is now: its definition, its etag, and what it has done."""

    cap: Cap
    etag: str
    update_time_ns: int
    refused: int
    shadow_refused: int


class Limit(NamedTuple):
    """One bound of the engine; `used` is -1 where it cannot be said."""

    name: str
    value: int
    used: int
    meaning: str


class EngineStatus(NamedTuple):
    """Counters of the engine."""

    sequence: int
    time_ns: int
    skus: int
    live_holds: int
    ended_reservations: int
    receipts: int
    cap_counters: int
    caps: int
    bytes: int


class StockTotals(NamedTuple):
    """Units over all SKUs, and how many holds an engine let expire, those of a replay apart."""

    on_hand: int
    held: int
    sold: int
    expired_holds: int


class CheckReport(NamedTuple):
    """A recount of the laws over the whole state; no violations: every law holds."""

    violations: tuple[str, ...]
    digest: str
    sequence: int
    skus: int
    reservations: int


class FieldInvalid(ValueError):
    """A call that cannot be judged: a field is malformed or over its bound.

    `field` is its path in the request, `reason` what is wrong and what would be right.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class CapChanged(Exception):
    """The etag given is not the cap's present one."""


class CapNotFound(LookupError):
    """No cap has this id."""


class LimitReached(Exception):
    """A bound on caps is reached; `limit_name` says which."""

    def __init__(self, limit_name: str) -> None:
        super().__init__(f"the limit {limit_name} is reached")
        self.limit_name = limit_name
