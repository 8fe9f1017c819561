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
