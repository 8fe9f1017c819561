# What goes out: all that a connection has to say at the end of a round, in one write. Owns the
# bytes between HTTP/2 and the socket, when a connection is read from no more, and its end.
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy
from libcpp.vector cimport vector

from atp.front.answering cimport detach, mark_dirty
from atp.front.nghttp2 cimport (
    nghttp2_session_del, nghttp2_session_get_last_proc_stream_id, nghttp2_session_mem_send,
    nghttp2_session_want_read, nghttp2_session_want_write,
)
from atp.front.state cimport (
    Connection, Loop, PIECE_MOST, UNSENT_MOST, WRITE_MOST, unlink_connection,
)
from atp.front.uv cimport (
    UV_EAGAIN, uv_buf_t, uv_close, uv_handle_t, uv_hrtime, uv_read_stop, uv_stream_t, uv_try_write,
    uv_write, uv_write_t,
)


cdef inline void on_closed(uv_handle_t* handle) noexcept nogil:
    cdef Connection* connection = <Connection*>handle.data
    del connection


cdef inline void say_farewell(Connection* connection) noexcept nogil:
    # Of TLS, so that a client can tell an end from a cut; as far as the socket takes it at once.
    cdef uv_buf_t buffer
    if connection.tls.get() == NULL or connection.is_writing:
        return
    connection.tls.get().close(connection.wire)
    if connection.wire.empty():
        return
    buffer.base = <char*>connection.wire.data()
    buffer.len = connection.wire.size()
    uv_try_write(<uv_stream_t*>&connection.tcp, &buffer, 1)


cdef inline void take_out(vector[Connection*]& line, Connection* connection) noexcept nogil:
    # It may be gone before the line is gone through; which may be right now.
    cdef size_t i
    for i in range(line.size()):
        if line[i] == connection:
            line[i] = NULL


cdef inline void close_connection(Connection* connection) noexcept nogil:
    # At once, with all its calls; what was judged stays done. Not from within HTTP/2's callbacks.
    cdef Loop* loop = connection.loop
    if connection.is_closing:
        return
    connection.is_closing = True
    if connection.is_dirty:
        take_out(loop.dirty, connection)
    if connection.is_waiting:
        take_out(loop.handshakes, connection)
    connection.is_dirty = connection.is_waiting = False
    while connection.calls != NULL:
        detach(connection, connection.calls)
    nghttp2_session_del(connection.session)
    connection.session = NULL
    say_farewell(connection)
    unlink_connection(&loop.connections, connection)
    loop.counts.connections.add(-1)
    uv_close(<uv_handle_t*>&connection.tcp, on_closed)


cdef inline void on_written(uv_write_t* request, int status) noexcept nogil:
    cdef Connection* connection = <Connection*>request.data
    connection.is_writing = False
    if connection.is_closing:
        return
    if status < 0:
        close_connection(connection)
        return
    connection.moved += connection.pending.size()
    connection.pending.clear()
    connection.pending.shrink_to_fit()
    mark_dirty(connection)


cdef inline bint write_out(Connection* connection, char* data, size_t size) noexcept nogil:
    # False: the socket took not all of it, and has the rest; or the connection is closed.
    cdef uv_buf_t buffer
    cdef int taken
    buffer.base = data
    buffer.len = size
    taken = uv_try_write(<uv_stream_t*>&connection.tcp, &buffer, 1)
    if taken == UV_EAGAIN:
        taken = 0
    if taken < 0:
        close_connection(connection)
        return False
    connection.moved += taken
    connection.loop.counts.sent_bytes.add(size)
    if <size_t>taken == size:
        return True
    connection.pending.assign(data + taken, size - taken)
    buffer.base = <char*>connection.pending.data()
    buffer.len = connection.pending.size()
    connection.write.data = connection
    connection.is_writing = True
    if uv_write(&connection.write, <uv_stream_t*>&connection.tcp, &buffer, 1, on_written):
        connection.is_writing = False
        close_connection(connection)
    return False


