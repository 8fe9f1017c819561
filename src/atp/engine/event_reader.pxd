# What event_reader.h declares: an event's message read back into facts.
from libc.stdint cimport uint32_t, uint64_t

from atp.engine.events cimport EventFacts, EventField, EventLine
from atp.engine.native cimport Key


cdef extern from "atp/engine/event_reader.h" namespace "atp" nogil:
    const uint32_t LINES_READ_AHEAD "atp::kLinesAhead"

    struct EventRead:
        EventFacts facts
        EventField kind
        uint32_t line_count
        Key key
        Key replaced
        Key receipt_key
        EventLine* own_lines
        uint64_t* own_hashes
        uint64_t customer_hash
        uint64_t address_hash

    const char* read_event(const char* data, size_t size, EventRead* into, EventLine* lines,
                           uint32_t room) noexcept
    void hash_names(EventRead* event) noexcept
    void fetch_all(const void* at, size_t size) noexcept
