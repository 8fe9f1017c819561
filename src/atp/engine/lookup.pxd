# Reading one reservation, and many SKUs at one instant: what is due by then has expired. Changes
# nothing else.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from atp.engine.layout cimport Engine, Record, Ref, home, record_at, sku_at
from atp.engine.locks cimport mask_of_hash, unlock
from atp.engine.native cimport Key, hash64
from atp.engine.read cimport SkuView, View, view_record, view_sku
from atp.engine.records cimport find_record, is_receipt
from atp.engine.scratch cimport LineAsk
from atp.engine.stock cimport find_sku
from atp.engine.sweep cimport enter


cdef inline void read_reservation(
    Engine* engine, const Key* key, int64_t now, View* view
) noexcept nogil:
    # The view is open, and stays empty when there is no such reservation.
    cdef uint64_t mask = mask_of_hash(key.low)
    cdef Ref ref
    cdef Record* record
    now = enter(engine, now, mask)
    ref = find_record(engine, engine.shard(home(key.low)), key, now)
    if ref:
        record = record_at(engine, ref)
        if not is_receipt(record):
            view_record(engine, record, view)
    unlock(engine, mask)


cdef inline void read_skus(
    Engine* engine, LineAsk* asks, uint32_t count, int64_t now, SkuView* views
) noexcept nogil:
    # All their shards are locked together. Fills in the hashes of what is asked.
    cdef uint64_t mask = 0
    cdef Ref ref
    cdef uint32_t i
    for i in range(count):
        asks[i].hash = hash64(asks[i].sku, asks[i].sku_size)
        mask |= mask_of_hash(asks[i].hash)
    enter(engine, now, mask)
    for i in range(count):
        ref = find_sku(
            engine.shard(home(asks[i].hash)), asks[i].sku, asks[i].sku_size, asks[i].hash)
        views[i].known = False
        if ref:
            view_sku(sku_at(engine, ref), &views[i])
    unlock(engine, mask)
