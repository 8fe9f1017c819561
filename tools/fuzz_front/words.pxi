# What the headers beside this file declare.
cdef extern from "coverage.h" namespace "atp::fuzz" nogil:
    void begin_ways()
    bint end_ways()
    size_t count_ways()


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass string_view:
        string_view()
        string_view(const string&)


cdef extern from "leaks.h" namespace "atp::fuzz" nogil:
    cppclass LeakHunt:
        bint goes_on(int64_t allocated)
        int64_t each_turn()

cdef extern from "round.h" namespace "atp::fuzz" nogil:
    enum Kind "atp::fuzz::Kind":
        KIND_JUDGE "atp::fuzz::kJudge"
        KINDS "atp::fuzz::kKinds"

    size_t bytes_allocated()

    cppclass Noted:
        bint open(const char* path)
        void note(int64_t number, int method, string_view input)

    cppclass Dice:
        Dice(uint64_t seed)
        uint64_t next()
        size_t below(size_t count)

    cppclass World:
        int64_t now
        void remember(const string& reservation, Dice& dice)

    cppclass Kept:
        int method
        string input

    cppclass Round:
        Round(Kind kind, uint64_t seed)
        void draw()
        void keep()
        Dice dice
        World world
        int method
        string input
        vector[Kept] kept


cdef extern from "shape.h" namespace "atp::fuzz" nogil:
    cppclass Told:
        int64_t changes
        int64_t sequence
        vector[string] reservations

    const char* answer_fault(int method, const string& message)
    const char* status_fault(int code, const string& text, const string& details)
    Told told_by(int method, const string& message)


cdef extern from "heard.h" namespace "atp::fuzz" nogil:
    cppclass Heard:
        void add(const char* bytes, size_t size)
        const char* read()
        int64_t answered
        vector[string] messages


cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_UNIX
        SOCK_STREAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        MSG_DONTWAIT

    int socketpair(int domain, int type, int protocol, int* pair)
    ssize_t recv(int socket, void* buffer, size_t size, int flags)


cdef extern from "uv.h" nogil:
    enum:
        UV_RUN_NOWAIT
