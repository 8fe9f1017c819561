from atp.v1 import cap_service_pb2 as _cap_service_pb2
from atp.v1 import stock_service_pb2 as _stock_service_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Event(_message.Message):
    __slots__ = ("time_ns", "reserved", "committed", "released", "expired", "extended", "stock_changed", "cap_set", "cap_removed")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RESERVED_FIELD_NUMBER: _ClassVar[int]
    COMMITTED_FIELD_NUMBER: _ClassVar[int]
    RELEASED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    EXTENDED_FIELD_NUMBER: _ClassVar[int]
    STOCK_CHANGED_FIELD_NUMBER: _ClassVar[int]
    CAP_SET_FIELD_NUMBER: _ClassVar[int]
    CAP_REMOVED_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    reserved: ReservedEvent
    committed: CommittedEvent
    released: ReleasedEvent
    expired: ExpiredEvent
    extended: ExtendedEvent
    stock_changed: StockChangedEvent
    cap_set: CapSetEvent
    cap_removed: CapRemovedEvent
    def __init__(self, time_ns: _Optional[int] = ..., reserved: _Optional[_Union[ReservedEvent, _Mapping]] = ..., committed: _Optional[_Union[CommittedEvent, _Mapping]] = ..., released: _Optional[_Union[ReleasedEvent, _Mapping]] = ..., expired: _Optional[_Union[ExpiredEvent, _Mapping]] = ..., extended: _Optional[_Union[ExtendedEvent, _Mapping]] = ..., stock_changed: _Optional[_Union[StockChangedEvent, _Mapping]] = ..., cap_set: _Optional[_Union[CapSetEvent, _Mapping]] = ..., cap_removed: _Optional[_Union[CapRemovedEvent, _Mapping]] = ...) -> None: ...

class ReservedEvent(_message.Message):
    __slots__ = ("reservation_key", "fingerprint", "expire_time_ns", "lines", "customer_id", "client_ip", "partial", "replaced_reservation_key", "request_id")
    RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    CUSTOMER_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_IP_FIELD_NUMBER: _ClassVar[int]
    PARTIAL_FIELD_NUMBER: _ClassVar[int]
    REPLACED_RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    reservation_key: bytes
    fingerprint: int
    expire_time_ns: int
    lines: _containers.RepeatedCompositeFieldContainer[EventLine]
    customer_id: str
    client_ip: bytes
    partial: bool
    replaced_reservation_key: bytes
    request_id: str
    def __init__(self, reservation_key: _Optional[bytes] = ..., fingerprint: _Optional[int] = ..., expire_time_ns: _Optional[int] = ..., lines: _Optional[_Iterable[_Union[EventLine, _Mapping]]] = ..., customer_id: _Optional[str] = ..., client_ip: _Optional[bytes] = ..., partial: _Optional[bool] = ..., replaced_reservation_key: _Optional[bytes] = ..., request_id: _Optional[str] = ...) -> None: ...

class EventLine(_message.Message):
    __slots__ = ("sku", "quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    quantity: int
    def __init__(self, sku: _Optional[str] = ..., quantity: _Optional[int] = ...) -> None: ...

class CommittedEvent(_message.Message):
    __slots__ = ("reservation_key", "lines", "receipt")
    RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    reservation_key: bytes
    lines: _containers.RepeatedCompositeFieldContainer[EventLine]
    receipt: Receipt
    def __init__(self, reservation_key: _Optional[bytes] = ..., lines: _Optional[_Iterable[_Union[EventLine, _Mapping]]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class ReleasedEvent(_message.Message):
    __slots__ = ("reservation_key", "lines", "receipt")
    RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    reservation_key: bytes
    lines: _containers.RepeatedCompositeFieldContainer[EventLine]
    receipt: Receipt
    def __init__(self, reservation_key: _Optional[bytes] = ..., lines: _Optional[_Iterable[_Union[EventLine, _Mapping]]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class ExpiredEvent(_message.Message):
    __slots__ = ("reservation_key",)
    RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    reservation_key: bytes
    def __init__(self, reservation_key: _Optional[bytes] = ...) -> None: ...

class ExtendedEvent(_message.Message):
    __slots__ = ("reservation_key", "expire_time_ns", "receipt")
    RESERVATION_KEY_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    reservation_key: bytes
    expire_time_ns: int
    receipt: Receipt
    def __init__(self, reservation_key: _Optional[bytes] = ..., expire_time_ns: _Optional[int] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class StockChangedEvent(_message.Message):
    __slots__ = ("sku", "on_hand_quantity", "received_quantity", "adjusted_quantity", "reason", "receipt")
    SKU_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    RECEIPT_FIELD_NUMBER: _ClassVar[int]
    sku: str
    on_hand_quantity: int
    received_quantity: int
    adjusted_quantity: int
    reason: _stock_service_pb2.StockReason
    receipt: Receipt
    def __init__(self, sku: _Optional[str] = ..., on_hand_quantity: _Optional[int] = ..., received_quantity: _Optional[int] = ..., adjusted_quantity: _Optional[int] = ..., reason: _Optional[_Union[_stock_service_pb2.StockReason, str]] = ..., receipt: _Optional[_Union[Receipt, _Mapping]] = ...) -> None: ...

class CapSetEvent(_message.Message):
    __slots__ = ("cap", "counts_reset")
    CAP_FIELD_NUMBER: _ClassVar[int]
    COUNTS_RESET_FIELD_NUMBER: _ClassVar[int]
    cap: _cap_service_pb2.Cap
    counts_reset: bool
    def __init__(self, cap: _Optional[_Union[_cap_service_pb2.Cap, _Mapping]] = ..., counts_reset: _Optional[bool] = ...) -> None: ...

class CapRemovedEvent(_message.Message):
    __slots__ = ("cap_id",)
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    def __init__(self, cap_id: _Optional[str] = ...) -> None: ...

class Receipt(_message.Message):
    __slots__ = ("request_key", "fingerprint")
    REQUEST_KEY_FIELD_NUMBER: _ClassVar[int]
    FINGERPRINT_FIELD_NUMBER: _ClassVar[int]
    request_key: bytes
    fingerprint: int
    def __init__(self, request_key: _Optional[bytes] = ..., fingerprint: _Optional[int] = ...) -> None: ...
