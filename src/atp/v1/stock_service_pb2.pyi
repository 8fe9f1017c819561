import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class StockReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOCK_REASON_UNSPECIFIED: _ClassVar[StockReason]
    STOCK_REASON_RECEIVED: _ClassVar[StockReason]
    STOCK_REASON_RETURNED: _ClassVar[StockReason]
    STOCK_REASON_COUNTED: _ClassVar[StockReason]
    STOCK_REASON_WRITTEN_OFF: _ClassVar[StockReason]

class StockOutcome(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOCK_OUTCOME_UNSPECIFIED: _ClassVar[StockOutcome]
    STOCK_OUTCOME_DONE: _ClassVar[StockOutcome]
    STOCK_OUTCOME_REQUEST_ID_REUSED: _ClassVar[StockOutcome]
    STOCK_OUTCOME_SKU_UNKNOWN: _ClassVar[StockOutcome]
    STOCK_OUTCOME_ON_HAND_CHANGED: _ClassVar[StockOutcome]
    STOCK_OUTCOME_BELOW_HELD: _ClassVar[StockOutcome]
    STOCK_OUTCOME_OUT_OF_RANGE: _ClassVar[StockOutcome]
    STOCK_OUTCOME_LIMIT_REACHED: _ClassVar[StockOutcome]
STOCK_REASON_UNSPECIFIED: StockReason
STOCK_REASON_RECEIVED: StockReason
STOCK_REASON_RETURNED: StockReason
STOCK_REASON_COUNTED: StockReason
STOCK_REASON_WRITTEN_OFF: StockReason
STOCK_OUTCOME_UNSPECIFIED: StockOutcome
STOCK_OUTCOME_DONE: StockOutcome
STOCK_OUTCOME_REQUEST_ID_REUSED: StockOutcome
STOCK_OUTCOME_SKU_UNKNOWN: StockOutcome
STOCK_OUTCOME_ON_HAND_CHANGED: StockOutcome
STOCK_OUTCOME_BELOW_HELD: StockOutcome
STOCK_OUTCOME_OUT_OF_RANGE: StockOutcome
STOCK_OUTCOME_LIMIT_REACHED: StockOutcome

class Stock(_message.Message):
    __slots__ = ("sku", "on_hand_quantity", "held_quantity", "available_quantity", "sold_quantity", "received_quantity", "adjusted_quantity", "first_expire_time", "sequence")
    SKU_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    HELD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    AVAILABLE_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    SOLD_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    ADJUSTED_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    FIRST_EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sku: str
    on_hand_quantity: int
    held_quantity: int
    available_quantity: int
    sold_quantity: int
    received_quantity: int
    adjusted_quantity: int
    first_expire_time: _timestamp_pb2.Timestamp
    sequence: int
    def __init__(self, sku: _Optional[str] = ..., on_hand_quantity: _Optional[int] = ..., held_quantity: _Optional[int] = ..., available_quantity: _Optional[int] = ..., sold_quantity: _Optional[int] = ..., received_quantity: _Optional[int] = ..., adjusted_quantity: _Optional[int] = ..., first_expire_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class SetStockRequest(_message.Message):
    __slots__ = ("sku", "on_hand_quantity", "expected_on_hand_quantity")
    SKU_FIELD_NUMBER: _ClassVar[int]
    ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_ON_HAND_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    sku: str
    on_hand_quantity: int
    expected_on_hand_quantity: int
    def __init__(self, sku: _Optional[str] = ..., on_hand_quantity: _Optional[int] = ..., expected_on_hand_quantity: _Optional[int] = ...) -> None: ...

class SetStockResponse(_message.Message):
    __slots__ = ("outcome", "stock", "sequence", "repeated", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: StockOutcome
    stock: Stock
    sequence: int
    repeated: bool
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[StockOutcome, str]] = ..., stock: _Optional[_Union[Stock, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., limit_name: _Optional[str] = ...) -> None: ...

class AdjustStockRequest(_message.Message):
    __slots__ = ("request_id", "sku", "delta_quantity", "reason")
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SKU_FIELD_NUMBER: _ClassVar[int]
    DELTA_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    request_id: str
    sku: str
    delta_quantity: int
    reason: StockReason
    def __init__(self, request_id: _Optional[str] = ..., sku: _Optional[str] = ..., delta_quantity: _Optional[int] = ..., reason: _Optional[_Union[StockReason, str]] = ...) -> None: ...

class AdjustStockResponse(_message.Message):
    __slots__ = ("outcome", "stock", "sequence", "repeated", "limit_name")
    OUTCOME_FIELD_NUMBER: _ClassVar[int]
    STOCK_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    REPEATED_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    outcome: StockOutcome
    stock: Stock
    sequence: int
    repeated: bool
    limit_name: str
    def __init__(self, outcome: _Optional[_Union[StockOutcome, str]] = ..., stock: _Optional[_Union[Stock, _Mapping]] = ..., sequence: _Optional[int] = ..., repeated: _Optional[bool] = ..., limit_name: _Optional[str] = ...) -> None: ...

class BatchSetStockRequest(_message.Message):
    __slots__ = ("requests",)
    REQUESTS_FIELD_NUMBER: _ClassVar[int]
    requests: _containers.RepeatedCompositeFieldContainer[SetStockRequest]
    def __init__(self, requests: _Optional[_Iterable[_Union[SetStockRequest, _Mapping]]] = ...) -> None: ...

class BatchSetStockResponse(_message.Message):
    __slots__ = ("responses",)
    RESPONSES_FIELD_NUMBER: _ClassVar[int]
    responses: _containers.RepeatedCompositeFieldContainer[SetStockResponse]
    def __init__(self, responses: _Optional[_Iterable[_Union[SetStockResponse, _Mapping]]] = ...) -> None: ...

class GetStockRequest(_message.Message):
    __slots__ = ("sku",)
    SKU_FIELD_NUMBER: _ClassVar[int]
    sku: str
    def __init__(self, sku: _Optional[str] = ...) -> None: ...

class GetStockResponse(_message.Message):
    __slots__ = ("stock",)
    STOCK_FIELD_NUMBER: _ClassVar[int]
    stock: Stock
    def __init__(self, stock: _Optional[_Union[Stock, _Mapping]] = ...) -> None: ...

class ListStockRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListStockResponse(_message.Message):
    __slots__ = ("stocks", "next_page_token")
    STOCKS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    stocks: _containers.RepeatedCompositeFieldContainer[Stock]
    next_page_token: str
    def __init__(self, stocks: _Optional[_Iterable[_Union[Stock, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
