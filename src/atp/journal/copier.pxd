# What copier.h and snapshot.h declare.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from atp.engine.cut cimport Aside, AsideBudget, Pile
from atp.engine.layout cimport Counter, Engine, Record, Shard, Sku


cdef extern from "atp/journal/snapshot.h" namespace "atp" nogil:
    const uint32_t SNAPSHOT_VERSION "atp::kSnapshotVersion"

    enum ChunkKind:
        CHUNK_CAPS "atp::kChunkCaps"
        CHUNK_SKUS "atp::kChunkSkus"
        CHUNK_RECORDS "atp::kChunkRecords"
        CHUNK_COUNTERS "atp::kChunkCounters"
        CHUNK_END "atp::kChunkEnd"

    struct SnapshotHead:
        uint32_t version
        uint32_t next_cap_uid
        uint8_t* store_id
        int64_t sequence
        int64_t cut_time
        int64_t create_time
        int64_t caps_generation

    struct ChunkHead:
        uint32_t kind

    struct CapEntry:
        uint32_t uid
        uint32_t since_generation
        int64_t set_sequence
        int64_t update_time
        int64_t refused
        int64_t shadow_refused
        uint32_t definition_size

    struct SnapshotTotals:
        int64_t end_time
        int64_t caps
        int64_t skus
        int64_t records
        int64_t live
        int64_t receipts
        int64_t lines
        int64_t counters
        int64_t on_hand
        int64_t sold
        int64_t held
        int64_t counted


cdef extern from "atp/journal/copier.h" namespace "atp" nogil:
    int64_t monotonic_ns() noexcept
    void rest_ns(long ns) noexcept

    cppclass ChunkFile:
        int64_t at
        int error
        SnapshotTotals totals
        cbool open(int fd) noexcept
        cbool write_head(SnapshotHead head) noexcept
        void begin(uint32_t kind, uint32_t shard) noexcept
        char* room(size_t size) noexcept
        void took(size_t size) noexcept
        cbool write() noexcept
        cbool write_end() noexcept

    cppclass Copying:
        Copying() except +
        Engine* engine
        int64_t sequence
        int64_t cut_time
        int64_t held_most
        cbool short_of_memory
        ChunkFile file
        AsideBudget budget
        SnapshotHead head
        Aside* asides
        vector[uint32_t] cap_uids
        vector[uint32_t] places
        void locked() noexcept
        void unlocked() noexcept
        cbool room_for_places(size_t count) noexcept
        void sort_places() noexcept

    void list_caps(Copying& copying) except +
    cbool write_caps(Copying& copying) noexcept
    void name_aside(Copying& copying, Shard* shard) noexcept
    void fetch_blocks(const Copying& copying, const Shard* shard, size_t first, size_t end) noexcept
    size_t copy_skus "atp::copy_blocks<atp::Sku>"(
        Copying& copying, const Shard* shard, size_t first, size_t end) noexcept
    size_t copy_records "atp::copy_blocks<atp::Record>"(
        Copying& copying, const Shard* shard, size_t first, size_t end) noexcept
    size_t copy_counters "atp::copy_blocks<atp::Counter>"(
        Copying& copying, const Shard* shard, size_t first, size_t end) noexcept
    cbool write_pile(ChunkFile& file, const Pile& pile) noexcept
