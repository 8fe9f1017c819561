# When holds are due. Each SKU keeps its live lines by when they end (line_queue.pxd), so that a
# refusal can say when the first unit comes back; each shard keeps its SKUs in a heap by their first
# expire time; the engine keeps the earliest of all. Owns the heaps of SKUs, and that all three
# agree; expires nothing (sweep.pxd does).
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memmove

from atp.engine.heaps cimport Heap, heap_bytes, move_to, sift_up, take_out
from atp.engine.layout cimport (
    Engine, Line, Record, Ref, Shard, Sku, held_of, lines_of, ref_of, shard_of, sku_at,
)
from atp.engine.limits cimport NEVER
from atp.engine.line_queue cimport (
    add_line, drop_heap, first_end, make_line_room, take_line,
)
from atp.engine.native cimport load, lower_to, regrow_pages, store


cdef inline Heap open_due(Shard* shard) noexcept nogil:
    # A shard's heap of SKUs.
    cdef Heap heap
    heap.times = shard.due_heap
    heap.members = <Ref*>(heap.times + shard.due_room)
    heap.count = shard.due_count
    heap.of_skus = True
    return heap


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
    Engine* engine, Shard* shard, Sku* sku, int64_t expire_time, uint32_t basket_lines
) noexcept nogil:
    # Reserves what link_line will need; False when memory is short. The lines of one basket may all
    # be of SKUs of this shard that have no live line.
    if sku.first_expire == NEVER:
        return grow_due(shard, shard.due_count + basket_lines)
    return make_line_room(engine, shard, sku, expire_time)


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
    cdef Heap due
    add_line(engine, shard, sku, line, ref, expire_time)
    if sku.first_expire == NEVER:
        sku.first_expire = expire_time
        due = open_due(shard)
        shard.due_count += 1
        due.count = shard.due_count
        sift_up(engine, &due, shard.due_count - 1, expire_time, line.sku)
        note_shard_due(engine, shard)
    elif expire_time < sku.first_expire:
        first_changed(engine, shard, sku, expire_time)


cdef inline void unlink_line(Engine* engine, Line* line) noexcept nogil:
    cdef Shard* shard = shard_of(engine, line.sku)
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef int64_t first
    cdef Heap due
    take_line(engine, shard, sku, line)
    if line.place:
        return  # it was the first of neither row nor heap
    first = first_end(engine, sku)
    if first != NEVER:
        first_changed(engine, shard, sku, first)
        return
    if sku.heap:
        drop_heap(engine, shard, sku)
    sku.first_expire = NEVER
    due = open_due(shard)
    take_out(engine, &due, sku.place)
    shard.due_count = due.count


cdef inline bint make_room_to_relink(
    Engine* engine, Record* record, int64_t expire_time
) noexcept nogil:
    # What relink_line will need for all live lines of a hold; False when memory is short.
    cdef Line* own = lines_of(record)
    cdef uint32_t i
    for i in range(record.line_count):
        if held_of(&own[i]) and not make_line_room(
                engine, shard_of(engine, own[i].sku), sku_at(engine, own[i].sku), expire_time):
            return False
    return True


cdef inline void relink_line(
    Engine* engine, Line* line, Ref ref, int64_t expire_time
) noexcept nogil:
    # Moves a linked line to another time, which its record has already. Cannot fail after
    # make_room_to_relink.
    cdef Shard* shard = shard_of(engine, line.sku)
    cdef Sku* sku = sku_at(engine, line.sku)
    take_line(engine, shard, sku, line)
    add_line(engine, shard, sku, line, ref, expire_time)
    first_changed(engine, shard, sku, first_end(engine, sku))
