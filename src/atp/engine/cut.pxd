# A consistent cut: the state after exactly one sequence, while everything goes on changing. Owns
# which blocks must be kept aside, and when. Writes nothing; journal/copying.pxd copies the shards.
#
# With every shard locked, each shard is told the sequence S of the cut. From then on, until a
# shard has been copied:
# - Whoever changes a SKU, a record or a counter of it calls keep_*() first. A block whose
#   last_sequence is at most S is as it was at S, and is kept aside unless it has been copied
#   already; then its last_sequence becomes that of the change, later than S, under the same lock:
#   so it is kept once, and the copier passes it over, as it passes over what came into being
#   after S. What is being made and has no sequence yet has NEVER for one.
# - Whoever gives back a record's or a counter's memory keeps it as well, gives it NEVER, and
#   calls release_later(): a place that stands in the copier's list must not become another
#   thing's.
# - Counters' windows are moved by those who read them, without a sequence. Nothing is lost by it:
#   a window stops counting only what it has passed over by the engine's time, and the snapshot
#   carries the engine's time at its end, which is no earlier. No one who loads it can look from
#   before that.
# - SKUs are never given back and their names never change, nor does what a record concerns.
# What is due or over by the time of the cut and has not been ended or forgotten yet is part of
# the state at S: its ending has a later sequence, and forgetting has none and needs none.
from libc.stdint cimport int64_t, uint32_t

from atp.engine.arena cimport release_block
from atp.engine.layout cimport Counter, Record, Ref, Shard, Sku
from atp.engine.limits cimport NEVER


cdef extern from "atp/engine/cut.h" namespace "atp" nogil:
    const int64_t NO_CUT "atp::kNoCut"

    cppclass AsideBudget:
        int64_t taken
        int64_t most

    cppclass Page "atp::Pile::Page":
        Page* next
        uint32_t count
        char* bytes() noexcept

    cppclass Pile:
        Page* first

    struct Freed:
        Ref ref
        uint32_t bytes

    cppclass AsideKind "atp::Aside::Kind":
        Pile pile
        uint32_t copied

    cppclass Aside:
        AsideKind skus
        AsideKind records
        AsideKind counters
        Pile freed
        void clear() noexcept

    void keep_aside(Shard* shard, const Sku* block) noexcept
    void keep_aside(Shard* shard, const Record* block) noexcept
    void keep_aside(Shard* shard, const Counter* block) noexcept
    bint keep_place(Shard* shard, Ref ref, size_t bytes) noexcept


cdef inline void keep_sku(Shard* shard, const Sku* sku) noexcept nogil:
    if sku.last_sequence <= shard.cut_sequence:
        keep_aside(shard, sku)


cdef inline void keep_record(Shard* shard, const Record* record) noexcept nogil:
    if record.last_sequence <= shard.cut_sequence:
        keep_aside(shard, record)


cdef inline void keep_counter(Shard* shard, const Counter* counter) noexcept nogil:
    if counter.last_sequence <= shard.cut_sequence:
        keep_aside(shard, counter)


cdef inline void forget_record(Shard* shard, Record* record) noexcept nogil:
    keep_record(shard, record)
    record.last_sequence = NEVER


cdef inline void forget_counter(Shard* shard, Counter* counter) noexcept nogil:
    keep_counter(shard, counter)
    counter.last_sequence = NEVER


cdef inline void release_later(Shard* shard, Ref ref, size_t bytes) noexcept nogil:
    # Gives back a block, once no copier can come upon it.
    if shard.cut_sequence == NO_CUT or not keep_place(shard, ref, bytes):
        release_block(shard, ref, bytes)
