"""Caps as events tell of them: from atp.v1.Cap to the words of the engine.

Owns the translation and nothing else: whether the cap is well-formed is for the engine to say.
"""

from __future__ import annotations

from google.protobuf.message import DecodeError

from atp.v1.cap_service_pb2 import Cap as CapMessage
from atp.vocabulary import Cap, CapMode, CapOverride, CapSubject

NS_IN_SECOND = 1_000_000_000


def cap_of(encoded: bytes) -> Cap:
    """The cap that an encoded atp.v1.Cap defines. Raises ValueError for what is none."""
    try:
        message = CapMessage.FromString(encoded)
    except DecodeError as error:
        raise ValueError("has a cap that is no protobuf message") from error
    window_ns = None
    if message.HasField("window"):
        window_ns = message.window.seconds * NS_IN_SECOND + message.window.nanos
    return Cap(
        cap_id=message.cap_id,
        subject=CapSubject(message.subject),
        limit=message.limit_quantity if message.HasField("limit_quantity") else None,
        skus=tuple(message.skus),
        per_sku=message.per_sku,
        window_ns=window_ns,
        mode=CapMode(message.mode),
        overrides=tuple(
            CapOverride(one.subject, one.limit_quantity if one.HasField("limit_quantity") else None)
            for one in message.overrides
        ),
        ipv4_prefix_length=message.ipv4_prefix_length,
        ipv6_prefix_length=message.ipv6_prefix_length,
    )
