# How many lines of holds end soon, for operators. Reads the heaps of expiry.pxd, a stretch at a
# time under one shard's lock, and changes nothing. What moves between two stretches may be counted
# twice or not at all: the numbers are for a view, nothing is decided by them.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.layout cimport Engine, Shard, Sku, at, sku_at
from atp.engine.limits cimport SHARDS
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport prefetch_to_read

cdef enum:
    STRETCH = 16384  # times looked at under one lock: some ten microseconds
    VISIT = 64  # as many times as cost what it costs to look at another SKU
    AHEAD = 8  # SKUs sent for before they are looked at

cdef struct Soon:
    int64_t sooner  # times, both
    int64_t later
    int64_t by_sooner  # lines that end by then
    int64_t by_later


cdef inline void count_times(
    const int64_t* times, uint32_t count, Soon* soon
) noexcept nogil:
    cdef int64_t by_sooner = 0, by_later = 0
    cdef uint32_t i
    for i in range(count):
        by_sooner += times[i] <= soon.sooner
        by_later += times[i] <= soon.later
    soon.by_sooner += by_sooner
    soon.by_later += by_later


cdef inline uint32_t count_lines(
    Engine* engine, Sku* sku, uint32_t line, uint32_t room, Soon* soon
) noexcept nogil:
    # Of one SKU, from this place in its heap on, as many as there is room for; returns how many.
    cdef uint32_t count
    if sku.heap_room == 0:
        count_times(&sku.first_expire, 1, soon)
        return 1
    count = min(sku.heap_count - line, room)
    count_times(<int64_t*>at(engine, sku.heap) + line, count, soon)
    return count


cdef inline void send_for(Engine* engine, Shard* shard, uint32_t place, Soon* soon) noexcept nogil:
    if place < shard.due_count and shard.due_heap[place] <= soon.later:
        prefetch_to_read(sku_at(engine, (<uint32_t*>(shard.due_heap + shard.due_room))[place]))


cdef inline bint count_stretch(
    Engine* engine, Shard* shard, uint32_t* place, uint32_t* line, Soon* soon
) noexcept nogil:
    # Goes on where the last stretch of this shard ended; False when there is no more.
    cdef uint32_t looked = 0
    cdef Sku* sku
    while place[0] < shard.due_count:
        if looked >= STRETCH:
            return True
        looked += 1
        send_for(engine, shard, place[0] + AHEAD, soon)
        if shard.due_heap[place[0]] <= soon.later:
            looked += VISIT
            sku = sku_at(engine, (<uint32_t*>(shard.due_heap + shard.due_room))[place[0]])
            if line[0] < sku.heap_count:
                looked += count_lines(engine, sku, line[0], STRETCH, soon)
                line[0] += STRETCH
                if sku.heap_room and line[0] < sku.heap_count:
                    continue
        line[0] = 0
        place[0] += 1
    return False


cdef inline void count_soon(Engine* engine, Soon* soon) noexcept nogil:
    cdef Shard* shard
    cdef uint32_t place, line, i
    cdef bint is_more
    for i in range(SHARDS):
        shard = engine.shard(i)
        place = 0
        line = 0
        is_more = True
        while is_more:
            lock(engine, <uint64_t>1 << i)
            is_more = count_stretch(engine, shard, &place, &line, soon)
            unlock(engine, <uint64_t>1 << i)
