# What the front uses of nghttp2: a connection's frames, its header compression, its flow control.
from libc.stdint cimport int32_t, uint8_t, uint32_t, uint64_t


cdef extern from "nghttp2/nghttp2.h" nogil:
    enum:
        NGHTTP2_FLAG_NONE
        NGHTTP2_FLAG_END_STREAM
        NGHTTP2_FLAG_ACK
        NGHTTP2_DATA "NGHTTP2_DATA"
        NGHTTP2_HEADERS "NGHTTP2_HEADERS"
        NGHTTP2_SETTINGS
        NGHTTP2_PING
        NGHTTP2_GOAWAY
        NGHTTP2_WINDOW_UPDATE
        NGHTTP2_HCAT_REQUEST
        NGHTTP2_NO_ERROR
        NGHTTP2_INTERNAL_ERROR
        NGHTTP2_CANCEL
        NGHTTP2_ENHANCE_YOUR_CALM
        NGHTTP2_REFUSED_STREAM
        NGHTTP2_DATA_FLAG_EOF
        NGHTTP2_DATA_FLAG_NO_END_STREAM
        NGHTTP2_ERR_DEFERRED
        NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE
        NGHTTP2_ERR_CALLBACK_FAILURE
        NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS
        NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE
        NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE
        NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES

    ctypedef struct nghttp2_session:
        pass
    ctypedef struct nghttp2_session_callbacks:
        pass
    ctypedef struct nghttp2_option:
        pass

    ctypedef struct nghttp2_nv:
        pass

    ctypedef struct nghttp2_frame_hd:
        size_t length
        int32_t stream_id
        uint8_t type
        uint8_t flags

    ctypedef struct nghttp2_headers:
        int cat

    ctypedef struct nghttp2_ping:
        uint8_t* opaque_data

    ctypedef union nghttp2_frame:
        nghttp2_frame_hd hd
        nghttp2_headers headers
        nghttp2_ping ping

    ctypedef struct nghttp2_settings_entry:
        int32_t settings_id
        uint32_t value

    ctypedef union nghttp2_data_source:
        void* ptr

    ctypedef ssize_t (*nghttp2_data_source_read_callback)(
        nghttp2_session*, int32_t, uint8_t*, size_t, uint32_t*, nghttp2_data_source*, void*
    ) noexcept nogil

    ctypedef struct nghttp2_data_provider:
        nghttp2_data_source source
        nghttp2_data_source_read_callback read_callback

    ctypedef int (*on_begin_frame_callback "nghttp2_on_begin_frame_callback")(
        nghttp2_session*, const nghttp2_frame_hd*, void*) noexcept nogil
    ctypedef int (*on_begin_headers_callback "nghttp2_on_begin_headers_callback")(
        nghttp2_session*, const nghttp2_frame*, void*) noexcept nogil
    ctypedef int (*on_header_callback "nghttp2_on_header_callback")(
        nghttp2_session*, const nghttp2_frame*, const uint8_t*, size_t, const uint8_t*, size_t,
        uint8_t, void*) noexcept nogil
    ctypedef int (*on_data_chunk_callback "nghttp2_on_data_chunk_recv_callback")(
        nghttp2_session*, uint8_t, int32_t, const uint8_t*, size_t, void*) noexcept nogil
    ctypedef int (*on_frame_recv_callback "nghttp2_on_frame_recv_callback")(
        nghttp2_session*, const nghttp2_frame*, void*) noexcept nogil
    ctypedef int (*on_invalid_frame_callback "nghttp2_on_invalid_frame_recv_callback")(
        nghttp2_session*, const nghttp2_frame*, int, void*) noexcept nogil
    ctypedef int (*on_frame_send_callback "nghttp2_on_frame_send_callback")(
        nghttp2_session*, const nghttp2_frame*, void*) noexcept nogil
    ctypedef int (*on_stream_close_callback "nghttp2_on_stream_close_callback")(
        nghttp2_session*, int32_t, uint32_t, void*) noexcept nogil

    int nghttp2_session_callbacks_new(nghttp2_session_callbacks** made) noexcept
    void nghttp2_session_callbacks_del(nghttp2_session_callbacks* callbacks) noexcept
    void nghttp2_session_callbacks_set_on_begin_frame_callback(
        nghttp2_session_callbacks* callbacks, on_begin_frame_callback each) noexcept
    void nghttp2_session_callbacks_set_on_begin_headers_callback(
        nghttp2_session_callbacks* callbacks, on_begin_headers_callback each) noexcept
    void nghttp2_session_callbacks_set_on_header_callback(
        nghttp2_session_callbacks* callbacks, on_header_callback each) noexcept
    void nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
        nghttp2_session_callbacks* callbacks, on_data_chunk_callback each) noexcept
    void nghttp2_session_callbacks_set_on_frame_recv_callback(
        nghttp2_session_callbacks* callbacks, on_frame_recv_callback each) noexcept
    void nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(
        nghttp2_session_callbacks* callbacks, on_invalid_frame_callback each) noexcept
    void nghttp2_session_callbacks_set_on_frame_send_callback(
        nghttp2_session_callbacks* callbacks, on_frame_send_callback each) noexcept
    void nghttp2_session_callbacks_set_on_stream_close_callback(
        nghttp2_session_callbacks* callbacks, on_stream_close_callback each) noexcept

    int nghttp2_option_new(nghttp2_option** made) noexcept
    void nghttp2_option_del(nghttp2_option* option) noexcept
    void nghttp2_option_set_no_auto_window_update(nghttp2_option* option, int value) noexcept
    void nghttp2_option_set_no_closed_streams(nghttp2_option* option, int value) noexcept
    void nghttp2_option_set_max_outbound_ack(nghttp2_option* option, size_t value) noexcept
    void nghttp2_option_set_max_settings(nghttp2_option* option, size_t value) noexcept
    void nghttp2_option_set_max_continuations(nghttp2_option* option, size_t value) noexcept
    void nghttp2_option_set_stream_reset_rate_limit(
        nghttp2_option* option, uint64_t burst, uint64_t rate) noexcept

    int nghttp2_session_server_new2(
        nghttp2_session** made, const nghttp2_session_callbacks* callbacks, void* user_data,
        const nghttp2_option* option) noexcept
    void nghttp2_session_del(nghttp2_session* session) noexcept
    ssize_t nghttp2_session_mem_recv(
        nghttp2_session* session, const uint8_t* data, size_t size) noexcept
    ssize_t nghttp2_session_mem_send(nghttp2_session* session, const uint8_t** data) noexcept
    int nghttp2_session_want_read(nghttp2_session* session) noexcept
    int nghttp2_session_want_write(nghttp2_session* session) noexcept
    void* nghttp2_session_get_stream_user_data(
        nghttp2_session* session, int32_t stream_id) noexcept
    int nghttp2_session_set_stream_user_data(
        nghttp2_session* session, int32_t stream_id, void* data) noexcept
    int nghttp2_session_get_stream_remote_close(
        nghttp2_session* session, int32_t stream_id) noexcept
    int32_t nghttp2_session_get_last_proc_stream_id(nghttp2_session* session) noexcept
    int nghttp2_session_set_local_window_size(
        nghttp2_session* session, uint8_t flags, int32_t stream_id, int32_t size) noexcept
    int nghttp2_session_consume_connection(nghttp2_session* session, size_t size) noexcept
    int nghttp2_session_consume_stream(
        nghttp2_session* session, int32_t stream_id, size_t size) noexcept
    int nghttp2_session_resume_data(nghttp2_session* session, int32_t stream_id) noexcept
    int nghttp2_session_terminate_session(nghttp2_session* session, uint32_t code) noexcept

    int nghttp2_submit_settings(
        nghttp2_session* session, uint8_t flags, const nghttp2_settings_entry* entries,
        size_t count) noexcept
    int nghttp2_submit_response(
        nghttp2_session* session, int32_t stream_id, const nghttp2_nv* headers, size_t count,
        const nghttp2_data_provider* provider) noexcept
    int nghttp2_submit_trailer(
        nghttp2_session* session, int32_t stream_id, const nghttp2_nv* headers,
        size_t count) noexcept
    int nghttp2_submit_rst_stream(
        nghttp2_session* session, uint8_t flags, int32_t stream_id, uint32_t code) noexcept
    int nghttp2_submit_ping(
        nghttp2_session* session, uint8_t flags, const uint8_t* opaque) noexcept
    int nghttp2_submit_shutdown_notice(nghttp2_session* session) noexcept
    int nghttp2_submit_goaway(
        nghttp2_session* session, uint8_t flags, int32_t last_stream_id, uint32_t code,
        const uint8_t* opaque, size_t size) noexcept
