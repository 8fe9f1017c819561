# What asked.h, checked.h, refused.h, told.h and judge_state.h declare, as far as judging needs it.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.engine.layout cimport Engine
from atp.engine.native cimport Key
from atp.engine.scratch cimport LineAsk
from atp.front.answer cimport Answer


cdef extern from "<string_view>" namespace "std" nogil:
    cppclass string_view:
        const char* data() noexcept
        size_t size() noexcept


cdef extern from "atp/front/asked.h" namespace "atp" nogil:
    const uint32_t LINES_MOST "atp::kLinesMost"
    const uint32_t COMMANDS_MOST "atp::kCommandsMost"

    enum AskedKind:
        ASKED_NOTHING "atp::kAskedNothing"
        ASKED_RESERVE "atp::kAskedReserve"
        ASKED_COMMIT "atp::kAskedCommit"
        ASKED_RELEASE "atp::kAskedRelease"
        ASKED_EXTEND "atp::kAskedExtend"
        ASKED_RESERVATION "atp::kAskedReservation"
        ASKED_AVAILABILITY "atp::kAskedAvailability"

    enum ReadProblem:
        READ_WELL "atp::kReadWell"
        NO_MESSAGE "atp::kNoMessage"
        NO_MEMORY "atp::kNoMemory"

    cppclass Asked:
        string_view request_id
        string_view reservation
        string_view customer_id
        uint32_t first_line
        uint32_t line_count
        AskedKind kind
        cbool allow_partial

    cppclass LineRoom:
        LineAsk* data() noexcept
        void clear() noexcept
        size_t size() noexcept

    cppclass AskedBatch:
        vector[Asked] commands
        size_t count
        cbool brief

    ReadProblem read_asked(
        AskedKind kind, const char* data, size_t size, Asked* into, LineRoom* room) noexcept
    ReadProblem read_batch(
        const char* data, size_t size, AskedBatch* into, LineRoom* room) noexcept


cdef extern from "atp/front/refused.h" namespace "atp" nogil:
    cppclass Refused:
        int code
        const char* reason
        int retry_ms
        string text
        string field
        string value

    void refuse_field(Refused* into, const char* field, const char* description) noexcept
    void refuse_memory(Refused* into) noexcept
    void refuse_message(Refused* into, const char* message_name) noexcept
    void refuse_unknown_reservation(Refused* into, string_view reservation) noexcept
    void refuse_journal(Refused* into, cbool full, const char* limit) noexcept
    void tell_refused(Answer* answer, const Refused& refused) noexcept


cdef extern from "atp/front/checked.h" namespace "atp" nogil:
    const size_t NAME_BYTES_MOST "atp::kNameBytesMost"
    const int64_t QUANTITY_MOST "atp::kQuantityMost"

    struct Checked:
        Key key
        int64_t ttl
        int64_t expire_time
        int64_t default_ttl
        uint32_t address_size
        cbool has_key
        const uint8_t* address

    cbool check_asked(
        const Asked& asked, const LineRoom& lines, int64_t default_ttl, Checked* into,
        Refused* refused) noexcept
    void refuse_commands(Refused* refused, size_t count) noexcept
    void refuse_sum(Refused* refused, uint32_t line) noexcept
    void refuse_second(Refused* refused, int64_t line) noexcept


cdef extern from "atp/front/told.h" namespace "atp" nogil:
    cppclass Out:
        void swap(Out& other) noexcept
        cbool open(size_t most) noexcept
        void close() noexcept
        const char* data() noexcept
        size_t size() noexcept
        void nest(unsigned int number, size_t before) noexcept
        void number(unsigned int number, int64_t value) noexcept
        void text(unsigned int number, const char* text, size_t size) noexcept
        void key(unsigned int number, const Key* key) noexcept
        void time(unsigned int number, int64_t nanoseconds) noexcept
        void address(unsigned int number, const uint8_t* address, unsigned int size) noexcept
        void subject(
            unsigned int number, cbool is_name, int prefix, const uint8_t* subject,
            unsigned int size) noexcept

    cbool take_message(Answer* answer, const Out& out) noexcept
    cbool add_message(Answer* answer, const Out& out) noexcept
    cbool make_room(Answer* answer, size_t size) noexcept


cdef extern from "atp/front/told_error.h" namespace "atp" nogil:
    cbool tell_error(Out* out, const Refused& refused, size_t room) noexcept


cdef extern from "atp/front/judge_state.h" namespace "atp" nogil:
    const int COUNTED_METHODS "atp::kCountedMethods"
    const int COUNTED_OUTCOMES "atp::kCountedOutcomes"
    const int JOURNAL_REASONS "atp::kJournalReasons"

    cppclass Judge:
        Judge(Engine* engine, int64_t default_ttl)
        void count(int method, int outcome) noexcept
        int64_t counted(int method, int outcome) noexcept
        void count_refused(int journal_reason) noexcept
        int64_t refused_by(int journal_reason) noexcept
        void close() noexcept
        Engine* engine
        int64_t default_ttl
        Asked asked
        Checked checked
        LineRoom lines
        AskedBatch batch
        Out out
        Out said
        Refused refused
