"""Messages of `atp.v1` as JSON for scripts: the names of the protos, every field always there.

Like protobuf's own JSON but for three things: 64-bit numbers are numbers, what is unset is null
instead of absent, so that a script can rely on every name, and bytes are what people write for
them: addresses as such, keys in hexadecimal, as reservations are named everywhere.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def as_object(message: Message) -> dict[str, Any]:
    """One message: enums by name, times as RFC 3339 text, durations as seconds with an s."""
    fields: Sequence[Any] = message.DESCRIPTOR.fields
    return {field.name: _field(message, field) for field in fields}


def as_line(value: Message | dict[str, Any]) -> str:
    """One line of JSON."""
    return json.dumps(as_object(value) if isinstance(value, Message) else value)


def _field(message: Message, field: FieldDescriptor) -> Any:
    value = getattr(message, field.name)
    if field.is_repeated:
        return [_value(field, each) for each in value]
    if field.has_presence and not message.HasField(field.name):
        return None
    return _value(field, value)


def _value(field: FieldDescriptor, value: Any) -> Any:
    if isinstance(value, Timestamp | Duration):
        return value.ToJsonString()
    if isinstance(value, Message):
        return as_object(value)
    if isinstance(value, bytes):
        is_address = field.name == "client_ip" and value
        return str(ipaddress.ip_address(value)) if is_address else value.hex()
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return value
