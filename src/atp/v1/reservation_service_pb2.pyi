import datetime

from atp.v1 import reservation_pb2 as _reservation_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ExecuteRequest(_message.Message):
    __slots__ = ("commands", "brief")
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    BRIEF_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[Command]
    brief: bool
    def __init__(self, commands: _Optional[_Iterable[_Union[Command, _Mapping]]] = ..., brief: _Optional[bool] = ...) -> None: ...

class Command(_message.Message):
    __slots__ = ("reserve", "commit", "release", "extend")
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    reserve: _reservation_pb2.ReserveRequest
    commit: _reservation_pb2.CommitRequest
    release: _reservation_pb2.ReleaseRequest
    extend: _reservation_pb2.ExtendRequest
    def __init__(self, reserve: _Optional[_Union[_reservation_pb2.ReserveRequest, _Mapping]] = ..., commit: _Optional[_Union[_reservation_pb2.CommitRequest, _Mapping]] = ..., release: _Optional[_Union[_reservation_pb2.ReleaseRequest, _Mapping]] = ..., extend: _Optional[_Union[_reservation_pb2.ExtendRequest, _Mapping]] = ...) -> None: ...

class ExecuteResponse(_message.Message):
    __slots__ = ("results",)
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[CommandResult]
    def __init__(self, results: _Optional[_Iterable[_Union[CommandResult, _Mapping]]] = ...) -> None: ...

class CommandResult(_message.Message):
    __slots__ = ("reserve", "commit", "release", "extend", "error")
    RESERVE_FIELD_NUMBER: _ClassVar[int]
    COMMIT_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    EXTEND_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    reserve: _reservation_pb2.ReserveResponse
    commit: _reservation_pb2.CommitResponse
    release: _reservation_pb2.ReleaseResponse
    extend: _reservation_pb2.ExtendResponse
    error: CommandError
    def __init__(self, reserve: _Optional[_Union[_reservation_pb2.ReserveResponse, _Mapping]] = ..., commit: _Optional[_Union[_reservation_pb2.CommitResponse, _Mapping]] = ..., release: _Optional[_Union[_reservation_pb2.ReleaseResponse, _Mapping]] = ..., extend: _Optional[_Union[_reservation_pb2.ExtendResponse, _Mapping]] = ..., error: _Optional[_Union[CommandError, _Mapping]] = ...) -> None: ...

class CommandError(_message.Message):
    __slots__ = ("code", "reason", "message", "field", "limit_name", "retry_delay")
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    LIMIT_NAME_FIELD_NUMBER: _ClassVar[int]
    RETRY_DELAY_FIELD_NUMBER: _ClassVar[int]
    code: int
    reason: str
    message: str
    field: str
    limit_name: str
    retry_delay: _duration_pb2.Duration
    def __init__(self, code: _Optional[int] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., field: _Optional[str] = ..., limit_name: _Optional[str] = ..., retry_delay: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
