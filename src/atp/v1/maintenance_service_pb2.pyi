import datetime

from atp.v1 import cap_service_pb2 as _cap_service_pb2
from atp.v1 import event_pb2 as _event_pb2
from atp.v1 import stock_service_pb2 as _stock_service_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class TakeSnapshotRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class TakeSnapshotResponse(_message.Message):
    __slots__ = ("snapshot",)
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    snapshot: Snapshot
    def __init__(self, snapshot: _Optional[_Union[Snapshot, _Mapping]] = ...) -> None: ...

class Snapshot(_message.Message):
    __slots__ = ("name", "sequence", "create_time", "size_bytes", "duration", "longest_stall")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    LONGEST_STALL_FIELD_NUMBER: _ClassVar[int]
    name: str
    sequence: int
    create_time: _timestamp_pb2.Timestamp
    size_bytes: int
    duration: _duration_pb2.Duration
    longest_stall: _duration_pb2.Duration
    def __init__(self, name: _Optional[str] = ..., sequence: _Optional[int] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., size_bytes: _Optional[int] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., longest_stall: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("from_sequence",)
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    from_sequence: int
    def __init__(self, from_sequence: _Optional[int] = ...) -> None: ...

class WatchResponse(_message.Message):
    __slots__ = ("events", "resume_sequence")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    RESUME_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[WatchedEvent]
    resume_sequence: int
    def __init__(self, events: _Optional[_Iterable[_Union[WatchedEvent, _Mapping]]] = ..., resume_sequence: _Optional[int] = ...) -> None: ...

class WatchedEvent(_message.Message):
    __slots__ = ("sequence", "event")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    event: _event_pb2.Event
    def __init__(self, sequence: _Optional[int] = ..., event: _Optional[_Union[_event_pb2.Event, _Mapping]] = ...) -> None: ...

class JournalStatus(_message.Message):
    __slots__ = ("directory", "durability", "durable_sequence", "waiting_record_count", "waiting_bytes", "sync_p50", "sync_p99", "sync_most", "sync_count", "segment_count", "journal_bytes", "first_sequence", "free_bytes", "refusing_reason", "last_snapshot", "snapshot_error", "last_recovery", "watch_count")
    DIRECTORY_FIELD_NUMBER: _ClassVar[int]
    DURABILITY_FIELD_NUMBER: _ClassVar[int]
    DURABLE_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    WAITING_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    WAITING_BYTES_FIELD_NUMBER: _ClassVar[int]
    SYNC_P50_FIELD_NUMBER: _ClassVar[int]
    SYNC_P99_FIELD_NUMBER: _ClassVar[int]
    SYNC_MOST_FIELD_NUMBER: _ClassVar[int]
    SYNC_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    REFUSING_REASON_FIELD_NUMBER: _ClassVar[int]
    LAST_SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_ERROR_FIELD_NUMBER: _ClassVar[int]
    LAST_RECOVERY_FIELD_NUMBER: _ClassVar[int]
    WATCH_COUNT_FIELD_NUMBER: _ClassVar[int]
    directory: str
    durability: str
    durable_sequence: int
    waiting_record_count: int
    waiting_bytes: int
    sync_p50: _duration_pb2.Duration
    sync_p99: _duration_pb2.Duration
    sync_most: _duration_pb2.Duration
    sync_count: int
    segment_count: int
    journal_bytes: int
    first_sequence: int
    free_bytes: int
    refusing_reason: str
    last_snapshot: Snapshot
    snapshot_error: str
    last_recovery: Recovery
    watch_count: int
    def __init__(self, directory: _Optional[str] = ..., durability: _Optional[str] = ..., durable_sequence: _Optional[int] = ..., waiting_record_count: _Optional[int] = ..., waiting_bytes: _Optional[int] = ..., sync_p50: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sync_p99: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sync_most: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., sync_count: _Optional[int] = ..., segment_count: _Optional[int] = ..., journal_bytes: _Optional[int] = ..., first_sequence: _Optional[int] = ..., free_bytes: _Optional[int] = ..., refusing_reason: _Optional[str] = ..., last_snapshot: _Optional[_Union[Snapshot, _Mapping]] = ..., snapshot_error: _Optional[str] = ..., last_recovery: _Optional[_Union[Recovery, _Mapping]] = ..., watch_count: _Optional[int] = ...) -> None: ...

class Recovery(_message.Message):
    __slots__ = ("snapshot", "damaged_snapshots", "replayed_record_count", "expired_count", "torn_bytes", "torn_copy", "duration", "digest", "sequence", "passed_damage")
    SNAPSHOT_FIELD_NUMBER: _ClassVar[int]
    DAMAGED_SNAPSHOTS_FIELD_NUMBER: _ClassVar[int]
    REPLAYED_RECORD_COUNT_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_COUNT_FIELD_NUMBER: _ClassVar[int]
    TORN_BYTES_FIELD_NUMBER: _ClassVar[int]
    TORN_COPY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PASSED_DAMAGE_FIELD_NUMBER: _ClassVar[int]
    snapshot: str
    damaged_snapshots: _containers.RepeatedScalarFieldContainer[str]
    replayed_record_count: int
    expired_count: int
    torn_bytes: int
    torn_copy: str
    duration: _duration_pb2.Duration
    digest: str
    sequence: int
    passed_damage: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, snapshot: _Optional[str] = ..., damaged_snapshots: _Optional[_Iterable[str]] = ..., replayed_record_count: _Optional[int] = ..., expired_count: _Optional[int] = ..., torn_bytes: _Optional[int] = ..., torn_copy: _Optional[str] = ..., duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., digest: _Optional[str] = ..., sequence: _Optional[int] = ..., passed_damage: _Optional[_Iterable[str]] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "start_time", "sequence", "sku_count", "live_hold_count", "ended_reservation_count", "receipt_count", "cap_counter_count", "cap_count", "engine_bytes", "outcome_counts", "limits", "settings", "clock_drift", "journal", "metrics_address")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SKU_COUNT_FIELD_NUMBER: _ClassVar[int]
    LIVE_HOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENDED_RESERVATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAP_COUNTER_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAP_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENGINE_BYTES_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_COUNTS_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_DRIFT_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    METRICS_ADDRESS_FIELD_NUMBER: _ClassVar[int]
    version: str
    start_time: _timestamp_pb2.Timestamp
    sequence: int
    sku_count: int
    live_hold_count: int
    ended_reservation_count: int
    receipt_count: int
    cap_counter_count: int
    cap_count: int
    engine_bytes: int
    outcome_counts: _containers.RepeatedCompositeFieldContainer[OutcomeCount]
    limits: _containers.RepeatedCompositeFieldContainer[Limit]
    settings: _containers.RepeatedCompositeFieldContainer[Setting]
    clock_drift: _duration_pb2.Duration
    journal: JournalStatus
    metrics_address: str
    def __init__(self, version: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., sku_count: _Optional[int] = ..., live_hold_count: _Optional[int] = ..., ended_reservation_count: _Optional[int] = ..., receipt_count: _Optional[int] = ..., cap_counter_count: _Optional[int] = ..., cap_count: _Optional[int] = ..., engine_bytes: _Optional[int] = ..., outcome_counts: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., clock_drift: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., journal: _Optional[_Union[JournalStatus, _Mapping]] = ..., metrics_address: _Optional[str] = ...) -> None: ...

