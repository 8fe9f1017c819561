# What answer.h declares.
from libc.stdint cimport int64_t
from libcpp.string cimport string


cdef extern from "atp/front/answer.h" namespace "atp" nogil:
    cppclass Answer:
        string message
        string text
        string details
        int code
        int64_t reveals
        int64_t began
        void clear() noexcept
