# A recount of the laws from what lies in memory, with every shard locked. Owns the list of what
# is checked; repairs nothing. What units are held is counted by taking each live line from its
# SKU's `held`, which must end at 0, and putting it back: that needs no memory.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.vector cimport vector

from atp.engine.caps cimport entries_of, window_of
from atp.engine.digest cimport Walk
from atp.engine.layout cimport (
    Counter, Engine, Line, PLACE_BITS, Record, Ref, Shard, Sku, at, held_of, kind_of,
    lines_of, sku_at,
)
from atp.engine.limits cimport SHARDS
from atp.engine.records cimport is_receipt
from atp.engine.words cimport STATE_HELD

cdef enum Violation:
    VIOLATION_OVERSOLD = 1  # held > on hand, or below 0
    VIOLATION_NOT_CONSERVED = 2  # on hand != received + adjusted - sold
    VIOLATION_HELD_MISCOUNTED = 3  # held != what the live lines hold
    VIOLATION_LINE = 4  # quantity != held + committed + released + expired
    VIOLATION_DUE_HEAP = 5  # a live line is not in its heap at its time, or an ended one is
    VIOLATION_COUNTER = 6  # a count below 0, or not the sum of its window
    VIOLATION_TOTALS = 7  # a total does not fit what it totals

cdef struct Recount:
    int64_t skus
    int64_t records
    int64_t live
    int64_t ended
    int64_t counters
    int64_t linked
    int64_t due_lines
    int64_t told
    int64_t supplied  # of one shard
    int64_t held
    int64_t sold


cdef inline void note(vector[uint64_t]& found, int violation, uint32_t ref) noexcept nogil:
    if found.size() < 100:
        found.push_back((<uint64_t>violation << 32) | ref)


cdef inline bint is_linked(Engine* engine, Line* line, Ref ref, int64_t expire_time) noexcept nogil:
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef int64_t* times
    if sku.heap_room == 0:
        return (sku.heap_count == 1 and sku.heap == ref and sku.first_expire == expire_time
                and sku.last_expire >= expire_time)
    times = <int64_t*>at(engine, sku.heap)
    return (line.place < sku.heap_count and times[line.place] == expire_time
            and (<Ref*>(times + sku.heap_room))[line.place] == ref and sku.first_expire == times[0]
            and sku.last_expire >= expire_time)


cdef inline void recount_records(
    Engine* engine, Shard* shard, int sign, Recount* count, vector[uint64_t]& found,
    vector[uint32_t]& places
) noexcept nogil:
    # With sign -1 takes what live lines hold from their SKUs, and checks; with 1 puts it back.
    cdef uint32_t base = shard.number << PLACE_BITS
    cdef Record* record
    cdef Line* lines
    cdef uint32_t k
    cdef size_t i
    cdef bint live
    shard.records.places(places)
    for i in range(places.size()):
        record = <Record*>at(engine, places[i] | base)
        lines = lines_of(record)
        live = kind_of(record) == STATE_HELD
        if sign < 0:
            count.live += live
            count.ended += not live
            count.records += not is_receipt(record)
        for k in range(record.line_count):
            if live:
                sku_at(engine, lines[k].sku).held += sign * held_of(&lines[k])
            if sign > 0:
                continue
            if held_of(&lines[k]) < 0 or lines[k].committed < 0 or lines[k].released < 0:
                note(found, VIOLATION_LINE, places[i] | base)
            if live and held_of(&lines[k]):
                count.linked += 1
                if not is_linked(engine, &lines[k],
                                 (places[i] | base) + <uint32_t>(8 + 3 * k), record.expire_time):
                    note(found, VIOLATION_DUE_HEAP, places[i] | base)


cdef inline void recount_skus(
    Engine* engine, Shard* shard, bint emptied, Recount* count, vector[uint64_t]& found,
    vector[uint32_t]& places
) noexcept nogil:
    cdef uint32_t base = shard.number << PLACE_BITS
    cdef Sku* sku
    cdef size_t i
    shard.skus.places(places)
    for i in range(places.size()):
        sku = sku_at(engine, places[i] | base)
        if emptied:
            if sku.held != 0:
                note(found, VIOLATION_HELD_MISCOUNTED, places[i] | base)
            continue
        count.skus += 1
        count.due_lines += sku.heap_count
        count.supplied += sku.on_hand + sku.sold
        count.held += sku.held
        count.sold += sku.sold
        if sku.held < 0 or sku.held > sku.on_hand:
            note(found, VIOLATION_OVERSOLD, places[i] | base)
        if sku.on_hand != sku.received + sku.adjusted - sku.sold:
            note(found, VIOLATION_NOT_CONSERVED, places[i] | base)


cdef inline void recount_counters(
    Engine* engine, Shard* shard, Recount* count, vector[uint64_t]& found, vector[uint32_t]& places
) noexcept nogil:
    cdef uint32_t base = shard.number << PLACE_BITS
    cdef Counter* counter
    cdef int64_t total
    cdef uint32_t k
    cdef size_t i
    shard.counters.places(places)
    count.counters += <int64_t>places.size()
    for i in range(places.size()):
        counter = <Counter*>at(engine, places[i] | base)
        total = counter.units
        if counter.window:
            total = 0
            for k in range(window_of(engine, counter).count):
                total += entries_of(window_of(engine, counter))[k].units
        if counter.units < 0 or total != counter.units:
            note(found, VIOLATION_COUNTER, places[i] | base)


cdef inline void recount(Engine* engine, Recount* count, Walk* walk) noexcept nogil:
    cdef Shard* shard
    cdef uint32_t i
    for i in range(SHARDS):
        shard = engine.shard(i)
        count.supplied = count.held = count.sold = 0
        recount_skus(engine, shard, False, count, walk.found, walk.places)
        if (count.supplied != shard.supplied or count.held != shard.held
                or count.sold != shard.sold):
            note(walk.found, VIOLATION_TOTALS, 0)
        recount_counters(engine, engine.shard(i), count, walk.found, walk.places)
    for i in range(SHARDS):
        recount_records(engine, engine.shard(i), -1, count, walk.found, walk.places)
    for i in range(SHARDS):
        recount_skus(engine, engine.shard(i), True, count, walk.found, walk.places)
    for i in range(SHARDS):
        recount_records(engine, engine.shard(i), 1, count, walk.found, walk.places)
    if (count.skus != engine.shared.skus or count.counters != engine.shared.counters
            or count.linked != count.due_lines):
        note(walk.found, VIOLATION_TOTALS, 0)
    for i in range(SHARDS):
        count.ended -= engine.shard(i).ended_count
        count.live -= engine.shard(i).live_holds
        count.told += engine.shard(i).live_told
    if count.ended or count.live or count.told != engine.shared.live_holds:
        note(walk.found, VIOLATION_TOTALS, 0)
