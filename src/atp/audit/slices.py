"""The entries of history and journal that show a finding, as lines for people.

Owns decoding what the native half points at, and putting it in an order that can be read: the
changes by their sequence, the commands by their times.
"""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import text_format
from google.protobuf.message import DecodeError, Message

from atp.audit._native import NativeAudit
from atp.v1 import (
    cap_service_pb2,
    event_pb2,
    history_pb2,
    reservation_pb2,
    stock_service_pb2,
)

TEXT_CHARACTERS_MAX = 1_000
_RESERVATION_METHODS = ("Reserve", "Commit", "Release", "Extend", "GetReservation")
_MESSAGES: dict[int, tuple[str, type[Message], type[Message]]] = {}
for _module, _names in (
    (reservation_pb2, (*_RESERVATION_METHODS, "GetAvailability")),
    (stock_service_pb2, ("SetStock", "AdjustStock")),
    (cap_service_pb2, ("SetCap", "RemoveCap")),
):
    for _name in _names:
        _word = "".join(f"_{letter}" if letter.isupper() else letter for letter in _name).upper()
        _MESSAGES[history_pb2.HistoryMethod.Value(f"HISTORY_METHOD{_word}")] = (
            _name,
            getattr(_module, f"{_name}Request"),
            getattr(_module, f"{_name}Response"),
        )


def slice_of(
    native: NativeAudit, files: list[str], changes: list[int], commands: list[int]
) -> tuple[str, ...]:
    """The lines of one finding; `files` are the names of the history's files."""
    told = [_change(native, sequence) for sequence in sorted(changes)]
    asked = sorted((native.command(number)[4], number) for number in set(commands))
    first = asked[0][0] if asked else 0
    for _, number in asked:
        told += _command(native, files, number, first)
    return tuple(told)


def _change(native: NativeAudit, sequence: int) -> str:
    body = native.event(sequence)
    if body is None:
        return f"change {sequence}: not in the journal"
    return f"change {sequence}: {_shown(event_pb2.Event, body)}"


def _command(native: NativeAudit, files: list[str], number: int, first: int) -> Iterator[str]:
    file, call, place, method, sent, ended, status, request, response = native.command(number)
    name, asked, told = _MESSAGES[method]
    batch = f", command {place} of its batch" if place else ""
    where = f"{name}, call {call} of {files[file]}{batch}"
    yield f"{where}: sent at +{(sent - first) / 1e6:.3f} ms: {_shown(asked, request)}"
    if ended is None or response is None:
        yield f"{where}: no answer that says what was done"
    elif status:
        yield f"{where}: ended at +{(ended - first) / 1e6:.3f} ms with status {status}"
    else:
        yield f"{where}: answered at +{(ended - first) / 1e6:.3f} ms: {_shown(told, response)}"


def _shown(kind: type[Message], body: bytes) -> str:
    try:
        message = kind.FromString(body)
    except DecodeError as error:
        return f"no {kind.__name__}: {error}"
    text = text_format.MessageToString(message, as_one_line=True, as_utf8=True)
    if len(text) > TEXT_CHARACTERS_MAX:
        text = f"{text[:TEXT_CHARACTERS_MAX]}... ({len(text):,} characters)"
    return text
