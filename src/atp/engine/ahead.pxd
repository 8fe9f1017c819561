# Fetching ahead: in a batch, while one command is judged, what the next ones will look up is
# brought into the cache. Reads only what may be read without a lock; being wrong costs time,
# never an answer.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.asked cimport ReserveCommand
from atp.engine.layout cimport Engine, Shard, counter_hash, home
from atp.engine.native cimport Key, hash128, hash64, load, prefetch_to_write
from atp.engine.records cimport Caller
from atp.engine.scratch cimport LineAsk

cdef enum:
    LINES_AHEAD = 4


cdef inline void fetch_counters(
    Engine* engine, uint64_t subject_hash, int64_t begin, int64_t end, bint blocks
) noexcept nogil:
    # By the hints from `begin` to `end`. The first step fetches buckets, the second the blocks that
    # they name.
    cdef Shard* shard = engine.shard(home(subject_hash))
    cdef uint64_t hash
    cdef int64_t i
    for i in range(begin, end):
        hash = counter_hash(<uint32_t>load(&engine.plan.hints[i]), 0, subject_hash)
        if blocks:
            shard.counters.fetch_block_ahead(hash, shard.base)
        else:
            prefetch_to_write(shard)
            shard.counters.fetch_bucket(hash)


cdef inline void fetch_for_caps(Engine* engine, const Caller* caller, bint blocks) noexcept nogil:
    cdef int64_t customers = load(&engine.plan.customer_hints)
    cdef int64_t count = load(&engine.plan.hint_count)
    if customers and caller.customer_size:
        fetch_counters(engine, caller.customer_hash, 0, customers, blocks)
    if count > customers and caller.address_size:
        fetch_counters(engine, caller.address_hash, customers, count, blocks)


cdef inline void fetch_for_reserve(
    Engine* engine, ReserveCommand* command, LineAsk* asks
) noexcept nogil:
    # Hashes what the command names, once, and fetches by it. `asks` are its first lines.
    cdef Caller* caller = &command.caller
    cdef Shard* shard
    cdef uint32_t i
    command.key = hash128(command.request_id, command.request_id_size)
    caller.address_hash = hash64(caller.address, caller.address_size)
    caller.customer_hash = hash64(caller.customer, caller.customer_size)
    command.hashed = True
    shard = engine.shard(home(command.key.low))
    prefetch_to_write(shard)
    shard.records.fetch_bucket(command.key.low)
    for i in range(min(command.line_count, <uint32_t>LINES_AHEAD)):
        asks[i].hash = hash64(asks[i].sku, asks[i].sku_size)
        shard = engine.shard(home(asks[i].hash))
        prefetch_to_write(shard)
        shard.skus.fetch_bucket(asks[i].hash)
    fetch_for_caps(engine, caller, False)


cdef inline void fetch_for_change(Engine* engine, const Key* key) noexcept nogil:
    cdef Shard* shard = engine.shard(home(key.low))
    prefetch_to_write(shard)
    shard.records.fetch_bucket(key.low)


cdef inline void fetch_blocks_for_reserve(
    Engine* engine, const ReserveCommand* command, const LineAsk* asks
) noexcept nogil:
    # The second step, a little later: the buckets have come, and say where the blocks are.
    cdef Shard* shard
    cdef uint32_t i
    for i in range(min(command.line_count, <uint32_t>LINES_AHEAD)):
        shard = engine.shard(home(asks[i].hash))
        shard.skus.fetch_block_ahead(asks[i].hash, shard.base)
    fetch_for_caps(engine, &command.caller, True)


cdef inline void fetch_blocks_for_change(Engine* engine, const Key* key) noexcept nogil:
    cdef Shard* shard = engine.shard(home(key.low))
    shard.records.fetch_block_ahead(key.low, shard.base)
