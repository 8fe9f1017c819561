# Records to the messages of the change feed. Included by _native.pyx.
from libc.stdint cimport int64_t

from atp.journal cimport feed as F


def pack_records(bytes data not None, int64_t next, int64_t first, int64_t last):
    # Without the GIL: a reader of the past must not keep checkouts waiting.
    cdef F.Packed packed
    cdef const char* records = <const char*>data
    cdef size_t size = len(data)
    with nogil:
        packed = F.pack_records(records, size, next, first, last)
    return packed.message, packed.count, packed.next, packed.used
