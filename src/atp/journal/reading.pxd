# What reading.h and entry.h declare.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from atp.engine.layout cimport Engine, Ref, Rule
from atp.engine.native cimport Key
from atp.journal.copier cimport CapEntry, SnapshotHead, SnapshotTotals


cdef extern from "atp/engine/entry.h" namespace "atp" nogil:
    struct SkuEntry:
        uint32_t number
        int64_t on_hand
        int64_t sold
        int64_t received
        int64_t adjusted
        int64_t last_sequence
        uint8_t name_size

    struct RecordEntry:
        uint8_t* key
        uint64_t fingerprint
        int64_t create_time
        int64_t expire_time
        int64_t grant_sequence
        int64_t last_sequence
        uint32_t caps_generation
        uint16_t line_count
        uint8_t flags
        uint8_t customer_size

    struct LineEntry:
        uint32_t sku
        int32_t quantity
        int32_t committed
        int32_t released

    struct CounterEntry:
        uint32_t cap_uid
        uint32_t sku
        int64_t units
        uint16_t step_count
        uint8_t subject_size

    struct StepEntry:
        int64_t step
        int64_t units

    unsigned int record_address_size(uint8_t flags) noexcept
    Key read_key_bytes(const uint8_t* bytes) noexcept


cdef extern from "atp/journal/reading.h" namespace "atp" nogil:
    cppclass Damage:
        const char* reason
        uint64_t offset
        void note(uint64_t at, const char* what) noexcept
        cbool any() noexcept

    struct Chunk:
        uint64_t offset
        uint32_t kind
        uint32_t size
        uint32_t shard
        uint32_t count

    cppclass Cursor:
        const char* at
        const char* end
        cbool read_sku "read"(SkuEntry* into) noexcept
        cbool read_record "read"(RecordEntry* into) noexcept
        cbool read_line "read"(LineEntry* into) noexcept
        cbool read_counter "read"(CounterEntry* into) noexcept
        cbool read_step "read"(StepEntry* into) noexcept
        cbool read_cap "read"(CapEntry* into) noexcept
        const char* take(size_t size) noexcept

    cppclass SnapshotBytes:
        void open(const char* data, uint64_t size) noexcept
        void open_file(int fd, uint64_t size) noexcept

    cppclass SnapshotParts:
        SnapshotBytes bytes
        SnapshotHead head
        SnapshotTotals totals
        vector[Chunk] chunks
        cbool is_future
        Damage damage
        cbool open() except +
        cbool open_chunk(const Chunk& chunk, unsigned int thread, Cursor* cursor) noexcept

    void run_on_all(unsigned int threads, size_t count,
                    void (*work)(void*, size_t, unsigned int) noexcept nogil,
                    void* context) noexcept
    unsigned int threads_for(int64_t bytes) noexcept
    unsigned int threads_for_state(Engine& engine) noexcept

    cppclass SkuNumbers:
        cbool set(uint32_t number, Ref ref) noexcept
        Ref find(uint32_t number) noexcept

    struct Link:
        int64_t expire_time
        Ref line
        Ref sku

    struct Ended:
        uint64_t order
        Ref record

    cbool push(vector[Ended]& into, const Ended& one) noexcept

    cppclass Restoring:
        Restoring() except +
        Engine* engine
        unsigned int threads
        SnapshotParts parts
        SkuNumbers* numbers
        vector[Ended]* ended
        SnapshotTotals* found
        void send_for_record(Cursor* ahead) noexcept
        void send_for_link(const vector[Link]& all, size_t i) noexcept
        cbool add_link(unsigned int record_shard, const Link& link) noexcept
        cbool gather_links(unsigned int shard, vector[Link]* into) noexcept
        void sort_ended(unsigned int shard) noexcept
        const Rule* rule_of_uid(uint32_t uid) noexcept
        void list_rules() except +
