# SKUs: finding them, making them, and the two laws of their counters. Owns every change of on
# hand, held and sold, in the SKU and in its shard's sums; each change is checked where it is made.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from atp.engine.arena cimport allocate
from atp.engine.cut cimport keep_sku
from atp.engine.layout cimport (
    Engine, PLACE_BITS, Probe, Ref, SKU_NAME_AT, Shard, Sku, sku_at,
)
from atp.engine.limits cimport NEVER
from atp.engine.native cimport check


cdef inline Ref find_sku(Shard* shard, const char* name, size_t size, uint64_t hash) noexcept nogil:
    # 0 when unknown.
    cdef Probe probe
    cdef uint32_t place
    probe.data = name
    probe.size = size
    probe.hash = hash
    place = shard.skus.find(probe)
    return place | (shard.number << PLACE_BITS) if place else 0


cdef inline Ref make_sku(
    Engine* engine, Shard* shard, const char* name, size_t size, uint64_t hash
) noexcept nogil:
    # 0 when memory is short.
    cdef Ref ref
    cdef Sku* sku
    if not shard.skus.make_room(hash):
        return 0
    ref = allocate(shard, SKU_NAME_AT + size)
    if not ref:
        return 0
    sku = sku_at(engine, ref)
    memset(sku, 0, SKU_NAME_AT)
    sku.first_expire = NEVER
    sku.last_sequence = NEVER  # until its first change
    sku.name_size = <uint8_t>size
    memcpy(<char*>sku + SKU_NAME_AT, name, size)
    shard.skus.insert(ref & ((<uint32_t>1 << PLACE_BITS) - 1), hash)
    return ref


cdef inline void check_laws(const Sku* sku) noexcept nogil:
    check(sku.held >= 0 and sku.held <= sku.on_hand, b"law 1: no oversell (held <= on hand)")
    check(sku.on_hand == sku.received + sku.adjusted - sku.sold,
          b"law 2: conservation (on hand = received + adjusted - sold)")


cdef inline void hold_units(
    Shard* shard, Sku* sku, int64_t quantity, int64_t sequence
) noexcept nogil:
    keep_sku(shard, sku)
    sku.held += quantity
    shard.held += quantity
    sku.last_sequence = sequence
    check_laws(sku)


cdef inline void give_back_units(
    Shard* shard, Sku* sku, int64_t quantity, int64_t sequence
) noexcept nogil:
    keep_sku(shard, sku)
    sku.held -= quantity
    shard.held -= quantity
    sku.last_sequence = sequence
    check_laws(sku)


cdef inline void sell_units(
    Shard* shard, Sku* sku, int64_t quantity, int64_t sequence
) noexcept nogil:
    keep_sku(shard, sku)
    sku.held -= quantity
    sku.on_hand -= quantity
    sku.sold += quantity
    shard.held -= quantity
    shard.sold += quantity
    sku.last_sequence = sequence
    check_laws(sku)


cdef inline void note_new_end(Shard* shard, Sku* sku, int64_t sequence) noexcept nogil:
    # When held units may come back is part of what is told about a SKU.
    keep_sku(shard, sku)
    sku.last_sequence = sequence


cdef inline void change_on_hand(
    Shard* shard, Sku* sku, int64_t received, int64_t adjusted, int64_t sequence
) noexcept nogil:
    keep_sku(shard, sku)
    sku.received += received
    sku.adjusted += adjusted
    sku.on_hand += received + adjusted
    shard.supplied += received + adjusted
    sku.last_sequence = sequence
    check_laws(sku)
