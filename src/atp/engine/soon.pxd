# How many lines of holds end soon, for operators. Reads what line_queue.pxd keeps, a stretch at a
# time under one shard's lock, and changes nothing. What moves between two stretches may be counted
# twice or not at all: the numbers are for a view, nothing is decided by them. One at a time counts.
#
# A row is counted from its first line to the first that ends later, which costs what it takes to
# fetch each; between two stretches its shard knows how far that has come, and whoever takes that
# line out moves it on.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.expiry cimport open_due
from atp.engine.heaps cimport Heap
from atp.engine.layout cimport Engine, Shard, Sku, line_at, sku_at
from atp.engine.limits cimport SHARDS
from atp.engine.line_queue cimport end_of, open_lines
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport prefetch_to_read

cdef enum:
    STRETCH = 16384  # times looked at under one lock: some ten microseconds
    VISIT = 64  # as many times as cost what it costs to look at another SKU, or at a line of a row
    AHEAD = 8  # SKUs sent for before they are looked at

# Which part of a SKU comes next.
cdef enum Part:
    PART_HEAP
    PART_ROW
    PART_REST_OF_ROW

cdef struct Soon:
    int64_t sooner  # times, both
    int64_t later
    int64_t by_sooner  # lines that end by then
    int64_t by_later

# Where the counting of one shard is.
cdef struct Place:
    uint32_t sku  # in the shard's heap of SKUs
    uint32_t line  # in the heap of that SKU
    Part part
    uint32_t looked  # under this lock


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


cdef inline bint count_heap(Engine* engine, Sku* sku, Place* place, Soon* soon) noexcept nogil:
    # False when there is more than one stretch may have.
    cdef Heap heap
    cdef uint32_t count
    if sku.heap:
        heap = open_lines(engine, sku)
        if place.line < heap.count:
            count = min(heap.count - place.line, <uint32_t>STRETCH)
            count_times(heap.times + place.line, count, soon)
            place.looked += count
            place.line += count
            if place.line < heap.count:
                return False
    place.line = 0
    place.part = PART_ROW
    return True


cdef inline bint count_row(
    Engine* engine, Shard* shard, Sku* sku, Place* place, Soon* soon
) noexcept nogil:
    # The same.
    cdef int64_t end
    if place.part == PART_ROW:
        shard.counted = sku.row_first
        place.part = PART_REST_OF_ROW
    while shard.counted:
        if place.looked >= STRETCH:
            return False
        place.looked += VISIT
        end = end_of(engine, shard.counted)
        if end > soon.later:
            shard.counted = 0
            break
        count_times(&end, 1, soon)
        shard.counted = line_at(engine, shard.counted).next
    return True


cdef inline void send_for(
    Engine* engine, const Heap* due, uint32_t place, Soon* soon
) noexcept nogil:
    if place < due.count and due.times[place] <= soon.later:
        prefetch_to_read(sku_at(engine, due.members[place]))


cdef inline bint count_stretch(
    Engine* engine, Shard* shard, Place* place, Soon* soon
) noexcept nogil:
    # Goes on where the last stretch of this shard ended; False when there is no more.
    cdef Heap due = open_due(shard)
    cdef Sku* sku
    place.looked = 0
    while place.sku < due.count:
        if place.looked >= STRETCH:
            return True
        place.looked += 1
        send_for(engine, &due, place.sku + AHEAD, soon)
        if due.times[place.sku] <= soon.later:
            place.looked += VISIT
            sku = sku_at(engine, due.members[place.sku])
            if place.part == PART_HEAP and not count_heap(engine, sku, place, soon):
                return True
            if not count_row(engine, shard, sku, place, soon):
                return True
        place.part = PART_HEAP
        place.line = 0
        place.sku += 1
    return False


cdef inline void count_soon(Engine* engine, Soon* soon) noexcept nogil:
    cdef Shard* shard
    cdef Place place
    cdef uint32_t i
    cdef bint is_more
    for i in range(SHARDS):
        shard = engine.shard(i)
        place.sku = place.line = 0
        place.part = PART_HEAP
        is_more = True
        while is_more:
            lock(engine, <uint64_t>1 << i)
            is_more = count_stretch(engine, shard, &place, soon)
            if not is_more:
                shard.counted = 0
            unlock(engine, <uint64_t>1 << i)
