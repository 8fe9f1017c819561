# What comes in: frames, as HTTP/2 has read them, to calls whose messages are whole. Owns what is
# refused before it is read and which bytes are kept; whatever a client sends is refused or bounded,
# and never a programmer's error. Judges nothing and answers what it refuses alone.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from atp.front.answering cimport (
    answer_call, answer_http, detach, hold, mark_dirty, queue_call,
)
from atp.front.calling cimport (
    COMPRESSED, INTERNAL, PARTLY, PREFIX, RESOURCE_EXHAUSTED, TOO_LARGE, UNIMPLEMENTED, WHOLE,
    frame_at, is_over_bytes, message_size, note_due, refuse, refuse_frame,
)
from atp.front.guards cimport (
    END_FOR_HEADERS, FIELD_END_CONNECTION, FIELD_REFUSE_CALL, FINE, Field, Guard,
)
from atp.front.nghttp2 cimport (
    NGHTTP2_DATA, NGHTTP2_ERR_CALLBACK_FAILURE, NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE,
    NGHTTP2_FLAG_ACK, NGHTTP2_FLAG_END_STREAM, NGHTTP2_FLAG_NONE, NGHTTP2_GOAWAY,
    NGHTTP2_HCAT_REQUEST, NGHTTP2_HEADERS, NGHTTP2_NO_ERROR, NGHTTP2_PING, nghttp2_frame,
    nghttp2_frame_hd, nghttp2_session, nghttp2_session_consume_stream,
    nghttp2_session_get_last_proc_stream_id, nghttp2_session_get_stream_remote_close,
    nghttp2_session_get_stream_user_data, nghttp2_session_set_local_window_size,
    nghttp2_session_set_stream_user_data, nghttp2_submit_goaway, nghttp2_submit_ping,
    nghttp2_submit_rst_stream,
)
from atp.front.state cimport (
    Call, Connection, EXECUTE, Flow, HEALTH_CHECK, HEALTH_WATCH, Loop, NEVER, NO_METHOD,
    TOO_LATE, TOO_MANY_CALLS, link_call, open_calls,
)

cdef enum:
    FLOW_WINDOW = 1 << 20  # bytes on their way to a flow; a unary call has HTTP/2's 64 KiB
    UNWANTED_MOST = 16384  # of a call that is refused already: who sends more is told at once
    TAKEN_UNTOLD = 16384  # of a unary call's bytes; only a longer message needs a wider window


cdef extern from "atp/front/metadata.h" namespace "atp" nogil:
    void take_field(
        Call* call, const char* name, size_t name_size, const char* value, size_t value_size,
        int64_t now) noexcept


cdef extern from "atp/front/call.h" namespace "atp" nogil:
    void open_flow "atp::open_flow"(Call* call) noexcept


cdef inline Call* call_of(Connection* connection, int32_t stream) noexcept nogil:
    # The call of a stream; NULL: it is gone.
    if connection.reading != NULL and connection.reading.stream == stream:
        return connection.reading
    return <Call*>nghttp2_session_get_stream_user_data(connection.session, stream)


cdef inline int trip(Connection* connection, Guard guard) noexcept nogil:
    # The connection is ended for it; what comes after is not even looked at.
    connection.tripped = guard
    return NGHTTP2_ERR_CALLBACK_FAILURE


