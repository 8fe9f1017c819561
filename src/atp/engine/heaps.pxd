# Heaps of references by time, of two kinds: a shard's SKUs by when their first line ends, and the
# lines of a SKU that came out of order. Owns how a heap is kept; whose it is, and that there is
# room, is its owners' business.
#
# A heap is two parallel arrays: times, then references. It is 4-ary. Each member knows its place,
# for removal.
from libc.stdint cimport int64_t, uint32_t

from atp.engine.layout cimport Engine, Ref, line_at, sku_at

cdef struct Heap:
    int64_t* times
    Ref* members
    uint32_t count
    bint of_skus  # members are SKUs; else lines


cdef inline size_t heap_bytes(uint32_t room) noexcept nogil:
    return <size_t>room * (sizeof(int64_t) + sizeof(Ref))


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


cdef inline int64_t second_time(const Heap* heap) noexcept nogil:
    # Of a heap with two members or more: the second earliest stands right under the first.
    cdef int64_t second = heap.times[1]
    cdef uint32_t i
    for i in range(2, min(<uint32_t>5, heap.count)):
        second = min(second, heap.times[i])
    return second
