# What core_share.h declares.
cdef extern from "atp/engine/core_share.h" namespace "atp" nogil:
    void serve_promptly() noexcept
    void give_way(int nice) noexcept
