# A hash of the whole state, equal for equal states: the sum of the hashes of everything in it, so
# that neither order nor place in memory matters. What is over at `now` is no part of it. Every
# shard is locked.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.caps cimport entries_of, move_window, window_of
from atp.engine.layout cimport (
    COUNTER_SUBJECT_AT, Counter, Engine, GRANULE, Line, PLACE_BITS, Record, Rule, Shard, Sku,
    address_of, address_size, at, customer_of, kind_of, lines_of, name_of, room_for_walk, sku_at,
)
from atp.engine.limits cimport SHARDS
from atp.engine.native cimport Key, hash128, prefetch_to_write
from atp.engine.records cimport is_over
from atp.engine.words cimport STATE_HELD

cdef enum:
    AHEAD = 12  # blocks sent for before they are read


cdef inline void add_number(string& text, int64_t number) noexcept nogil:
    text.append(<const char*>&number, sizeof(number))


cdef inline void add_bytes(string& text, const void* bytes, size_t size) noexcept nogil:
    # With its size before it, so that what is joined can be told apart.
    add_number(text, <int64_t>size)
    text.append(<const char*>bytes, size)


cdef inline void add_up_text(Key* sum, string& text) noexcept nogil:
    cdef Key hash = hash128(text.data(), text.size())
    sum.high += hash.high
    sum.low += hash.low
    text.clear()


cdef inline void digest_sku(string& text, const Sku* sku) noexcept nogil:
    add_number(text, 1)
    add_bytes(text, name_of(sku), sku.name_size)
    add_number(text, sku.on_hand)
    add_number(text, sku.held)
    add_number(text, sku.sold)
    add_number(text, sku.received)
    add_number(text, sku.adjusted)
    add_number(text, sku.last_sequence)


cdef inline void digest_record(Engine* engine, string& text, Record* record) noexcept nogil:
    cdef Line* lines = lines_of(record)
    cdef Sku* sku
    cdef uint32_t i
    add_number(text, 2)
    add_bytes(text, &record.key, sizeof(Key))
    add_number(text, <int64_t>record.fingerprint)
    add_number(text, record.create_time)
    add_number(text, record.expire_time)
    add_number(text, record.grant_sequence)
    add_number(text, record.last_sequence)
    add_number(text, record.flags)
    add_bytes(text, address_of(record), address_size(record))
    add_bytes(text, customer_of(record), record.customer_size)
    for i in range(record.line_count):
        sku = sku_at(engine, lines[i].sku)
        add_bytes(text, name_of(sku), sku.name_size)
        add_number(text, lines[i].quantity)
        add_number(text, lines[i].committed)
        add_number(text, lines[i].released)


cdef inline void digest_counter(
    Engine* engine, string& text, Counter* counter, const Rule* rule
) noexcept nogil:
    cdef Sku* sku
    cdef uint32_t i
    add_number(text, 3)
    add_bytes(text, rule.cap_id.data(), rule.cap_id.size())
    add_bytes(text, <char*>counter + COUNTER_SUBJECT_AT, counter.subject_size)
    if counter.sku:
        sku = sku_at(engine, counter.sku)
        add_bytes(text, name_of(sku), sku.name_size)
    add_number(text, counter.units)
    if counter.window:
        for i in range(window_of(engine, counter).count):
            if entries_of(window_of(engine, counter))[i].units:
                add_number(text, entries_of(window_of(engine, counter))[i].step)
                add_number(text, entries_of(window_of(engine, counter))[i].units)


cdef inline const Rule* rule_of(Engine* engine, uint32_t uid) noexcept nogil:
    # The cap that a counter belongs to, or NULL: the cap is gone, or counts anew.
    cdef uint32_t i
    for i in range(<uint32_t>engine.caps.rules.size()):
        if engine.caps.rules[i].uid == uid:
            return &engine.caps.rules[i]
    return NULL


