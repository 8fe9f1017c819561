# What time_counts.h declares, and the counts as Python reads them.
from libc.stdint cimport int64_t


cdef extern from "atp/journal/time_counts.h" namespace "atp" nogil:
    const size_t TIME_PLACES "atp::kTimePlaces"
    const int64_t* TIME_BOUNDS "atp::kTimeBounds.data()"

    cppclass TimeCounts:
        int64_t count(size_t place) noexcept
        int64_t sum() noexcept
