# What may still change while the journal is short of room or behind: whoever remembers says so, and
# a change asks here before it takes anything. Owns the levels. Expiries pass: the clock can't be
# refused.
from libc.stdint cimport int64_t

from atp.engine.layout cimport Engine
from atp.engine.native cimport load
from atp.engine.words cimport LIMIT_JOURNAL_BACKLOG, LIMIT_JOURNAL_SPACE, LIMIT_NONE

cdef enum Gate:
    GATE_OPEN = 0
    GATE_NEW_HOLDS = 1  # closed to new holds and to what operators change
    GATE_ALL = 2  # closed to every change
    GATE_BEHIND = 3  # closed to every change: more waits to be written than is allowed


cdef inline int in_the_way(Engine* engine, bint ends_a_hold) noexcept nogil:
    # The limit that stands in the way of a change, or LIMIT_NONE.
    cdef int64_t gate = load(&engine.gate)
    if gate == GATE_OPEN or (gate == GATE_NEW_HOLDS and ends_a_hold):
        return LIMIT_NONE
    return LIMIT_JOURNAL_BACKLOG if gate == GATE_BEHIND else LIMIT_JOURNAL_SPACE