cdef inline void fetch_block(Shard* shard, const vector[uint32_t]& places, size_t i) noexcept nogil:
    # Places come in no order: each block is sent for some turns before it is read.
    cdef const char* block
    if i < places.size():
        block = shard.base + <size_t>places[i] * GRANULE
        prefetch_to_write(block)
        prefetch_to_write(block + 64)


cdef inline void fetch_sku_of(
    Engine* engine, Shard* shard, const vector[uint32_t]& places, size_t i
) noexcept nogil:
    # That of a record's first line. The record has been sent for before.
    cdef Record* record
    if i < places.size():
        record = <Record*>(shard.base + <size_t>places[i] * GRANULE)
        if record.line_count:
            prefetch_to_write(sku_at(engine, lines_of(record).sku))
            prefetch_to_write(<char*>sku_at(engine, lines_of(record).sku) + 64)


cdef inline void digest_counters(
    Engine* engine, Shard* shard, int64_t now, Key* sum, vector[uint32_t]& places, string& text
) noexcept nogil:
    cdef Counter* counter
    cdef const Rule* rule
    cdef size_t i
    shard.counters.places(places)
    for i in range(places.size()):
        fetch_block(shard, places, i + AHEAD)
        counter = <Counter*>at(engine, places[i] | (shard.number << PLACE_BITS))
        rule = rule_of(engine, counter.cap_uid)
        if rule != NULL:
            move_window(engine, counter, rule.step, rule.window, now)
            if counter.units:
                digest_counter(engine, text, counter, rule)
                add_up_text(sum, text)


cdef inline void digest_shard(
    Engine* engine, Shard* shard, int64_t now, Key* sum, vector[uint32_t]& places, string& text
) noexcept nogil:
    cdef uint32_t base = shard.number << PLACE_BITS
    cdef Record* record
    cdef size_t i
    shard.skus.places(places)
    for i in range(places.size()):
        fetch_block(shard, places, i + AHEAD)
        digest_sku(text, sku_at(engine, places[i] | base))
        add_up_text(sum, text)
    shard.records.places(places)
    for i in range(places.size()):
        fetch_block(shard, places, i + 2 * AHEAD)
        fetch_sku_of(engine, shard, places, i + AHEAD)
        record = <Record*>at(engine, places[i] | base)
        if kind_of(record) == STATE_HELD or not is_over(engine, record, now):
            digest_record(engine, text, record)
            add_up_text(sum, text)
    digest_counters(engine, shard, now, sum, places, text)


# What a walk over everything needs, taken before it begins: a walk that breaks off half way would
# leave things half counted.
cdef cppclass Walk:
    vector[uint32_t] places
    vector[uint64_t] found  # violations
    string text


cdef inline bint open_walk(Engine* engine, Walk* walk) noexcept nogil:
    # Every shard is locked. False when memory is short.
    cdef size_t most = 0
    cdef Shard* shard
    cdef uint32_t i
    for i in range(SHARDS):
        shard = engine.shard(i)
        most = max(most, max(shard.skus.size(), max(shard.records.size(), shard.counters.size())))
    return room_for_walk(walk.places, most, walk.text, walk.found)


cdef inline void digest_frame(Engine* engine, Key* sum, string& text) noexcept nogil:
    # What is of no shard: the caps, and how far it all has come.
    cdef uint32_t i
    for i in range(<uint32_t>engine.caps.rules.size()):
        add_number(text, 4)
        text.append(engine.caps.rules[i].definition)
        add_up_text(sum, text)
    add_number(text, engine.shared.sequence)
    add_up_text(sum, text)


cdef inline Key digest(Engine* engine, int64_t now, Walk* walk) noexcept nogil:
    cdef Key sum
    cdef uint32_t i
    sum.high = 0
    sum.low = 0
    for i in range(SHARDS):
        digest_shard(engine, engine.shard(i), now, &sum, walk.places, walk.text)
    digest_frame(engine, &sum, walk.text)
    return sum
