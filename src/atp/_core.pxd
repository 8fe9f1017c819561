# What other compiled units may know of `Engine`: where the native engine is. They keep the Python
# object alive as long as they use it.
from libc.stdint cimport int64_t

from atp.engine.layout cimport Engine as NativeEngine


cdef class Engine:
    cdef NativeEngine* engine
    cdef object caps_guard  # one change of caps at a time
    cdef object due_guard  # one counts what is due
    cdef dict caps  # cap id: Cap, as it was set
    cdef int64_t cooled_at  # the sequence at the last cool_skus()
