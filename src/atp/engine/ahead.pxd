# Fetching ahead: in a batch, while one command is judged, what the next ones will look up is
# brought into the cache. Reads only what may be read without a lock; being wrong costs time,
# never an answer.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.judge cimport ReserveCommand
from atp.engine.layout cimport Engine, Shard, counter_hash
from atp.engine.native cimport Key, hash128, hash64, load, prefetch_to_write
from atp.engine.words cimport SUBJECT_CUSTOMER, SUBJECT_IP

cdef enum:
    LINES_AHEAD = 4


cdef inline void fetch_counters(Engine* engine, uint64_t subject_hash, int subject) noexcept nogil:
    cdef Shard* shard = engine.shard(subject_hash >> 58)
    cdef int64_t hint
    cdef int64_t i
    for i in range(load(&engine.plan.hint_count)):
        hint = load(&engine.plan.hints[i])
        if hint & 7 == subject:
            prefetch_to_write(shard)
            shard.counters.fetch_bucket(counter_hash(<uint32_t>(hint >> 3), 0, subject_hash))


cdef inline void fetch_for_reserve(Engine* engine, const ReserveCommand* command) noexcept nogil:
    cdef Key key = hash128(command.request_id, command.request_id_size)
    cdef Shard* shard = engine.shard(key.low >> 58)
    cdef uint64_t hash
    cdef uint32_t i
    prefetch_to_write(shard)
    shard.records.fetch_bucket(key.low)
    for i in range(min(command.line_count, <uint32_t>LINES_AHEAD)):
        hash = hash64(command.lines[i].sku, command.lines[i].sku_size)
        shard = engine.shard(hash >> 58)
        prefetch_to_write(shard)
        shard.skus.fetch_bucket(hash)
    if load(&engine.plan.hint_count) == 0:
        return
    if command.caller.customer_size:
        fetch_counters(engine, hash64(command.caller.customer, command.caller.customer_size),
                       SUBJECT_CUSTOMER)
    if command.caller.address_size:
        fetch_counters(engine, hash64(command.caller.address, command.caller.address_size),
                       SUBJECT_IP)


cdef inline void fetch_for_change(Engine* engine, const Key* key) noexcept nogil:
    cdef Shard* shard = engine.shard(key.low >> 58)
    prefetch_to_write(shard)
    shard.records.fetch_bucket(key.low)