class OutcomeCount(_message.Message):
    __slots__ = ("method", "outcome", "call_count")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    method: str
    outcome: str
    call_count: int
    def __init__(self, method: _Optional[str] = ..., outcome: _Optional[str] = ..., call_count: _Optional[int] = ...) -> None: ...

class Limit(_message.Message):
    __slots__ = ("name", "value", "used", "meaning")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    USED_FIELD_NUMBER: _ClassVar[int]
    MEANING_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: int
    used: int
    meaning: str
    def __init__(self, name: _Optional[str] = ..., value: _Optional[int] = ..., used: _Optional[int] = ..., meaning: _Optional[str] = ...) -> None: ...

class Setting(_message.Message):
    __slots__ = ("name", "value", "changed")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    CHANGED_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: str
    changed: bool
    def __init__(self, name: _Optional[str] = ..., value: _Optional[str] = ..., changed: _Optional[bool] = ...) -> None: ...

class GetTopRequest(_message.Message):
    __slots__ = ("sku_count", "cap_count")
    SKU_COUNT_FIELD_NUMBER: _ClassVar[int]
    CAP_COUNT_FIELD_NUMBER: _ClassVar[int]
    sku_count: int
    cap_count: int
    def __init__(self, sku_count: _Optional[int] = ..., cap_count: _Optional[int] = ...) -> None: ...

