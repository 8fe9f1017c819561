# How a call is answered: its response and gRPC's status given to HTTP/2, which takes the bytes when
# it sends them. Owns the order of an answer's parts and that each call is answered and counted
# once; decides no status, and writes to no socket.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from atp.front.answer cimport Answer
from atp.front.nghttp2 cimport (
    NGHTTP2_CANCEL, NGHTTP2_DATA_FLAG_EOF, NGHTTP2_DATA_FLAG_NO_END_STREAM, NGHTTP2_ERR_DEFERRED,
    NGHTTP2_FLAG_NONE, NGHTTP2_INTERNAL_ERROR, nghttp2_data_provider, nghttp2_data_source,
    nghttp2_session, nghttp2_session_resume_data, nghttp2_submit_rst_stream,
)
from atp.front.state cimport (
    BATCHES_MOST, CODES, Call, Connection, EXECUTE, Flow, Loop, Refusal, unlink_call,
)


cdef extern from "atp/front/headers.h" namespace "atp" nogil:
    int submit_answer(
        nghttp2_session* session, int32_t stream, const nghttp2_data_provider* provider) noexcept
    int submit_ok(nghttp2_session* session, int32_t stream) noexcept
    int submit_error(
        nghttp2_session* session, int32_t stream, const Answer& answer, bint alone) noexcept
    int submit_refusal(
        nghttp2_session* session, int32_t stream, const Refusal& refusal) noexcept
    int submit_http_error(nghttp2_session* session, int32_t stream, int status) noexcept


cdef inline void mark_dirty(Connection* connection) noexcept nogil:
    # It has something to send at the end of the round.
    if not connection.is_dirty and not connection.is_closing:
        connection.is_dirty = True
        connection.loop.dirty.push_back(connection)


cdef inline void hold(Loop* loop, Call* call, int64_t delta) noexcept nogil:
    # So many bytes more, or fewer, wait in this call.
    call.held += delta
    if call.connection != NULL:
        call.connection.held += delta
    loop.counts.held.add(delta)


cdef inline void queue_call(Loop* loop, Call* call) noexcept nogil:
    if not call.is_queued:
        call.is_queued = True
        loop.ready.push_back(call)


cdef inline void close_answer(Loop* loop, Call* call, int code) noexcept nogil:
    # It is answered from here on, with this code. Only the time of those that were not turned away
    # counts: refusing quickly must not look like answering quickly. Batches count one by one.
    call.is_answered = True
    if (code == 0 or code == 4) and call.method < EXECUTE and call.connection != NULL:
        loop.latencies.note(&call.connection.last_told, call.method, call.began, loop.now)
    loop.counts.answered[call.method][code if 0 <= code < CODES else 2].add(1)
    if call.is_open:
        call.is_open = False
        loop.counts.open_calls.add(-1)


cdef inline void let_go(Loop* loop, Call* call) noexcept nogil:
    # To be used again, unless its stream is there or it is in a line.
    if call.connection != NULL or call.is_queued or call.parked:
        return
    if not call.is_answered and call.has_head:
        close_answer(loop, call, 1)
    loop.counts.held.add(-call.held)
    loop.calls.give(call)


cdef inline void detach(Connection* connection, Call* call) noexcept nogil:
    # Its stream is gone.
    unlink_call(&connection.calls, call)
    if connection.reading == call:
        connection.reading = NULL
    if connection.calls == NULL:
        connection.idle_since = connection.loop.now
    if call.flow.get() != NULL:
        connection.unsent -= call.flow_left()
    elif call.is_answered and call.answer.code == 0:
        connection.unsent -= call.unsent()
    connection.held -= call.held
    call.connection = NULL
    let_go(connection.loop, call)


cdef inline void reset(Call* call, uint32_t code) noexcept nogil:
    # Its stream ends without a status.
    nghttp2_submit_rst_stream(call.connection.session, NGHTTP2_FLAG_NONE, call.stream, code)
    mark_dirty(call.connection)


cdef inline ssize_t read_answer(
    nghttp2_session* session, int32_t stream, uint8_t* to, size_t room, uint32_t* flags,
    nghttp2_data_source* source, void* user_data,
) noexcept nogil:
    cdef Call* call = <Call*>source.ptr
    cdef size_t part = call.copy_answer(to, room)
    call.connection.unsent -= part
    if call.unsent() == 0:
        flags[0] = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM
        submit_ok(session, stream)
    return part


