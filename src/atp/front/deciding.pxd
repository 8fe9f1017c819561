# From a command as asked to the engine, and from its answer to a message: what
# reservation_servicer.py does in Python. Owns which engine call each method is, and what an answer
# reveals. Takes no clock: `now` comes with the call. Never throws; without memory it says so, and
# has judged nothing, or says it of what it has judged already.
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport free, malloc

from atp.engine.asked cimport ReserveAnswer, ReserveCommand
from atp.engine.change cimport COMMIT as KIND_COMMIT
from atp.engine.change cimport ChangeAnswer, ChangeCommand, change
from atp.engine.lookup cimport read_reservation, read_skus
from atp.engine.read cimport SkuView, View, close_view, open_view
from atp.engine.reserve cimport reserve
from atp.engine.scratch cimport LineAsk, Scratch, close_scratch, open_scratch
from atp.engine.text cimport limit_name
from atp.engine.words cimport LIMIT_JOURNAL_SPACE
from atp.front.judge_state cimport (
    ASKED_COMMIT, Asked, Checked, Judge, refuse_journal, refuse_memory, refuse_second,
    refuse_sum, refuse_unknown_reservation,
)
from atp.front.methods cimport COMMIT, EXTEND, GET_RESERVATION, RESERVE
from atp.front.telling cimport (
    ANSWER_BYTES, AVAILABILITY_BYTES, bytes_most, tell_availability, tell_change,
    tell_reservation, tell_reserve,
)

# From what was asked to the engine's commands.


cdef inline void fill_reserve(
    ReserveCommand* command, const Asked* asked, const Checked* checked, const LineAsk* lines,
    int64_t now
) noexcept nogil:
    command.request_id = asked.request_id.data()
    command.request_id_size = <uint32_t>asked.request_id.size()
    command.lines = lines + asked.first_line
    command.line_count = asked.line_count
    command.caller.address = checked.address
    command.caller.address_size = checked.address_size
    command.caller.customer = asked.customer_id.data()
    command.caller.customer_size = <uint32_t>asked.customer_id.size()
    command.replaces = checked.key
    command.has_replaces = checked.has_key
    command.now = now
    command.ttl = checked.ttl
    command.expire_time = checked.expire_time
    command.default_ttl = checked.default_ttl
    command.allow_partial = asked.allow_partial
    command.hashed = False


cdef inline void fill_change(
    ChangeCommand* command, const Asked* asked, const Checked* checked, const LineAsk* lines,
    int64_t now
) noexcept nogil:
    command.kind = <unsigned char>(<int>asked.kind - <int>ASKED_COMMIT + <int>KIND_COMMIT)
    command.key = checked.key
    command.lines = lines + asked.first_line
    command.line_count = asked.line_count
    command.request_id = asked.request_id.data()
    command.request_id_size = <uint32_t>asked.request_id.size()
    command.now = now
    command.ttl = checked.ttl
    command.expire_time = checked.expire_time
    command.default_ttl = checked.default_ttl


cdef inline bint refuse_limit(Judge* judge, int limit) noexcept nogil:
    # The journal's limits are no answer about stock: the disk is in the way, not a rule.
    if limit < LIMIT_JOURNAL_SPACE:
        return False
    judge.count_refused(limit - <int>LIMIT_JOURNAL_SPACE)
    refuse_journal(&judge.refused, limit == LIMIT_JOURNAL_SPACE, limit_name(limit))
    return True


# The engine's answers as a message in `judge.out`. False: `judge.refused` says why there is none.


