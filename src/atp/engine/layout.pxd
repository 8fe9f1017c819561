# What layout.h, caps.h and state.h declare, and how to get from a reference to what it names.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.native cimport Key, Lock

ctypedef uint32_t Ref


cdef extern from "atp/engine/hot.h" namespace "atp" nogil:
    const unsigned int HOT_KNOWN "atp::Hot::kKnown"
    const int64_t HOT_SKIPPED "atp::kHotSkipped"

    cppclass Hot:
        void ask(Ref sku, uint32_t times) noexcept
        int64_t cool() noexcept
        Ref sku(unsigned int i) noexcept
        uint32_t count(unsigned int i) noexcept


cdef extern from "atp/engine/layout.h" namespace "atp" nogil:
    const uint32_t PLACE_MASK "atp::kPlaceMask"
    const uint32_t PLACE_BITS "atp::kPlaceBits"
    const size_t GRANULE "atp::kGranule"
    const uint32_t SIZE_CLASSES "atp::kSizeClasses"
    const size_t SKU_NAME_AT "atp::kSkuNameAt"
    const size_t COUNTER_SUBJECT_AT "atp::kCounterSubjectAt"

    struct Sku:
        int64_t on_hand
        int64_t held
        int64_t sold
        int64_t received
        int64_t adjusted
        int64_t last_sequence
        int64_t first_expire
        int64_t last_expire
        Ref row_first
        Ref row_last
        Ref heap
        uint32_t place
        uint8_t name_size

    struct Record:
        Key key
        uint64_t fingerprint
        int64_t create_time
        int64_t expire_time
        int64_t grant_sequence
        int64_t last_sequence
        uint32_t caps_generation
        uint16_t line_count
        uint8_t flags
        uint8_t customer_size

    struct Line:
        Ref sku
        int32_t quantity
        int32_t committed
        int32_t released
        Ref next
        uint32_t place
        uint16_t index
        uint16_t in_heap

    struct LineHeap:
        uint32_t count
        uint32_t room

    struct Counter:
        int64_t units
        int64_t last_sequence
        Ref window
        uint32_t cap_uid
        Ref sku
        uint8_t subject_size

    struct CounterIdentity:
        uint32_t cap_uid
        Ref sku
        const uint8_t* subject
        uint8_t subject_size

    struct Window:
        uint32_t count
        uint32_t room

    struct WindowEntry:
        int64_t step
        int64_t units

    uint64_t counter_hash(uint32_t cap_uid, Ref sku, uint64_t subject_hash) noexcept

    struct Probe:
        const void* data
        size_t size
        uint64_t hash

    cppclass Index "atp::Index<atp::SkuTraits>":
        uint32_t find(const Probe& probe) noexcept
        bint make_room(uint64_t hash) noexcept
        void expect(size_t more) noexcept
        void insert(uint32_t place, uint64_t hash) noexcept
        void erase(uint32_t place, uint64_t hash) noexcept
        size_t size() noexcept
        size_t bytes() noexcept
        bint places(vector[uint32_t]& into) noexcept
        void fetch_bucket(uint64_t hash) noexcept
        void fetch_block(uint64_t hash, const char* base) noexcept
        void fetch_block_ahead(uint64_t hash, const char* base) noexcept

    bint room_for_walk(vector[uint32_t]& places, size_t most, string& text,
                       vector[uint64_t]& found) noexcept

    cppclass Shard:
        Lock lock
        uint32_t next_place
        uint32_t open_places
        bint is_open
        uint32_t number
        char* base
        int64_t cut_sequence
        int64_t* due_heap
        uint32_t due_count
        uint32_t due_room
        int64_t held
        int64_t sold
        Ref counted
        Ref ended_first
        Ref ended_last
        uint32_t ended_count
        uint32_t receipt_count
        int64_t ended_first_time
        int64_t live_holds
        int64_t live_told
        int64_t used_bytes
        int64_t supplied
        int64_t expired_holds
        Hot hot
        Index skus
        Index records
        Index counters
        Ref* free_blocks


cdef extern from "atp/engine/caps.h" namespace "atp" nogil:
    const int64_t NO_LIMIT "atp::kNoLimit"

    struct CapStatistics:
        int64_t refused
        int64_t shadow_refused

    cppclass StatisticsPointer "std::shared_ptr<atp::CapStatistics>":
        CapStatistics* get() noexcept

    cppclass RulesBySku "atp::ByBytes<std::vector<std::uint32_t>>":
        size_t size() noexcept

    cppclass Rule:
        Rule() except +
        string cap_id
        string definition
        int64_t update_time
        int64_t set_sequence
        uint32_t uid
        uint32_t since_generation
        uint8_t subject
        uint8_t mode
        cbool per_sku
        cbool has_skus
        cbool has_overrides
        uint8_t prefix4
        uint8_t prefix6
        int64_t limit
        int64_t window
        int64_t step
        uint32_t home_shard
        vector[uint8_t] prefixes4
        vector[uint8_t] prefixes6
        StatisticsPointer statistics
        void add_override(const string& subject, int64_t other) except +

    void mask_address(uint8_t* bytes, unsigned int size, unsigned int prefix) noexcept

    cppclass CapTable:
        CapTable() except +
        vector[Rule] rules
        vector[uint32_t] for_all
        RulesBySku for_some
        void add_for_some(const string& sku, uint32_t rule) except +
        const vector[uint32_t]* rules_of(const char* sku, size_t size, uint64_t hash) noexcept
        @staticmethod
        int64_t limit_of(const Rule& rule, const uint8_t* subject, unsigned int size,
                         bint is_address, unsigned int most) noexcept

    void swap_tables(CapTable& a, CapTable& b) noexcept

    struct CapPlan:
        int64_t generation
        int64_t counts_addresses
        int64_t counts_customers
        int64_t everyone_shards
        int64_t subnet_count
        int64_t* subnets
        int64_t customer_hints
        int64_t hint_count
        int64_t* hints


