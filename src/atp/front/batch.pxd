# A batch of commands, one ExecuteRequest in, one ExecuteResponse out. Owns the order: every command
# is read before the first is judged, and while one is judged what the next ones will look up comes
# into the cache. Each is judged by itself; no lock is held from one to the next. Bounds what the
# answer may have in bytes.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

from atp.engine.ahead cimport (
    fetch_blocks_for_change, fetch_blocks_for_reserve, fetch_for_change, fetch_for_reserve,
)
from atp.engine.asked cimport ReserveCommand
from atp.engine.change cimport ChangeCommand
from atp.engine.native cimport load
from atp.front.answer cimport Answer
from atp.front.deciding cimport decide_change, decide_reserve, fill_change, fill_reserve
from atp.front.judge_state cimport (
    ASKED_RESERVE, Asked, Checked, Judge, NO_MEMORY, READ_WELL, ReadProblem, add_message,
    check_asked, make_room, read_batch, refuse_commands, refuse_memory, refuse_message,
    tell_error, tell_refused,
)

cdef enum:
    COMMANDS_AHEAD = 8  # that are looked at before they are judged
    BATCH_ANSWER_BYTES = 4 * 1024 * 1024  # what gRPC's clients take, unless told otherwise
    BRIEF_BYTES = 96  # a brief result, or an error without its text, at most
    ERROR_FIELD = 5

# A command that has been looked at.
cdef struct Ahead:
    const Asked* asked
    ReserveCommand reserve
    ChangeCommand change
    Checked checked
    cbool sound


cdef inline void look_at(Judge* judge, const Asked* asked, int64_t now, Ahead* into) noexcept nogil:
    # Checks a command and sends for what it will look up.
    into.asked = asked
    into.sound = check_asked(
        asked[0], judge.lines, load(&judge.default_ttl), &into.checked, &judge.refused)
    if not into.sound:
        return
    if asked.kind == ASKED_RESERVE:
        fill_reserve(&into.reserve, asked, &into.checked, judge.lines.data(), now)
        fetch_for_reserve(judge.engine, &into.reserve, judge.lines.data() + asked.first_line)
    else:
        fill_change(&into.change, asked, &into.checked, judge.lines.data(), now)
        fetch_for_change(judge.engine, &into.change.key)


cdef inline void fetch_blocks(Judge* judge, const Ahead* ahead) noexcept nogil:
    if not ahead.sound:
        return
    if ahead.asked.kind == ASKED_RESERVE:
        fetch_blocks_for_reserve(judge.engine, &ahead.reserve, ahead.reserve.lines)
    else:
        fetch_blocks_for_change(judge.engine, &ahead.change.key)


cdef inline int decide_ahead(
    Judge* judge, Ahead* ahead, bint brief, size_t room, int64_t* reveals
) noexcept nogil:
    # The field of the result in `judge.out`; 0: memory is short.
    cdef bint told
    if not ahead.sound:
        # What is wrong with it is said anew: others were looked at since.
        told = check_asked(ahead.asked[0], judge.lines, load(&judge.default_ttl), &ahead.checked,
                           &judge.refused) and False
    elif ahead.asked.kind == ASKED_RESERVE:
        told = decide_reserve(judge, &ahead.reserve, brief, room, reveals)
    else:
        told = decide_change(judge, &ahead.change, brief, room, reveals)
    if told:
        return <int>ahead.asked.kind
    return ERROR_FIELD if tell_error(&judge.out, judge.refused, room) else 0


cdef inline size_t room_left(
    const Answer* answer, size_t unsaid, size_t commands_left
) noexcept nogil:
    # For more than a brief result of the next command.
    cdef size_t taken = answer.message.size() + unsaid + commands_left * BRIEF_BYTES
    return BATCH_ANSWER_BYTES - taken if taken < BATCH_ANSWER_BYTES else 0


cdef inline bint judge_commands(Judge* judge, int64_t now, Answer* answer) noexcept nogil:
    # False when memory is short.
    cdef Ahead[COMMANDS_AHEAD] ahead
    cdef const Asked* commands = judge.batch.commands.data()
    cdef size_t count = judge.batch.count
    cdef int64_t reveals = 0
    cdef size_t i
    cdef int field
    for i in range(min(count, <size_t>COMMANDS_AHEAD)):
        look_at(judge, &commands[i], now, &ahead[i])
    for i in range(count):
        reveals = 0
        field = decide_ahead(judge, &ahead[i % COMMANDS_AHEAD], judge.batch.brief,
                             room_left(answer, judge.said.size() if i else 0, count - i), &reveals)
        answer.reveals = max(answer.reveals, reveals)
        if not field:
            return False
        judge.out.nest(field, 0)
        judge.out.nest(1, 0)
        # Copied one command later: what was written a moment ago in small pieces can't be read in
        # large ones before all of it is in the cache.
        if i and not add_message(answer, judge.said):
            return False
        judge.out.swap(judge.said)
        if i + COMMANDS_AHEAD // 2 < count:
            fetch_blocks(judge, &ahead[(i + COMMANDS_AHEAD // 2) % COMMANDS_AHEAD])
        if i + COMMANDS_AHEAD < count:
            look_at(judge, &commands[i + COMMANDS_AHEAD], now, &ahead[i % COMMANDS_AHEAD])
    return add_message(answer, judge.said)


cdef inline void judge_batch(
    Judge* judge, const char* message, size_t size, int64_t now, Answer* answer
) noexcept nogil:
    # One ExecuteRequest. The message need not live on.
    cdef ReadProblem problem = read_batch(message, size, &judge.batch, &judge.lines)
    cdef bint told = False
    cdef int64_t reveals
    answer.clear()
    if problem == NO_MEMORY or not make_room(answer, judge.batch.commands.size() * BRIEF_BYTES):
        refuse_memory(&judge.refused)
    elif problem != READ_WELL:
        refuse_message(&judge.refused, b"atp.v1.ExecuteRequest")
    elif judge.batch.count == 0 or judge.batch.count != judge.batch.commands.size():
        refuse_commands(&judge.refused, judge.batch.count)
    else:
        told = judge_commands(judge, now, answer)
        if not told:
            refuse_memory(&judge.refused)
    if not told:
        reveals = answer.reveals
        tell_refused(answer, judge.refused)
        answer.reveals = reveals
    judge.close()
