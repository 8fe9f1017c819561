# A shard's memory: blocks of any size from one stretch of address space, never moved. Owns who
# gets which granules; knows nothing of what is in them. Freed blocks wait in a list for their
# size class; classes are exact up to 512 bytes, so that records waste nothing, and a quarter of a
# power of two apart above.
from libc.stdint cimport uint32_t

from atp.engine.layout cimport GRANULE, PLACE_BITS, PLACE_MASK, Ref, Shard
from atp.engine.native cimport (
    check, count_leading_zeros, open_pages, poison, prefetch_to_write, show, unpoison,
)

cdef enum:
    EXACT_CLASSES = 64  # sizes of 1 to 64 granules
    OPEN_GRANULES = 8192  # 64 KiB are opened at a time, an eighth of what is in use if that is more


cdef inline uint32_t size_class(size_t bytes, uint32_t* granules) noexcept nogil:
    # Returns the class and sets the size of its blocks.
    cdef size_t wanted = (bytes + GRANULE - 1) // GRANULE
    cdef uint32_t top, quarter
    if wanted <= EXACT_CLASSES:
        granules[0] = <uint32_t>wanted
        return <uint32_t>wanted - 1
    top = 63 - count_leading_zeros(wanted - 1)  # 2**top < wanted <= 2**(top + 1)
    quarter = <uint32_t>((wanted - 1) >> (top - 2)) - 4  # 0 to 3
    granules[0] = (5 + quarter) << (top - 2)
    return EXACT_CLASSES + (top - 6) * 4 + quarter


cdef inline bint open_more(Shard* shard, uint32_t granules) noexcept nogil:
    cdef size_t opened = shard.open_places
    cdef size_t more = max(<size_t>granules, max(<size_t>OPEN_GRANULES, opened // 8))
    more = (more + 511) // 512 * 512  # whole pages
    if opened + more > <size_t>PLACE_MASK + 1:
        more = <size_t>PLACE_MASK + 1 - opened
        if more < granules:
            return False
    if not shard.is_open and not open_pages(shard.base + opened * GRANULE, more * GRANULE):
        return False
    poison(shard.base + opened * GRANULE, more * GRANULE)
    shard.open_places += <uint32_t>more
    return True


cdef inline void fetch_ahead(char* next, size_t size) noexcept nogil:
    # The block after this one, which is often of the same size and is asked for some 64 commands
    # later: memory that nobody had yet is in no cache.
    cdef size_t at
    for at in range(0, min(size, <size_t>512), 64):
        prefetch_to_write(next + size + at)


cdef inline Ref allocate(Shard* shard, size_t bytes) noexcept nogil:
    # Returns 0 when memory is short. The block's bytes are not cleared.
    cdef uint32_t granules, kind
    cdef Ref ref
    cdef char* block
    if bytes > <size_t>PLACE_MASK * GRANULE:
        return 0
    kind = size_class(bytes, &granules)
    ref = shard.free_blocks[kind]
    if ref:
        block = shard.base + <size_t>(ref & PLACE_MASK) * GRANULE
        unpoison(block, granules * GRANULE)
        shard.free_blocks[kind] = (<Ref*>block)[0]
    else:
        if <size_t>shard.next_place + granules > shard.open_places:
            if not open_more(shard, granules + shard.next_place - shard.open_places):
                return 0
        ref = shard.next_place | (shard.number << PLACE_BITS)
        unpoison(shard.base + <size_t>shard.next_place * GRANULE, granules * GRANULE)
        show(&shard.next_place, shard.next_place + granules)
        fetch_ahead(shard.base + <size_t>shard.next_place * GRANULE, granules * GRANULE)
    shard.used_bytes += granules * GRANULE
    return ref


cdef inline void fetch_free_block(Shard* shard, size_t bytes) noexcept nogil:
    # Fetches the block that `allocate` will give next.
    cdef uint32_t granules
    cdef Ref ref = shard.free_blocks[size_class(bytes, &granules)]
    cdef char* block
    if not ref:
        ref = shard.next_place
    block = shard.base + <size_t>(ref & PLACE_MASK) * GRANULE
    prefetch_to_write(block)
    prefetch_to_write(block + 64)


cdef inline void release_block(Shard* shard, Ref ref, size_t bytes) noexcept nogil:
    # `bytes` is what was asked for.
    cdef uint32_t granules
    cdef uint32_t kind = size_class(bytes, &granules)
    cdef char* block = shard.base + <size_t>(ref & PLACE_MASK) * GRANULE
    check(ref >> PLACE_BITS == shard.number, b"a block goes back to its own shard")
    (<Ref*>block)[0] = shard.free_blocks[kind]
    shard.free_blocks[kind] = ref
    poison(block, granules * GRANULE)
    shard.used_bytes -= granules * GRANULE
