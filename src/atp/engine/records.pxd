# Reservations and receipts: finding, making, ending and forgetting them. Owns the memory of what
# was done; moves no units.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from atp.engine.arena cimport allocate, release_block
from atp.engine.cut cimport forget_record, release_later
from atp.engine.layout cimport (
    Engine, Line, PLACE_BITS, PLACE_MASK, Probe, Record, Ref, Shard, address_of, address_size,
    customer_of, home, kind_of, record_at, record_bytes, ref_of, set_kind,
)
from atp.engine.limits cimport NEVER, SHARDS
from atp.engine.native cimport Key, check, prefetch_to_write
from atp.engine.words cimport RECEIPT_COMMIT, STATE_HELD

# Who asks: the address (0, 4 or 16 bytes) and the customer.
cdef struct Caller:
    const uint8_t* address
    const char* customer
    uint64_t address_hash
    uint64_t customer_hash
    uint32_t address_size
    uint32_t customer_size


cdef inline bint is_receipt(const Record* record) noexcept nogil:
    return kind_of(record) >= RECEIPT_COMMIT


cdef inline void forget(Engine* engine, Shard* shard, Ref ref) noexcept nogil:
    cdef Record* record = record_at(engine, ref)
    check(kind_of(record) != STATE_HELD, b"a hold that lives is not forgotten")
    forget_record(shard, record)
    if is_receipt(record):
        shard.receipt_count -= 1
    shard.records.erase(ref & PLACE_MASK, record.key.low)
    release_later(shard, ref, record_bytes(record))


cdef inline void forget_first(Engine* engine, Shard* shard) noexcept nogil:
    # The next one ended no earlier, and is not looked at here: it is seldom in the cache.
    cdef Ref ref = shard.ended_first
    shard.ended_first_time = record_at(engine, ref).expire_time
    shard.ended_first = record_at(engine, ref).caps_generation
    shard.ended_count -= 1
    if not shard.ended_first:
        shard.ended_first_time = NEVER
        shard.ended_last = 0
    forget(engine, shard, ref)


cdef inline bint is_over(Engine* engine, const Record* record, int64_t now) noexcept nogil:
    # Of an ended record: is its memory over?
    return now - record.expire_time >= engine.settings.remember


cdef inline void forget_old(
    Engine* engine, Shard* shard, int64_t now, uint32_t most
) noexcept nogil:
    # At most `most` of them, so that no command pays for many.
    while most and shard.ended_first and now - shard.ended_first_time >= engine.settings.remember:
        shard.ended_first_time = record_at(engine, shard.ended_first).expire_time
        if not is_over(engine, record_at(engine, shard.ended_first), now):
            return
        forget_first(engine, shard)
        most -= 1


cdef inline Ref find_record(
    Engine* engine, Shard* shard, const Key* key, int64_t now
) noexcept nogil:
    # 0 when there is none, or its memory is over; such a one and all older ones are then forgotten.
    cdef Probe probe
    cdef uint32_t place
    cdef Ref ref
    probe.data = key
    probe.size = sizeof(Key)
    probe.hash = key.low
    place = shard.records.find(probe)
    if not place:
        return 0
    ref = place | (shard.number << PLACE_BITS)
    if (kind_of(record_at(engine, ref)) != STATE_HELD
            and is_over(engine, record_at(engine, ref), now)):
        while shard.records.find(probe):
            forget_first(engine, shard)
        return 0
    return ref


cdef inline int64_t ended_most(Engine* engine) noexcept nogil:
    # How many ended records a shard remembers.
    return max(<int64_t>1, engine.settings.ended_max // SHARDS)


cdef inline void fetch_oldest(Engine* engine, const Shard* shard) noexcept nogil:
    # Fetches what will be forgotten when one more ends.
    if shard.ended_first and shard.ended_count >= ended_most(engine):
        prefetch_to_write(record_at(engine, shard.ended_first))
        prefetch_to_write(<char*>record_at(engine, shard.ended_first) + 64)


cdef inline void mark_ended(
    Engine* engine, Record* record, int kind, int64_t end_time
) noexcept nogil:
    # Ends a reservation, or files a receipt; the oldest of the shard goes when there are too many.
    cdef Shard* shard = engine.shard(home(record.key.low))
    cdef Ref ref = ref_of(shard, record)
    set_kind(record, kind)
    record.expire_time = end_time
    record.caps_generation = 0
    if shard.ended_last:
        record_at(engine, shard.ended_last).caps_generation = ref
    else:
        shard.ended_first = ref
        shard.ended_first_time = end_time
    shard.ended_last = ref
    shard.ended_count += 1
    if is_receipt(record):
        shard.receipt_count += 1
    if shard.ended_count > ended_most(engine):
        forget_first(engine, shard)


cdef inline Ref make_record(
    Engine* engine, Shard* shard, const Key* key, uint32_t line_count, const Caller* caller
) noexcept nogil:
    # A block with its key, address and customer, not yet in the index; 0 when memory is short.
    # After it, file_record cannot fail.
    cdef uint8_t code = 0 if caller.address_size == 0 else 1 if caller.address_size == 4 else 2
    cdef size_t size = (sizeof(Record) + line_count * sizeof(Line) + caller.address_size
                        + caller.customer_size)
    cdef Ref ref
    cdef Record* record
    if not shard.records.make_room(key.low):
        return 0
    ref = allocate(shard, size)
    if not ref:
        return 0
    record = record_at(engine, ref)
    record.key = key[0]
    record.line_count = <uint16_t>line_count
    record.flags = <uint8_t>(code << 5)
    record.customer_size = <uint8_t>caller.customer_size
    if caller.address_size:
        memcpy(address_of(record), caller.address, caller.address_size)
    if caller.customer_size:
        memcpy(customer_of(record), caller.customer, caller.customer_size)
    return ref


cdef inline void file_record(Shard* shard, Ref ref, const Key* key) noexcept nogil:
    shard.records.insert(ref & PLACE_MASK, key.low)


cdef inline void drop_record(Engine* engine, Shard* shard, Ref ref) noexcept nogil:
    # Takes back a block that was made and not filed.
    release_block(shard, ref, record_bytes(record_at(engine, ref)))


cdef inline Ref make_receipt(Engine* engine, const Key* key) noexcept nogil:
    cdef Caller nobody
    nobody.address_size = 0
    nobody.customer_size = 0
    return make_record(engine, engine.shard(home(key.low)), key, 0, &nobody)


cdef inline void file_receipt(
    Engine* engine, Ref ref, const Key* key, int kind, uint64_t fingerprint, int64_t now,
    int64_t sequence
) noexcept nogil:
    cdef Record* receipt = record_at(engine, ref)
    receipt.fingerprint = fingerprint
    receipt.create_time = now
    receipt.grant_sequence = sequence
    receipt.last_sequence = sequence
    file_record(engine.shard(home(key.low)), ref, key)
    mark_ended(engine, receipt, kind, now)
