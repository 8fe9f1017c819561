# The digest of an engine as it is: at its own time, and nothing expires for being asked, for what a
# start finds. Several threads take shards each. engine/digest.pxd says what is hashed.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.digest cimport digest_frame, digest_shard
from atp.engine.layout cimport Engine, Shard, room_for_walk
from atp.engine.limits cimport SHARDS
from atp.engine.locks cimport lock, unlock
from atp.engine.native cimport Key
from atp.journal.reading cimport run_on_all, threads_for_state

cdef struct Digesting:
    Engine* engine
    int64_t now
    Key sums[SHARDS]
    bint shorts[SHARDS]  # of memory


cdef inline void digest_one(
    void* context, size_t number, unsigned int thread
) noexcept nogil:
    cdef Digesting* digesting = <Digesting*>context
    cdef Engine* engine = digesting.engine
    cdef Shard* shard = engine.shard(<unsigned int>number)
    cdef vector[uint32_t] places
    cdef vector[uint64_t] found
    cdef string text
    cdef size_t most = max(shard.skus.size(), max(shard.records.size(), shard.counters.size()))
    digesting.sums[number].high = 0
    digesting.sums[number].low = 0
    digesting.shorts[number] = not room_for_walk(places, most, text, found)
    if not digesting.shorts[number]:
        digest_shard(engine, shard, digesting.now, &digesting.sums[number], places, text)


cdef inline bint digest_all(Digesting* digesting, Key* sum) noexcept nogil:
    # False when memory is short.
    cdef bint ok = True
    cdef string text
    cdef uint32_t i
    sum.high = 0
    sum.low = 0
    lock(digesting.engine, <uint64_t>-1)
    run_on_all(threads_for_state(digesting.engine[0]), SHARDS, digest_one, digesting)
    digest_frame(digesting.engine, sum, text)
    unlock(digesting.engine, <uint64_t>-1)
    for i in range(SHARDS):
        ok = ok and not digesting.shorts[i]
        sum.high += digesting.sums[i].high
        sum.low += digesting.sums[i].low
    return ok
