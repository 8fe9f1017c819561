# What becomes of a call between its message and its answer: judged in its turn, then answered, or
# parked until what its answer tells of is durable. Owns the deadlines and the order; speaks neither
# HTTP/2 nor protobuf.
from libc.stdint cimport int64_t
from libcpp cimport bool as cbool

from atp.front.answer cimport Answer
from atp.front.answering cimport (
    answer_call, close_answer, cut_short, hold, let_go, mark_dirty, queue_call, send_flow,
)
from atp.front.group cimport GROUP_MOST, Waiting, can_wait, judge_group
from atp.front.judging cimport judge_call
from atp.front.nghttp2 cimport nghttp2_session_consume_stream
from atp.front.state cimport (
    BATCHES_MOST, Call, Connection, EXECUTE, Flow, HEALTH_CHECK, HEALTH_WATCH, Loop, NEVER,
    TOO_MANY_BYTES, held_bytes,
)
from atp.front.uv cimport uv_hrtime

cdef enum:
    HELD_UNTOLD = 65536  # bytes of a connection's that are no hoard


cdef extern from "atp/front/framing.h" namespace "atp" nogil:
    const size_t PREFIX "atp::kPrefix"
    enum Framed:
        PARTLY "atp::kPartly"
        WHOLE "atp::kWhole"
        COMPRESSED "atp::kCompressed"
        TOO_LARGE "atp::kTooLarge"

    size_t message_size(const char* prefix) noexcept
    Framed frame_at(const char* data, size_t size, size_t message_most) noexcept


cdef extern from "atp/front/refusing.h" namespace "atp" nogil:
    enum:
        DEADLINE_EXCEEDED "atp::kDeadlineExceeded"
        RESOURCE_EXHAUSTED "atp::kResourceExhausted"
        UNIMPLEMENTED "atp::kUnimplemented"
        INTERNAL "atp::kInternal"

    void refuse(Answer* answer, int code, const char* text) noexcept
    void refuse_size(Answer* answer, size_t size, int64_t most) noexcept
    void refuse_late(Answer* answer, int64_t wait) noexcept
    void refuse_over(Answer* answer, const char* name, int64_t most, const char* what) noexcept
    void refuse_draining(Answer* answer) noexcept


cdef extern from "atp/front/health.h" namespace "atp" nogil:
    cbool check_health(
        const char* message, size_t size, cbool is_retired, cbool is_watch,
        Answer* answer) noexcept
    void tell_health(Answer* answer, char serving) noexcept


cdef inline void note_due(Loop* loop, int64_t time) noexcept nogil:
    # Something is due then; the loop looks for it no later.
    if time < loop.next_due:
        loop.next_due = time


cdef inline bint must_wait(Loop* loop, const Answer* answer, int64_t durable) noexcept nogil:
    return loop.shared.options.waits and answer.reveals > durable


cdef inline void park(Loop* loop, Call* call, int64_t sequence) noexcept nogil:
    loop.parked.add(call, sequence)
    loop.counts.parked.add(1)
    note_due(loop, call.deadline)


cdef inline Framed refuse_frame(
    Loop* loop, const char* data, size_t size, Answer* answer
) noexcept nogil:
    # What lies there; where it can't be taken, the answer says why.
    cdef Framed framed = frame_at(data, size, loop.shared.options.message_bytes_max)
    if framed == COMPRESSED:
        refuse(answer, UNIMPLEMENTED,
               b"compressed messages are not understood: send grpc-encoding identity")
    elif framed == TOO_LARGE:
        refuse_size(answer, message_size(data), loop.shared.options.message_bytes_max)
    return framed


cdef inline bint is_over_bytes(Loop* loop, Call* call) noexcept nogil:
    # The last quarter is for connections that hold little: whoever doesn't take its answers, or
    # never ends its messages, is refused before others are.
    cdef int64_t most = loop.shared.options.buffer_bytes_max
    cdef int64_t held = held_bytes(loop.shared[0])
    if held < most - most // 4 or (held < most and call.connection.held <= HELD_UNTOLD):
        return False
    loop.counts.refused[TOO_MANY_BYTES].add(1)
    call.refusal = &loop.too_many_bytes
    return True


