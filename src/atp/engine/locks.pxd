# Which shards a command locks, and how: a mask, taken in ascending order, so that there is no
# deadlock and no hierarchy to remember. Owns the order; knows nothing of what is guarded.
from libc.stdint cimport uint64_t

from atp.engine.layout cimport Engine, home
from atp.engine.native cimport count_leading_zeros, count_trailing_zeros

cdef inline uint64_t mask_of_hash(uint64_t hash) noexcept nogil:
    return <uint64_t>1 << home(hash)


cdef inline void lock(Engine* engine, uint64_t mask) noexcept nogil:
    while mask:
        engine.shard(count_trailing_zeros(mask)).lock.take()
        mask &= mask - 1


cdef inline void unlock(Engine* engine, uint64_t mask) noexcept nogil:
    while mask:
        engine.shard(count_trailing_zeros(mask)).lock.give()
        mask &= mask - 1


cdef inline bint lock_more(Engine* engine, uint64_t held, uint64_t wanted) noexcept nogil:
    # Takes what is wanted beyond what is held. Below the highest one held it only tries, because
    # waiting there could deadlock; when it fails it has given back everything, `held` too, and
    # returns False.
    cdef uint64_t more = wanted & ~held
    cdef uint64_t taken = held
    cdef uint64_t bit
    cdef int highest = 63 - count_leading_zeros(held)
    cdef int number
    while more:
        number = count_trailing_zeros(more)
        bit = <uint64_t>1 << number
        if number > highest:
            engine.shard(number).lock.take()
        elif not engine.shard(number).lock.try_take():
            unlock(engine, taken)
            return False
        taken |= bit
        more &= more - 1
    return True