cdef extern from "atp/engine/state.h" namespace "atp" nogil:
    struct Settings:
        int64_t sku_max
        int64_t live_holds_max
        int64_t cap_counters_max
        int64_t ended_max
        int64_t remember
        int64_t longest_life
        cbool record_events

    struct Tail:
        Lock lock
        cbool has_writer
        size_t used
        size_t taken

    struct Shared "decltype(atp::Engine::shared)":
        int64_t sequence
        int64_t live_holds
        int64_t counters
        int64_t skus

    struct Due "decltype(atp::Engine::due)":
        int64_t next
        int64_t pending
        Lock sweeping
        uint32_t next_housekept

    cppclass Engine:
        Engine(const Settings& given) except +
        Settings settings
        char* region
        CapTable caps
        uint32_t next_cap_uid
        int64_t gate
        int64_t time
        int64_t housekept
        int64_t unasked
        Tail tail
        CapPlan plan
        Shared shared
        Due due
        int64_t* shard_due
        Lock snapshot_running
        Shard* shard(unsigned int number) noexcept


cdef inline uint32_t home(uint64_t hash) noexcept nogil:
    # The shard of what has this hash.
    return <uint32_t>(hash >> 58)


cdef inline Shard* shard_of(Engine* engine, Ref ref) noexcept nogil:
    return engine.shard(ref >> PLACE_BITS)


cdef inline char* at(Engine* engine, Ref ref) noexcept nogil:
    # A shard's arena follows that of the one before.
    return engine.region + <size_t>ref * GRANULE


cdef inline Ref ref_of(const Shard* shard, const void* block) noexcept nogil:
    cdef Py_ssize_t place = (<const char*>block - shard.base) // <Py_ssize_t>GRANULE
    return <Ref>place | (shard.number << PLACE_BITS)


cdef inline Sku* sku_at(Engine* engine, Ref ref) noexcept nogil:
    return <Sku*>at(engine, ref)


cdef inline Record* record_at(Engine* engine, Ref ref) noexcept nogil:
    return <Record*>at(engine, ref)


cdef inline Line* line_at(Engine* engine, Ref ref) noexcept nogil:
    return <Line*>at(engine, ref)


cdef inline const char* name_of(const Sku* sku) noexcept nogil:
    return <const char*>sku + SKU_NAME_AT


cdef inline Line* lines_of(Record* record) noexcept nogil:
    return <Line*>(<char*>record + sizeof(Record))


cdef inline Record* record_of(Line* line) noexcept nogil:
    return <Record*>(<char*>(line - line.index) - sizeof(Record))


# The byte `flags` of a record: kind (a ReservationState or a RecordKind) in the low 4 bits, then
# one for a partial grant, then the size of the address: 0, 4 or 16 bytes as 0, 1, 2.
cdef inline int kind_of(const Record* record) noexcept nogil:
    return record.flags & 15


cdef inline void set_kind(Record* record, int kind) noexcept nogil:
    record.flags = (record.flags & 0xF0) | <uint8_t>kind


cdef inline bint was_partial(const Record* record) noexcept nogil:
    return (record.flags & 16) != 0


cdef inline unsigned int address_size(const Record* record) noexcept nogil:
    cdef unsigned int code = record.flags >> 5
    return 0 if code == 0 else 4 if code == 1 else 16


cdef inline uint8_t* address_of(Record* record) noexcept nogil:
    return <uint8_t*>record + sizeof(Record) + record.line_count * sizeof(Line)


cdef inline char* customer_of(Record* record) noexcept nogil:
    return <char*>address_of(record) + address_size(record)


cdef inline size_t record_bytes(const Record* record) noexcept nogil:
    return (sizeof(Record) + record.line_count * sizeof(Line) + address_size(record)
            + record.customer_size)


cdef inline int32_t held_of(const Line* line) noexcept nogil:
    # Of a line whose reservation is HELD.
    return line.quantity - line.committed - line.released


cdef inline int64_t available_of(const Sku* sku) noexcept nogil:
    return sku.on_hand - sku.held
