# Unary calls of one round, judged together: what all of them will look up comes into the cache
# while each is judged. Owns the order of these steps; what is asked and told is the same as for one
# call.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

from atp.front.answer cimport Answer
from atp.front.batch cimport Ahead, fetch_blocks, look_at
from atp.front.deciding cimport decide_change, decide_reserve
from atp.front.judge_state cimport (
    Asked, Judge, LineRoom, refuse_memory, take_message, tell_refused,
)
from atp.front.judging cimport judge_one
from atp.front.methods cimport EXTEND, RESERVE

cdef extern from "atp/front/group.h" namespace "atp" nogil:
    enum:
        GROUP_MOST "atp::kGroupMost"

    cppclass Waiting:
        int method
        const char* message
        size_t size
        Answer* answer
        Asked asked

    cbool read_waiting(Waiting* one, LineRoom* room) noexcept


cdef inline bint can_wait(int method) noexcept nogil:
    # Only changes are worth it; they are methods 0 to Extend.
    return method <= EXTEND


cdef inline void judge_sound(Judge* judge, Waiting* one, const Ahead* ahead) noexcept nogil:
    cdef int64_t reveals = 0
    cdef bint told
    one.answer.clear()
    if one.method == RESERVE:
        told = decide_reserve(judge, &ahead.reserve, False, <size_t>-1, &reveals)
    else:
        told = decide_change(judge, &ahead.change, False, <size_t>-1, &reveals)
    if told and not take_message(one.answer, judge.out):
        refuse_memory(&judge.refused)
        told = False
    if not told:
        tell_refused(one.answer, judge.refused)
    one.answer.reveals = reveals


cdef inline void judge_group(
    Judge* judge, Waiting* waiting, size_t count, int64_t now
) noexcept nogil:
    # At most GROUP_MOST.
    cdef Ahead[GROUP_MOST] ahead
    cdef bint all_sound = True
    cdef size_t i
    judge.lines.clear()
    for i in range(count):
        ahead[i].sound = read_waiting(&waiting[i], &judge.lines)
    for i in range(count):
        if ahead[i].sound:
            look_at(judge, &waiting[i].asked, now, &ahead[i])
    for i in range(count):
        fetch_blocks(judge, &ahead[i])
    for i in range(count):
        if ahead[i].sound:
            judge_sound(judge, &waiting[i], &ahead[i])
        all_sound = all_sound and ahead[i].sound
    judge.close()
    if all_sound:
        return
    for i in range(count):
        if not ahead[i].sound:
            judge_one(judge, waiting[i].method, waiting[i].message, waiting[i].size, now,
                      waiting[i].answer)
