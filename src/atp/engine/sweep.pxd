# Law 9: from `expire_time` on the units are sellable, however late a sweep is. Whoever judges or
# reads anything at `t` enters through here, and everything due by `t` has expired before. Owns
# the engine's time, the earliest due time, and expiring in order.
#
# `shard_due` is never later than the first due time of its shard, and `due.next` never later than
# any of them. Both are lowered whenever a shard's first due time is (expiry.pxd, note_shard_due),
# and raised only here, by one sweeper at a time: so that a hold that is sold before its time writes
# to neither. A shard's is raised under its lock. For all of them `pending` starts over at never, is
# lowered by the scan of all shards and by everyone else meanwhile, and is copied to `next` until it
# holds still, so that no lowering is lost between scan and copy.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.ending cimport expire_hold, whole_mask
from atp.engine.events cimport promise_expiry
from atp.engine.expiry cimport open_due
from atp.engine.heaps cimport Heap
from atp.engine.layout cimport Engine, Record, Shard, line_at, record_of, sku_at
from atp.engine.limits cimport NEVER, SHARDS
from atp.engine.line_queue cimport first_line_of
from atp.engine.locks cimport lock, lock_more, unlock
from atp.engine.native cimport count_trailing_zeros, load, lower_to, raise_to, store


cdef inline Record* first_due(Engine* engine, Shard* shard, int64_t by) noexcept nogil:
    # The hold of this shard's first line, if that is due by then. The shard is locked.
    cdef Heap due = open_due(shard)
    if due.count == 0 or due.times[0] > by:
        return NULL
    return record_of(line_at(engine, first_line_of(engine, sku_at(engine, due.members[0]))))


cdef inline void settle_due(Engine* engine, uint64_t mask) noexcept nogil:
    # Says of shards, which are locked, when their first line is due.
    cdef Shard* shard
    while mask:
        shard = engine.shard(count_trailing_zeros(mask))
        store(&engine.shard_due[shard.number], shard.due_heap[0] if shard.due_count else NEVER)
        mask &= mask - 1


cdef inline bint expire_first(
    Engine* engine, Shard* shard, int64_t by, int64_t now
) noexcept nogil:
    # Expires the shard's first hold if it is due by then, the time that the shard was said to have
    # something due: a later one may have to wait for other shards' holds.
    cdef uint64_t mask = <uint64_t>1 << shard.number
    cdef Record* record
    cdef uint64_t wanted
    lock(engine, mask)
    while True:
        record = first_due(engine, shard, by)
        wanted = mask if record == NULL else whole_mask(engine, record)
        if wanted & ~mask == 0:
            break
        if not lock_more(engine, mask, wanted):
            lock(engine, mask | wanted)
        mask |= wanted
    if record != NULL:
        promise_expiry(engine)
        expire_hold(engine, record, now)
    settle_due(engine, mask)
    unlock(engine, mask)
    return record != NULL


cdef inline int64_t first_due_time(Engine* engine, uint32_t* shard) noexcept nogil:
    cdef int64_t first = NEVER
    cdef int64_t due
    cdef uint32_t i
    for i in range(SHARDS):
        due = load(&engine.shard_due[i])
        if due < first:
            first = due
            shard[0] = i
    return first


cdef inline int64_t expire_due(Engine* engine, int64_t now) noexcept nogil:
    # Expires all that is due by `now`, earliest first; returns how many. No shard is locked by
    # the caller.
    cdef int64_t expired = 0
    cdef int64_t first
    cdef uint32_t shard = 0
    engine.due.sweeping.take()
    while True:
        first = first_due_time(engine, &shard)
        if first > now:
            break
        expired += expire_first(engine, engine.shard(shard), first, now)
    store(&engine.due.pending, NEVER)
    lower_to(&engine.due.pending, first_due_time(engine, &shard))
    while True:
        first = load(&engine.due.pending)
        store(&engine.due.next, first)
        if load(&engine.due.pending) == first:
            break
    engine.due.sweeping.give()
    return expired


cdef inline int64_t enter(Engine* engine, int64_t now, uint64_t mask) noexcept nogil:
    # Locks the shards and returns the engine's time, by which nothing is due any more.
    cdef int64_t time
    raise_to(&engine.time, now)
    while True:
        lock(engine, mask)
        time = load(&engine.time)
        if load(&engine.due.next) > time:
            return time
        unlock(engine, mask)
        expire_due(engine, time)
