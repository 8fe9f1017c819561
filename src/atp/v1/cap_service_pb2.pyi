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

class CapSubject(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAP_SUBJECT_UNSPECIFIED: _ClassVar[CapSubject]
    CAP_SUBJECT_IP: _ClassVar[CapSubject]
    CAP_SUBJECT_SUBNET: _ClassVar[CapSubject]
    CAP_SUBJECT_CUSTOMER: _ClassVar[CapSubject]
    CAP_SUBJECT_RESERVATION: _ClassVar[CapSubject]
    CAP_SUBJECT_EVERYONE: _ClassVar[CapSubject]

class CapMode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CAP_MODE_UNSPECIFIED: _ClassVar[CapMode]
    CAP_MODE_ENFORCE: _ClassVar[CapMode]
    CAP_MODE_SHADOW: _ClassVar[CapMode]
    CAP_MODE_OFF: _ClassVar[CapMode]
CAP_SUBJECT_UNSPECIFIED: CapSubject
CAP_SUBJECT_IP: CapSubject
CAP_SUBJECT_SUBNET: CapSubject
CAP_SUBJECT_CUSTOMER: CapSubject
CAP_SUBJECT_RESERVATION: CapSubject
CAP_SUBJECT_EVERYONE: CapSubject
CAP_MODE_UNSPECIFIED: CapMode
CAP_MODE_ENFORCE: CapMode
CAP_MODE_SHADOW: CapMode
CAP_MODE_OFF: CapMode

class Cap(_message.Message):
    __slots__ = ("cap_id", "subject", "ipv4_prefix_length", "ipv6_prefix_length", "skus", "per_sku", "limit_quantity", "window", "mode", "overrides", "etag", "update_time", "refused_count", "shadow_refused_count")
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    IPV4_PREFIX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    IPV6_PREFIX_LENGTH_FIELD_NUMBER: _ClassVar[int]
    SKUS_FIELD_NUMBER: _ClassVar[int]
    PER_SKU_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    OVERRIDES_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    SHADOW_REFUSED_COUNT_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    subject: CapSubject
    ipv4_prefix_length: int
    ipv6_prefix_length: int
    skus: _containers.RepeatedScalarFieldContainer[str]
    per_sku: bool
    limit_quantity: int
    window: _duration_pb2.Duration
    mode: CapMode
    overrides: _containers.RepeatedCompositeFieldContainer[CapOverride]
    etag: str
    update_time: _timestamp_pb2.Timestamp
    refused_count: int
    shadow_refused_count: int
    def __init__(self, cap_id: _Optional[str] = ..., subject: _Optional[_Union[CapSubject, str]] = ..., ipv4_prefix_length: _Optional[int] = ..., ipv6_prefix_length: _Optional[int] = ..., skus: _Optional[_Iterable[str]] = ..., per_sku: _Optional[bool] = ..., limit_quantity: _Optional[int] = ..., window: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., mode: _Optional[_Union[CapMode, str]] = ..., overrides: _Optional[_Iterable[_Union[CapOverride, _Mapping]]] = ..., etag: _Optional[str] = ..., update_time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., refused_count: _Optional[int] = ..., shadow_refused_count: _Optional[int] = ...) -> None: ...

class CapOverride(_message.Message):
    __slots__ = ("subject", "limit_quantity")
    SUBJECT_FIELD_NUMBER: _ClassVar[int]
    LIMIT_QUANTITY_FIELD_NUMBER: _ClassVar[int]
    subject: str
    limit_quantity: int
    def __init__(self, subject: _Optional[str] = ..., limit_quantity: _Optional[int] = ...) -> None: ...

class SetCapRequest(_message.Message):
    __slots__ = ("cap",)
    CAP_FIELD_NUMBER: _ClassVar[int]
    cap: Cap
    def __init__(self, cap: _Optional[_Union[Cap, _Mapping]] = ...) -> None: ...

class SetCapResponse(_message.Message):
    __slots__ = ("cap", "sequence")
    CAP_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    cap: Cap
    sequence: int
    def __init__(self, cap: _Optional[_Union[Cap, _Mapping]] = ..., sequence: _Optional[int] = ...) -> None: ...

class GetCapRequest(_message.Message):
    __slots__ = ("cap_id",)
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    def __init__(self, cap_id: _Optional[str] = ...) -> None: ...

class GetCapResponse(_message.Message):
    __slots__ = ("cap",)
    CAP_FIELD_NUMBER: _ClassVar[int]
    cap: Cap
    def __init__(self, cap: _Optional[_Union[Cap, _Mapping]] = ...) -> None: ...

class ListCapsRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListCapsResponse(_message.Message):
    __slots__ = ("caps", "next_page_token")
    CAPS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    caps: _containers.RepeatedCompositeFieldContainer[Cap]
    next_page_token: str
    def __init__(self, caps: _Optional[_Iterable[_Union[Cap, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class RemoveCapRequest(_message.Message):
    __slots__ = ("cap_id", "etag")
    CAP_ID_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    cap_id: str
    etag: str
    def __init__(self, cap_id: _Optional[str] = ..., etag: _Optional[str] = ...) -> None: ...

class RemoveCapResponse(_message.Message):
    __slots__ = ("sequence",)
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    def __init__(self, sequence: _Optional[int] = ...) -> None: ...