class GetTopResponse(_message.Message):
    __slots__ = ("read_time", "start_time", "sequence", "outcome_counts", "call_times", "hot_skus", "cap_uses", "live_hold_count", "ending_soon_line_count", "ending_minute_line_count", "sku_count", "open_call_count", "connection_count", "parked_answer_count", "refused_counts", "engine_bytes", "resident_bytes", "durable_lag", "journal", "written_bytes", "on_hand_quantity", "held_quantity", "sold_quantity", "expired_hold_count")
    READ_TIME_FIELD_NUMBER: _ClassVar[int]
    START_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_COUNTS_FIELD_NUMBER: _ClassVar[int]
    CALL_TIMES_FIELD_NUMBER: _ClassVar[int]
    HOT_SKUS_FIELD_NUMBER: _ClassVar[int]
    CAP_USES_FIELD_NUMBER: _ClassVar[int]
    LIVE_HOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENDING_SOON_LINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    ENDING_MINUTE_LINE_COUNT_FIELD_NUMBER: _ClassVar[int]
    SKU_COUNT_FIELD_NUMBER: _ClassVar[int]
    OPEN_CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    CONNECTION_COUNT_FIELD_NUMBER: _ClassVar[int]
    PARKED_ANSWER_COUNT_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNTS_FIELD_NUMBER: _ClassVar[int]
    ENGINE_BYTES_FIELD_NUMBER: _ClassVar[int]
    RESIDENT_BYTES_FIELD_NUMBER: _ClassVar[int]
    DURABLE_LAG_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    WRITTEN_BYTES_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HELD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SOLD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_HOLD_COUNT_FIELD_NUMBER: _ClassVar[int]
    read_time: _timestamp_pb2.Timestamp
    start_time: _timestamp_pb2.Timestamp
    sequence: int
    outcome_counts: _containers.RepeatedCompositeFieldContainer[OutcomeCount]
    call_times: _containers.RepeatedCompositeFieldContainer[CallTimes]
    hot_skus: _containers.RepeatedCompositeFieldContainer[HotSku]
    cap_uses: _containers.RepeatedCompositeFieldContainer[CapUse]
    live_hold_count: int
    ending_soon_line_count: int
    ending_minute_line_count: int
    sku_count: int
    open_call_count: int
    connection_count: int
    parked_answer_count: int
    refused_counts: _containers.RepeatedCompositeFieldContainer[RefusedCount]
    engine_bytes: int
    resident_bytes: int
    durable_lag: _duration_pb2.Duration
    journal: JournalStatus
    written_bytes: int
    on_hand_quantity: int
    held_quantity: int
    sold_quantity: int
    expired_hold_count: int
    def __init__(self, read_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., outcome_counts: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., call_times: _Optional[_Iterable[_Union[CallTimes, _Mapping]]] = ..., hot_skus: _Optional[_Iterable[_Union[HotSku, _Mapping]]] = ..., cap_uses: _Optional[_Iterable[_Union[CapUse, _Mapping]]] = ..., live_hold_count: _Optional[int] = ..., ending_soon_line_count: _Optional[int] = ..., ending_minute_line_count: _Optional[int] = ..., sku_count: _Optional[int] = ..., open_call_count: _Optional[int] = ..., connection_count: _Optional[int] = ..., parked_answer_count: _Optional[int] = ..., refused_counts: _Optional[_Iterable[_Union[RefusedCount, _Mapping]]] = ..., engine_bytes: _Optional[int] = ..., resident_bytes: _Optional[int] = ..., durable_lag: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., journal: _Optional[_Union[JournalStatus, _Mapping]] = ..., written_bytes: _Optional[int] = ..., on_hand_quantity: _Optional[int] = ..., held_quantity: _Optional[int] = ..., sold_quantity: _Optional[int] = ..., expired_hold_count: _Optional[int] = ...) -> None: ...

class CallTimes(_message.Message):
    __slots__ = ("method", "counts", "bounds_ns", "sum_ns")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    COUNTS_FIELD_NUMBER: _ClassVar[int]
    BOUNDS_NS_FIELD_NUMBER: _ClassVar[int]
    SUM_NS_FIELD_NUMBER: _ClassVar[int]
    method: str
    counts: _containers.RepeatedScalarFieldContainer[int]
    bounds_ns: _containers.RepeatedScalarFieldContainer[int]
    sum_ns: int
    def __init__(self, method: _Optional[str] = ..., counts: _Optional[_Iterable[int]] = ..., bounds_ns: _Optional[_Iterable[int]] = ..., sum_ns: _Optional[int] = ...) -> None: ...

class HotSku(_message.Message):
    __slots__ = ("stock", "heat")
    STOCK_FIELD_NUMBER: _ClassVar[int]
    HEAT_FIELD_NUMBER: _ClassVar[int]
    stock: _stock_service_pb2.Stock
    heat: int
    def __init__(self, stock: _Optional[_Union[_stock_service_pb2.Stock, _Mapping]] = ..., heat: _Optional[int] = ...) -> None: ...

class CapUse(_message.Message):
    __slots__ = ("cap_id", "subject", "limit_quantity", "mode", "refused_count", "shadow_refused_count")
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    subject: _cap_service_pb2.CapSubject
    limit_quantity: int
    mode: _cap_service_pb2.CapMode
    refused_count: int
    shadow_refused_count: int
    def __init__(self, cap_id: _Optional[str] = ..., subject: _Optional[_Union[_cap_service_pb2.CapSubject, str]] = ..., limit_quantity: _Optional[int] = ..., mode: _Optional[_Union[_cap_service_pb2.CapMode, str]] = ..., refused_count: _Optional[int] = ..., shadow_refused_count: _Optional[int] = ...) -> None: ...

class RefusedCount(_message.Message):
    __slots__ = ("limit_name", "refused_count")
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    limit_name: str
    refused_count: int
    def __init__(self, limit_name: _Optional[str] = ..., refused_count: _Optional[int] = ...) -> None: ...

class CheckInvariantsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CheckInvariantsResponse(_message.Message):
    __slots__ = ("violations", "digest", "sequence", "sku_count", "reservation_count")
    VIOLATIONS_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SKU_COUNT_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_COUNT_FIELD_NUMBER: _ClassVar[int]
    violations: _containers.RepeatedScalarFieldContainer[str]
    digest: str
    sequence: int
    sku_count: int
    reservation_count: int
    def __init__(self, violations: _Optional[_Iterable[str]] = ..., digest: _Optional[str] = ..., sequence: _Optional[int] = ..., sku_count: _Optional[int] = ..., reservation_count: _Optional[int] = ...) -> None: ...
