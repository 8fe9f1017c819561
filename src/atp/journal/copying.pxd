# Copies a running engine shard by shard: lists the blocks of a shard, copies those that are as they
# were at the cut, a few under each lock, and then what others kept aside. Owns how long a lock is
# held and that every shard is let go again, whatever happens. What must be kept: engine/cut.pxd.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.arena cimport release_block
from atp.engine.cut cimport Aside, Freed, NO_CUT, Page
from atp.engine.layout cimport Engine, Shard
from atp.engine.limits cimport SHARDS
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport load
from atp.journal.copier cimport (
    CHUNK_COUNTERS, CHUNK_RECORDS, CHUNK_SKUS, Copying, copy_counters, copy_records, copy_skus,
    fetch_blocks, name_aside, rest_ns, write_caps, write_pile,
)

cdef enum:
    BLOCKS_AT_ONCE = 256  # copied under one lock: about 10 microseconds
    FREED_AT_ONCE = 256
    # Whoever waits for a lock gets it, and the copier comes back with a time slice that does not
    # end while it holds the next one.
    REST_NS = 1000


cdef inline void make_cut(Copying* copying) noexcept nogil:
    cdef Engine* engine = copying.engine
    cdef uint32_t i
    lock(engine, <uint64_t>-1)
    copying.locked()
    copying.sequence = load(&engine.shared.sequence)
    copying.cut_time = load(&engine.time)
    for i in range(SHARDS):
        name_aside(copying[0], engine.shard(i))
    unlock(engine, <uint64_t>-1)
    copying.unlocked()


cdef inline bint lock_cut(Copying* copying, Shard* shard) noexcept nogil:
    # Locks a shard; False, and it is not locked, when its cut has ended for want of memory.
    shard.lock.take()
    if shard.cut_sequence == copying.sequence:
        copying.locked()
        return True
    shard.lock.give()
    copying.short_of_memory = True
    return False


cdef inline void unlock_cut(Copying* copying, Shard* shard) noexcept nogil:
    shard.lock.give()
    copying.unlocked()


cdef inline bint list_blocks(Copying* copying, Shard* shard, int kind) noexcept nogil:
    # All of a kind, in the order in which they lie in memory. Room is made with no lock held.
    cdef size_t count = 0
    cdef bint listed = False
    while not listed:
        if not copying.room_for_places(count + count // 8):
            copying.short_of_memory = True
            return False
        if not lock_cut(copying, shard):
            return False
        if kind == CHUNK_SKUS:
            count = shard.skus.size()
        elif kind == CHUNK_RECORDS:
            count = shard.records.size()
        else:
            count = shard.counters.size()
        listed = count <= copying.places.capacity()
        if not listed:
            pass
        elif kind == CHUNK_SKUS:
            shard.skus.places(copying.places)
        elif kind == CHUNK_RECORDS:
            shard.records.places(copying.places)
        else:
            shard.counters.places(copying.places)
        unlock_cut(copying, shard)
    copying.sort_places()
    return True


cdef inline bint copy_kind(Copying* copying, Shard* shard, int kind) noexcept nogil:
    cdef size_t first = 0
    cdef size_t end
    if not list_blocks(copying, shard, kind):
        return False
    copying.file.begin(kind, shard.number)
    while first < copying.places.size():
        end = first + BLOCKS_AT_ONCE
        fetch_blocks(copying[0], shard, first, end)
        if not lock_cut(copying, shard):
            return False
        if kind == CHUNK_SKUS:
            first = copy_skus(copying[0], shard, first, end)
        elif kind == CHUNK_RECORDS:
            first = copy_records(copying[0], shard, first, end)
        else:
            first = copy_counters(copying[0], shard, first, end)
        unlock_cut(copying, shard)
        if first < end and first < copying.places.size() and not copying.file.write():
            return False
        rest_ns(REST_NS)
    return copying.file.write()


cdef inline bint write_kept(Copying* copying, Shard* shard) noexcept nogil:
    cdef Aside* aside = &copying.asides[shard.number]
    copying.file.begin(CHUNK_SKUS, shard.number)
    if not write_pile(copying.file, aside.skus.pile):
        return False
    copying.file.begin(CHUNK_RECORDS, shard.number)
    if not write_pile(copying.file, aside.records.pile):
        return False
    copying.file.begin(CHUNK_COUNTERS, shard.number)
    return write_pile(copying.file, aside.counters.pile)


cdef inline void release_freed(Copying* copying, Shard* shard) noexcept nogil:
    # Gives back what others gave back meanwhile. The shard's cut is over.
    cdef Page* page = copying.asides[shard.number].freed.first
    cdef Freed* freed
    cdef uint32_t count, i
    while page != NULL:
        freed = <Freed*>page.bytes()
        count = page.count
        while count:
            shard.lock.take()
            copying.locked()
            for i in range(min(count, <uint32_t>FREED_AT_ONCE)):
                count -= 1
                release_block(shard, freed[count].ref, freed[count].bytes)
            unlock_cut(copying, shard)
        page = page.next
    copying.asides[shard.number].clear()


cdef inline bint end_cut(Copying* copying, Shard* shard) noexcept nogil:
    # False when it had ended before, for want of memory.
    shard.lock.take()
    copying.locked()
    cdef bint whole = shard.cut_sequence == copying.sequence
    shard.cut_sequence = NO_CUT
    unlock_cut(copying, shard)
    copying.short_of_memory = copying.short_of_memory or not whole
    return whole


cdef inline bint copy_shard(Copying* copying, Shard* shard) noexcept nogil:
    # False when the disk or memory is in the way.
    cdef bint ok = (
        copy_kind(copying, shard, CHUNK_SKUS) and copy_kind(copying, shard, CHUNK_RECORDS)
        and copy_kind(copying, shard, CHUNK_COUNTERS))
    ok = end_cut(copying, shard) and ok and write_kept(copying, shard)
    release_freed(copying, shard)
    return ok


cdef inline bint copy_engine(Copying* copying) noexcept nogil:
    # False when the disk or memory is in the way. Every shard is let go, whatever happens.
    cdef Shard* shard
    cdef uint32_t i
    copying.head.sequence = copying.sequence
    copying.head.cut_time = copying.cut_time
    cdef bint ok = copying.file.write_head(copying.head) and write_caps(copying[0])
    for i in range(SHARDS):
        shard = copying.engine.shard(i)
        if ok:
            ok = copy_shard(copying, shard)
        else:
            end_cut(copying, shard)
            release_freed(copying, shard)
    copying.file.totals.end_time = load(&copying.engine.time)
    return ok and copying.file.write_end()
