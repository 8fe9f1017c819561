"""From the messages of `atp.v1` to the vocabulary, and caps the other way.

Pure functions, one for each message. The one place in the client that asks whether a field is set:
what is unset becomes None here and stays None. A number that this version has no word for raises
ReplyUnknown instead of being passed on as something else.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, TypeVar

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from atp import vocabulary as words
from atp.client import replies
from atp.client.errors import ReplyUnknown
from atp.v1 import cap_service_pb2 as cap_pb
from atp.v1 import maintenance_service_pb2 as maintenance_pb
from atp.v1 import reservation_pb2 as reservation_pb
from atp.v1 import stock_service_pb2 as stock_pb

NS_PER_SECOND = 1_000_000_000
_LINE_OUTCOMES = (
    words.ChangeOutcome.LINE_NOT_FOUND,
    words.ChangeOutcome.QUANTITY_ABOVE_HELD,
)

Word = TypeVar("Word", bound=IntEnum)
ChangeMessage = (
    reservation_pb.CommitResponse | reservation_pb.ReleaseResponse | reservation_pb.ExtendResponse
)
StockMessage = stock_pb.SetStockResponse | stock_pb.AdjustStockResponse


def timestamp(time_ns: int) -> Timestamp:
    """A time as the wire has it."""
    seconds, nanos = divmod(time_ns, NS_PER_SECOND)
    return Timestamp(seconds=seconds, nanos=nanos)


def duration(length_ns: int) -> Duration:
    """A length of time, not negative, as the wire has it."""
    seconds, nanos = divmod(length_ns, NS_PER_SECOND)
    return Duration(seconds=seconds, nanos=nanos)


def to_ns(message: Timestamp | Duration) -> int:
    """A time or a length of time in nanoseconds."""
    return message.seconds * NS_PER_SECOND + message.nanos


def word(kind: type[Word], number: int) -> Word:
    """The vocabulary's word for a number on the wire."""
    try:
        return kind(number)
    except ValueError:
        raise ReplyUnknown.about(
            f"the server answered {kind.__name__} {number}, which this client does not know; "
            "a newer client is needed"
        ) from None


def reservation(message: reservation_pb.Reservation) -> words.Reservation:
    """A reservation as it is now."""
    return words.Reservation(
        reservation_id=message.reservation_id,
        state=word(words.ReservationState, message.state),
        lines=tuple(
            words.ReservationLine(
                line.sku,
                line.quantity,
                line.held_quantity,
                line.committed_quantity,
                line.released_quantity,
                line.expired_quantity,
            )
            for line in message.lines
        ),
        create_time_ns=to_ns(message.create_time),
        expire_time_ns=to_ns(message.expire_time) if message.HasField("expire_time") else None,
        end_time_ns=to_ns(message.end_time) if message.HasField("end_time") else None,
        sequence=message.sequence,
        customer_id=message.customer_id,
        client_ip=message.client_ip,
    )


def reserve_reply(message: reservation_pb.ReserveResponse) -> words.ReserveReply:
    """The answer to a reserve."""
    granted = message.HasField("reservation")
    return words.ReserveReply(
        outcome=word(words.ReserveOutcome, message.outcome),
        reservation=reservation(message.reservation) if granted else None,
        sequence=message.sequence,
        repeated=message.repeated,
        line_results=tuple(line_result(result) for result in message.line_results),
        cap_refusals=tuple(cap_refusal(refusal) for refusal in message.cap_refusals),
        limit_name=message.limit_name,
    )


def line_result(message: reservation_pb.LineResult) -> words.LineResult:
    """What was decided about one SKU of a basket."""
    held = message.HasField("first_expire_time")
    return words.LineResult(
        line_index=message.line_index,
        outcome=word(words.LineOutcome, message.outcome),
        granted=message.granted_quantity,
        available=message.available_quantity,
        held=message.held_quantity,
        first_expire_time_ns=to_ns(message.first_expire_time) if held else None,
    )


