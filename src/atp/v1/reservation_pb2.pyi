import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReservationState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESERVATION_STATE_UNSPECIFIED: _ClassVar[ReservationState]
    RESERVATION_STATE_HELD: _ClassVar[ReservationState]
    RESERVATION_STATE_COMMITTED: _ClassVar[ReservationState]
    RESERVATION_STATE_RELEASED: _ClassVar[ReservationState]
    RESERVATION_STATE_EXPIRED: _ClassVar[ReservationState]

class ReserveOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RESERVE_OUTCOME_UNSPECIFIED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_GRANTED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_GRANTED_PARTIALLY: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_REQUEST_ID_REUSED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_EXPIRY_OUT_OF_RANGE: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_REPLACED_NOT_FOUND: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_REPLACED_NOT_OWNED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_REPLACED_ENDED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_SKU_UNKNOWN: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_CAP_REACHED: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_STOCK_SHORT: _ClassVar[ReserveOutcome]
    RESERVE_OUTCOME_LIMIT_REACHED: _ClassVar[ReserveOutcome]

class LineOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LINE_OUTCOME_UNSPECIFIED: _ClassVar[LineOutcome]
    LINE_OUTCOME_GRANTED: _ClassVar[LineOutcome]
    LINE_OUTCOME_SKU_UNKNOWN: _ClassVar[LineOutcome]
    LINE_OUTCOME_CAP_REACHED: _ClassVar[LineOutcome]
    LINE_OUTCOME_STOCK_SHORT: _ClassVar[LineOutcome]
    LINE_OUTCOME_NOT_ATTEMPTED: _ClassVar[LineOutcome]

class ChangeOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHANGE_OUTCOME_UNSPECIFIED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_DONE: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_REQUEST_ID_REUSED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_NOT_FOUND: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_ALREADY_COMMITTED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_ALREADY_RELEASED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_ALREADY_EXPIRED: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_LINE_NOT_FOUND: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_QUANTITY_ABOVE_HELD: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_EXPIRY_OUT_OF_RANGE: _ClassVar[ChangeOutcome]
    CHANGE_OUTCOME_LIMIT_REACHED: _ClassVar[ChangeOutcome]
RESERVATION_STATE_UNSPECIFIED: ReservationState
RESERVATION_STATE_HELD: ReservationState
RESERVATION_STATE_COMMITTED: ReservationState
RESERVATION_STATE_RELEASED: ReservationState
RESERVATION_STATE_EXPIRED: ReservationState
RESERVE_OUTCOME_UNSPECIFIED: ReserveOutcome
RESERVE_OUTCOME_GRANTED: ReserveOutcome
RESERVE_OUTCOME_GRANTED_PARTIALLY: ReserveOutcome
RESERVE_OUTCOME_REQUEST_ID_REUSED: ReserveOutcome
RESERVE_OUTCOME_EXPIRY_OUT_OF_RANGE: ReserveOutcome
RESERVE_OUTCOME_REPLACED_NOT_FOUND: ReserveOutcome
RESERVE_OUTCOME_REPLACED_NOT_OWNED: ReserveOutcome
RESERVE_OUTCOME_REPLACED_ENDED: ReserveOutcome
RESERVE_OUTCOME_SKU_UNKNOWN: ReserveOutcome
RESERVE_OUTCOME_CAP_REACHED: ReserveOutcome
RESERVE_OUTCOME_STOCK_SHORT: ReserveOutcome
RESERVE_OUTCOME_LIMIT_REACHED: ReserveOutcome
LINE_OUTCOME_UNSPECIFIED: LineOutcome
LINE_OUTCOME_GRANTED: LineOutcome
LINE_OUTCOME_SKU_UNKNOWN: LineOutcome
LINE_OUTCOME_CAP_REACHED: LineOutcome
LINE_OUTCOME_STOCK_SHORT: LineOutcome
LINE_OUTCOME_NOT_ATTEMPTED: LineOutcome
CHANGE_OUTCOME_UNSPECIFIED: ChangeOutcome
CHANGE_OUTCOME_DONE: ChangeOutcome
CHANGE_OUTCOME_REQUEST_ID_REUSED: ChangeOutcome
CHANGE_OUTCOME_NOT_FOUND: ChangeOutcome
CHANGE_OUTCOME_ALREADY_COMMITTED: ChangeOutcome
CHANGE_OUTCOME_ALREADY_RELEASED: ChangeOutcome
CHANGE_OUTCOME_ALREADY_EXPIRED: ChangeOutcome
CHANGE_OUTCOME_LINE_NOT_FOUND: ChangeOutcome
CHANGE_OUTCOME_QUANTITY_ABOVE_HELD: ChangeOutcome
CHANGE_OUTCOME_EXPIRY_OUT_OF_RANGE: ChangeOutcome
CHANGE_OUTCOME_LIMIT_REACHED: ChangeOutcome

