# The report's compiled unit: one pass over each file of a history and each segment of a journal,
# without the GIL. It counts in steps of time; what the counts mean is Python's.
import numpy as np

from cython.operator cimport dereference, preincrement
from libc.stdint cimport int64_t, uint32_t
from libcpp.string cimport string
from libcpp.vector cimport vector

from atp.report cimport native as N


cdef object copied(const vector[int64_t]& values, tuple shape):
    cdef int64_t[::1] view
    made = np.empty(values.size(), np.int64)
    view = made
    for index in range(values.size()):
        view[index] = values[index]
    return made.reshape(shape)


def span(const unsigned char[::1] data not None):
    # Time of the first call to the data plane and of the last of all; (None, None): no such call.
    cdef N.Span found
    cdef bint is_whole
    cdef const char* begin = <const char*>&data[0] if data.shape[0] else NULL
    with nogil:
        is_whole = found.feed(begin, data.shape[0])
    if not is_whole:
        raise ValueError(found.wrong.decode(errors="replace"))
    if found.first_ns > found.last_ns:
        return None, None
    return found.first_ns, found.last_ns


cdef class HistoryScan:
    cdef N.HistoryScan* scan
    cdef int steps

    def __cinit__(self, *, int64_t begin_ns, int64_t step_ns, int steps):
        if step_ns < 1 or steps < 1:
            raise ValueError("a step of a scan takes time, and there is at least one")
        self.steps = steps
        self.scan = new N.HistoryScan(begin_ns, step_ns, steps)

    def __dealloc__(self):
        del self.scan

    def feed(self, const unsigned char[::1] data not None):
        # Raises ValueError(what is wrong, where): what was counted before it stays counted.
        cdef bint is_whole
        cdef const char* begin = <const char*>&data[0] if data.shape[0] else NULL
        with nogil:
            is_whole = self.scan.feed(begin, data.shape[0])
        if not is_whole:
            raise ValueError(self.scan.wrong.decode(errors="replace"), self.scan.at)

    def counts(self):
        # All that was counted, by name; shapes are (kind[, code], step) and (kind, bucket).
        cdef int kinds = N.KINDS
        cdef int codes = N.CODES
        return {
            "offered": copied(self.scan.offered, (kinds, self.steps)),
            "ended": copied(self.scan.ended, (kinds, codes, self.steps)),
            "coarse": np.array(self.scan.coarse, np.int64).reshape(self.steps, -1),
            "fine": copied(self.scan.fine, (kinds, -1)),
            "longest": copied(self.scan.longest, (kinds,)),
            "statuses": copied(self.scan.statuses, (codes,)),
        }

    def caps(self):
        # Refusals by each cap in each step.
        cdef N.ByName[vector[int64_t]].iterator it = self.scan.caps.begin()
        made = {}
        while it != self.scan.caps.end():
            made[dereference(it).first.decode()] = copied(dereference(it).second, (-1,))
            preincrement(it)
        return made

    def asked(self):
        # Units asked for, by SKU.
        cdef N.ByName[int64_t].iterator it = self.scan.asked.begin()
        made = {}
        while it != self.scan.asked.end():
            made[dereference(it).first.decode()] = dereference(it).second
            preincrement(it)
        return made

    def others(self):
        # Entries that are about no call, as they are in the file.
        return [bytes(each) for each in self.scan.others]

    def totals(self):
        return {
            "repeated": self.scan.repeated,
            "units_asked": self.scan.units_asked,
            "torn_bytes": self.scan.torn_bytes,
        }


cdef class JournalScan:
    cdef N.JournalScan* scan
    cdef list chosen
    cdef int steps

    def __cinit__(self, *, int64_t begin_ns, int64_t step_ns, int steps, list chosen not None):
        cdef vector[string] names
        if step_ns < 1 or steps < 1:
            raise ValueError("a step of a scan takes time, and there is at least one")
        if len(set(chosen)) != len(chosen):
            raise ValueError("a SKU is chosen once")
        for sku in chosen:
            names.push_back(sku.encode())
        self.chosen = list(chosen)
        self.steps = steps
        self.scan = new N.JournalScan(begin_ns, step_ns, steps, names)

    def __dealloc__(self):
        del self.scan

    def feed(self, const unsigned char[::1] data not None):
        # Raises ValueError(what is wrong).
        cdef bint is_whole
        cdef const char* begin = <const char*>&data[0] if data.shape[0] else NULL
        with nogil:
            is_whole = self.scan.feed(begin, data.shape[0])
        if not is_whole:
            raise ValueError(self.scan.wrong.decode(errors="replace"))

    def levels(self):
        # (SKU as chosen, 3: on hand, held, sold; step): as each step left them.
        self.scan.finish()
        return copied(self.scan.levels, (len(self.chosen), 3, self.steps))

    def stock(self):
        # Every SKU at the end: units on hand, held, sold, received, adjusted, the most that were
        # held, and those sold before the first step, once levels() was asked.
        cdef N.ByName[uint32_t].iterator it = self.scan.numbers.begin()
        cdef N.StockLevel level
        made = {}
        while it != self.scan.numbers.end():
            level = self.scan.stock[dereference(it).second]
            made[dereference(it).first.decode()] = (
                level.on_hand, level.held, level.sold, level.received, level.adjusted,
                level.held_most, level.sold_before,
            )
            preincrement(it)
        return made

    def totals(self):
        return {
            "first_sequence": self.scan.first_sequence,
            "last_sequence": self.scan.sequence,
            "strangers": self.scan.strangers,
            "changes": list(self.scan.changes),
        }
