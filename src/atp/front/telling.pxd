# Answers of the engine as messages of atp.v1: what server/convert.py says in Python, written
# backwards (told.h), so fields stand here in falling order of their numbers. Owns the numbers of
# answers' fields and how many bytes they take at most. Decides nothing.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport strlen

from atp.engine.asked cimport ReserveAnswer
from atp.engine.caps cimport CapRefusal
from atp.engine.change cimport EXTEND, ChangeAnswer
from atp.engine.limits cimport NEVER
from atp.engine.read cimport LineView, SkuView, View
from atp.engine.scratch cimport JudgedLine, LineAsk, Scratch
from atp.engine.text cimport limit_name
from atp.engine.words cimport STATE_HELD, SUBJECT_CUSTOMER, SUBJECT_SUBNET
from atp.front.judge_state cimport Out

cdef enum:  # bytes at most, heads included
    ANSWER_BYTES = 512  # an answer, and a reservation without its lines
    LINE_BYTES = 160  # a line of a reservation
    LINE_RESULT_BYTES = 96
    CAP_REFUSAL_BYTES = 320
    AVAILABILITY_BYTES = 192


cdef inline size_t bytes_most(const View* view, uint32_t results, uint32_t refusals) noexcept nogil:
    # Of an answer with this reservation and so many line results and refusals of caps.
    cdef size_t lines = view.line_count if view.state else 0
    return (ANSWER_BYTES + lines * LINE_BYTES + <size_t>results * LINE_RESULT_BYTES
            + <size_t>refusals * CAP_REFUSAL_BYTES)


cdef inline void tell_line(Out* out, unsigned int number, const LineView* line) noexcept nogil:
    cdef size_t before = out.size()
    out.number(6, line.expired)
    out.number(5, line.released)
    out.number(4, line.committed)
    out.number(3, line.held)
    out.number(2, line.quantity)
    out.text(1, line.name, line.name_size)
    out.nest(number, before)


cdef inline void tell_reservation(
    Out* out, unsigned int number, const View* view, bint brief
) noexcept nogil:
    # `brief`: its name, its state and its end alone.
    cdef size_t before = out.size()
    cdef uint32_t i
    if not view.state:
        return
    if not brief:
        out.address(9, view.address, view.address_size)
        out.text(8, view.customer, view.customer_size)
        out.number(7, view.last_sequence)
        if view.state != STATE_HELD:
            out.time(6, view.expire_time)
    if view.state == STATE_HELD:
        out.time(5, view.expire_time)
    if not brief:
        out.time(4, view.create_time)
        i = view.line_count
        while i:
            i -= 1
            tell_line(out, 3, &view.lines[i])
    out.number(2, view.state)
    out.key(1, &view.key)
    out.nest(number, before)


cdef inline void tell_line_result(
    Out* out, unsigned int number, const JudgedLine* line
) noexcept nogil:
    cdef size_t before = out.size()
    if line.first_expire != NEVER:
        out.time(6, line.first_expire)
    out.number(5, line.held)
    out.number(4, line.available)
    out.number(3, line.granted)
    out.number(2, line.outcome)
    out.number(1, line.line_index)
    out.nest(number, before)


cdef inline void tell_cap_refusal(
    Out* out, unsigned int number, const Scratch* scratch, const CapRefusal* refusal
) noexcept nogil:
    cdef const JudgedLine* line = &scratch.lines[refusal.line]
    cdef size_t before = out.size()
    out.number(6, refusal.asked)
    out.number(5, refusal.in_force)
    out.number(4, refusal.limit)
    if refusal.per_sku:
        out.text(3, line.name, line.name_size)
    out.subject(2, refusal.subject_kind == SUBJECT_CUSTOMER,
                refusal.prefix if refusal.subject_kind == SUBJECT_SUBNET else -1,
                refusal.subject, refusal.subject_size)
    out.text(1, refusal.cap_id, refusal.cap_id_size)
    out.nest(number, before)


cdef inline void tell_limit(Out* out, unsigned int number, int limit) noexcept nogil:
    cdef const char* name
    if limit:
        name = limit_name(limit)
        out.text(number, name, strlen(name))


cdef inline void tell_reserve(
    Out* out, const ReserveAnswer* answer, const Scratch* scratch, const View* view, bint brief,
    bint with_lines
) noexcept nogil:
    # An atp.v1.ReserveResponse.
    cdef uint32_t i
    tell_limit(out, 7, answer.limit)
    if with_lines:
        i = answer.refusal_count
        while i:
            i -= 1
            tell_cap_refusal(out, 6, scratch, &answer.refusals[i])
        i = scratch.line_count
        while i:
            i -= 1
            tell_line_result(out, 5, &scratch.lines[i])
    out.number(4, answer.repeated)
    out.number(3, answer.sequence)
    tell_reservation(out, 2, view, brief)
    out.number(1, answer.outcome)


cdef inline void tell_change(
    Out* out, int kind, const ChangeAnswer* answer, const View* view, bint brief
) noexcept nogil:
    # A CommitResponse, ReleaseResponse or ExtendResponse of atp.v1.
    tell_limit(out, 6, answer.limit)
    if kind == EXTEND:
        if answer.latest_expire_time:
            out.time(5, answer.latest_expire_time)
    elif answer.line_index >= 0:
        out.number(5, answer.line_index)
    out.number(4, answer.repeated)
    out.number(3, answer.sequence)
    tell_reservation(out, 2, view, brief)
    out.number(1, answer.outcome)


cdef inline void tell_availability(
    Out* out, unsigned int number, const LineAsk* asked, const SkuView* view
) noexcept nogil:
    cdef size_t before = out.size()
    if view.known:
        out.number(7, view.last_sequence)
        if view.first_expire != NEVER:
            out.time(6, view.first_expire)
        out.number(5, view.held)
        out.number(4, view.on_hand)
        out.number(3, view.on_hand - view.held)
        out.number(2, 1)
    out.text(1, asked.sku, asked.sku_size)
    out.nest(number, before)
