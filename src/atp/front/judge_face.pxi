# The judge's face in Python, for tests, fuzzers and benchmarks: one call, bytes in, its answer out.
# Included by _front.pyx.

_METHODS = {
    "Reserve": RESERVE, "Commit": COMMIT, "Release": RELEASE, "Extend": EXTEND,
    "GetReservation": GET_RESERVATION, "GetAvailability": GET_AVAILABILITY, "Execute": EXECUTE,
}


def judge(Engine engine not None, str method not None, bytes message not None, *, int64_t now_ns,
          int64_t default_ttl_ns):
    cdef int number = _METHODS[method]
    cdef Judge* native
    check_bounds()
    native = new Judge(engine.engine, default_ttl_ns)
    cdef Answer answer
    cdef const char* data = message
    cdef size_t size = len(message)
    with nogil:
        judge_call(native, number, data, size, now_ns, &answer)
    del native
    return (answer.code, <bytes>answer.message, (<bytes>answer.text).decode("utf-8"),
            <bytes>answer.details, answer.reveals)


cdef enum:
    JUDGED_TOGETHER = 64  # answers that lie ready before Python copies them


cdef int64_t steady_ns() noexcept nogil:
    cdef timespec time
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec * <int64_t>1_000_000_000 + time.tv_nsec


def judge_all(Engine engine not None, str method not None, list messages not None, *,
              int64_t now_ns, int64_t default_ttl_ns):
    cdef int number = _METHODS[method]
    cdef Answer[JUDGED_TOGETHER] answers
    cdef (const char*)[JUDGED_TOGETHER] data
    cdef size_t[JUDGED_TOGETHER] sizes
    cdef Judge* native
    cdef int64_t begin, spent = 0
    cdef Py_ssize_t first, count, i
    cdef bytes message
    if not all(type(message) is bytes for message in messages):
        raise TypeError("a message is bytes")
    told = []
    check_bounds()
    native = new Judge(engine.engine, default_ttl_ns)
    for first in range(0, len(messages), JUDGED_TOGETHER):
        count = min(len(messages) - first, <Py_ssize_t>JUDGED_TOGETHER)
        for i in range(count):
            message = messages[first + i]
            data[i] = message
            sizes[i] = len(message)
        with nogil:
            begin = steady_ns()
            for i in range(count):
                judge_call(native, number, data[i], sizes[i], now_ns, &answers[i])
            spent += steady_ns() - begin
        for i in range(count):
            told.append((answers[i].code, <bytes>answers[i].message))
    del native
    return told, spent
