# What the headers here declare, as far as Cython uses it.
from libc.stdint cimport int64_t, uint32_t
from libcpp cimport bool as cbool
from libcpp.pair cimport pair
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "atp/report/buckets.h" namespace "atp::report" nogil:
    int buckets_of(int bits) noexcept


cdef extern from "atp/report/history_scan.h" namespace "atp::report" nogil:
    enum: KINDS
    enum: CODES
    enum: FINE_BITS
    enum: COARSE_BITS

    cppclass ByName[T]:
        cppclass iterator:
            iterator operator++()
            pair[string, T]& operator*()
            bint operator!=(iterator)
        iterator begin()
        iterator end()

    cppclass Span:
        int64_t first_ns, last_ns
        string wrong
        cbool feed(const char* data, size_t size) except +

    cppclass HistoryScan:
        HistoryScan(int64_t begin_ns, int64_t step_ns, int steps) except +
        cbool feed(const char* data, size_t size) except +
        vector[int64_t] offered, ended, fine, longest, statuses
        vector[uint32_t] coarse
        ByName[vector[int64_t]] caps
        ByName[int64_t] asked
        vector[string] others
        int64_t repeated, units_asked, torn_bytes
        string wrong
        size_t at


cdef extern from "atp/report/journal_scan.h" namespace "atp::report" nogil:
    cppclass StockLevel:
        int64_t on_hand, held, sold, received, adjusted, held_most, sold_before

    cppclass JournalScan:
        JournalScan(int64_t begin_ns, int64_t step_ns, int steps, vector[string] chosen) except +
        cbool feed(const char* data, size_t size) except +
        void finish()
        vector[int64_t] levels
        vector[StockLevel] stock
        ByName[uint32_t] numbers
        int64_t[10] changes
        int64_t first_sequence, sequence, strangers
        string wrong
