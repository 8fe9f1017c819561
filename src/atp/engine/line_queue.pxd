# The live lines of one SKU by when they end. Most holds end in the order they were made, so most
# lines stand in a row, each naming the one before and the one after: a new one touches the last,
# which was made a moment ago, and needs no memory. Who comes out of order stands in a heap beside
# it. Owns both; that the shard's heap of SKUs hears of a new first one is for expiry.pxd.
#
# A line that ends late would keep all after it out of the row: so up to OUTLIERS_MOST at its end go
# to the heap when one comes that ends before them, and the row goes on from there.
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from atp.engine.arena cimport allocate, release_block
from atp.engine.heaps cimport Heap, heap_bytes, second_time, sift_up, take_out
from atp.engine.layout cimport (
    Engine, Line, LineHeap, Ref, Shard, Sku, at, line_at, record_of,
)
from atp.engine.limits cimport NEVER

cdef enum:
    OUTLIERS_MOST = 4


cdef inline int64_t end_of(Engine* engine, Ref line) noexcept nogil:
    # A line of the row ends with its hold. The lock of the SKU's shard is enough: nobody gives a
    # hold another end without those of all its lines.
    return record_of(line_at(engine, line)).expire_time


cdef inline Heap open_lines(Engine* engine, const Sku* sku) noexcept nogil:
    # Of a SKU that has a heap of lines.
    cdef LineHeap* block = <LineHeap*>at(engine, sku.heap)
    cdef Heap heap
    heap.times = <int64_t*>(block + 1)
    heap.members = <Ref*>(heap.times + block.room)
    heap.count = block.count
    heap.of_skus = False
    return heap


cdef inline uint32_t outliers(
    Engine* engine, const Sku* sku, int64_t expire_time
) noexcept nogil:
    # How many lines at the row's end end later than that; of more than OUTLIERS_MOST, one more.
    cdef Ref line = sku.row_last
    cdef uint32_t count = 0
    if not line or sku.last_expire <= expire_time:
        return 0
    while line and count <= OUTLIERS_MOST and end_of(engine, line) > expire_time:
        count += 1
        line = line_at(engine, line).place
    return count


cdef inline void drop_heap(Engine* engine, Shard* shard, Sku* sku) noexcept nogil:
    release_block(shard, sku.heap,
                  sizeof(LineHeap) + heap_bytes((<LineHeap*>at(engine, sku.heap)).room))
    sku.heap = 0


cdef inline bint make_line_room(
    Engine* engine, Shard* shard, Sku* sku, int64_t expire_time
) noexcept nogil:
    # Takes what add_line will need; False when memory is short.
    cdef LineHeap* block = <LineHeap*>at(engine, sku.heap) if sku.heap else NULL
    cdef uint32_t room = block.room if block != NULL else 0
    cdef uint32_t count = block.count if block != NULL else 0
    cdef uint32_t wider
    cdef Ref moved
    cdef LineHeap* new
    cdef int64_t* times
    if outliers(engine, sku, expire_time) == 0 or count + OUTLIERS_MOST <= room:
        return True
    wider = max(count + OUTLIERS_MOST, room + (room + 1) // 2)
    moved = allocate(shard, sizeof(LineHeap) + heap_bytes(wider))
    if not moved:
        return False
    new = <LineHeap*>at(engine, moved)
    new.count = count
    new.room = wider
    if block != NULL:
        times = <int64_t*>(new + 1)
        memcpy(times, block + 1, count * sizeof(int64_t))
        memcpy(times + wider, <int64_t*>(block + 1) + room, count * sizeof(Ref))
        drop_heap(engine, shard, sku)
    sku.heap = moved
    return True


cdef inline void push(
    Engine* engine, Sku* sku, Line* line, Ref ref, int64_t expire_time
) noexcept nogil:
    cdef Heap heap = open_lines(engine, sku)
    heap.count += 1
    (<LineHeap*>at(engine, sku.heap)).count = heap.count
    line.in_heap = True
    sift_up(engine, &heap, heap.count - 1, expire_time, ref)


cdef inline void leave_row(Engine* engine, Shard* shard, Sku* sku, Line* line) noexcept nogil:
    cdef Ref ref = sku.row_first
    if line.place:
        ref = line_at(engine, line.place).next
        line_at(engine, line.place).next = line.next
    else:
        sku.row_first = line.next
    if line.next:
        line_at(engine, line.next).place = line.place
    else:
        sku.row_last = line.place
        if line.place:
            sku.last_expire = end_of(engine, line.place)
    if shard.counted == ref:
        shard.counted = line.next  # whoever counts goes on there


cdef inline void add_line(
    Engine* engine, Shard* shard, Sku* sku, Line* line, Ref ref, int64_t expire_time
) noexcept nogil:
    # Cannot fail after make_line_room, also when others have left since.
    cdef uint32_t late = outliers(engine, sku, expire_time)
    cdef Ref last
    if late > OUTLIERS_MOST:
        push(engine, sku, line, ref, expire_time)
        return
    while late:
        last = sku.row_last
        leave_row(engine, shard, sku, line_at(engine, last))
        push(engine, sku, line_at(engine, last), last, end_of(engine, last))
        late -= 1
    line.in_heap = False
    line.next = 0
    line.place = sku.row_last
    if sku.row_last:
        line_at(engine, sku.row_last).next = ref
    else:
        sku.row_first = ref
    sku.row_last = ref
    sku.last_expire = expire_time


cdef inline void take_line(Engine* engine, Shard* shard, Sku* sku, Line* line) noexcept nogil:
    cdef Heap heap
    if not line.in_heap:
        leave_row(engine, shard, sku, line)
        return
    heap = open_lines(engine, sku)
    take_out(engine, &heap, line.place)
    (<LineHeap*>at(engine, sku.heap)).count = heap.count


cdef inline int64_t first_end(Engine* engine, const Sku* sku) noexcept nogil:
    # When the first of the lines ends: NEVER when there is none.
    cdef int64_t first = NEVER
    cdef Heap heap
    if sku.row_first:
        first = end_of(engine, sku.row_first)
    if sku.heap:
        heap = open_lines(engine, sku)
        if heap.count:
            first = min(first, heap.times[0])
    return first


cdef inline int64_t first_end_beside(
    Engine* engine, const Sku* sku, const Line* own
) noexcept nogil:
    # The same of all lines but one.
    cdef bint is_first = own.place == 0
    cdef Ref row = own.next if is_first and not own.in_heap else sku.row_first
    cdef int64_t first = end_of(engine, row) if row else NEVER
    cdef Heap heap
    if not sku.heap:
        return first
    heap = open_lines(engine, sku)
    if heap.count and not (is_first and own.in_heap):
        return min(first, heap.times[0])
    return min(first, second_time(&heap)) if heap.count > 1 else first


cdef inline Ref first_line_of(Engine* engine, const Sku* sku) noexcept nogil:
    # Of a SKU that has live lines.
    if sku.row_first and end_of(engine, sku.row_first) == sku.first_expire:
        return sku.row_first
    return open_lines(engine, sku).members[0]