cdef inline ssize_t collect(Connection* connection, char* into) noexcept nogil:
    # What HTTP/2 has to send, as much as there is room for; -1: the connection is of no use.
    cdef size_t used = 0
    cdef const uint8_t* piece = NULL
    cdef ssize_t size
    while used + PIECE_MOST <= WRITE_MOST:
        size = nghttp2_session_mem_send(connection.session, &piece)
        if size <= 0:
            return -1 if size < 0 else <ssize_t>used
        memcpy(into + used, piece, size)
        used += size
    return used


cdef inline bint write_tls(Connection* connection, char* data, size_t size) noexcept nogil:
    cdef bint whole
    if size and not connection.tls.get().send(<const uint8_t*>data, size, connection.wire):
        close_connection(connection)
        return False
    if connection.wire.empty():
        return True
    whole = write_out(connection, <char*>connection.wire.data(), connection.wire.size())
    if not connection.is_closing:
        connection.wire.clear()
        if connection.wire.capacity() > PIECE_MOST:
            connection.wire.shrink_to_fit()  # the connection may be idle from here on
    return whole


cdef inline void write_all(Connection* connection) noexcept nogil:
    cdef char* output = connection.loop.output.get()
    cdef bint is_encrypted = connection.tls.get() != NULL
    cdef ssize_t size = 1
    while size:
        # Before the handshake is done there is nothing that could be encrypted.
        size = 0 if is_encrypted and not connection.tls.get().is_open() else (
            collect(connection, output))
        if size < 0:
            close_connection(connection)
            return
        if is_encrypted:
            if not write_tls(connection, output, size):
                return
        elif size and not write_out(connection, output, size):
            return
        if <size_t>size + PIECE_MOST <= WRITE_MOST:
            return


cdef inline void flush(Loop* loop, Connection* connection) noexcept nogil:
    # Whoever takes it out of the loop's line says so: closed while it stands there unsaid, it would
    # be gone, and the line would not know.
    cdef int64_t held_back, waiting
    if connection.is_closing:
        return
    if not connection.is_writing:
        write_all(connection)
        if connection.is_closing:
            return
    if connection.last_told:
        # What a client is slow to take is not the server's time.
        loop.latencies.hand_over(&connection.last_told, <int64_t>uv_hrtime())
    held_back = connection.pending.size() + connection.wire.size() + connection.unsent
    connection.guards.output(connection.moved, held_back, loop.now)
    connection.moved = 0
    if connection.is_writing:
        waiting = connection.unsent + <int64_t>connection.wire.size()
        if waiting > UNSENT_MOST and not connection.is_paused:
            connection.is_paused = True
            uv_read_stop(<uv_stream_t*>&connection.tcp)
    elif not (nghttp2_session_want_read(connection.session)
              or nghttp2_session_want_write(connection.session)):
        if not connection.is_last_told:
            close_connection(connection)
        elif connection.ended == 0:
            # A proxy may not look at answers any more once it sees the end behind them: whoever
            # was told to go has a while to close first.
            connection.ended = loop.now


cdef inline void write_goaway(Connection* connection, uint32_t code) noexcept nogil:
    # By hand: HTTP/2's session has stopped in the midst of a frame and is asked no more.
    cdef uint8_t[17] frame
    cdef uint32_t last = nghttp2_session_get_last_proc_stream_id(connection.session)
    cdef int i
    for i in range(17):
        frame[i] = 0
    frame[2] = 8
    frame[3] = 7
    for i in range(4):
        frame[9 + i] = <uint8_t>(last >> (24 - 8 * i))
        frame[13 + i] = <uint8_t>(code >> (24 - 8 * i))
    if connection.is_writing:
        return
    if connection.tls.get() == NULL:
        write_out(connection, <char*>frame, 17)
    elif connection.tls.get().is_open():
        write_tls(connection, <char*>frame, 17)
