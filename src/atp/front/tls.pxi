# TLS as Python sees it: texts checked before a port is opened, and one session over bytes, which
# is how tests get at every branch of it. `_front.pyi` documents both.
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.string_view cimport string_view

from atp.front.tls cimport TlsContext, TlsFacts, TlsFault, TlsSession

from collections import namedtuple

TlsCertificate = namedtuple("TlsCertificate", "names not_before_ns expire_ns")


class TlsRefused(ValueError):
    def __init__(self, part, reason):
        super().__init__(reason)
        self.part = part


cdef string_view view_of(bytes text):
    return string_view(<const char*>text, len(text))


cdef str words_of(string text):
    return (<const char*>text.data())[:text.size()].decode("utf-8", "replace")


cdef shared_ptr[const TlsContext] make_context(bytes cert, bytes key, bytes client_ca) except *:
    cdef TlsFault fault
    cdef shared_ptr[const TlsContext] made = TlsContext.make(
        view_of(cert), view_of(key), view_of(client_ca), &fault
    )
    if made.get() == NULL:
        part = ("cert", "key", "client_ca")[fault.part]
        raise TlsRefused(part, words_of(fault.reason))
    return made


def check_tls(bytes cert not None, bytes key not None, bytes client_ca not None):
    cdef shared_ptr[const TlsContext] made = make_context(cert, key, client_ca)
    cdef const TlsFacts* facts = &made.get().facts()
    return TlsCertificate(
        words_of(facts.names),
        facts.not_before * 1_000_000_000,
        facts.not_after * 1_000_000_000,
    )


@cython.final
cdef class TlsServer:
    """The server's side of one connection; `_front.pyi` documents every method."""

    cdef shared_ptr[const TlsContext] context
    cdef TlsSession* session

    def __cinit__(self, bytes cert not None, bytes key not None, bytes client_ca not None):
        self.context = make_context(cert, key, client_ca)
        self.session = new TlsSession(self.context.get()[0])

    def __dealloc__(self):
        del self.session

    def begin_again(self):
        del self.session
        self.session = NULL
        self.session = new TlsSession(self.context.get()[0])

    def receive(self, bytes data not None):
        cdef string plain, wire
        cdef bint goes_on
        cdef const unsigned char* start = data
        cdef size_t size = len(data)
        with nogil:
            goes_on = self.session.receive(start, size, plain, wire)
        return goes_on, <bytes>plain, <bytes>wire

    def send(self, bytes data not None):
        cdef string wire
        cdef bint sent = self.session.send(data, len(data), wire)
        return sent, <bytes>wire

    def close(self):
        cdef string wire
        self.session.close(wire)
        return <bytes>wire

    @property
    def is_open(self):
        return self.session.is_open()

    @property
    def why(self):
        return words_of(self.session.why())
