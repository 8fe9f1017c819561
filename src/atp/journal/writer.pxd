# What writer.h declares.
from libc.stdint cimport int64_t, uint8_t
from libcpp cimport bool as cbool
from libcpp.string cimport string

from atp.engine.layout cimport Engine


cdef extern from "atp/journal/steady.h" namespace "atp" nogil:
    const int64_t LONGEST "atp::kLongest"


cdef extern from "atp/journal/writer.h" namespace "atp" nogil:
    enum Durability:
        SYNC "atp::kDurableSync"
        INTERVAL "atp::kDurableInterval"
        OFF "atp::kDurableOff"

    struct Fault:
        int number
        string doing
        string path

    struct SyncFigures:
        int64_t count
        int64_t p50
        int64_t p99
        int64_t most
        int64_t* counts "counts.data()"
        int64_t sum

    struct WriterOptions:
        size_t segment_bytes
        Durability durability
        int64_t sync_interval
        size_t backlog_bytes_most
        int64_t room_kept_bytes
        cbool inline_commits
        int64_t now

    struct WriterFigures:
        int64_t durable
        int64_t written
        int64_t waiting_bytes
        SyncFigures syncs
        int64_t written_bytes
        int64_t segment_bytes
        int64_t space
        cbool behind
        int64_t lag

    struct Bell:
        int fd

    cppclass NativeWriter "atp::Writer":
        NativeWriter(Engine& engine, const string& folder, const uint8_t* store_id,
                     const WriterOptions& options) except +
        bint open(int64_t last_first_sequence, int64_t next_sequence) noexcept
        bint run() noexcept
        void run_ahead() noexcept
        void tend() noexcept
        void stop() noexcept
        bint wait(int64_t sequence, int64_t timeout, cbool may_commit) noexcept
        void kick(int64_t sequence) noexcept
        bint commit_or_ask(int64_t sequence, Bell* bell, bint may_commit) noexcept
        void listen(Bell* bell) except +
        void quiet(Bell* bell) noexcept
        int bell() noexcept
        int64_t durable() noexcept
        int64_t written() noexcept
        const Fault& fault() noexcept
        WriterFigures figures() except +
