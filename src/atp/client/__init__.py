"""The Python client: what a checkout imports.

`Client` blocks, `AsyncClient` awaits; both offer the same calls. The map, downward:

    sync.py, aio.py   the two clients: channels and the loop of attempts
    hold.py           a hold as a context manager
    retry.py          when a call is tried again, and after how long
    data_calls.py     what a checkout asks        control_calls.py   what operators ask
    batches.py        many commands in one call
    feed.py           a watch of the change feed  changes.py         what a feed tells of
    call.py           one logical call, before it is sent
    convert.py        the messages of atp.v1 as vocabulary
    channel.py        addresses, TLS, knobs       errors.py          what goes wrong
    replies.py        answers only a server gives clock.py           time, delay, chance
"""

from atp.client.aio import AsyncClient
from atp.client.changes import Change
from atp.client.channel import (
    DEFAULT_CONTROL_ADDRESS,
    DEFAULT_DATA_ADDRESS,
    ChannelOptions,
    Tls,
)
from atp.client.clock import Clock
from atp.client.errors import (
    Aborted,
    AtpError,
    ChangeRefused,
    DeadlineExceeded,
    HoldLost,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    Refused,
    ReplyUnknown,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
)
from atp.client.hold import AsyncHold, Hold
from atp.client.replies import (
    Availability,
    CapChange,
    CapPage,
    JournalStatus,
    OutcomeCount,
    Recovery,
    ServerStatus,
    Setting,
    Snapshot,
    StockPage,
)
from atp.client.retry import RetryPolicy
from atp.client.sync import Client

__all__ = [
    "DEFAULT_CONTROL_ADDRESS",
    "DEFAULT_DATA_ADDRESS",
    "Aborted",
    "AsyncClient",
    "AsyncHold",
    "AtpError",
    "Availability",
    "CapChange",
    "CapPage",
    "Change",
    "ChangeRefused",
    "ChannelOptions",
    "Client",
    "Clock",
    "DeadlineExceeded",
    "Hold",
    "HoldLost",
    "InvalidArgument",
    "JournalStatus",
    "NotFound",
    "OutOfRange",
    "OutcomeCount",
    "PermissionDenied",
    "Recovery",
    "Refused",
    "ReplyUnknown",
    "ResourceExhausted",
    "RetryPolicy",
    "ServerStatus",
    "Setting",
    "Snapshot",
    "StockPage",
    "Tls",
    "Unauthenticated",
    "Unavailable",
]