cdef inline int on_begin_frame(
    nghttp2_session* session, const nghttp2_frame_hd* head, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Guard guard = connection.guards.frame(
        head.type, head.flags, head.length, connection.loop.now)
    connection.frame_size = head.length
    connection.frame_flags = head.flags
    return 0 if guard == FINE else trip(connection, guard)


cdef inline int on_begin_headers(
    nghttp2_session* session, const nghttp2_frame* frame, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Loop* loop = connection.loop
    cdef Call* call
    if frame.headers.cat != NGHTTP2_HCAT_REQUEST:
        connection.reading = call_of(connection, frame.hd.stream_id)
        return 0
    call = loop.calls.take()
    call.connection = connection
    call.stream = frame.hd.stream_id
    call.began = loop.now
    call.whole_by = loop.now + loop.shared.options.request
    note_due(loop, call.whole_by)
    link_call(&connection.calls, call)
    connection.reading = call
    nghttp2_session_set_stream_user_data(session, call.stream, call)
    return 0


cdef inline int on_header(
    nghttp2_session* session, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
    const uint8_t* value, size_t value_size, uint8_t flags, void* user_data,
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Call* call = connection.reading
    cdef Field field = connection.guards.header(
        name_size, value_size, connection.loop.shared.options.metadata_bytes_max)
    if field == FIELD_END_CONNECTION:
        return trip(connection, END_FOR_HEADERS)
    if call == NULL or call.has_head:
        return 0
    if field == FIELD_REFUSE_CALL:
        call.is_head_too_large = True
    else:
        take_field(call, <const char*>name, name_size, <const char*>value, value_size,
                   connection.loop.now)
    return 0


cdef inline bint is_refused(Loop* loop, Call* call) noexcept nogil:
    # Whether the head alone is reason enough to answer; the answer says so. Overload is told at
    # once; the others when the client has sent its last, as curl and others drop an answer that
    # comes with a reset before.
    call.is_put_off = True
    if call.is_head_too_large:
        refuse(&call.answer, RESOURCE_EXHAUSTED, b"received metadata size exceeds hard limit")
    elif call.method == NO_METHOD:
        refuse(&call.answer, UNIMPLEMENTED, b"Method not found!")
    elif call.is_timeout_bad:
        refuse(&call.answer, INTERNAL, b"grpc-timeout is malformed")
    else:
        call.is_put_off = False
        return is_over(loop, call)
    return True


cdef inline bint is_over(Loop* loop, Call* call) noexcept nogil:
    # Whether there is too much to do already.
    if call.method == HEALTH_CHECK or call.method == HEALTH_WATCH:
        return False
    elif open_calls(loop.shared[0]) >= loop.shared.options.calls_max:
        loop.counts.refused[TOO_MANY_CALLS].add(1)
        call.refusal = &loop.too_many
    elif call.method != EXECUTE and call.deadline > loop.now and loop.delay.is_late(
        call.connection.heard_before, loop.now, call.deadline - loop.now,
        loop.shared.options.wait,
    ):
        # Better told now than judged for nobody.
        loop.counts.refused[TOO_LATE].add(1)
        call.refusal = &loop.too_late
    else:
        return is_over_bytes(loop, call)
    return True


cdef inline void on_head(Connection* connection, Call* call) noexcept nogil:
    # The header block is whole.
    cdef Loop* loop = connection.loop
    call.has_head = True
    note_due(loop, call.deadline)
    if not call.is_post or not call.is_grpc:
        call.http_error = 415 if call.is_post else 405
        call.is_put_off = True
        return
    if is_refused(loop, call):
        if not call.is_put_off:
            answer_call(loop, call)
        return
    if call.method != HEALTH_CHECK and call.method != HEALTH_WATCH:
        call.is_open = True
        loop.counts.open_calls.add(1)
    if call.method == EXECUTE or call.method == HEALTH_WATCH:
        open_flow(call)
    if call.method == EXECUTE:
        call.whole_by = NEVER
        nghttp2_session_set_local_window_size(
            connection.session, NGHTTP2_FLAG_NONE, call.stream, FLOW_WINDOW)


cdef inline void answer_put_off(Loop* loop, Call* call) noexcept nogil:
    if call.http_error:
        answer_http(loop, call)
    else:
        answer_call(loop, call)


cdef inline void on_last(Connection* connection, Call* call) noexcept nogil:
    # The client sends nothing more.
    call.has_all = True
    if call.is_answered:
        return
    if call.is_put_off:
        answer_put_off(connection.loop, call)
    else:
        queue_call(connection.loop, call)


cdef inline int on_frame(
    nghttp2_session* session, const nghttp2_frame* frame, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Call* call
    if frame.hd.type == NGHTTP2_DATA or frame.hd.type == NGHTTP2_HEADERS:
        call = call_of(connection, frame.hd.stream_id)
        if call == NULL:
            return 0
        if not call.has_head:
            on_head(connection, call)
        if frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
            on_last(connection, call)
    elif frame.hd.type == NGHTTP2_PING and frame.hd.flags & NGHTTP2_FLAG_ACK:
        if connection.is_leaving and not connection.is_last_told:
            # What the client sent before it heard of the end has come.
            tell_last(connection)
    return 0


cdef inline void tell_last(Connection* connection) noexcept nogil:
    # No call after those that have come is served on this connection.
    connection.is_last_told = True
    nghttp2_submit_goaway(
        connection.session, NGHTTP2_FLAG_NONE,
        nghttp2_session_get_last_proc_stream_id(connection.session), NGHTTP2_NO_ERROR, NULL, 0)
    mark_dirty(connection)


cdef inline void take_flow(
    Connection* connection, Call* call, const char* data, size_t size
) noexcept nogil:
    # The flow's own window opens again as its batches are judged.
    cdef Flow* flow = call.flow.get()
    flow.untaken += size
    flow.heard = connection.loop.now
    if flow.ending:
        return
    hold(connection.loop, call, size)
    flow.inbox.append(data, size)
    queue_call(connection.loop, call)


cdef inline void take_unary(
    Connection* connection, Call* call, const char* data, size_t size
) noexcept nogil:
    cdef Loop* loop = connection.loop
    cdef size_t before = call.message.size()
    if (
        before == 0 and size == connection.frame_size and size >= PREFIX
        and connection.frame_flags == NGHTTP2_FLAG_END_STREAM and connection.tls.get() == NULL
        and frame_at(data, size, loop.shared.options.message_bytes_max) == WHOLE
        and size == PREFIX + message_size(data)
    ):
        # All of it, in one piece that lies still until it is judged.
        call.has_message = True
        call.view = data + PREFIX
        call.view_size = size - PREFIX
        return
    call.message.append(data, size)
    hold(loop, call, size)
    cdef int framed = refuse_frame(loop, call.message.data(), call.message.size(), &call.answer)
    if framed == COMPRESSED or framed == TOO_LARGE:
        answer_call(loop, call)
    elif framed == WHOLE and call.message.size() > PREFIX + message_size(call.message.data()):
        refuse(&call.answer, UNIMPLEMENTED, b"a call takes one message, and more came")
        answer_call(loop, call)
    elif is_over_bytes(loop, call):
        answer_call(loop, call)
    elif call.message.size() > TAKEN_UNTOLD:
        if before <= TAKEN_UNTOLD:
            size = call.message.size()
        nghttp2_session_consume_stream(connection.session, call.stream, size)


cdef inline int on_data(
    nghttp2_session* session, uint8_t flags, int32_t stream, const uint8_t* data, size_t size,
    void* user_data,
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Call* call = call_of(connection, stream)
    connection.untaken += size
    if call == NULL or call.is_answered:
        return 0
    connection.reading = call
    if call.is_put_off:
        call.unwanted += size
        if call.unwanted > UNWANTED_MOST:
            answer_put_off(connection.loop, call)
    elif call.method == EXECUTE:
        take_flow(connection, call, <const char*>data, size)
    else:
        take_unary(connection, call, <const char*>data, size)
    return 0


cdef inline int on_invalid_frame(
    nghttp2_session* session, const nghttp2_frame* frame, int problem, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Guard guard = connection.guards.fault(connection.loop.now)
    return 0 if guard == FINE else trip(connection, guard)


cdef inline int on_sent(
    nghttp2_session* session, const nghttp2_frame* frame, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    if frame.hd.type == NGHTTP2_DATA:
        connection.guards.data_sent()
    elif frame.hd.type == NGHTTP2_HEADERS and frame.hd.flags & NGHTTP2_FLAG_END_STREAM:
        # It was answered before the client had sent its last: the rest isn't wanted.
        if nghttp2_session_get_stream_remote_close(session, frame.hd.stream_id) == 0:
            nghttp2_submit_rst_stream(
                session, NGHTTP2_FLAG_NONE, frame.hd.stream_id, NGHTTP2_NO_ERROR)
    elif frame.hd.type == NGHTTP2_GOAWAY and not connection.is_last_told:
        # Its answer tells that the client knows. Not submitted before: it would overtake.
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, NULL)
    return 0


cdef inline int on_stream_close(
    nghttp2_session* session, int32_t stream, uint32_t code, void* user_data
) noexcept nogil:
    cdef Connection* connection = <Connection*>user_data
    cdef Call* call = call_of(connection, stream)
    if call != NULL:
        nghttp2_session_set_stream_user_data(session, stream, NULL)
        detach(connection, call)
    return 0
