import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "start_time", "sequence", "sku_count", "live_hold_count", "ended_reservation_count", "receipt_count", "cap_counter_count", "cap_count", "engine_bytes", "outcome_counts", "limits", "settings", "clock_drift")
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
    def __init__(self, version: _Optional[str] = ..., start_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., sku_count: _Optional[int] = ..., live_hold_count: _Optional[int] = ..., ended_reservation_count: _Optional[int] = ..., receipt_count: _Optional[int] = ..., cap_counter_count: _Optional[int] = ..., cap_count: _Optional[int] = ..., engine_bytes: _Optional[int] = ..., outcome_counts: _Optional[_Iterable[_Union[OutcomeCount, _Mapping]]] = ..., limits: _Optional[_Iterable[_Union[Limit, _Mapping]]] = ..., settings: _Optional[_Iterable[_Union[Setting, _Mapping]]] = ..., clock_drift: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

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