cdef inline bint unary_message(
    Loop* loop, Call* call, const char** message, size_t* size
) noexcept nogil:
    # The one message of a call whose client has sent its last; False: the answer says why not.
    if call.has_message:
        message[0] = call.view
        size[0] = call.view_size
        return True
    if call.message.empty():
        refuse(&call.answer, UNIMPLEMENTED, b"a call needs a message, and none came")
        return False
    cdef Framed framed = refuse_frame(loop, call.message.data(), call.message.size(), &call.answer)
    if framed == PARTLY:
        refuse(&call.answer, INTERNAL, b"the call ended in the midst of its message")
    if framed != WHOLE:
        return False
    size[0] = message_size(call.message.data())
    message[0] = call.message.data() + PREFIX
    if call.message.size() > PREFIX + size[0]:
        refuse(&call.answer, UNIMPLEMENTED, b"a call takes one message, and more came")
        return False
    return True


cdef inline void add_batch(Loop* loop, Call* call, int64_t sequence, bint waits) noexcept nogil:
    # The newest of the flow's answers is whole; it goes after those before it.
    cdef Flow* flow = call.flow.get()
    # What waits for the disk is not yet its client's to take.
    hold(loop, call, PREFIX + flow.outbox.back().message.size())
    if waits or flow.sendable + 1 < flow.outbox.size():
        park(loop, call, sequence)
    else:
        call.connection.unsent += call.let_one_go()


cdef inline void start_watch(
    Loop* loop, Call* call, const char* message, size_t size
) noexcept nogil:
    cdef Flow* flow = call.flow.get()
    if check_health(message, size, loop.is_retired, True, &flow.outbox.emplace_back()):
        add_batch(loop, call, 0, False)
    else:
        call.answer = flow.outbox.back()
        flow.outbox.pop_back()
        flow.ending = True
    send_flow(loop, call)


cdef inline bint is_judged(
    Loop* loop, Call* call, const char** message, size_t* size
) noexcept nogil:
    # Whether a unary call, or a Watch, is one for the judge; if not, it is answered here.
    call.whole_by = NEVER
    if call.deadline <= loop.now:
        refuse(&call.answer, DEADLINE_EXCEEDED, b"Deadline Exceeded")
    elif not unary_message(loop, call, message, size):
        pass
    elif call.connection.held > HELD_UNTOLD and is_over_bytes(loop, call):
        pass  # those before it in line have taken what there was
    elif call.method == HEALTH_WATCH:
        start_watch(loop, call, message[0], size[0])
        return False
    elif call.method == HEALTH_CHECK:
        check_health(message[0], size[0], loop.is_retired, False, &call.answer)
    else:
        return True
    answer_call(loop, call)
    return False


cdef inline void end_unary(Loop* loop, Call* call, int64_t durable) noexcept nogil:
    # It has been judged.
    call.has_message = False
    call.view = NULL
    if must_wait(loop, &call.answer, durable):
        # Who comes next is refused by what is there, not by what is there after the wait.
        call.is_counted = True
        hold(loop, call, call.answer.message.size())
        park(loop, call, call.answer.reveals)
    else:
        answer_call(loop, call)


cdef inline void end_group(Loop* loop, int64_t now, int64_t durable) noexcept nogil:
    cdef size_t i
    judge_group(&loop.judge, loop.group, loop.grouped, now)
    for i in range(loop.grouped):
        end_unary(loop, loop.group_calls[i], durable)
    loop.grouped = 0
    loop.now = <int64_t>uv_hrtime()  # a long round has calls whose time is up meanwhile


cdef inline void judge_unary(Loop* loop, Call* call, int64_t now, int64_t durable) noexcept nogil:
    # By itself, or, a change, in the next group.
    cdef Waiting* waiting = &loop.group[loop.grouped]
    if not is_judged(loop, call, &waiting.message, &waiting.size):
        return
    if not can_wait(call.method):
        judge_call(&loop.judge, call.method, waiting.message, waiting.size, now, &call.answer)
        end_unary(loop, call, durable)
        return
    waiting.method = call.method
    waiting.answer = &call.answer
    loop.group_calls[loop.grouped] = call
    loop.grouped += 1
    if loop.grouped == <size_t>GROUP_MOST:
        end_group(loop, now, durable)


cdef inline void end_flow(Call* call) noexcept nogil:
    # Nothing more is taken; its answer says how it ends.
    call.flow.get().ending = True
    call.whole_by = NEVER
    call.flow.get().inbox.clear()
    call.flow.get().inbox_at = 0


