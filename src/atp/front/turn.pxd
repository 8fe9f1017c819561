# What turn.h declares.
from libcpp cimport bool as cbool

from atp.front.uv cimport uv_async_t


cdef extern from "atp/front/turn.h" namespace "atp" nogil:
    cppclass Turn:
        void begin() noexcept
        void end() noexcept
        void leave() noexcept
        void come_back(uv_async_t* told) noexcept
        cbool await_absence() noexcept
        void stand_in() noexcept
        void stand_back() noexcept
        cbool is_away() noexcept
        cbool has_stand_in() noexcept
        void finish() noexcept
