# What the front uses of libuv: event loops, TCP streams, timers, and being woken by other threads.
from libc.stdint cimport uint64_t


cdef extern from "uv.h" nogil:
    enum:
        UV_EOF
        UV_EAGAIN
        UV_READABLE
        UV_RUN_ONCE

    ctypedef struct uv_loop_t:
        void* data

    ctypedef struct uv_handle_t:
        uv_loop_t* loop
        void* data

    ctypedef struct uv_stream_t:
        uv_loop_t* loop
        void* data

    ctypedef struct uv_tcp_t:
        void* data

    ctypedef struct uv_timer_t:
        void* data

    ctypedef struct uv_check_t:
        void* data

    ctypedef struct uv_async_t:
        void* data

    ctypedef struct uv_poll_t:
        void* data

    ctypedef struct uv_write_t:
        uv_stream_t* handle
        void* data

    ctypedef struct uv_buf_t:
        char* base
        size_t len

    ctypedef void (*uv_alloc_cb)(uv_handle_t*, size_t, uv_buf_t*) noexcept nogil
    ctypedef void (*uv_read_cb)(uv_stream_t*, ssize_t, const uv_buf_t*) noexcept nogil
    ctypedef void (*uv_write_cb)(uv_write_t*, int) noexcept nogil
    ctypedef void (*uv_connection_cb)(uv_stream_t*, int) noexcept nogil
    ctypedef void (*uv_close_cb)(uv_handle_t*) noexcept nogil
    ctypedef void (*uv_timer_cb)(uv_timer_t*) noexcept nogil
    ctypedef void (*uv_check_cb)(uv_check_t*) noexcept nogil
    ctypedef void (*uv_async_cb)(uv_async_t*) noexcept nogil
    ctypedef void (*uv_poll_cb)(uv_poll_t*, int, int) noexcept nogil
    ctypedef void (*uv_walk_cb)(uv_handle_t*, void*) noexcept nogil

    uint64_t uv_hrtime() noexcept
    int uv_loop_init(uv_loop_t* loop) noexcept
    int uv_loop_close(uv_loop_t* loop) noexcept
    int uv_run(uv_loop_t* loop, int mode) noexcept
    void uv_walk(uv_loop_t* loop, uv_walk_cb each, void* data) noexcept
    void uv_close(uv_handle_t* handle, uv_close_cb done) noexcept
    void uv_unref(uv_handle_t* handle) noexcept
    int uv_is_closing(const uv_handle_t* handle) noexcept

    int uv_tcp_init(uv_loop_t* loop, uv_tcp_t* handle) noexcept
    int uv_tcp_open(uv_tcp_t* handle, int fd) noexcept
    int uv_tcp_nodelay(uv_tcp_t* handle, int enable) noexcept
    int uv_listen(uv_stream_t* stream, int backlog, uv_connection_cb arrived) noexcept
    int uv_accept(uv_stream_t* listener, uv_stream_t* client) noexcept
    int uv_read_start(uv_stream_t* stream, uv_alloc_cb room, uv_read_cb arrived) noexcept
    int uv_read_stop(uv_stream_t* stream) noexcept
    int uv_try_write(uv_stream_t* stream, const uv_buf_t* buffers, unsigned int count) noexcept
    int uv_write(uv_write_t* request, uv_stream_t* stream, const uv_buf_t* buffers,
                 unsigned int count, uv_write_cb done) noexcept

    int uv_timer_init(uv_loop_t* loop, uv_timer_t* handle) noexcept
    int uv_timer_start(uv_timer_t* handle, uv_timer_cb due, uint64_t ms, uint64_t repeat) noexcept
    int uv_check_init(uv_loop_t* loop, uv_check_t* handle) noexcept
    int uv_check_start(uv_check_t* handle, uv_check_cb each) noexcept
    int uv_async_init(uv_loop_t* loop, uv_async_t* handle, uv_async_cb told) noexcept
    int uv_async_send(uv_async_t* handle) noexcept
    int uv_poll_init(uv_loop_t* loop, uv_poll_t* handle, int fd) noexcept
    int uv_poll_start(uv_poll_t* handle, int events, uv_poll_cb ready) noexcept
