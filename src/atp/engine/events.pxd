# What happened, for whoever remembers it: see events.h. A command promises the room for its event
# before its point of no return; after it, record_change gives the change its sequence and cannot
# fail.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.layout cimport Engine, Tail
from atp.engine.native cimport Key


cdef extern from "atp/engine/events.h" namespace "atp" nogil:
    struct EventLine:
        const char* sku
        size_t sku_size
        int64_t quantity

    struct EventFacts:
        int64_t time
        const Key* key
        uint64_t fingerprint
        int64_t expire_time
        const EventLine* lines
        size_t line_count
        const char* customer
        size_t customer_size
        const uint8_t* address
        size_t address_size
        cbool partial
        const Key* replaced
        const char* request_id
        size_t request_id_size
        const Key* receipt_key
        uint64_t receipt_fingerprint
        const char* sku
        size_t sku_size
        int64_t on_hand
        int64_t received
        int64_t adjusted
        int32_t reason
        const char* message
        size_t message_size
        cbool counts_reset

    enum EventField:
        RESERVED "atp::kReserved"
        COMMITTED "atp::kCommitted"
        RELEASED "atp::kReleased"
        EXPIRED "atp::kExpired"
        EXTENDED "atp::kExtended"
        STOCK_CHANGED "atp::kStockChanged"
        CAP_SET "atp::kCapSet"
        CAP_REMOVED "atp::kCapRemoved"

    cppclass CapFacts:
        CapFacts() except +
        string cap_id
        int32_t subject
        int32_t prefix4
        int32_t prefix6
        vector[string] skus
        cbool per_sku
        int64_t limit
        int64_t window
        int32_t mode
        vector[string] override_subjects
        vector[int64_t] override_limits

    string write_cap(const CapFacts& facts) except +

cdef extern from "atp/engine/tail.h" namespace "atp" nogil:
    struct RecordHead:
        uint64_t checksum
        int64_t sequence
        uint32_t size
        uint32_t behind

    struct Taken:
        char* bytes
        size_t size

    bint may_append(const Tail& tail) noexcept
    void wait_to_append(Tail& tail) noexcept
    int64_t append(Engine& engine, EventField kind, const EventFacts& facts) noexcept
    Taken take_tail(Engine& engine) noexcept
    void count_written(Engine& engine, size_t written) noexcept
    void return_taken(Engine& engine, const Taken& all) noexcept


cdef inline bint records(Engine* engine) noexcept nogil:
    # Is there anyone to tell? If not, an event's facts need not be gathered.
    return engine.settings.record_events


cdef inline void clear_facts(EventFacts* facts, int64_t time) noexcept nogil:
    memset(facts, 0, sizeof(EventFacts))
    facts.time = time


cdef inline bint promise_event(Engine* engine) noexcept nogil:
    # Is there room for one more event? False when far too much waits. Asked before a change's
    # point of no return; without a recorder there is nothing to promise.
    return not records(engine) or may_append(engine.tail)


cdef inline void promise_expiry(Engine* engine) noexcept nogil:
    # The same for an expiry: waits until there is room.
    if records(engine):
        wait_to_append(engine.tail)


cdef inline int64_t record_change(
    Engine* engine, EventField kind, const EventFacts* facts
) noexcept nogil:
    return append(engine[0], kind, facts[0])
