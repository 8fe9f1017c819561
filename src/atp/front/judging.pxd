# One call of the data plane, bytes in, an answer out: the front's one door to the engine. Owns what
# is told of bytes that are no request.
from libc.stdint cimport int64_t

from atp.engine.limits cimport BASKET_LINES_MAX, QUANTITY_MAX, SKU_BYTES_MAX
from atp.engine.native cimport check, load
from atp.front.answer cimport Answer
from atp.front.batch cimport judge_batch
from atp.front.deciding cimport decide
from atp.front.judge_state cimport (
    ASKED_RESERVE, AskedKind, Judge, LINES_MOST, NAME_BYTES_MOST, NO_MEMORY, QUANTITY_MOST,
    READ_WELL, ReadProblem, check_asked, read_asked, refuse_memory, refuse_message, take_message,
    tell_refused,
)
from atp.front.methods cimport EXECUTE, request_name


cdef inline void check_bounds() noexcept nogil:
    # The bounds of checked.h and asked.h are the engine's.
    check(NAME_BYTES_MOST == SKU_BYTES_MAX, b"checked.h has the bound of names")
    check(QUANTITY_MOST == QUANTITY_MAX, b"checked.h has the bound of quantities")
    check(LINES_MOST == BASKET_LINES_MAX, b"asked.h has the bound of lines")


cdef inline void judge_one(
    Judge* judge, int method, const char* message, size_t size, int64_t now, Answer* answer
) noexcept nogil:
    # A unary call.
    cdef ReadProblem problem = read_asked(
        <AskedKind>(method + <int>ASKED_RESERVE), message, size, &judge.asked, &judge.lines)
    cdef int64_t reveals = 0
    cdef bint told = False
    answer.clear()
    if problem == NO_MEMORY:
        refuse_memory(&judge.refused)
    elif problem != READ_WELL:
        refuse_message(&judge.refused, request_name(method))
    elif check_asked(judge.asked, judge.lines, load(&judge.default_ttl), &judge.checked,
                     &judge.refused):
        told = decide(judge, method, now, &reveals)
        if told and not take_message(answer, judge.out):
            refuse_memory(&judge.refused)
            told = False
    if told:
        answer.reveals = reveals
    else:
        tell_refused(answer, judge.refused)
        answer.reveals = reveals
    judge.close()


cdef inline void judge_call(
    Judge* judge, int method, const char* message, size_t size, int64_t now, Answer* answer
) noexcept nogil:
    # The answer to one request, of a stream too. The message need not live on.
    if method == EXECUTE:
        judge_batch(judge, message, size, now, answer)
    else:
        judge_one(judge, method, message, size, now, answer)
