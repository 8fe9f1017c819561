# One thread's loop of events: what is asked for in a round is judged, made durable and answered at
# its end, in one write for each connection. Owns the order within a round, and start and end.
from libc.stdint cimport int64_t, uint64_t
from posix.unistd cimport read

from atp.front.answer cimport Answer
from atp.front.answering cimport mark_dirty
from atp.front.calling cimport commit_parked, judge_ready, refuse_late, refuse_over, wake
from atp.front.connecting cimport (
    end_flows, expire_calls, leave, on_arrival, resume_reading, shake_waiting_hands, share_streams,
    tell_watchers, tend, wake_up,
)
from atp.front.nghttp2 cimport (
    nghttp2_option_new, nghttp2_option_set_max_continuations, nghttp2_option_set_max_outbound_ack,
    nghttp2_option_set_max_settings, nghttp2_option_set_no_auto_window_update,
    nghttp2_option_set_no_closed_streams, nghttp2_option_set_stream_reset_rate_limit,
    nghttp2_session_callbacks_new, nghttp2_session_callbacks_set_on_begin_frame_callback,
    nghttp2_session_callbacks_set_on_begin_headers_callback,
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback,
    nghttp2_session_callbacks_set_on_frame_recv_callback,
    nghttp2_session_callbacks_set_on_frame_send_callback,
    nghttp2_session_callbacks_set_on_header_callback,
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback,
    nghttp2_session_callbacks_set_on_stream_close_callback,
)
from atp.front.receiving cimport (
    on_begin_frame, on_begin_headers, on_data, on_frame, on_header, on_invalid_frame, on_sent,
    on_stream_close,
)
from atp.front.sending cimport close_connection, flush
from atp.front.state cimport Connection, Loop, NEVER
from atp.front.uv cimport (
    UV_READABLE, UV_RUN_ONCE, uv_async_init, uv_async_send, uv_async_t, uv_close,
    uv_handle_t, uv_hrtime, uv_is_closing, uv_listen, uv_loop_close, uv_loop_init, uv_loop_t,
    uv_poll_init, uv_poll_start, uv_poll_t, uv_run, uv_stream_t, uv_tcp_init, uv_tcp_open,
    uv_timer_init, uv_timer_start, uv_timer_t, uv_unref, uv_walk,
)

cdef enum:
    BACKLOG = 1024  # connections that the system keeps until they are accepted
    TICK_MS = 1000
    TURNS_MOST = 8  # of a round, for flows that go on as their answers leave


cdef inline void flush_all(Loop* loop) noexcept nogil:
    cdef size_t i = 0
    cdef Connection* connection
    while i < loop.dirty.size():
        connection = loop.dirty[i]
        i += 1
        if connection != NULL:
            connection.is_dirty = False
            flush(loop, connection)
            resume_reading(connection)
    loop.dirty.clear()
    loop.latencies.end_round()


cdef inline void set_due(Loop* loop) noexcept nogil:
    # The timer runs no later than the first deadline of those that wait, and seldom else.
    cdef int64_t ms
    if loop.next_due >= loop.timer_due:
        return
    loop.timer_due = loop.next_due
    ms = (loop.next_due - <int64_t>uv_hrtime()) // 1_000_000 + 1
    uv_timer_start(&loop.due, loop.on_due, <uint64_t>max(ms, 0), 0)


cdef inline void end_round(Loop* loop) noexcept nogil:
    cdef int turns = 0
    while turns < TURNS_MOST:
        turns += 1
        if not loop.ready.empty():
            judge_ready(loop)
        commit_parked(loop)
        flush_all(loop)
        if loop.ready.empty():
            break
    else:
        uv_async_send(&loop.told)
    loop.arena_used = 0
    set_due(loop)


cdef inline void on_due(uv_timer_t* handle) noexcept nogil:
    cdef Loop* loop = <Loop*>handle.data
    cdef Connection* connection = loop.connections
    cdef Connection* after
    loop.now = <int64_t>uv_hrtime()
    loop.next_due = NEVER
    loop.timer_due = NEVER
    while connection != NULL:
        after = connection.next
        expire_calls(loop, connection)
        connection = after


cdef inline void on_tick(uv_timer_t* handle) noexcept nogil:
    cdef Loop* loop = <Loop*>handle.data
    cdef Connection* connection = loop.connections
    cdef Connection* after
    loop.now = <int64_t>uv_hrtime()
    share_streams(loop)
    while connection != NULL:
        after = connection.next
        tend(loop, connection)
        connection = after


cdef inline void on_rung(uv_poll_t* handle, int status, int events) noexcept nogil:
    # More is durable. What still waits is asked for again at the end of the round.
    cdef Loop* loop = <Loop*>handle.data
    cdef uint64_t times
    wake_up(loop)
    read(loop.bell.fd, &times, sizeof(times))
    loop.asked = 0
    wake(loop, loop.shared.writer.durable())


cdef inline void close_each(uv_handle_t* handle, void* spared) noexcept nogil:
    if handle != spared and not uv_is_closing(handle):
        uv_close(handle, NULL)


cdef inline void stop_loop(Loop* loop) noexcept nogil:
    # Others may still tell the loop something, which it hears no more.
    while loop.connections != NULL:
        close_connection(loop.connections)
    uv_walk(&loop.uv, close_each, &loop.told)
    uv_unref(<uv_handle_t*>&loop.told)


cdef inline void drain_loop(Loop* loop) noexcept nogil:
    cdef Connection* connection = loop.connections
    loop.is_draining = True
    if loop.is_listening:
        loop.is_listening = False
        uv_close(<uv_handle_t*>&loop.listener, NULL)
    while connection != NULL:
        end_flows(loop, connection)
        leave(connection)
        connection = connection.next


