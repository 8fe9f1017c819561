# A connection from its arrival to its end: accepted within the bound, its bytes handed to HTTP/2,
# asked whether it is still there, told to go elsewhere. Owns those times; knows no call's meaning.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string

from atp.front.answering cimport cut_short, mark_dirty, queue_call, send_flow
from atp.front.calling cimport (
    DEADLINE_EXCEEDED, add_batch, end_flow, expire_call, judge_ready, note_due, refuse_draining,
    tell_health,
)
from atp.front.guards cimport END_FOR_SLOW_HEADERS, END_FOR_SLOW_START, FINE, Guard
from atp.front.nghttp2 cimport (
    NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_NONE, NGHTTP2_NO_ERROR,
    NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
    NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES,
    nghttp2_session_consume_connection, nghttp2_session_mem_recv, nghttp2_session_server_new2,
    nghttp2_session_set_local_window_size, nghttp2_session_want_write, nghttp2_settings_entry,
    nghttp2_submit_ping, nghttp2_submit_settings, nghttp2_submit_shutdown_notice,
)
from atp.front.receiving cimport tell_last
from atp.front.sending cimport close_connection, flush, write_goaway
from atp.front.state cimport (
    ARENA, Call, Connection, HANDSHAKE_READ, HANDSHAKE_TIME, HEALTH_WATCH, Loop, NEVER, READ_MOST,
    TOO_MANY_CONNECTIONS, connections, held_bytes, link_connection,
)
from atp.front.tls cimport TlsContext, TlsSession
from atp.front.uv cimport (
    uv_accept, uv_async_send, uv_buf_t, uv_close, uv_handle_t, uv_hrtime, uv_read_start,
    uv_read_stop, uv_stream_t, uv_tcp_init, uv_tcp_nodelay,
)

cdef enum:
    BUSY = 1_000_000_000  # ns; who was heard within it has calls
    STREAMS_LEAST = 8
    CONNECTION_WINDOW = 1 << 20  # bytes on their way to all calls of a connection
    ANSWER_TO_PING = 20  # seconds
    FAREWELL = 250_000_000  # ns, at least, in which a client may close first


cdef inline void on_refused(uv_handle_t* handle) noexcept nogil:
    cdef Connection* connection = <Connection*>handle.data
    del connection


cdef inline void refuse_connection(Loop* loop, Connection* connection) noexcept nogil:
    # It never was one of ours.
    connection.is_closing = True
    uv_close(<uv_handle_t*>&connection.tcp, on_refused)


