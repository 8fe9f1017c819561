"""How many files this process may have open, and so how many connections it takes.

Owns raising the system's bound as far as it may, and the share of it that connections get: whoever
connects once too often must not take the file that the journal needs next. Closes nothing.
"""

from __future__ import annotations

import os
import resource

from atp.server import log_events, logs
from atp.settings import Settings

KEPT = 64
"""For journal, snapshots, certificates and Python itself."""
KEPT_PER_THREAD = 8
DATA_PLANE = "data_plane"


def make_room(settings: Settings) -> None:
    """Raises the bound to what server.connections_max needs, or as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _wanted(settings)
    if resource.RLIM_INFINITY != soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def tell_if_few(settings: Settings) -> None:
    """Logs where the data plane takes fewer connections than it is set to."""
    most = connections_most(settings, DATA_PLANE)
    if most < settings.integer("server.connections_max"):
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        logs.tell(log_events.OPEN_FILES_FEW, files=files, most=most, wanted=_wanted(settings))


def connections_most(settings: Settings, plane: str) -> int:
    """How many connections a plane may have: server.connections_max, or what files there are.

    Where they don't do, three quarters of them are the data plane's.
    """
    configured = settings.integer("server.connections_max")
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return configured
    free = max(2, files - _kept(settings))
    data = min(configured, free - min(configured, free // 4))
    return data if plane == DATA_PLANE else min(configured, free - data)


def _wanted(settings: Settings) -> int:
    return 2 * settings.integer("server.connections_max") + _kept(settings)


def _kept(settings: Settings) -> int:
    threads = settings.integer("data_plane.threads") or os.cpu_count() or 1
    return KEPT + KEPT_PER_THREAD * threads
