# What call.h, parked.h and state.h declare: calls, connections, and the loop that has them.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.layout cimport Engine
from atp.front.answer cimport Answer
from atp.front.clock cimport FrontClock
from atp.front.group cimport Waiting
from atp.front.guards cimport Guard, Guards
from atp.front.judge_state cimport Judge
from atp.front.nghttp2 cimport nghttp2_option, nghttp2_session, nghttp2_session_callbacks
from atp.front.tls cimport TlsRefusals, TlsSession, TlsSlot
from atp.front.delay cimport Delay
from atp.front.turn cimport Turn
from atp.front.uv cimport (
    uv_async_t, uv_check_t, uv_loop_t, uv_poll_t, uv_tcp_t, uv_timer_cb, uv_timer_t, uv_write_t,
)
from atp.journal.time_counts cimport TimeCounts
from atp.journal.writer cimport Bell, NativeWriter


cdef extern from "atp/front/latency.h" namespace "atp" nogil:
    const size_t TIMED_METHODS "atp::kTimedMethods"

    cppclass Latencies:
        void note(uint32_t* last, size_t method, int64_t began, int64_t now) noexcept
        void hand_over(uint32_t* last, int64_t now) noexcept
        void end_round() noexcept
        const TimeCounts& of(size_t method) noexcept


cdef extern from "atp/front/call.h" namespace "atp" nogil:
    const int64_t NEVER "atp::kNever"
    const size_t BATCHES_MOST "atp::kBatchesMost"
    enum:
        EXECUTE "atp::kExecute"
        HEALTH_CHECK "atp::kHealthCheck"
        HEALTH_WATCH "atp::kHealthWatch"
        NO_METHOD "atp::kNoMethod"
        CALL_METHODS "atp::kCallMethods"

    cppclass Refusal "atp::Refusal":
        int number
        void take(const Answer& answer) except +

    cppclass AnswerLine "std::deque<atp::Answer>":
        Answer& front() noexcept
        Answer& back() noexcept
        Answer& emplace_back() noexcept
        void pop_back() noexcept
        size_t size() noexcept

    cppclass Flow:
        string inbox
        size_t inbox_at
        size_t untaken
        AnswerLine outbox
        size_t sendable
        size_t sent
        int64_t heard
        cbool opened
        cbool ending

    cppclass Call:
        Connection* connection
        Call* previous
        Call* next
        int32_t stream
        uint8_t method
        uint8_t parked
        cbool is_post
        cbool is_grpc
        cbool is_timeout_bad
        cbool is_head_too_large
        const Refusal* refusal
        int http_error
        cbool is_put_off
        uint32_t unwanted
        cbool has_head
        cbool has_all
        cbool has_message
        cbool is_queued
        cbool is_open
        cbool is_answered
        cbool is_counted
        int64_t began
        int64_t deadline
        int64_t whole_by
        const char* view
        size_t view_size
        string message
        Answer answer
        size_t sent
        int64_t held
        unique_ptr[Flow] flow
        void forget_message() noexcept
        size_t unsent() noexcept
        size_t copy_answer(uint8_t* to, size_t room) noexcept
        size_t copy_flow(
            uint8_t* to, size_t room, Latencies* latencies, uint32_t* last, int64_t now) noexcept

        size_t let_one_go() noexcept
        size_t flow_left() noexcept

    cppclass Calls:
        Call* take() noexcept
        void give(Call* call) noexcept


cdef extern from "atp/front/parked.h" namespace "atp" nogil:
    cppclass Parked:
        void add(Call* call, int64_t sequence) noexcept
        Call* next(int64_t durable) noexcept
        size_t size() noexcept
        int64_t newest() noexcept


