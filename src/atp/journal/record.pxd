# What record.h declares.
from libc.stdint cimport uint32_t, uint64_t

from atp.engine.events cimport RecordHead


cdef extern from "atp/journal/record.h" namespace "atp" nogil:
    const size_t EVENT_BYTES_MOST "atp::kEventBytesMost"

    uint64_t record_checksum(const char* record, size_t event_size) noexcept
    void seal_record(char* record, uint32_t behind) noexcept
    size_t sound_record(const char* at, size_t room, RecordHead* head) noexcept