cdef inline void retire_loop(Loop* loop) noexcept nogil:
    cdef Connection* connection = loop.connections
    loop.is_retired = True
    while connection != NULL:
        tell_watchers(loop, connection, 2)
        connection = connection.next


cdef inline void on_told(uv_async_t* handle) noexcept nogil:
    # By another thread, or by the last round, which had more to do.
    cdef Loop* loop = <Loop*>handle.data
    wake_up(loop)
    if loop.shared.is_retired.load() and not loop.is_retired:
        retire_loop(loop)
    if loop.shared.is_draining.load() and not loop.is_draining:
        drain_loop(loop)
    if loop.shared.is_stopping.load():
        flush_all(loop)  # who was told something just now hears of it
        stop_loop(loop)


cdef inline bint make_callbacks(Loop* loop) noexcept nogil:
    if nghttp2_session_callbacks_new(&loop.callbacks) or nghttp2_option_new(&loop.option):
        return False
    nghttp2_session_callbacks_set_on_begin_frame_callback(loop.callbacks, on_begin_frame)
    nghttp2_session_callbacks_set_on_begin_headers_callback(loop.callbacks, on_begin_headers)
    nghttp2_session_callbacks_set_on_header_callback(loop.callbacks, on_header)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(loop.callbacks, on_data)
    nghttp2_session_callbacks_set_on_frame_recv_callback(loop.callbacks, on_frame)
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(loop.callbacks, on_invalid_frame)
    nghttp2_session_callbacks_set_on_frame_send_callback(loop.callbacks, on_sent)
    nghttp2_session_callbacks_set_on_stream_close_callback(loop.callbacks, on_stream_close)
    nghttp2_option_set_no_auto_window_update(loop.option, 1)
    nghttp2_option_set_no_closed_streams(loop.option, 1)
    # The guards bound these, with more patience for honest clients, and count what they end.
    nghttp2_option_set_max_outbound_ack(loop.option, 4000)
    nghttp2_option_set_max_continuations(loop.option, 64)
    nghttp2_option_set_stream_reset_rate_limit(loop.option, 1 << 30, 1 << 30)
    nghttp2_option_set_max_settings(loop.option, 32)
    return True


cdef inline void prepare_refusals(Loop* loop) noexcept nogil:
    cdef Answer answer
    refuse_over(&answer, b"server.calls_max", loop.shared.options.calls_max, b"calls are open")
    loop.too_many.take(answer)
    refuse_over(&answer, b"data_plane.buffer_bytes_max", loop.shared.options.buffer_bytes_max,
                b"bytes of messages wait")
    loop.too_many_bytes.take(answer)
    refuse_late(&answer, loop.shared.options.wait)
    loop.too_late.take(answer)


cdef inline int open_loop(Loop* loop, int listener) noexcept nogil:
    # Takes the listening socket over; an error of libuv's is below 0. To be followed by run_loop(),
    # whatever it returns.
    cdef int problem = uv_loop_init(&loop.uv)
    prepare_refusals(loop)
    loop.next_due = loop.timer_due = NEVER
    loop.listener.data = loop.told.data = loop
    loop.tick.data = loop.due.data = loop.rung.data = loop
    if problem == 0:
        problem = uv_async_init(&loop.uv, &loop.told, on_told)
    if problem == 0 and not make_callbacks(loop):
        problem = -12
    if problem:
        return problem
    uv_timer_init(&loop.uv, &loop.due)
    loop.on_due = on_due
    uv_timer_init(&loop.uv, &loop.tick)
    uv_timer_start(&loop.tick, on_tick, TICK_MS, TICK_MS)
    uv_tcp_init(&loop.uv, &loop.listener)
    problem = uv_tcp_open(&loop.listener, listener)
    if problem == 0:
        problem = uv_listen(<uv_stream_t*>&loop.listener, BACKLOG, on_arrival)
    loop.is_listening = problem == 0
    if problem == 0 and loop.shared.options.waits:
        problem = uv_poll_init(&loop.uv, &loop.rung, loop.bell.fd)
        if problem == 0:
            problem = uv_poll_start(&loop.rung, UV_READABLE, on_rung)
    return problem


cdef inline bint go_round(Loop* loop) noexcept nogil:
    # Waits for events and takes all that there are; False: there will be none.
    loop.delay.begin_wait(<int64_t>uv_hrtime())
    cdef bint goes_on = uv_run(&loop.uv, UV_RUN_ONCE) != 0
    shake_waiting_hands(loop)
    end_round(loop)
    loop.delay.end_round(<int64_t>uv_hrtime())
    return goes_on


cdef inline void run_loop(Loop* loop) noexcept nogil:
    # Until it is told to stop.
    loop.turn.begin()
    loop.now = <int64_t>uv_hrtime()
    while go_round(loop):
        pass
    loop.turn.finish()
    loop.turn.end()
    wake(loop, NEVER)  # all streams are gone: the calls are let go


cdef inline void stand_in(Loop* loop) noexcept nogil:
    # Runs the loop whenever its own thread is at the disk for too long; until that one has ended.
    while loop.turn.await_absence():
        loop.turn.stand_in()
        while loop.turn.is_away() and go_round(loop):
            pass
        loop.turn.stand_back()


cdef inline void close_loop(Loop* loop) noexcept nogil:
    # Once it has been run, and nobody is left who could tell it anything.
    uv_close(<uv_handle_t*>&loop.told, NULL)
    while uv_run(&loop.uv, UV_RUN_ONCE):
        pass
    uv_loop_close(&loop.uv)
