# What scan.h declares.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

from atp.engine.events cimport RecordHead


cdef extern from "atp/journal/scan.h" namespace "atp" nogil:
    cdef enum Verdict:
        CLEAN "atp::kClean"
        TORN "atp::kTorn"
        DAMAGED "atp::kDamaged"

    struct Walk:
        size_t end
        int64_t sequence

    struct Ending:
        Verdict verdict
        size_t rest_end
        size_t next_at
        int64_t next_sequence
        int64_t last_sequence
        int64_t durable_sequence

    Walk walk_records(const char* data, size_t size, size_t at, int64_t sequence) noexcept
    size_t find_record(const char* data, size_t size, size_t at, int64_t sequence,
                       RecordHead* head) noexcept
    Ending judge_end(const char* data, size_t size, size_t at, int64_t expected, int64_t synced,
                     cbool is_last) noexcept