def cap_refusal(message: reservation_pb.CapRefusal) -> words.CapRefusal:
    """A cap that stood in the way."""
    return words.CapRefusal(
        cap_id=message.cap_id,
        subject=message.subject,
        sku=message.sku,
        limit=message.limit_quantity,
        in_force=message.in_force_quantity,
        asked=message.asked_quantity,
    )


def change_reply(message: ChangeMessage) -> words.ChangeReply:
    """The answer to a commit, a release or an extension."""
    outcome = word(words.ChangeOutcome, message.outcome)
    latest_expire_time_ns = None
    line_index = -1
    if isinstance(message, reservation_pb.ExtendResponse):
        if message.HasField("latest_expire_time"):
            latest_expire_time_ns = to_ns(message.latest_expire_time)
    elif outcome in _LINE_OUTCOMES:
        line_index = message.line_index
    return words.ChangeReply(
        outcome=outcome,
        reservation=reservation(message.reservation) if message.HasField("reservation") else None,
        sequence=message.sequence,
        repeated=message.repeated,
        line_index=line_index,
        latest_expire_time_ns=latest_expire_time_ns,
        limit_name=message.limit_name,
    )


def availability(message: reservation_pb.Availability) -> replies.Availability:
    """What may be promised of one SKU."""
    held = message.HasField("first_expire_time")
    return replies.Availability(
        sku=message.sku,
        known=message.known,
        available=message.available_quantity,
        on_hand=message.on_hand_quantity,
        held=message.held_quantity,
        first_expire_time_ns=to_ns(message.first_expire_time) if held else None,
        sequence=message.sequence,
    )


def stock(message: stock_pb.Stock) -> words.Stock:
    """The counters of one SKU."""
    held = message.HasField("first_expire_time")
    return words.Stock(
        sku=message.sku,
        on_hand=message.on_hand_quantity,
        held=message.held_quantity,
        available=message.available_quantity,
        sold=message.sold_quantity,
        received=message.received_quantity,
        adjusted=message.adjusted_quantity,
        first_expire_time_ns=to_ns(message.first_expire_time) if held else None,
        sequence=message.sequence,
    )


def stock_reply(message: StockMessage) -> words.StockReply:
    """The answer to a change of stock."""
    return words.StockReply(
        outcome=word(words.StockOutcome, message.outcome),
        stock=stock(message.stock) if message.HasField("stock") else None,
        sequence=message.sequence,
        repeated=message.repeated,
        limit_name=message.limit_name,
    )


def cap_status(message: cap_pb.Cap) -> words.CapStatus:
    """A cap as it is now."""
    cap = words.Cap(
        cap_id=message.cap_id,
        subject=word(words.CapSubject, message.subject),
        limit=message.limit_quantity if message.HasField("limit_quantity") else None,
        skus=tuple(message.skus),
        per_sku=message.per_sku,
        window_ns=to_ns(message.window) if message.HasField("window") else None,
        mode=word(words.CapMode, message.mode),
        overrides=tuple(
            words.CapOverride(
                override.subject,
                override.limit_quantity if override.HasField("limit_quantity") else None,
            )
            for override in message.overrides
        ),
        ipv4_prefix_length=message.ipv4_prefix_length,
        ipv6_prefix_length=message.ipv6_prefix_length,
    )
    return words.CapStatus(
        cap=cap,
        etag=message.etag,
        update_time_ns=to_ns(message.update_time),
        refused=message.refused_count,
        shadow_refused=message.shadow_refused_count,
    )


def cap_fields(cap: words.Cap, etag: str) -> dict[str, Any]:
    """The fields of a cap as the wire has them."""
    return {
        "cap_id": cap.cap_id,
        "subject": f"CAP_SUBJECT_{cap.subject.name}",
        "ipv4_prefix_length": cap.ipv4_prefix_length,
        "ipv6_prefix_length": cap.ipv6_prefix_length,
        "skus": cap.skus,
        "per_sku": cap.per_sku,
        "limit_quantity": cap.limit,
        "window": None if cap.window_ns is None else duration(cap.window_ns),
        "mode": f"CAP_MODE_{cap.mode.name}",
        "overrides": [
            {"subject": override.subject, "limit_quantity": override.limit}
            for override in cap.overrides
        ],
        "etag": etag,
    }