cdef extern from "atp/front/state.h" namespace "atp" nogil:
    const size_t ARENA "atp::kArena"
    const size_t READ_MOST "atp::kReadMost"
    const size_t WRITE_MOST "atp::kWriteMost"
    const size_t PIECE_MOST "atp::kPieceMost"
    const size_t HANDSHAKE_READ "atp::kHandshakeRead"
    const int64_t HANDSHAKE_TIME "atp::kHandshakeTime"
    const int64_t UNSENT_MOST "atp::kUnsentMost"
    enum:
        CODES "atp::kCodes"
        TOO_MANY_CONNECTIONS "atp::kTooManyConnections"
        TOO_MANY_CALLS "atp::kTooManyCalls"
        TOO_MANY_BYTES "atp::kTooManyBytes"
        TOO_LATE "atp::kTooLate"
        REFUSED_REASONS "atp::kRefusedReasons"

    struct FrontOptions:
        int64_t calls_max
        int64_t connections_max
        int64_t streams_max
        int64_t message_bytes_max
        int64_t metadata_bytes_max
        int64_t buffer_bytes_max
        int64_t idle
        int64_t request
        int64_t keepalive
        int64_t wait
        int64_t default_ttl
        cbool waits

    cppclass Count:
        void add(int64_t delta) noexcept
        int64_t get() noexcept

    cppclass Answered "std::array<atp::Count, atp::kCodes>":
        Count& operator[](size_t code) noexcept

    cppclass AnsweredByMethod "std::array<std::array<atp::Count, atp::kCodes>, atp::kCallMethods>":
        Answered& operator[](size_t method) noexcept

    cppclass RefusedCounts "std::array<atp::Count, atp::kRefusedReasons>":
        Count& operator[](size_t reason) noexcept

    cppclass EndedCounts "std::array<atp::Count, atp::kGuardCount>":
        Count& operator[](size_t guard) noexcept

    struct Counts:
        Count connections
        Count accepted
        Count open_calls
        Count parked
        Count held
        Count received_bytes
        Count sent_bytes
        AnsweredByMethod answered
        RefusedCounts refused
        EndedCounts ended

    cppclass AtomicFlag "std::atomic<bool>":
        cbool load() noexcept
        void store(cbool value) noexcept

    cppclass LoopOwner "std::unique_ptr<atp::Loop>":
        Loop* get() noexcept

    cppclass LoopList "std::vector<std::unique_ptr<atp::Loop>>":
        LoopOwner& operator[](size_t index) noexcept
        LoopOwner& emplace_back(Loop* loop) except +
        size_t size() noexcept

    cppclass Shared:
        Shared() except +
        FrontOptions options
        FrontClock clock
        Engine* engine
        NativeWriter* writer
        TlsSlot tls
        TlsRefusals tls_refusals
        AtomicFlag is_retired
        AtomicFlag is_draining
        AtomicFlag is_stopping
        LoopList loops

    cppclass Connection:
        Connection(Loop* loop, int64_t now) except +
        uv_tcp_t tcp
        uv_write_t write
        Loop* loop
        nghttp2_session* session
        Connection* previous
        Connection* next
        Call* calls
        Call* reading
        Guards guards
        unique_ptr[TlsSession] tls
        string wire
        string early
        string pending
        int64_t heard
        int64_t heard_before
        int64_t idle_since
        int64_t ended
        int64_t moved
        int64_t held
        int64_t streams
        int64_t unsent
        size_t untaken
        uint32_t last_told
        size_t frame_size
        uint8_t frame_flags
        Guard tripped
        cbool is_dirty
        cbool is_writing
        cbool is_paused
        cbool is_waiting
        cbool is_pinged
        cbool is_leaving
        cbool is_last_told
        cbool is_closing

    cppclass Loop:
        Loop(Shared* shared, int index) except +
        Shared* shared
        int index
        Judge judge
        Counts counts
        Latencies latencies
        uv_loop_t uv
        uv_tcp_t listener
        uv_async_t told
        uv_timer_t tick
        uv_timer_t due
        uv_timer_cb on_due
        uv_poll_t rung
        Bell bell
        Turn turn
        Delay delay
        int64_t streams
        Refusal too_many
        Refusal too_many_bytes
        Refusal too_late
        nghttp2_session_callbacks* callbacks
        nghttp2_option* option
        Calls calls
        Parked parked
        vector[Call*] ready
        size_t grouped
        Waiting* group
        Call** group_calls
        vector[Connection*] dirty
        vector[Connection*] handshakes
        int64_t handshake_time
        Connection* connections
        int64_t now
        int64_t next_due
        int64_t timer_due
        int64_t asked
        string plain
        size_t arena_used
        unique_ptr[char] arena
        unique_ptr[char] output
        cbool is_started
        cbool is_listening
        cbool is_retired
        cbool is_draining

    int64_t open_calls(const Shared& shared) noexcept
    int64_t connections(const Shared& shared) noexcept
    int64_t held_bytes(const Shared& shared) noexcept
    void link_call "atp::link"(Call** first, Call* call) noexcept
    void unlink_call "atp::unlink"(Call** first, Call* call) noexcept
    void link_connection "atp::link"(Connection** first, Connection* connection) noexcept
    void unlink_connection "atp::unlink"(Connection** first, Connection* connection) noexcept
