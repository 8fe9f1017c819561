"""What goes wrong with a call, as exceptions.

Owns two families that are never mixed. `AtpError`: the call could not be judged (malformed, not
reached, too late). `Refused`, `ChangeRefused`, `HoldLost`: the call was judged and refused, raised
by holds alone; the client's own methods return a refusal as a reply. Knows nothing of channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from atp.vocabulary import ChangeReply, ReserveReply

ERROR_DOMAIN = "atp"
_DETAILS_KEY = "grpc-status-details-bin"


class AtpError(Exception):
    """A call that could not be judged.

    `code` is the gRPC status, `reason` the machine-readable cause (empty if the server gave none),
    `metadata` what the cause is about. `answered` is True when an atp server said so itself, which
    promises that nothing was changed; when it is False the call may or may not have been done, and
    repeating it with `request_id` (empty for calls without one) tells which. `address` and `method`
    say which server and which call; `retry_delay_s` how long the server asks to wait, if it does.
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_delay_s: float | None = None,
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.metadata: Mapping[str, str] = dict(metadata or {})
        self.retry_delay_s = retry_delay_s
        self.answered = answered
        self.address = ""
        self.method = ""
        self.request_id = ""

    def __str__(self) -> str:
        where = f" [{self.method} at {self.address}]" if self.address else ""
        return f"{self.reason or self.code.name}: {self.message}{where}"


class InvalidArgument(AtpError):
    """A field is malformed or over its bound. `field` is its path in the request."""

    @property
    def field(self) -> str:
        """The path of the malformed field in the request, such as `lines[0].quantity`."""
        return self.metadata.get("field", "")

    @classmethod
    def before_sending(cls, field: str, what: str) -> InvalidArgument:
        """An argument that cannot even be put into a request."""
        return cls(
            f"{field}: {what}",
            code=grpc.StatusCode.INVALID_ARGUMENT,
            reason="FIELD_INVALID",
            metadata={"field": field},
            answered=True,
        )


class NotFound(AtpError):
    """There is nothing of that name."""


class Aborted(AtpError):
    """It has changed since it was read: the etag is stale. Read it again first."""


class ResourceExhausted(AtpError):
    """A bound is reached. `limit_name` says which, if the server named it."""

    @property
    def limit_name(self) -> str:
        """The name of the bound, as `atp status` lists it."""
        return self.metadata.get("limit_name", "")


class OutOfRange(AtpError):
    """A feed can't begin there: those changes are gone, or lie in the future."""

    @property
    def resume_sequence(self) -> int:
        """The nearest sequence that it can begin with."""
        named = self.metadata.get("first_sequence") or self.metadata.get("resume_sequence")
        return int(named or 0)


class Unavailable(AtpError):
    """No server was reached, or the server cannot take the call now."""


class DeadlineExceeded(AtpError):
    """No answer came in time. The call may or may not have been done."""


class PermissionDenied(AtpError):
    """The caller may not make this call."""


class Unauthenticated(AtpError):
    """The server does not know who is calling."""


class ReplyUnknown(AtpError):
    """The server's answer has a meaning that this version of the client does not know."""

    @classmethod
    def about(cls, what: str) -> ReplyUnknown:
        """An answer that cannot be understood; the call was judged."""
        return cls(what, code=grpc.StatusCode.UNKNOWN, reason="REPLY_UNKNOWN")


_BY_CODE: Mapping[grpc.StatusCode, type[AtpError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ABORTED: Aborted,
    grpc.StatusCode.RESOURCE_EXHAUSTED: ResourceExhausted,
    grpc.StatusCode.OUT_OF_RANGE: OutOfRange,
    grpc.StatusCode.UNAVAILABLE: Unavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
}


class Refused(Exception):
    """A hold that was asked for and not granted; `reply` says why and what could be had instead."""

    def __init__(self, reply: ReserveReply) -> None:
        super().__init__(f"the hold was refused: {reply.outcome.name}")
        self.reply = reply


class ChangeRefused(Exception):
    """A change of a hold that was refused; `reply` says why. The hold is as it was before."""

    def __init__(self, reply: ChangeReply) -> None:
        super().__init__(f"the change of the hold was refused: {reply.outcome.name}")
        self.reply = reply


class HoldLost(ChangeRefused):
    """The hold has ended and not by this caller: it expired, was replaced, or is forgotten.

    Its units may be sold to others by now: whatever depends on them must be undone.
    """


def from_rpc_error(error: grpc.RpcError | grpc.aio.AioRpcError) -> AtpError:
    """Translates what grpcio raises, reading google.rpc details if the server sent any."""
    # grpcio raises objects that are both an RpcError and a Call; its types do not say so.
    call: Any = error
    code: grpc.StatusCode = call.code()
    message: str = call.details() or code.name
    metadata: dict[str, str] = {}
    reason, retry_delay_s, answered = "", None, False
    for detail in _details(call.trailing_metadata()):
        if isinstance(detail, error_details_pb2.ErrorInfo) and detail.domain == ERROR_DOMAIN:
            reason, answered = detail.reason, True
            metadata |= dict(detail.metadata)
        elif isinstance(detail, error_details_pb2.BadRequest) and detail.field_violations:
            metadata.setdefault("field", detail.field_violations[0].field)
        elif isinstance(detail, error_details_pb2.RetryInfo):
            retry_delay_s = detail.retry_delay.seconds + detail.retry_delay.nanos / 1e9
    return error_of_code(
        code,
        message,
        reason=reason,
        metadata=metadata,
        retry_delay_s=retry_delay_s,
        answered=answered,
    )


def error_of_code(code: grpc.StatusCode, message: str, **told: Any) -> AtpError:
    """The error of the class that goes with a gRPC status; `told` as AtpError takes it."""
    return _BY_CODE.get(code, AtpError)(message, code=code, **told)


_DETAIL_TYPES = (
    error_details_pb2.ErrorInfo,
    error_details_pb2.BadRequest,
    error_details_pb2.RetryInfo,
)


def _details(trailing_metadata: Any) -> list[Any]:
    """The google.rpc details in a call's trailing metadata; those of other types are left out."""
    for key, value in trailing_metadata or ():
        if key == _DETAILS_KEY:
            try:
                packed = status_pb2.Status.FromString(value).details
                return [
                    detail
                    for any_ in packed
                    for detail in (kind() for kind in _DETAIL_TYPES)
                    if any_.Unpack(detail)
                ]
            except DecodeError:  # not ours, so it tells nothing
                return []
    return []
