# A recount of the laws from what lies in memory, with every shard locked. Owns the list of what
# is checked; repairs nothing. What units are held is counted by taking each live line from its
# SKU's `held`, which must end at 0, and putting it back: that needs no memory.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.vector cimport vector

from atp.engine.caps cimport entries_of, window_of
from atp.engine.digest cimport Walk
from atp.engine.heaps cimport Heap
from atp.engine.layout cimport (
    Counter, Engine, Line, PLACE_BITS, Record, Ref, Shard, Sku, at, held_of, kind_of, line_at,
    lines_of, record_of, ref_of, sku_at,
)
from atp.engine.limits cimport SHARDS
from atp.engine.line_queue cimport end_of, first_end, open_lines
from atp.engine.records cimport is_receipt
from atp.engine.words cimport STATE_HELD

cdef enum Violation:
    VIOLATION_OVERSOLD = 1  # held > on hand, or below 0
    VIOLATION_NOT_CONSERVED = 2  # on hand != received + adjusted - sold
    VIOLATION_HELD_MISCOUNTED = 3  # held != what the live lines hold
    VIOLATION_LINE = 4  # quantity != held + committed + released + expired
    VIOLATION_DUE_HEAP = 5  # a live line is not in its row or heap at its time, or an ended one is
    VIOLATION_COUNTER = 6  # a count below 0, or not the sum of its window
    VIOLATION_TOTALS = 7  # a total does not fit what it totals

cdef struct Recount:
    int64_t skus
    int64_t records
    int64_t live
    int64_t ended
    int64_t counters
    int64_t linked  # lines that say they are in a heap
    int64_t due_lines  # that heaps have
    int64_t row_ends  # that lines make, over those that SKUs know
    int64_t told
    int64_t supplied  # of one shard
    int64_t held
    int64_t sold


cdef inline void note(vector[uint64_t]& found, int violation, uint32_t ref) noexcept nogil:
    if found.size() < 100:
        found.push_back((<uint64_t>violation << 32) | ref)


cdef inline bint stands_there(Engine* engine, Ref ref, Ref sku) noexcept nogil:
    # Is this a live line of that SKU?
    cdef Line* line = line_at(engine, ref)
    return (line.sku == sku and not line.in_heap and held_of(line) > 0
            and kind_of(record_of(line)) == STATE_HELD)


cdef inline bint is_in_row(Engine* engine, Line* line, Ref ref, int64_t end) noexcept nogil:
    # Those beside it name it, and end no later, or no sooner.
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef Ref before = line.place, after = line.next
    if before and not (stands_there(engine, before, line.sku) and end_of(engine, before) <= end
                       and line_at(engine, before).next == ref):
        return False
    if after and not (stands_there(engine, after, line.sku) and end_of(engine, after) >= end
                      and line_at(engine, after).place == ref):
        return False
    return ((before != 0 or sku.row_first == ref)
            and (after != 0 or (sku.row_last == ref and sku.last_expire == end)))


cdef inline bint is_in_heap(Engine* engine, Line* line, Ref ref, int64_t end) noexcept nogil:
    cdef Sku* sku = sku_at(engine, line.sku)
    cdef Heap heap
    if not sku.heap:
        return False
    heap = open_lines(engine, sku)
    return (line.place < heap.count and heap.times[line.place] == end
            and heap.members[line.place] == ref)


cdef inline bint recount_line(
    Engine* engine, Line* line, Ref ref, Recount* count
) noexcept nogil:
    cdef int64_t end = record_of(line).expire_time
    count.linked += line.in_heap
    count.row_ends += not line.in_heap and not line.place
    count.row_ends += not line.in_heap and not line.next
    if sku_at(engine, line.sku).first_expire > end:
        return False
    return (is_in_heap(engine, line, ref, end) if line.in_heap
            else is_in_row(engine, line, ref, end))


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
                if not recount_line(engine, &lines[k], ref_of(shard, &lines[k]), count):
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
        if sku.heap:
            count.due_lines += open_lines(engine, sku).count
        count.row_ends -= (sku.row_first != 0) + (sku.row_last != 0)
        if sku.first_expire != first_end(engine, sku):
            note(found, VIOLATION_DUE_HEAP, places[i] | base)
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
            or count.linked != count.due_lines or count.row_ends):
        note(walk.found, VIOLATION_TOTALS, 0)
    for i in range(SHARDS):
        count.ended -= engine.shard(i).ended_count
        count.live -= engine.shard(i).live_holds
        count.told += engine.shard(i).live_told
    if count.ended or count.live or count.told != engine.shared.live_holds:
        note(walk.found, VIOLATION_TOTALS, 0)
