# What tls.h, tls_context.h and tls_refusals.h declare.
from libc.stdint cimport int64_t, uint8_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view

from atp.front.uv cimport uv_tcp_t


cdef extern from "atp/front/tls.h" namespace "atp" nogil:
    struct TlsFault:
        int part
        string reason

    struct TlsFacts:
        string names
        int64_t not_before
        int64_t not_after

    cppclass TlsContext:
        @staticmethod
        shared_ptr[const TlsContext] make(
            string_view chain, string_view key, string_view client_ca, TlsFault* fault
        ) except +
        const TlsFacts& facts() const

    cppclass TlsSlot:
        shared_ptr[const TlsContext] get() noexcept
        void set(shared_ptr[const TlsContext] context) noexcept

    cppclass TlsSession:
        TlsSession(const TlsContext& context) except +
        cbool receive(const uint8_t* data, size_t size, string& plain, string& wire) noexcept
        cbool send(const uint8_t* data, size_t size, string& wire) noexcept
        void close(string& wire) noexcept
        cbool is_open() const
        const string& why() const


cdef extern from "atp/front/tls_refusals.h" namespace "atp" nogil:
    cppclass TlsRefusals:
        void note(const uv_tcp_t& client, const string& why) noexcept
        int64_t count() noexcept
        string latest() noexcept
