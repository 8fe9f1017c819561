# What read_ahead.h declares: records read ahead of whoever applies them.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

from atp.engine.event_reader cimport EventRead


cdef extern from "atp/journal/read_ahead.h" namespace "atp" nogil:
    const size_t THREAD_FROM "atp::kThreadFrom"

    struct RecordRead:
        EventRead event
        const char* record
        size_t size
        const char* problem

    struct RecordSource:
        const char* data
        size_t size
        int file
        size_t at
        int64_t sequence
        int64_t until

    cppclass ReadAhead:
        ReadAhead(const RecordSource& source) except +
        void start() noexcept
        RecordRead* next(cbool wait) noexcept
        void give_back() noexcept
        int error() noexcept
