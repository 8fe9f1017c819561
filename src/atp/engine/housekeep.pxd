# Dropping counters that count nothing any more: those of caps that are gone or count anew, and
# those that their window has passed over. Owns no decision: no answer depends on when it runs,
# but that counters which are over take places until then.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.vector cimport vector

from atp.engine.caps cimport move_window
from atp.engine.counters cimport drop_counter
from atp.engine.digest cimport rule_of
from atp.engine.layout cimport (
    COUNTER_SUBJECT_AT, Counter, Engine, PLACE_BITS, Rule, Shard, at, counter_hash,
)
from atp.engine.limits cimport SHARDS
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport hash64, load, store

cdef enum:
    FULL_EVERY = 1000000000  # ns from one round over all shards for want of places to the next


cdef inline void housekeep(Engine* engine, Shard* shard, int64_t now) noexcept nogil:
    # One shard, which is locked.
    cdef vector[uint32_t] places
    cdef Counter* counter
    cdef const Rule* rule
    cdef size_t i
    if not shard.counters.places(places):
        return  # short of memory: another time
    for i in range(places.size()):
        counter = <Counter*>at(engine, places[i] | (shard.number << PLACE_BITS))
        rule = rule_of(engine, counter.cap_uid)
        if rule != NULL:
            if not rule.window:
                continue
            move_window(engine, counter, rule.step, rule.window, now)
        if rule == NULL or counter.units == 0:
            drop_counter(engine, shard, counter, counter_hash(
                counter.cap_uid, counter.sku,
                hash64(<char*>counter + COUNTER_SUBJECT_AT, counter.subject_size)))


cdef inline void housekeep_all(Engine* engine, int64_t now) noexcept nogil:
    cdef uint32_t i
    for i in range(SHARDS):
        lock(engine, <uint64_t>1 << i)
        housekeep(engine, engine.shard(i), now)
        unlock(engine, <uint64_t>1 << i)


cdef inline bint make_places(Engine* engine, int64_t now) noexcept nogil:
    # When counters have run out: drops those that are over, in all shards. False when that was done
    # not long ago. No shard is locked by the caller.
    if now - load(&engine.housekept) < FULL_EVERY:
        return False
    store(&engine.housekept, now)
    housekeep_all(engine, now)
    return True
