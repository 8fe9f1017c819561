# What delay.h declares.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool


cdef extern from "atp/front/delay.h" namespace "atp" nogil:
    cppclass Delay:
        void begin_wait(int64_t now) noexcept
        void end_wait(int64_t now) noexcept
        void end_round(int64_t now) noexcept
        cbool is_late(int64_t read_before, int64_t now, int64_t left, int64_t most) noexcept
