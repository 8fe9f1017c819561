# The guards of a connection in Cython: guards.h has what they count, and every number.
from libc.stdint cimport int32_t, int64_t, uint8_t
from libcpp cimport bool as cbool

cdef extern from "atp/front/guards.h" namespace "atp" nogil:
    ctypedef uint8_t Guard "atp::Guard"
    enum:
        FINE "atp::kFine"
        END_FOR_HEADERS "atp::kHeaders"
        END_FOR_SLOW_START "atp::kSlowStart"
        END_FOR_SLOW_HEADERS "atp::kSlowHeaders"
        GUARD_COUNT "atp::kGuardCount"

    enum Field "atp::Field":
        FIELD_TAKEN "atp::Field::kTaken"
        FIELD_REFUSE_CALL "atp::Field::kRefuseCall"
        FIELD_END_CONNECTION "atp::Field::kEndConnection"

    const char* guard_name "atp::guard_name"(Guard guard)

    cdef cppclass Guards:
        Guards(int64_t now)
        Guard frame(uint8_t type, uint8_t flags, size_t size, int64_t now)
        Field header(size_t name_size, size_t value_size, size_t bytes_most)
        Guard fault(int64_t now)
        void answered()
        void refused()
        void data_sent()
        void output(int64_t sent, int64_t held_back, int64_t now)
        Guard overdue(int64_t now, cbool pressed)
