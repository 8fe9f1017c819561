# What the headers here declare, as far as Cython uses it, and the few calls of Linux for a loop.
from libc.stdint cimport int32_t, int64_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector
from posix.time cimport timespec


cdef extern from "atp/load/histogram.h" namespace "atp::load" nogil:
    cppclass Histogram:
        const vector[int64_t]& counts()
        int64_t most()


cdef extern from "atp/load/answers.h" namespace "atp::load" nogil:
    cppclass Tally:
        int64_t asked, answered, good, late, expired, commands, repeated, malformed, unknown
        int64_t last_answer_ns, bytes_sent, bytes_received
        vector[int64_t] statuses, command_errors, reserves, changes
        string first_error
        Histogram latencies


cdef extern from "atp/load/requests.h" namespace "atp::load" nogil:
    struct Draw:
        int32_t sku, customer, address

    cppclass Names:
        string request_id, sku
        int sku_digits
        int64_t ttl_seconds
        cbool brief


cdef extern from "atp/load/history.h" namespace "atp::load" nogil:
    cppclass Recorder:
        string clock_name, name, settings_json
        int64_t wall_time_ns

    cppclass HistoryWriter:
        HistoryWriter(int file) except +
        void begin(const Recorder& recorder, int64_t now) except +
        void add_unsent(int64_t count, int64_t now) noexcept
        void hand_over() noexcept
        void finish(int64_t now) noexcept
        int error() noexcept


cdef extern from "atp/load/traffic.h" namespace "atp::load" nogil:
    int64_t now_ns() noexcept

    cppclass Pattern:
        cbool is_availability, commits
        int64_t batch, deadline_ns
        size_t in_flight

    cppclass Traffic:
        Traffic(const Names& names, const Pattern& pattern, vector[Draw] draws,
                string authority) except +
        Pattern pattern
        Tally tally
        unique_ptr[HistoryWriter] history


cdef extern from "atp/load/connection.h" namespace "atp::load" nogil:
    cppclass Connection:
        Connection(int socket, Traffic* traffic) except +
        int socket() noexcept
        cbool is_ready() noexcept
        cbool is_leaving() noexcept
        cbool has_ended() noexcept
        const string& reason()
        cbool has_output() noexcept
        cbool is_blocked() noexcept
        cbool has_room() noexcept
        cbool owes() noexcept
        size_t open() noexcept
        cbool read() noexcept
        cbool flush() noexcept
        void ask(int64_t due, int64_t now) noexcept
        void ask_owed(int64_t now) noexcept
        void close_stream() noexcept
        cbool is_closed() noexcept


cdef extern from "<sys/epoll.h>" nogil:
    enum: EPOLLIN, EPOLLOUT, EPOLL_CTL_ADD, EPOLL_CTL_MOD, EPOLL_CLOEXEC

    union EpollData "epoll_data_t":
        void* ptr
        uint32_t u32

    struct EpollEvent "epoll_event":
        uint32_t events
        EpollData data

    int epoll_create1(int flags)
    int epoll_ctl(int epoll, int operation, int socket, EpollEvent* event)
    int epoll_pwait2(int epoll, EpollEvent* events, int most, const timespec* timeout,
                     const void* signals)


cdef extern from "<sys/prctl.h>" nogil:
    enum: PR_SET_TIMERSLACK
    int prctl(int option, unsigned long value)