class Line(_message.Message):
    __slots__ = ("sku", "quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class ReserveRequest(_message.Message):
    __slots__ = ("request_id", "lines", "client_ip", "customer_id", "expire_time", "ttl", "allow_partial", "replaces_reservation_id")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IP_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    ALLOW_PARTIAL_FIELD_NUMBER: _ClassVar[int]
    REPLACES_RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    client_ip: str
    customer_id: str
    expire_time: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    allow_partial: bool
    replaces_reservation_id: str
    def __init__(self, request_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[Line, _Mapping]]] = ..., client_ip: _Optional[str] = ..., customer_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., allow_partial: _Optional[bool] = ..., replaces_reservation_id: _Optional[str] = ...) -> None: ...

class ReserveResponse(_message.Message):
    __slots__ = ("outcome", "reservation", "sequence", "repeated", "line_results", "cap_refusals", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LINE_RESULTS_FIELD_NUMBER: _ClassVar[int]
    CAP_REFUSALS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: ReserveOutcome
    reservation: Reservation
    sequence: int
    repeated: bool
    line_results: _containers.RepeatedCompositeFieldContainer[LineResult]
    cap_refusals: _containers.RepeatedCompositeFieldContainer[CapRefusal]
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[ReserveOutcome, str]] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., line_results: _Optional[_Iterable[_Union[LineResult, _Mapping]]] = ..., cap_refusals: _Optional[_Iterable[_Union[CapRefusal, _Mapping]]] = ..., limit_name: _Optional[str] = ...) -> None: ...

