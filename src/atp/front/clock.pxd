# What clock.h declares.
from libc.stdint cimport int64_t


cdef extern from "atp/front/clock.h" namespace "atp" nogil:
    cppclass FrontClock:
        void publish(int64_t wall, int64_t steady, int64_t ppm) noexcept
        int64_t now() noexcept
