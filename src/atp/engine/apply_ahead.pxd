# Fetching into the cache what events that are read ahead will need, in three steps with some events
# between them: the buckets of tables, the blocks that buckets name, and what those blocks name.
# Being wrong costs time, never an answer. Every shard is locked, or nobody else has the engine.
from libc.stdint cimport uint32_t, uint64_t

from atp.engine.ahead cimport fetch_for_caps
from atp.engine.applying cimport find_hold
from atp.engine.event_reader cimport EventRead
from atp.engine.events cimport EventFacts, RESERVED, STOCK_CHANGED
from atp.engine.layout cimport Engine, Line, Record, Shard, home, lines_of, record_at, sku_at
from atp.engine.native cimport prefetch_to_write
from atp.engine.records cimport Caller


cdef inline void fetch_counts(Engine* engine, const EventRead* event, bint blocks) noexcept nogil:
    cdef Caller caller
    caller.customer_size = <uint32_t>event.facts.customer_size
    caller.customer_hash = event.customer_hash
    caller.address_size = <uint32_t>event.facts.address_size
    caller.address_hash = event.address_hash
    fetch_for_caps(engine, &caller, blocks)


cdef inline void fetch_buckets(Engine* engine, const EventRead* event) noexcept nogil:
    # By what hash_names left.
    cdef const EventFacts* facts = &event.facts
    cdef uint64_t hash
    cdef uint32_t i
    if facts.key != NULL:
        engine.shard(home(facts.key.low)).records.fetch_bucket(facts.key.low)
    if event.kind == RESERVED:
        for i in range(facts.line_count):
            hash = event.own_hashes[i]
            engine.shard(home(hash)).skus.fetch_bucket(hash)
        fetch_counts(engine, event, False)
    elif event.kind == STOCK_CHANGED:
        hash = event.own_hashes[0]
        engine.shard(home(hash)).skus.fetch_bucket(hash)


cdef inline void fetch_blocks(Engine* engine, const EventRead* event) noexcept nogil:
    cdef const EventFacts* facts = &event.facts
    cdef Shard* shard
    cdef uint32_t i
    if event.kind == RESERVED:
        for i in range(facts.line_count):
            shard = engine.shard(home(event.own_hashes[i]))
            shard.skus.fetch_block_ahead(event.own_hashes[i], shard.base)
        fetch_counts(engine, event, True)
    elif facts.key != NULL:
        shard = engine.shard(home(facts.key.low))
        shard.records.fetch_block_ahead(facts.key.low, shard.base)


cdef inline void fetch_what_blocks_name(Engine* engine, const EventRead* event) noexcept nogil:
    # The SKUs of a hold that ends.
    cdef const EventFacts* facts = &event.facts
    cdef Shard* shard
    cdef Record* record
    cdef Line* lines
    cdef char* sku
    cdef uint32_t i
    if facts.key == NULL:
        return
    shard = engine.shard(home(facts.key.low))
    if event.kind == RESERVED:
        return
    if shard.ended_last:
        prefetch_to_write(record_at(engine, shard.ended_last))
    record = find_hold(engine, facts.key)
    if record != NULL:
        lines = lines_of(record)
        for i in range(min(<uint32_t>record.line_count, <uint32_t>4)):
            sku = <char*>sku_at(engine, lines[i].sku)
            prefetch_to_write(sku)
            prefetch_to_write(sku + 64)
