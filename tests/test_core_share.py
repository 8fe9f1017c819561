"""How the server's threads share a core: those that serve are quick to get it, those that work
ahead give way.

Once an answer waited 4 ms for the turn of a busy program beside it, with another core idle; and
made room for the journal's next segment in the time of those that serve.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from server_process import ServerProcess, serving, wait_until

SHORT_TURN_NS = 100_000
LOOPS = 2
SERVE = 2 * LOOPS + 1
"""The loops, who stands in for each, and the committer."""
NICE_AHEAD = 5
"""How nice the one is who makes the next segment."""


class Attributes(ctypes.Structure):
    """What sched_getattr(2) tells, in its first version."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


SCHED_SETATTR, SCHED_GETATTR = {"x86_64": (314, 315), "aarch64": (274, 275)}[os.uname().machine]
LIBC = ctypes.CDLL(None, use_errno=True)


def attributes_of(thread: int) -> Attributes:
    told = Attributes()
    size = ctypes.sizeof(told)
    assert LIBC.syscall(SCHED_GETATTR, thread, ctypes.byref(told), size, 0) == 0
    return told


def take_usual_turns() -> None:
    """This thread, and so what it starts: another test may have asked for short ones here."""
    wanted = attributes_of(0)
    wanted.runtime = 0
    assert LIBC.syscall(SCHED_SETATTR, 0, ctypes.byref(wanted), 0) == 0


def places_of(server: ServerProcess) -> tuple[int, int, int]:
    """How many threads serve promptly, work ahead, and run only when a core is idle."""
    threads = threads_of(server)
    own = attributes_of(0)
    return (
        sum(thread.runtime == SHORT_TURN_NS for thread in threads),
        sum(thread.nice != own.nice for thread in threads),
        sum(thread.policy == os.SCHED_IDLE for thread in threads),
    )


def threads_of(server: ServerProcess) -> list[Attributes]:
    tasks = Path(f"/proc/{server.process.pid}/task")
    return [attributes_of(int(task.name)) for task in tasks.iterdir()]


def test_who_serves_is_quick_and_who_works_ahead_gives_way() -> None:
    take_usual_turns()
    own = attributes_of(0)
    knows_turns = own.runtime > 0  # Linux 6.12 and later
    wanted = (SERVE if knows_turns else 0, 1 if own.nice < NICE_AHEAD else 0, 1)
    with serving("--set", f"data_plane.threads={LOOPS}") as server:
        wait_until(lambda: places_of(server) == wanted, "threads as they are meant")
        nicest = max(thread.nice for thread in threads_of(server))
        assert nicest == max(NICE_AHEAD, own.nice)
