# When holds are due. Each SKU keeps its live lines in a heap by expire time, so that a refusal
# can say when the first unit comes back; each shard keeps its SKUs in a heap by their first
# expire time; the engine keeps the earliest of all. Owns the heaps; expires nothing (sweep.pxd
# does).
#
# A heap is two parallel arrays in one block: times, then references. It is 4-ary: holds mostly
# expire in the order they were made, so an insertion ends where it begins. Each member knows its
# place, for removal.
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy, memmove

from atp.engine.arena cimport allocate, release_block
from atp.engine.layout cimport (
    Engine, Line, Ref, Shard, Sku, at, line_at, ref_of, shard_of, sku_at,
)
from atp.engine.limits cimport NEVER
from atp.engine.native cimport load, lower_to, regrow_pages, store

cdef struct Heap:
    int64_t* times
    Ref* members
    uint32_t count
    bint of_skus  # members are SKUs; else lines


cdef inline size_t heap_bytes(uint32_t room) noexcept nogil:
    return <size_t>room * (sizeof(int64_t) + sizeof(Ref))


cdef inline Heap open_heap(
    Engine* engine, Ref block, uint32_t count, uint32_t room
) noexcept nogil:
    # A SKU's heap of lines.
    cdef Heap heap
    heap.times = <int64_t*>at(engine, block)
    heap.members = <Ref*>(heap.times + room)
    heap.count = count
    heap.of_skus = False
    return heap


cdef inline Heap open_due(Shard* shard) noexcept nogil:
    # A shard's heap of SKUs.
    cdef Heap heap
    heap.times = shard.due_heap
    heap.members = <Ref*>(heap.times + shard.due_room)
    heap.count = shard.due_count
    heap.of_skus = True
    return heap


cdef inline void put(
    Engine* engine, Heap* heap, uint32_t place, int64_t time, Ref member
) noexcept nogil:
    heap.times[place] = time
    heap.members[place] = member
    if heap.of_skus:
        sku_at(engine, member).place = place
    else:
        line_at(engine, member).place = place


cdef inline void sift_up(
    Engine* engine, Heap* heap, uint32_t place, int64_t time, Ref member
) noexcept nogil:
    cdef uint32_t parent
    while place:
        parent = (place - 1) >> 2
        if heap.times[parent] <= time:
            break
        put(engine, heap, place, heap.times[parent], heap.members[parent])
        place = parent
    put(engine, heap, place, time, member)


cdef inline void sift_down(
    Engine* engine, Heap* heap, uint32_t place, int64_t time, Ref member
) noexcept nogil:
    cdef uint32_t child, best, last
    while True:
        child = (place << 2) + 1
        if child >= heap.count:
            break
        last = min(child + 4, heap.count)
        best = child
        child += 1
        while child < last:
            if heap.times[child] < heap.times[best]:
                best = child
            child += 1
        if heap.times[best] >= time:
            break
        put(engine, heap, place, heap.times[best], heap.members[best])
        place = best
    put(engine, heap, place, time, member)


cdef inline void move_to(
    Engine* engine, Heap* heap, uint32_t place, int64_t time, Ref member
) noexcept nogil:
    # Puts a member where it belongs, starting from a place that is free.
    if place and heap.times[(place - 1) >> 2] > time:
        sift_up(engine, heap, place, time, member)
    else:
        sift_down(engine, heap, place, time, member)


cdef inline void take_out(Engine* engine, Heap* heap, uint32_t place) noexcept nogil:
    cdef uint32_t last = heap.count - 1
    heap.count = last
    if place != last:
        move_to(engine, heap, place, heap.times[last], heap.members[last])