cdef inline bint judge_batch_of(
    Loop* loop, Call* call, int64_t now, int64_t durable
) noexcept nogil:
    # The next batch, if it has come whole; False: it has not, or the flow has ended.
    cdef Flow* flow = call.flow.get()
    cdef const char* data = flow.inbox.data() + flow.inbox_at
    cdef size_t size = flow.inbox.size() - flow.inbox_at
    cdef Framed framed = refuse_frame(loop, data, size, &call.answer)
    cdef Answer* answer
    if framed == PARTLY:
        if call.has_all and size:
            refuse(&call.answer, INTERNAL, b"the call ended in the midst of a message")
        if call.has_all:
            end_flow(call)
        return False
    if framed != WHOLE:
        end_flow(call)
        return False
    size = message_size(data)
    answer = &flow.outbox.emplace_back()
    judge_call(&loop.judge, EXECUTE, data + PREFIX, size, now, answer)
    answer.began = flow.heard
    flow.inbox_at += PREFIX + size
    hold(loop, call, -<int64_t>(PREFIX + size))
    if answer.code:
        call.answer = answer[0]
        flow.outbox.pop_back()
        end_flow(call)
        return False
    add_batch(loop, call, answer.reveals, must_wait(loop, answer, durable))
    return True


cdef inline void judge_batches(
    Loop* loop, Call* call, int64_t now, int64_t durable
) noexcept nogil:
    cdef Flow* flow = call.flow.get()
    cdef bint more = True
    cdef size_t before = flow.inbox_at
    while more and not flow.ending and flow.outbox.size() < BATCHES_MOST:
        more = judge_batch_of(loop, call, now, durable)
    if flow.inbox_at == flow.inbox.size():
        call.whole_by = NEVER
        flow.inbox.clear()
        flow.inbox_at = 0
    elif flow.outbox.size() == BATCHES_MOST:
        call.whole_by = NEVER
    elif flow.inbox_at != before or call.whole_by == NEVER:
        flow.inbox.erase(0, flow.inbox_at)
        flow.inbox_at = 0
        call.whole_by = loop.now + loop.shared.options.request
        note_due(loop, call.whole_by)
    if flow.untaken and flow.outbox.size() < BATCHES_MOST:
        nghttp2_session_consume_stream(call.connection.session, call.stream, flow.untaken)
        flow.untaken = 0
        mark_dirty(call.connection)
    send_flow(loop, call)


cdef inline void judge_ready(Loop* loop) noexcept nogil:
    # Everything in line, at one time.
    cdef int64_t now = loop.shared.clock.now()
    cdef int64_t durable = 0
    cdef size_t i
    cdef Call* call
    if loop.shared.options.waits:
        durable = loop.shared.writer.durable()
    for i in range(loop.ready.size()):
        call = loop.ready[i]
        call.is_queued = False
        if call.connection == NULL:
            let_go(loop, call)
        elif call.is_answered:
            pass
        elif call.method == EXECUTE:
            judge_batches(loop, call, now, durable)
        elif call.flow.get() == NULL or not call.flow.get().opened:
            judge_unary(loop, call, now, durable)
    if loop.grouped:
        end_group(loop, now, durable)
    loop.ready.clear()


cdef inline void wake(Loop* loop, int64_t durable) noexcept nogil:
    # Answers that wait for no later change go now.
    cdef Call* call = loop.parked.next(durable)
    while call != NULL:
        loop.counts.parked.add(-1)
        if call.connection == NULL:
            let_go(loop, call)
        elif call.is_answered:
            pass
        elif call.flow.get() != NULL:
            call.connection.unsent += call.let_one_go()
            send_flow(loop, call)
        else:
            answer_call(loop, call)
        call = loop.parked.next(durable)


cdef inline void commit(Loop* loop, int64_t sequence) noexcept nogil:
    # The disk may take long: meanwhile the loop may be somebody else's, who only asks.
    cdef bint may_commit = not loop.turn.has_stand_in()
    cdef bint is_durable
    if may_commit:
        loop.turn.leave()
    is_durable = loop.shared.writer.commit_or_ask(sequence, &loop.bell, may_commit)
    if may_commit:
        loop.turn.come_back(&loop.told)
    if not is_durable:
        loop.asked = max(loop.asked, sequence)


cdef inline void commit_parked(Loop* loop) noexcept nogil:
    # Sees to it that what is waited for becomes durable: by this very thread if nobody else is at
    # it, and then all that is parked goes in one.
    if loop.parked.size() == 0:
        return
    if loop.parked.newest() > loop.asked:
        commit(loop, loop.parked.newest())
    wake(loop, loop.shared.writer.durable())


cdef inline void expire_call(Loop* loop, Call* call) noexcept nogil:
    # Its time is up, or that of its message. What it has changed already stays.
    if call.deadline <= loop.now:
        refuse(&call.answer, DEADLINE_EXCEEDED, b"Deadline Exceeded")
    else:
        refuse(&call.answer, DEADLINE_EXCEEDED, b"the message did not come in time")
    cut_short(loop, call)
