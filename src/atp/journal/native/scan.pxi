# The bytes of a segment: how far records go, what stands after them, where they go on. Included by
# _native.pyx; scan.py makes more of it.
from libc.stdint cimport int64_t, uint8_t

from atp.engine.events cimport RecordHead
from atp.journal cimport scan as S

cdef extern from "atp/journal/writer.h" namespace "atp" nogil:
    int64_t monotonic() noexcept

Ending = namedtuple(
    "Ending", "verdict rest_end next_offset next_sequence last_sequence durable_sequence")


cdef int check_offset(Py_ssize_t offset, Py_ssize_t size) except -1:
    if not 0 <= offset <= size:
        raise ValueError(f"offset is {offset}; the data has {size} bytes")
    return 0


def walk_records(const uint8_t[::1] data not None, *, Py_ssize_t offset, int64_t sequence):
    cdef size_t size = len(data)
    cdef const char* at = <const char*>&data[0] if size else NULL
    cdef S.Walk walk
    check_offset(offset, size)
    with nogil:
        walk = S.walk_records(at, size, offset, sequence)
    return walk.end, walk.sequence - 1


def find_record(const uint8_t[::1] data not None, *, Py_ssize_t offset, int64_t sequence):
    cdef size_t size = len(data)
    cdef const char* at = <const char*>&data[0] if size else NULL
    cdef RecordHead head
    cdef size_t found
    check_offset(offset, size)
    with nogil:
        found = S.find_record(at, size, offset, sequence, &head)
    return None if found == size else (found, head.sequence)


def judge_end(
    const uint8_t[::1] data not None, *, Py_ssize_t offset, int64_t expected, int64_t synced,
    bint is_last
):
    cdef size_t size = len(data)
    cdef const char* at = <const char*>&data[0] if size else NULL
    cdef S.Ending ending
    check_offset(offset, size)
    with nogil:
        ending = S.judge_end(at, size, offset, expected, synced, is_last)
    verdict = "clean" if ending.verdict == S.CLEAN else "torn" if ending.verdict == S.TORN else (
        "damaged")
    return Ending(verdict, ending.rest_end, ending.next_at, ending.next_sequence,
                  ending.last_sequence, ending.durable_sequence)


def monotonic_ns():
    return monotonic()