class LineResult(_message.Message):
    __slots__ = ("line_index", "outcome", "granted_quantity", "available_quantity", "held_quantity", "first_expire_time")
    LINE_INDEX_FIELD_NUMBER: _ClassVar[int]
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    GRANTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HELD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    line_index: int
    outcome: LineOutcome
    granted_quantity: int
    available_quantity: int
    held_quantity: int
    first_expire_time: _timestamp_pb2.Timestamp
    def __init__(self, line_index: _Optional[int] = ..., outcome: _Optional[_Union[LineOutcome, str]] = ..., granted_quantity: _Optional[int] = ..., available_quantity: _Optional[int] = ..., held_quantity: _Optional[int] = ..., first_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CapRefusal(_message.Message):
    __slots__ = ("cap_id", "subject", "sku", "limit_quantity", "in_force_quantity", "asked_quantity")
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    IN_FORCE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ASKED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    subject: str
    sku: str
    limit_quantity: int
    in_force_quantity: int
    asked_quantity: int
    def __init__(self, cap_id: _Optional[str] = ..., subject: _Optional[str] = ..., sku: _Optional[str] = ..., limit_quantity: _Optional[int] = ..., in_force_quantity: _Optional[int] = ..., asked_quantity: _Optional[int] = ...) -> None: ...

class Reservation(_message.Message):
    __slots__ = ("reservation_id", "state", "lines", "create_time", "expire_time", "end_time", "sequence", "customer_id", "client_ip")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    END_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IP_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    state: ReservationState
    lines: _containers.RepeatedCompositeFieldContainer[ReservationLine]
    create_time: _timestamp_pb2.Timestamp
    expire_time: _timestamp_pb2.Timestamp
    end_time: _timestamp_pb2.Timestamp
    sequence: int
    customer_id: str
    client_ip: str
    def __init__(self, reservation_id: _Optional[str] = ..., state: _Optional[_Union[ReservationState, str]] = ..., lines: _Optional[_Iterable[_Union[ReservationLine, _Mapping]]] = ..., create_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., end_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ..., customer_id: _Optional[str] = ..., client_ip: _Optional[str] = ...) -> None: ...

class ReservationLine(_message.Message):
    __slots__ = ("sku", "quantity", "held_quantity", "committed_quantity", "released_quantity", "expired_quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HELD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RELEASED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    held_quantity: int
    committed_quantity: int
    released_quantity: int
    expired_quantity: int
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ..., held_quantity: _Optional[int] = ..., committed_quantity: _Optional[int] = ..., released_quantity: _Optional[int] = ..., expired_quantity: _Optional[int] = ...) -> None: ...

class CommitRequest(_message.Message):
    __slots__ = ("reservation_id", "lines", "request_id")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    request_id: str
    def __init__(self, reservation_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[Line, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CommitResponse(_message.Message):
    __slots__ = ("outcome", "reservation", "sequence", "repeated", "line_index", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LINE_INDEX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: ChangeOutcome
    reservation: Reservation
    sequence: int
    repeated: bool
    line_index: int
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[ChangeOutcome, str]] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., line_index: _Optional[int] = ..., limit_name: _Optional[str] = ...) -> None: ...

class ReleaseRequest(_message.Message):
    __slots__ = ("reservation_id", "lines", "request_id")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    request_id: str
    def __init__(self, reservation_id: _Optional[str] = ..., lines: _Optional[_Iterable[_Union[Line, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ReleaseResponse(_message.Message):
    __slots__ = ("outcome", "reservation", "sequence", "repeated", "line_index", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LINE_INDEX_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: ChangeOutcome
    reservation: Reservation
    sequence: int
    repeated: bool
    line_index: int
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[ChangeOutcome, str]] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., line_index: _Optional[int] = ..., limit_name: _Optional[str] = ...) -> None: ...

class ExtendRequest(_message.Message):
    __slots__ = ("reservation_id", "expire_time", "ttl", "request_id")
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    expire_time: _timestamp_pb2.Timestamp
    ttl: _duration_pb2.Duration
    request_id: str
    def __init__(self, reservation_id: _Optional[str] = ..., expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., request_id: _Optional[str] = ...) -> None: ...

class ExtendResponse(_message.Message):
    __slots__ = ("outcome", "reservation", "sequence", "repeated", "latest_expire_time", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LATEST_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: ChangeOutcome
    reservation: Reservation
    sequence: int
    repeated: bool
    latest_expire_time: _timestamp_pb2.Timestamp
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[ChangeOutcome, str]] = ..., reservation: _Optional[_Union[Reservation, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., latest_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., limit_name: _Optional[str] = ...) -> None: ...

class GetReservationRequest(_message.Message):
    __slots__ = ("reservation_id",)
    RESERVATION_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_id: str
    def __init__(self, reservation_id: _Optional[str] = ...) -> None: ...

class GetReservationResponse(_message.Message):
    __slots__ = ("reservation",)
    RESERVATION_FIELD_NUMBER: _ClassVar[int]
    reservation: Reservation
    def __init__(self, reservation: _Optional[_Union[Reservation, _Mapping]] = ...) -> None: ...

class GetAvailabilityRequest(_message.Message):
    __slots__ = ("skus",)
    SKUS_FIELD_NUMBER: _ClassVar[int]
    skus: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, skus: _Optional[_Iterable[str]] = ...) -> None: ...

class GetAvailabilityResponse(_message.Message):
    __slots__ = ("availabilities",)
    AVAILABILITIES_FIELD_NUMBER: _ClassVar[int]
    availabilities: _containers.RepeatedCompositeFieldContainer[Availability]
    def __init__(self, availabilities: _Optional[_Iterable[_Union[Availability, _Mapping]]] = ...) -> None: ...

class Availability(_message.Message):
    __slots__ = ("sku", "known", "available_quantity", "on_hand_quantity", "held_quantity", "first_expire_time", "sequence")
    SKU_FIELD_NUMBER: _ClassVar[int]
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HELD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sku: str
    known: bool
    available_quantity: int
    on_hand_quantity: int
    held_quantity: int
    first_expire_time: _timestamp_pb2.Timestamp
    sequence: int
    def __init__(self, sku: _Optional[str] = ..., known: _Optional[bool] = ..., available_quantity: _Optional[int] = ..., on_hand_quantity: _Optional[int] = ..., held_quantity: _Optional[int] = ..., first_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...
