# Records as lines of JSON. Included by _native.pyx; dump.py makes more of it.
from libc.stdint cimport int64_t, uint8_t
from libcpp.string cimport string

cdef extern from "atp/journal/dump.h" namespace "atp" nogil:
    cdef enum DumpEnd:
        DUMPED_ALL "atp::kDumpedAll"
        DUMPED_SOME "atp::kDumpedSome"
        AT_CAP "atp::kAtCap"
        AT_BAD_EVENT "atp::kAtBadEvent"

    cppclass Dumped:
        string text
        size_t offset
        int64_t sequence
        DumpEnd end

    Dumped dump_records_natively "atp::dump_records" (
        const char* data, size_t size, size_t at, int64_t sequence, int64_t first, int64_t last,
        size_t most) except +

DumpedPart = namedtuple("DumpedPart", "text offset sequence end")
cdef dict _DUMP_ENDS = {
    <int>DUMPED_ALL: "all", <int>DUMPED_SOME: "some", <int>AT_CAP: "cap",
    <int>AT_BAD_EVENT: "event"}


def dump_records(
    const uint8_t[::1] data not None, *, Py_ssize_t offset, int64_t sequence, int64_t first,
    int64_t last, Py_ssize_t bytes_most
):
    cdef size_t size = len(data)
    cdef const char* at = <const char*>&data[0] if size else NULL
    cdef Dumped dumped
    check_offset(offset, size)
    with nogil:
        dumped = dump_records_natively(at, size, offset, sequence, first, last, bytes_most)
    return DumpedPart(dumped.text, dumped.offset, dumped.sequence, _DUMP_ENDS[<int>dumped.end])