cdef inline bint decide_reserve(
    Judge* judge, const ReserveCommand* command, bint brief, size_t room, int64_t* reveals
) noexcept nogil:
    # `room`: with more than that, line results and refusals of caps are left out.
    cdef ReserveAnswer answer
    cdef Scratch scratch
    cdef View view
    cdef size_t most
    cdef bint told = False
    open_view(&view, brief)
    open_scratch(&scratch)
    reserve(judge.engine, command, &scratch, &answer, &view)
    if answer.outcome == 0:
        refuse_sum(&judge.refused, answer.bad_line)
    elif not refuse_limit(judge, answer.limit):
        judge.count(RESERVE, answer.outcome)
        reveals[0] = answer.reveals
        most = bytes_most(&view, scratch.line_count if answer.with_lines else 0,
                          answer.refusal_count)
        if view.memory_short or not judge.out.open(most):
            refuse_memory(&judge.refused)
        else:
            tell_reserve(&judge.out, &answer, &scratch, &view, brief or most > room,
                         answer.with_lines and most <= room)
            told = True
    close_scratch(&scratch)
    close_view(&view)
    return told


cdef inline bint decide_change(
    Judge* judge, const ChangeCommand* command, bint brief, size_t room, int64_t* reveals
) noexcept nogil:
    # `room`: with more than that, the reservation's lines are left out.
    cdef ChangeAnswer answer
    cdef Scratch scratch
    cdef View view
    cdef size_t most
    cdef bint told = False
    open_view(&view, brief)
    open_scratch(&scratch)
    change(judge.engine, command, &scratch, &answer, &view)
    if answer.outcome == 0:
        refuse_second(&judge.refused, answer.line_index)
    elif not refuse_limit(judge, answer.limit):
        judge.count(COMMIT + <int>command.kind - <int>KIND_COMMIT, answer.outcome)
        reveals[0] = answer.reveals
        most = bytes_most(&view, 0, 0)
        if view.memory_short or not judge.out.open(most):
            refuse_memory(&judge.refused)
        else:
            tell_change(&judge.out, command.kind, &answer, &view, brief or most > room)
            told = True
    close_scratch(&scratch)
    close_view(&view)
    return told


cdef inline bint look_up_reservation(Judge* judge, int64_t now, int64_t* reveals) noexcept nogil:
    cdef View view
    cdef bint told = False
    open_view(&view, False)
    read_reservation(judge.engine, &judge.checked.key, now, &view)
    if view.memory_short or not judge.out.open(bytes_most(&view, 0, 0)):
        refuse_memory(&judge.refused)
    elif not view.state:
        refuse_unknown_reservation(&judge.refused, judge.asked.reservation)
    else:
        reveals[0] = view.last_sequence
        tell_reservation(&judge.out, 1, &view, False)
        told = True
    close_view(&view)
    return told


cdef inline bint look_up_skus(Judge* judge, int64_t now, int64_t* reveals) noexcept nogil:
    cdef uint32_t count = judge.asked.line_count
    cdef LineAsk* asks = judge.lines.data()
    cdef SkuView* views = <SkuView*>malloc(count * sizeof(SkuView))
    cdef uint32_t i = count
    if views == NULL or not judge.out.open(count * <size_t>AVAILABILITY_BYTES + ANSWER_BYTES):
        free(views)
        refuse_memory(&judge.refused)
        return False
    read_skus(judge.engine, asks, count, now, views)
    while i:
        i -= 1
        tell_availability(&judge.out, 1, &asks[i], &views[i])
        if views[i].known:
            reveals[0] = max(reveals[0], views[i].last_sequence)
    free(views)
    return True


cdef inline bint decide(Judge* judge, int method, int64_t now, int64_t* reveals) noexcept nogil:
    cdef ReserveCommand reserving
    cdef ChangeCommand changing
    if method == RESERVE:
        fill_reserve(&reserving, &judge.asked, &judge.checked, judge.lines.data(), now)
        return decide_reserve(judge, &reserving, False, <size_t>-1, reveals)
    if method <= EXTEND:
        fill_change(&changing, &judge.asked, &judge.checked, judge.lines.data(), now)
        return decide_change(judge, &changing, False, <size_t>-1, reveals)
    if method == GET_RESERVATION:
        return look_up_reservation(judge, now, reveals)
    return look_up_skus(judge, now, reveals)