cdef inline bint grow(
    Engine* engine, Shard* shard, Ref* block, uint32_t* room, uint32_t count, uint32_t needed
) noexcept nogil:
    # Makes room for `needed` members, of which there are `count`; False when memory is short.
    cdef uint32_t wider
    cdef Ref moved
    cdef Heap old, new
    if needed <= room[0]:
        return True
    wider = max(needed, room[0] + (room[0] + 1) // 2)
    moved = allocate(shard, heap_bytes(wider))
    if not moved:
        return False
    if room[0]:
        old = open_heap(engine, block[0], count, room[0])
        new = open_heap(engine, moved, count, wider)
        memcpy(new.times, old.times, count * sizeof(int64_t))
        memcpy(new.members, old.members, count * sizeof(Ref))
        release_block(shard, block[0], heap_bytes(room[0]))
    block[0] = moved
    room[0] = wider
    return True


cdef inline bint grow_due(Shard* shard, uint32_t needed) noexcept nogil:
    # Makes room in the shard's heap of SKUs; False when memory is short.
    cdef uint32_t wider
    cdef int64_t* moved
    if needed <= shard.due_room:
        return True
    wider = max(max(needed, <uint32_t>64), shard.due_room + shard.due_room // 2)
    moved = <int64_t*>regrow_pages(shard.due_heap, heap_bytes(shard.due_room), heap_bytes(wider))
    if moved == NULL:
        return False
    memmove(moved + wider, moved + shard.due_room, shard.due_count * sizeof(Ref))
    shard.used_bytes += heap_bytes(wider) - heap_bytes(shard.due_room)
    shard.due_heap = moved
    shard.due_room = wider
    return True


cdef inline bint make_room_for_line(
    Engine* engine, Shard* shard, Sku* sku, uint32_t basket_lines
) noexcept nogil:
    # Reserves what link_line will need; False when memory is short. A SKU with one line has no
    # heap yet. The lines of one basket may all be of SKUs of this shard that have no live line.
    cdef Ref only, block
    cdef uint32_t room
    if sku.heap_count == 0:
        return grow_due(shard, shard.due_count + basket_lines)
    if sku.heap_count == 1 and sku.heap_room == 0:
        only = sku.heap
        block = 0
        room = 0
        if not grow(engine, shard, &block, &room, 0, 2):
            return False
        sku.heap = block
        sku.heap_room = room
        (<int64_t*>at(engine, block))[0] = sku.first_expire
        (<Ref*>((<int64_t*>at(engine, block)) + room))[0] = only
        line_at(engine, only).place = 0
        return True
    return grow(engine, shard, &sku.heap, &sku.heap_room, sku.heap_count, sku.heap_count + 1)


cdef inline void note_shard_due(Engine* engine, Shard* shard) noexcept nogil:
    # Tells everyone when this shard's first line is due, if that is earlier than they know; that it
    # is later, whoever sweeps finds out. `pending` goes before `next`: see sweep.pxd.
    cdef int64_t first = shard.due_heap[0]
    if first < load(&engine.shard_due[shard.number]):
        store(&engine.shard_due[shard.number], first)
        lower_to(&engine.due.pending, first)
        lower_to(&engine.due.next, first)


cdef inline void first_changed(
    Engine* engine, Shard* shard, Sku* sku, int64_t first
) noexcept nogil:
    cdef Heap due
    if sku.first_expire != first:
        sku.first_expire = first
        due = open_due(shard)
        move_to(engine, &due, sku.place, first, ref_of(shard, sku))
        note_shard_due(engine, shard)


cdef inline void link_line(Engine* engine, Line* line, Ref ref, int64_t expire_time) noexcept nogil:
    # Cannot fail after make_room_for_line.
    cdef Shard* shard = shard_of(engine, line.sku)
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef Heap heap
    if sku.heap_count == 0:
        sku.heap = ref
        sku.heap_count = 1
        sku.first_expire = expire_time
        sku.last_expire = expire_time
        line.place = 0
        heap = open_due(shard)
        shard.due_count += 1
        heap.count = shard.due_count
        sift_up(engine, &heap, shard.due_count - 1, expire_time, line.sku)
        note_shard_due(engine, shard)
        return
    heap = open_heap(engine, sku.heap, sku.heap_count + 1, sku.heap_room)
    sku.heap_count += 1
    if expire_time >= sku.last_expire:
        # As most are: it stays where it is put, and no other needs to be looked at, which would
        # have to be fetched from memory.
        sku.last_expire = expire_time
        put(engine, &heap, sku.heap_count - 1, expire_time, ref)
        return
    sift_up(engine, &heap, sku.heap_count - 1, expire_time, ref)
    first_changed(engine, shard, sku, heap.times[0])


cdef inline void unlink_line(Engine* engine, Line* line) noexcept nogil:
    cdef Shard* shard = shard_of(engine, line.sku)
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef Heap heap
    if sku.heap_count == 1:
        if sku.heap_room:
            release_block(shard, sku.heap, heap_bytes(sku.heap_room))
            sku.heap_room = 0
        sku.heap = 0
        sku.heap_count = 0
        heap = open_due(shard)
        take_out(engine, &heap, sku.place)
        shard.due_count = heap.count
        return
    heap = open_heap(engine, sku.heap, sku.heap_count, sku.heap_room)
    take_out(engine, &heap, line.place)
    sku.heap_count = heap.count
    first_changed(engine, shard, sku, heap.times[0])


cdef inline void relink_line(
    Engine* engine, Line* line, Ref ref, int64_t expire_time
) noexcept nogil:
    # Moves a linked line to another time; needs no memory.
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef Heap heap
    sku.last_expire = max(sku.last_expire, expire_time)
    if sku.heap_room == 0:
        first_changed(engine, shard_of(engine, line.sku), sku, expire_time)
        return
    heap = open_heap(engine, sku.heap, sku.heap_count, sku.heap_room)
    move_to(engine, &heap, line.place, expire_time, ref)
    first_changed(engine, shard_of(engine, line.sku), sku, heap.times[0])


cdef inline Ref first_line_of(Engine* engine, Sku* sku) noexcept nogil:
    # Of a SKU that has live lines.
    if sku.heap_room == 0:
        return sku.heap
    return (<Ref*>((<int64_t*>at(engine, sku.heap)) + sku.heap_room))[0]
