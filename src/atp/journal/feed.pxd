# What feed.h declares.
from libc.stdint cimport int64_t
from libcpp.string cimport string


cdef extern from "atp/journal/feed.h" namespace "atp" nogil:
    struct Packed:
        string message
        int64_t next
        int64_t count
        size_t used

    Packed pack_records(
        const char* data, size_t size, int64_t next, int64_t first, int64_t last
    ) except +