cdef inline void share_streams(Loop* loop) noexcept nogil:
    # How many calls each connection may have open, so that all that are at work together have no
    # more than there may be: what is over it waits in the client, where it costs nothing here.
    cdef int64_t busy = 0
    cdef int64_t most = loop.shared.options.streams_max
    cdef Connection* connection = loop.connections
    while connection != NULL:
        busy += connection.heard + BUSY > loop.now
        connection = connection.next
    busy *= <int64_t>loop.shared.loops.size()
    loop.streams = max(min(most, <int64_t>STREAMS_LEAST),
                       min(most, loop.shared.options.calls_max // max(busy, <int64_t>1)))


cdef inline void tell_streams(Loop* loop, Connection* connection) noexcept nogil:
    # Told again when it is quite another number than was told before.
    cdef nghttp2_settings_entry setting
    if loop.streams < 2 * connection.streams and connection.streams < 2 * loop.streams:
        return
    setting.settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
    setting.value = <uint32_t>loop.streams
    connection.streams = loop.streams
    nghttp2_submit_settings(connection.session, NGHTTP2_FLAG_NONE, &setting, 1)
    mark_dirty(connection)


cdef inline bint greet(Loop* loop, Connection* connection) noexcept nogil:
    # HTTP/2's own start; False: there is no memory.
    cdef nghttp2_settings_entry[3] settings
    settings[0].settings_id = NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
    settings[0].value = <uint32_t>loop.streams
    connection.streams = loop.streams
    settings[1].settings_id = NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
    settings[1].value = <uint32_t>loop.shared.options.metadata_bytes_max
    settings[2].settings_id = NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES
    settings[2].value = 1
    if nghttp2_session_server_new2(
        &connection.session, loop.callbacks, connection, loop.option
    ):
        return False
    return nghttp2_submit_settings(connection.session, NGHTTP2_FLAG_NONE, settings, 3) == 0 and (
        nghttp2_session_set_local_window_size(
            connection.session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW) == 0)


cdef inline bint is_shaking_hands(Connection* connection) noexcept nogil:
    return connection.tls.get() != NULL and not connection.tls.get().is_open()


cdef inline void on_room(uv_handle_t* handle, size_t wanted, uv_buf_t* buffer) noexcept nogil:
    cdef Connection* connection = <Connection*>handle.data
    cdef Loop* loop = connection.loop
    buffer.base = loop.arena.get() + loop.arena_used
    buffer.len = HANDSHAKE_READ if is_shaking_hands(connection) else READ_MOST


cdef inline void end_tripped(Connection* connection, Guard guard) noexcept nogil:
    connection.loop.counts.ended[guard].add(1)
    write_goaway(connection, NGHTTP2_ENHANCE_YOUR_CALM)
    close_connection(connection)


cdef inline void take_bytes(
    Connection* connection, const uint8_t* data, size_t size
) noexcept nogil:
    # What the client says, to HTTP/2.
    cdef ssize_t taken = nghttp2_session_mem_recv(connection.session, data, size)
    if connection.tripped != FINE:
        end_tripped(connection, connection.tripped)
        return
    if taken != <ssize_t>size:
        close_connection(connection)  # no HTTP/2, or no memory
        return
    if connection.untaken:
        nghttp2_session_consume_connection(connection.session, connection.untaken)
        connection.untaken = 0
    mark_dirty(connection)


cdef inline void take_tls(
    Connection* connection, const uint8_t* data, size_t size
) noexcept nogil:
    cdef Loop* loop = connection.loop
    cdef bint goes_on
    loop.plain.clear()
    goes_on = connection.tls.get().receive(data, size, loop.plain, connection.wire)
    if not loop.plain.empty():
        take_bytes(connection, <const uint8_t*>loop.plain.data(), loop.plain.size())
    if connection.is_closing:
        return
    if goes_on:
        mark_dirty(connection)
        return
    if not connection.tls.get().why().empty():
        loop.shared.tls_refusals.note(connection.tcp, connection.tls.get().why())
    flush(loop, connection)
    close_connection(connection)


cdef inline void shake_hands(
    Connection* connection, const uint8_t* data, size_t size
) noexcept nogil:
    cdef Loop* loop = connection.loop
    cdef int64_t began = <int64_t>uv_hrtime()
    take_tls(connection, data, size)
    loop.handshake_time -= <int64_t>uv_hrtime() - began


cdef inline void take_handshake(
    Connection* connection, const uint8_t* data, size_t size
) noexcept nogil:
    # One costs as much as a hundred calls, and anybody may ask for any number: calls go on between
    # them, and who comes when the round's time for them is over waits for its turn.
    cdef Loop* loop = connection.loop
    if loop.handshake_time > 0 and loop.handshakes.empty():
        shake_hands(connection, data, size)
        return
    connection.early.assign(<const char*>data, size)
    connection.is_waiting = True
    loop.handshakes.push_back(connection)
    uv_read_stop(<uv_stream_t*>&connection.tcp)


cdef inline void shake_waiting_hands(Loop* loop) noexcept nogil:
    # Once in a round.
    cdef Connection* connection
    cdef string early
    cdef size_t at = 0
    loop.handshake_time = HANDSHAKE_TIME
    while at < loop.handshakes.size() and loop.handshake_time > 0:
        connection = loop.handshakes[at]
        at += 1
        if connection == NULL:
            continue
        connection.is_waiting = False
        early.clear()
        early.swap(connection.early)
        uv_read_start(<uv_stream_t*>&connection.tcp, on_room, on_bytes)
        shake_hands(connection, <const uint8_t*>early.data(), early.size())
    loop.handshakes.erase(loop.handshakes.begin(), loop.handshakes.begin() + at)
    if not loop.handshakes.empty():
        uv_async_send(&loop.told)


cdef inline void wake_up(Loop* loop) noexcept nogil:
    # Something has come.
    loop.now = <int64_t>uv_hrtime()
    loop.delay.end_wait(loop.now)


cdef inline void on_bytes(
    uv_stream_t* stream, ssize_t size, const uv_buf_t* buffer
) noexcept nogil:
    cdef Connection* connection = <Connection*>stream.data
    cdef Loop* loop = connection.loop
    if connection.is_closing or size == 0:
        return
    if size < 0:
        close_connection(connection)
        return
    wake_up(loop)
    connection.heard_before = connection.heard
    connection.heard = loop.now
    connection.is_pinged = False
    loop.counts.received_bytes.add(size)
    if is_shaking_hands(connection):
        take_handshake(connection, <const uint8_t*>buffer.base, size)
        return
    if connection.tls.get() != NULL:
        take_tls(connection, <const uint8_t*>buffer.base, size)
        return
    take_bytes(connection, <const uint8_t*>buffer.base, size)
    loop.arena_used += size
    if loop.arena_used + READ_MOST > ARENA:
        judge_ready(loop)
        loop.arena_used = 0


cdef inline void on_arrival(uv_stream_t* listener, int status) noexcept nogil:
    cdef Loop* loop = <Loop*>listener.data
    cdef Connection* connection
    cdef shared_ptr[const TlsContext] tls
    if status < 0:
        return
    wake_up(loop)
    connection = new Connection(loop, loop.now)
    uv_tcp_init(&loop.uv, &connection.tcp)
    connection.tcp.data = connection
    if uv_accept(listener, <uv_stream_t*>&connection.tcp):
        refuse_connection(loop, connection)
        return
    if connections(loop.shared[0]) >= loop.shared.options.connections_max:
        loop.counts.refused[TOO_MANY_CONNECTIONS].add(1)
        refuse_connection(loop, connection)
        return
    tls = loop.shared.tls.get()
    if tls.get() != NULL:
        connection.tls.reset(new TlsSession(tls.get()[0]))
    uv_tcp_nodelay(&connection.tcp, 1)
    if not greet(loop, connection):
        refuse_connection(loop, connection)
        return
    link_connection(&loop.connections, connection)
    loop.counts.connections.add(1)
    loop.counts.accepted.add(1)
    uv_read_start(<uv_stream_t*>&connection.tcp, on_room, on_bytes)
    mark_dirty(connection)


cdef inline void resume_reading(Connection* connection) noexcept nogil:
    if connection.is_paused and not connection.is_writing and not connection.is_closing:
        connection.is_paused = False
        uv_read_start(<uv_stream_t*>&connection.tcp, on_room, on_bytes)


cdef inline void leave(Connection* connection) noexcept nogil:
    # The client is told to take new calls elsewhere; those on their way are still served.
    if connection.is_leaving:
        return
    connection.is_leaving = True
    nghttp2_submit_shutdown_notice(connection.session)
    mark_dirty(connection)


cdef inline void end_flows(Loop* loop, Connection* connection) noexcept nogil:
    # They would go on for ever. Batches that have been judged are still answered, and who watches
    # the health is told what is to be told.
    cdef Call* call = connection.calls
    while call != NULL:
        if call.flow.get() != NULL and not call.is_answered and not call.flow.get().ending:
            refuse_draining(&call.answer)
            end_flow(call)
            send_flow(loop, call)
        call = call.next


cdef inline void tell_watchers(Loop* loop, Connection* connection, char serving) noexcept nogil:
    cdef Call* call = connection.calls
    while call != NULL:
        if call.method == HEALTH_WATCH and call.flow.get() != NULL and call.flow.get().opened:
            tell_health(&call.flow.get().outbox.emplace_back(), serving)
            add_batch(loop, call, 0, False)
            send_flow(loop, call)
        call = call.next


cdef inline void tend(Loop* loop, Connection* connection) noexcept nogil:
    # About once a second.
    cdef int64_t second = 1_000_000_000
    cdef int64_t silent = loop.now - connection.heard
    cdef Guard guard = connection.guards.overdue(
        loop.now, held_bytes(loop.shared[0]) > loop.shared.options.buffer_bytes_max // 2)
    if is_shaking_hands(connection) and (
        loop.now - connection.idle_since > loop.shared.options.request
    ):
        guard = END_FOR_SLOW_START
    if guard != FINE:
        end_tripped(connection, guard)
        return
    if connection.ended and loop.now - connection.ended >= FAREWELL:
        close_connection(connection)
        return
    if connection.is_leaving and not connection.is_last_told:
        tell_last(connection)
    tell_streams(loop, connection)
    if silent > loop.shared.options.keepalive:
        if not connection.is_pinged:
            connection.is_pinged = True
            nghttp2_submit_ping(connection.session, NGHTTP2_FLAG_NONE, NULL)
            mark_dirty(connection)
        elif silent > loop.shared.options.keepalive + ANSWER_TO_PING * second:
            close_connection(connection)
            return
    if connection.calls == NULL and (
        loop.now - connection.idle_since > loop.shared.options.idle
    ):
        leave(connection)


cdef inline void expire_calls(Loop* loop, Connection* connection) noexcept nogil:
    # Whose time is up is answered; the next time that matters is noted.
    cdef Call* call = connection.calls
    cdef Call* after
    cdef int64_t time
    while call != NULL:
        after = call.next
        if not call.is_answered:
            time = min(call.deadline, call.whole_by)
            if time > loop.now:
                note_due(loop, time)
            elif not call.has_head:
                end_tripped(connection, END_FOR_SLOW_HEADERS)
                return
            else:
                expire_call(loop, call)
        call = after