def cap_use(message: maintenance_pb.CapUse) -> replies.CapUse:
    """A cap at work."""
    return replies.CapUse(
        cap_id=message.cap_id,
        subject=word(words.CapSubject, message.subject),
        limit=message.limit_quantity if message.HasField("limit_quantity") else None,
        mode=word(words.CapMode, message.mode),
        refused=message.refused_count,
        shadow_refused=message.shadow_refused_count,
    )


def server_status(message: maintenance_pb.GetStatusResponse) -> replies.ServerStatus:
    """How a server is."""
    started = message.HasField("start_time")
    return replies.ServerStatus(
        version=message.version,
        start_time_ns=to_ns(message.start_time) if started else None,
        sequence=message.sequence,
        skus=message.sku_count,
        live_holds=message.live_hold_count,
        ended_reservations=message.ended_reservation_count,
        receipts=message.receipt_count,
        cap_counters=message.cap_counter_count,
        caps=message.cap_count,
        engine_bytes=message.engine_bytes,
        outcome_counts=tuple(
            replies.OutcomeCount(count.method, count.outcome, count.call_count)
            for count in message.outcome_counts
        ),
        limits=tuple(
            words.Limit(limit.name, limit.value, limit.used, limit.meaning)
            for limit in message.limits
        ),
        settings=tuple(
            replies.Setting(setting.name, setting.value, setting.changed)
            for setting in message.settings
        ),
        clock_drift_ns=to_ns(message.clock_drift),
        journal=journal_status(message.journal) if message.HasField("journal") else None,
        metrics_address=message.metrics_address,
    )


def journal_status(message: maintenance_pb.JournalStatus) -> replies.JournalStatus:
    """How what happened is remembered."""
    has_snapshot = message.HasField("last_snapshot")
    recovered = message.HasField("last_recovery")
    return replies.JournalStatus(
        directory=message.directory,
        durability=message.durability,
        durable_sequence=message.durable_sequence,
        waiting_records=message.waiting_record_count,
        waiting_bytes=message.waiting_bytes,
        sync_p50_ns=to_ns(message.sync_p50),
        sync_p99_ns=to_ns(message.sync_p99),
        sync_most_ns=to_ns(message.sync_most),
        syncs=message.sync_count,
        segments=message.segment_count,
        journal_bytes=message.journal_bytes,
        first_sequence=message.first_sequence,
        free_bytes=message.free_bytes,
        refusing_reason=message.refusing_reason,
        last_snapshot=snapshot(message.last_snapshot) if has_snapshot else None,
        snapshot_error=message.snapshot_error,
        last_recovery=recovery(message.last_recovery) if recovered else None,
        watches=message.watch_count,
    )


def snapshot(message: maintenance_pb.Snapshot) -> replies.Snapshot:
    """A snapshot of the state."""
    return replies.Snapshot(
        name=message.name,
        sequence=message.sequence,
        create_time_ns=to_ns(message.create_time),
        size_bytes=message.size_bytes,
        duration_ns=to_ns(message.duration),
        longest_stall_ns=to_ns(message.longest_stall),
    )


def recovery(message: maintenance_pb.Recovery) -> replies.Recovery:
    """What a start found."""
    return replies.Recovery(
        snapshot=message.snapshot,
        damaged_snapshots=tuple(message.damaged_snapshots),
        replayed_records=message.replayed_record_count,
        expired=message.expired_count,
        torn_bytes=message.torn_bytes,
        torn_copy=message.torn_copy,
        duration_ns=to_ns(message.duration),
        digest=message.digest,
        sequence=message.sequence,
        passed_damage=tuple(message.passed_damage),
    )


def check_report(message: maintenance_pb.CheckInvariantsResponse) -> words.CheckReport:
    """A recount of the laws."""
    return words.CheckReport(
        violations=tuple(message.violations),
        digest=message.digest,
        sequence=message.sequence,
        skus=message.sku_count,
        reservations=message.reservation_count,
    )