cdef inline ssize_t read_flow(
    nghttp2_session* session, int32_t stream, uint8_t* to, size_t room, uint32_t* flags,
    nghttp2_data_source* source, void* user_data,
) noexcept nogil:
    cdef Call* call = <Call*>source.ptr
    cdef Flow* flow = call.flow.get()
    cdef Loop* loop = call.connection.loop
    cdef size_t batches = flow.outbox.size()
    cdef size_t part = call.copy_flow(
        to, room, &loop.latencies, &call.connection.last_told, loop.now)
    hold(loop, call, -<int64_t>part)
    call.connection.unsent -= part
    if flow.ending and flow.outbox.size() == 0:
        flags[0] = NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM
        if call.answer.code == 0:
            submit_ok(session, stream)
        else:
            submit_error(session, stream, call.answer, False)
        close_answer(loop, call, call.answer.code)
        return part
    if flow.outbox.size() < batches:
        queue_call(loop, call)  # there is room for one that waits
    return <ssize_t>part if part else NGHTTP2_ERR_DEFERRED


cdef inline void forget_message(Loop* loop, Call* call) noexcept nogil:
    # Nobody reads it any more, and its answer may wait for long.
    if not call.message.empty():
        hold(loop, call, -<int64_t>call.message.size())
        call.forget_message()


cdef inline void answer_call(Loop* loop, Call* call) noexcept nogil:
    # By what its answer says; it has a stream, and no messages have gone before.
    cdef nghttp2_data_provider provider
    cdef Connection* connection = call.connection
    cdef int problem
    forget_message(loop, call)
    if call.refusal != NULL:
        call.answer.code = call.refusal.number
    close_answer(loop, call, call.answer.code)
    if call.refusal != NULL:
        problem = submit_refusal(connection.session, call.stream, call.refusal[0])
        connection.guards.refused()
    elif call.answer.code == 0:
        provider.source.ptr = call
        provider.read_callback = read_answer
        connection.unsent += call.unsent()
        if not call.is_counted:
            hold(loop, call, call.answer.message.size())
        problem = submit_answer(connection.session, call.stream, &provider)
        connection.guards.answered()
    else:
        problem = submit_error(connection.session, call.stream, call.answer, True)
        connection.guards.refused()
    if problem:
        reset(call, NGHTTP2_INTERNAL_ERROR)
    mark_dirty(connection)


cdef inline void answer_http(Loop* loop, Call* call) noexcept nogil:
    close_answer(loop, call, 2)
    if submit_http_error(call.connection.session, call.stream, call.http_error):
        reset(call, NGHTTP2_INTERNAL_ERROR)
    mark_dirty(call.connection)


cdef inline void send_flow(Loop* loop, Call* call) noexcept nogil:
    # Begins to send what may go, or goes on with it.
    cdef nghttp2_data_provider provider
    cdef Flow* flow = call.flow.get()
    cdef Connection* connection = call.connection
    if call.is_answered or not (flow.sendable or (flow.ending and flow.outbox.size() == 0)):
        return
    if not flow.opened and flow.ending and flow.outbox.size() == 0 and call.answer.code:
        answer_call(loop, call)  # which earns what a refusal earns, and nothing besides
        return
    if flow.opened:
        nghttp2_session_resume_data(connection.session, call.stream)
    else:
        provider.source.ptr = call
        provider.read_callback = read_flow
        flow.opened = True
        if submit_answer(connection.session, call.stream, &provider):
            reset(call, NGHTTP2_INTERNAL_ERROR)
    connection.guards.answered()
    mark_dirty(connection)


cdef inline void cut_short(Loop* loop, Call* call) noexcept nogil:
    # Ends it with what its answer says, or, in the midst of messages, with no status.
    if call.is_answered:
        return
    if call.http_error:
        answer_http(loop, call)
    elif call.flow.get() == NULL or not call.flow.get().opened:
        answer_call(loop, call)
    else:
        close_answer(loop, call, call.answer.code)
        reset(call, NGHTTP2_CANCEL)
