"""A load generator: calls of atp.v1 at rates that Python can't reach, every answer checked.

The map: a plan (plan.py) of what is wanted (baskets.py) is run (driving.py), by one process or by
many (many.py), over sockets that are made again when they end (connecting.py); what happened is
counted (result.py) and recorded (recording.py). Knows the wire format and nothing of the server.
"""

from __future__ import annotations

from atp.load._native import TlsRefused, check_tls
from atp.load.baskets import Baskets, Shares, Want, of_wants
from atp.load.connecting import LoadFailed
from atp.load.driving import run
from atp.load.encrypting import Tls, host_of
from atp.load.many import check_processes, run_many
from atp.load.plan import Kind, LoadPlan, Spread, check_curve
from atp.load.result import LoadResult

__all__ = [
    "Baskets",
    "Kind",
    "LoadFailed",
    "LoadPlan",
    "LoadResult",
    "Shares",
    "Spread",
    "Tls",
    "TlsRefused",
    "Want",
    "check_curve",
    "check_processes",
    "check_tls",
    "host_of",
    "of_wants",
    "run",
    "run_many",
]
