# What the headers here declare, as far as Cython uses it, and the few calls of Linux for a loop.
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport unique_ptr
from libcpp.string cimport string
from libcpp.vector cimport vector
from posix.time cimport itimerspec, timespec


cdef extern from "atp/load/histogram.h" namespace "atp::load" nogil:
    cppclass Histogram:
        const vector[int64_t]& counts()
        int64_t most()


cdef extern from "atp/load/answers.h" namespace "atp::load" nogil:
    cppclass Tally:
        int64_t asked, answered, good, late, expired, lost, tried_again, given_up
        int64_t commands, repeats, repeated, forgotten, malformed, unknown
        int64_t last_answer_ns, bytes_sent, bytes_received
        vector[int64_t] statuses, command_errors, reserves, commits, releases, extends
        string first_error
        Histogram latencies


cdef extern from "atp/load/errands.h" namespace "atp::load" nogil:
    cppclass Errands:
        cbool empty() noexcept
        size_t size() noexcept
        cbool is_owed() noexcept
        size_t owed() noexcept
        int64_t next_due(int64_t never) noexcept
        void move_due(int64_t now) noexcept


cdef extern from "atp/load/requests.h" namespace "atp::load" nogil:
    enum class End:
        pass

    cppclass Basket:
        size_t first_line, lines
        int32_t customer, address
        cbool looks, reserves, repeats
        End end
        int64_t think_ns

    cppclass BasketLine:
        int32_t sku
        int64_t quantity

    cppclass Names:
        vector[string] skus, customers, addresses
        string request_id
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


cdef extern from "atp/load/schedule.h" namespace "atp::load" nogil:
    const int64_t NEVER_DUE "atp::load::kNeverDue"

    struct RatePoint:
        double time_s, rate

    cppclass Schedule:
        void begin(int64_t now, int64_t calls_max, double seconds, vector[RatePoint] curve,
                   cbool by_chance, uint64_t seed) except +
        void stop() noexcept
        int64_t begin_ns() noexcept
        cbool is_open() noexcept
        int64_t next_due(int64_t now) noexcept
        void take() noexcept


cdef extern from "atp/load/tls.h" namespace "atp::load" nogil:
    struct TlsFault "atp::load::TlsContext::Fault":
        string part, reason

    cppclass TlsContext:
        @staticmethod
        unique_ptr[const TlsContext] make(
            const string& authorities, const string& certificates, const string& key,
            const string& server_name, TlsFault* fault
        ) except +


cdef extern from "atp/load/traffic.h" namespace "atp::load" nogil:
    int64_t now_ns() noexcept

    cppclass Pattern:
        int64_t batch, deadline_ns, tries_max
        size_t in_flight

    cppclass Traffic:
        Traffic(Names names, vector[Basket] baskets, const vector[BasketLine]& lines,
                const Pattern& pattern, string authority) except +
        Pattern pattern
        Tally tally
        Errands errands
        unique_ptr[HistoryWriter] history
        unique_ptr[const TlsContext] tls


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
        size_t open() noexcept
        cbool read() noexcept
        cbool flush() noexcept
        void ask(int64_t due, int64_t now) noexcept
        void ask_owed(int64_t now) noexcept
        cbool drop(int64_t now) noexcept
        void leave(string reason) noexcept
        cbool is_silent(int64_t now, int64_t longest) noexcept
        void close_stream() noexcept
        cbool is_closed() noexcept


cdef extern from "<sys/epoll.h>" nogil:
    enum: EPOLLIN, EPOLLOUT, EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLL_CLOEXEC

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
    int epoll_wait(int epoll, EpollEvent* events, int most, int timeout_ms)


cdef extern from "<sys/timerfd.h>" nogil:
    enum: TFD_CLOEXEC
    int timerfd_create(int clock, int flags)
    int timerfd_settime(int timer, int flags, const itimerspec* new, itimerspec* old)


cdef extern from "<sys/prctl.h>" nogil:
    enum: PR_SET_TIMERSLACK
    int prctl(int option, unsigned long value)
