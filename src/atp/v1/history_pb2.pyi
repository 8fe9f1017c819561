from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HistoryMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HISTORY_METHOD_UNSPECIFIED: _ClassVar[HistoryMethod]
    HISTORY_METHOD_RESERVE: _ClassVar[HistoryMethod]
    HISTORY_METHOD_COMMIT: _ClassVar[HistoryMethod]
    HISTORY_METHOD_RELEASE: _ClassVar[HistoryMethod]
    HISTORY_METHOD_EXTEND: _ClassVar[HistoryMethod]
    HISTORY_METHOD_GET_RESERVATION: _ClassVar[HistoryMethod]
    HISTORY_METHOD_GET_AVAILABILITY: _ClassVar[HistoryMethod]
    HISTORY_METHOD_EXECUTE: _ClassVar[HistoryMethod]
    HISTORY_METHOD_SET_STOCK: _ClassVar[HistoryMethod]
    HISTORY_METHOD_ADJUST_STOCK: _ClassVar[HistoryMethod]
    HISTORY_METHOD_BATCH_SET_STOCK: _ClassVar[HistoryMethod]
    HISTORY_METHOD_SET_CAP: _ClassVar[HistoryMethod]
    HISTORY_METHOD_REMOVE_CAP: _ClassVar[HistoryMethod]
HISTORY_METHOD_UNSPECIFIED: HistoryMethod
HISTORY_METHOD_RESERVE: HistoryMethod
HISTORY_METHOD_COMMIT: HistoryMethod
HISTORY_METHOD_RELEASE: HistoryMethod
HISTORY_METHOD_EXTEND: HistoryMethod
HISTORY_METHOD_GET_RESERVATION: HistoryMethod
HISTORY_METHOD_GET_AVAILABILITY: HistoryMethod
HISTORY_METHOD_EXECUTE: HistoryMethod
HISTORY_METHOD_SET_STOCK: HistoryMethod
HISTORY_METHOD_ADJUST_STOCK: HistoryMethod
HISTORY_METHOD_BATCH_SET_STOCK: HistoryMethod
HISTORY_METHOD_SET_CAP: HistoryMethod
HISTORY_METHOD_REMOVE_CAP: HistoryMethod

class HistoryEntry(_message.Message):
    __slots__ = ("begun", "sent", "ended", "unsent", "note", "finished")
    BEGUN_FIELD_NUMBER: _ClassVar[int]
    SENT_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    UNSENT_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    FINISHED_FIELD_NUMBER: _ClassVar[int]
    begun: HistoryBegun
    sent: CallSent
    ended: CallEnded
    unsent: CallsUnsent
    note: HistoryNote
    finished: HistoryFinished
    def __init__(self, begun: _Optional[_Union[HistoryBegun, _Mapping]] = ..., sent: _Optional[_Union[CallSent, _Mapping]] = ..., ended: _Optional[_Union[CallEnded, _Mapping]] = ..., unsent: _Optional[_Union[CallsUnsent, _Mapping]] = ..., note: _Optional[_Union[HistoryNote, _Mapping]] = ..., finished: _Optional[_Union[HistoryFinished, _Mapping]] = ...) -> None: ...

class HistoryBegun(_message.Message):
    __slots__ = ("format_version", "clock_name", "time_ns", "wall_time_ns", "recorder", "settings_json")
    FORMAT_VERSION_FIELD_NUMBER: _ClassVar[int]
    CLOCK_NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    WALL_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    RECORDER_FIELD_NUMBER: _ClassVar[int]
    SETTINGS_JSON_FIELD_NUMBER: _ClassVar[int]
    format_version: int
    clock_name: str
    time_ns: int
    wall_time_ns: int
    recorder: str
    settings_json: str
    def __init__(self, format_version: _Optional[int] = ..., clock_name: _Optional[str] = ..., time_ns: _Optional[int] = ..., wall_time_ns: _Optional[int] = ..., recorder: _Optional[str] = ..., settings_json: _Optional[str] = ...) -> None: ...

class CallSent(_message.Message):
    __slots__ = ("number", "time_ns", "method", "request", "due_time_ns")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    REQUEST_FIELD_NUMBER: _ClassVar[int]
    DUE_TIME_NS_FIELD_NUMBER: _ClassVar[int]
    number: int
    time_ns: int
    method: HistoryMethod
    request: bytes
    due_time_ns: int
    def __init__(self, number: _Optional[int] = ..., time_ns: _Optional[int] = ..., method: _Optional[_Union[HistoryMethod, str]] = ..., request: _Optional[bytes] = ..., due_time_ns: _Optional[int] = ...) -> None: ...

class CallEnded(_message.Message):
    __slots__ = ("number", "time_ns", "status", "response", "status_message", "refused_by_server")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    STATUS_MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REFUSED_BY_SERVER_FIELD_NUMBER: _ClassVar[int]
    number: int
    time_ns: int
    status: int
    response: bytes
    status_message: str
    refused_by_server: bool
    def __init__(self, number: _Optional[int] = ..., time_ns: _Optional[int] = ..., status: _Optional[int] = ..., response: _Optional[bytes] = ..., status_message: _Optional[str] = ..., refused_by_server: _Optional[bool] = ...) -> None: ...

class CallsUnsent(_message.Message):
    __slots__ = ("time_ns", "call_count")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    call_count: int
    def __init__(self, time_ns: _Optional[int] = ..., call_count: _Optional[int] = ...) -> None: ...

class HistoryNote(_message.Message):
    __slots__ = ("time_ns", "kind", "text", "duration_ns")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    DURATION_NS_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    kind: str
    text: str
    duration_ns: int
    def __init__(self, time_ns: _Optional[int] = ..., kind: _Optional[str] = ..., text: _Optional[str] = ..., duration_ns: _Optional[int] = ...) -> None: ...

class HistoryFinished(_message.Message):
    __slots__ = ("time_ns", "call_count")
    TIME_NS_FIELD_NUMBER: _ClassVar[int]
    CALL_COUNT_FIELD_NUMBER: _ClassVar[int]
    time_ns: int
    call_count: int
    def __init__(self, time_ns: _Optional[int] = ..., call_count: _Optional[int] = ...) -> None: ...
