# How many live holds there may be. Each shard counts its own, and tells all when it has changed
# by a 65,536th of the bound: so that holds do not all write to one cache line. What shards have
# not told is taken as used up: the bound is never passed, and reached exactly when it is below
# 65,536 - else at most two thousandths early.
from libc.stdint cimport int64_t

from atp.engine.layout cimport Engine, Shard
from atp.engine.limits cimport SHARDS
from atp.engine.native cimport add, load


cdef inline int64_t untold_most(Engine* engine) noexcept nogil:
    # What one shard may leave untold.
    return engine.settings.live_holds_max >> 16


cdef inline void tell(Engine* engine, Shard* shard) noexcept nogil:
    add(&engine.shared.live_holds, shard.live_holds - shard.live_told)
    shard.live_told = shard.live_holds


cdef inline bint take_live_place(Engine* engine, Shard* shard) noexcept nogil:
    # For one more live hold of this shard; False when there are too many.
    cdef int64_t untold = untold_most(engine)
    if untold == 0:
        if add(&engine.shared.live_holds, 1) > engine.settings.live_holds_max:
            add(&engine.shared.live_holds, -1)
            return False
        shard.live_holds += 1
        shard.live_told += 1
        return True
    if load(&engine.shared.live_holds) + untold * SHARDS >= engine.settings.live_holds_max:
        return False
    shard.live_holds += 1
    if shard.live_holds - shard.live_told >= untold:
        tell(engine, shard)
    return True


cdef inline void give_live_place(Engine* engine, Shard* shard) noexcept nogil:
    shard.live_holds -= 1
    if shard.live_told - shard.live_holds >= max(<int64_t>1, untold_most(engine)):
        tell(engine, shard)
