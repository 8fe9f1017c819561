# Counters of caps: making, raising, lowering and dropping them. Owns every change of a counter's
# units; which counters a command concerns is found in caps.pxd.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from atp.engine.arena cimport allocate, release_block
from atp.engine.caps cimport (
    entries_of, identity_of, window_bytes, window_of,
)
from atp.engine.cut cimport forget_counter, keep_counter, release_later
from atp.engine.layout cimport (
    COUNTER_SUBJECT_AT, Counter, CounterIdentity, Engine, PLACE_MASK, Ref, Rule, Shard,
    Window, WindowEntry, at, ref_of,
)
from atp.engine.limits cimport NEVER
from atp.engine.native cimport add, check
from atp.engine.scratch cimport Scratch, Tally
from atp.engine.words cimport (
    LIMIT_CAP_COUNTERS, LIMIT_MEMORY, LIMIT_NONE, SUBJECT_RESERVATION,
)

cdef inline size_t counter_bytes(const Counter* counter) noexcept nogil:
    return COUNTER_SUBJECT_AT + counter.subject_size


cdef inline void drop_counter(
    Engine* engine, Shard* shard, Counter* counter, uint64_t hash
) noexcept nogil:
    cdef Ref ref = ref_of(shard, counter)
    forget_counter(shard, counter)
    if counter.window:
        release_block(shard, counter.window, window_bytes(window_of(engine, counter).room))
    shard.counters.erase(ref & PLACE_MASK, hash)
    release_later(shard, ref, counter_bytes(counter))
    add(&engine.shared.counters, -1)


cdef inline bint make_room_in_window(Engine* engine, Shard* shard, Counter* counter) noexcept nogil:
    # For one more step; False when memory is short.
    cdef Window* window
    cdef Window* wider
    cdef Ref block
    cdef uint32_t room = 2
    if counter.window:
        window = window_of(engine, counter)
        if window.count < window.room:
            return True
        room = window.room * 2
    block = allocate(shard, window_bytes(room))
    if not block:
        return False
    wider = <Window*>at(engine, block)
    wider.count = 0
    wider.room = room
    if counter.window:
        window = window_of(engine, counter)
        memcpy(entries_of(wider), entries_of(window), window.count * sizeof(WindowEntry))
        wider.count = window.count
        release_block(shard, counter.window, window_bytes(window.room))
    counter.window = block
    return True


cdef inline int make_counter(
    Engine* engine, Tally* tally, const Rule* rule, Ref sku
) noexcept nogil:
    # A counter of 0 units; returns the limit that is in the way, if any.
    cdef Shard* shard = engine.shard(tally.shard)
    cdef CounterIdentity identity = identity_of(rule, tally, sku)
    cdef Ref ref
    cdef Counter* counter
    if add(&engine.shared.counters, 1) > engine.settings.cap_counters_max:
        add(&engine.shared.counters, -1)
        return LIMIT_CAP_COUNTERS
    ref = 0
    if shard.counters.make_room(tally.hash):
        ref = allocate(shard, COUNTER_SUBJECT_AT + identity.subject_size)
    if not ref:
        add(&engine.shared.counters, -1)
        return LIMIT_MEMORY
    counter = <Counter*>at(engine, ref)
    counter.units = 0
    counter.last_sequence = NEVER  # until its first change
    counter.window = 0
    counter.cap_uid = identity.cap_uid
    counter.sku = identity.sku
    counter.subject_size = identity.subject_size
    memcpy(<char*>counter + COUNTER_SUBJECT_AT, identity.subject, identity.subject_size)
    shard.counters.insert(ref & PLACE_MASK, tally.hash)
    tally.counter = counter
    return LIMIT_NONE


cdef inline void drop_empty(Engine* engine, Scratch* scratch) noexcept nogil:
    # Drops the scratch's counters that count nothing (any more).
    cdef Tally* tally
    cdef uint32_t i
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        if tally.counter != NULL and tally.counter.units == 0:
            drop_counter(engine, engine.shard(tally.shard), tally.counter, tally.hash)
            tally.counter = NULL


cdef inline int make_counters(Engine* engine, Scratch* scratch) noexcept nogil:
    # Before the point of no return: everything that counting the grant will need. Returns the
    # limit in the way, and then has left no trace.
    cdef Tally* tally
    cdef const Rule* rule
    cdef int limit = LIMIT_NONE
    cdef uint32_t i
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        rule = &engine.caps.rules[tally.rule]
        if rule.subject == SUBJECT_RESERVATION or tally.granted == 0:
            continue
        if tally.counter == NULL:
            limit = make_counter(engine, tally, rule, scratch.lines[tally.line].ref)
        if limit == LIMIT_NONE and rule.window:
            if not make_room_in_window(engine, engine.shard(tally.shard), tally.counter):
                limit = LIMIT_MEMORY
        if limit != LIMIT_NONE:
            drop_empty(engine, scratch)
            return limit
    return LIMIT_NONE


cdef inline void raise_counters(
    Engine* engine, Scratch* scratch, int64_t now, int64_t sequence
) noexcept nogil:
    # Counts the grant. Cannot fail after make_counters.
    cdef Tally* tally
    cdef const Rule* rule
    cdef Window* window
    cdef WindowEntry* entries
    cdef int64_t step
    cdef uint32_t i
    for i in range(scratch.tally_count):
        tally = &scratch.tallies[i]
        if tally.counter == NULL or tally.granted == 0:
            continue
        rule = &engine.caps.rules[tally.rule]
        keep_counter(engine.shard(tally.shard), tally.counter)
        tally.counter.units += tally.granted
        tally.counter.last_sequence = sequence
        if rule.window:
            step = now // rule.step
            window = window_of(engine, tally.counter)
            entries = entries_of(window)
            if window.count == 0 or entries[window.count - 1].step < step:
                entries[window.count].step = step
                entries[window.count].units = 0
                window.count += 1
            entries[window.count - 1].units += tally.granted


cdef inline int64_t still_counted(
    Engine* engine, const Counter* counter, const Rule* rule, int64_t granted_at, int64_t units
) noexcept nogil:
    # How many of these units, granted then, the counter still counts: all, or none once a window
    # has passed over them. The window has been moved up to now.
    cdef WindowEntry* entries
    cdef Window* window
    cdef uint32_t k
    if not rule.window:
        return units
    window = window_of(engine, <Counter*>counter)
    entries = entries_of(window)
    for k in range(window.count):
        if entries[k].step == granted_at // rule.step:
            return units
    return 0


cdef inline void lower_counter(
    Engine* engine, Tally* tally, const Rule* rule, int64_t granted_at, int64_t units,
    int64_t sequence
) noexcept nogil:
    # Counts these units no more, and drops the counter when it counts nothing.
    cdef Counter* counter = tally.counter
    cdef Window* window
    cdef WindowEntry* entries
    cdef uint32_t k
    keep_counter(engine.shard(tally.shard), counter)
    if rule.window:
        window = window_of(engine, counter)
        entries = entries_of(window)
        for k in range(window.count):
            if entries[k].step == granted_at // rule.step:
                entries[k].units -= units
                counter.units -= units
                check(entries[k].units >= 0, b"law 6: a window gives back what it counted")
    else:
        counter.units -= units
    counter.last_sequence = sequence
    check(counter.units >= 0, b"law 6: a cap gives back what it counted")
    if counter.units == 0:
        drop_counter(engine, engine.shard(tally.shard), counter, tally.hash)
