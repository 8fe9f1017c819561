"""A TLS client over bytes that can do what Python's own can't: renegotiate, and update keys.

Owns a few calls into the OpenSSL that Python's ssl module has loaded. For misbehaviour alone;
tls_talk.py is the client of all other tests.
"""

from __future__ import annotations

import ctypes
import ssl

from atp._front import TlsServer

_SET_MIN, _SET_MAX = 123, 124
_UPDATE_REQUESTED = 1
_BUFFER_BYTES = 1 << 17


def _library() -> ctypes.CDLL:
    """OpenSSL with results of the right size for what is called here."""
    library = ctypes.CDLL("libssl.so.3")
    for name in ("TLS_client_method", "SSL_CTX_new", "SSL_new", "BIO_new", "BIO_s_mem"):
        getattr(library, name).restype = ctypes.c_void_p
    library.SSL_CTX_ctrl.restype = ctypes.c_long
    return library


class NativeClient:
    """One connection; h2 offered, certificates not looked at."""

    def __init__(self, *, version: ssl.TLSVersion) -> None:
        self._ssl = _library()
        pointer = ctypes.c_void_p
        self._context = pointer(self._ssl.SSL_CTX_new(pointer(self._ssl.TLS_client_method())))
        for what in (_SET_MIN, _SET_MAX):
            self._ssl.SSL_CTX_ctrl(self._context, what, ctypes.c_long(version), None)
        self._ssl.SSL_CTX_set_alpn_protos(self._context, b"\x02h2", 3)
        self._client = pointer(self._ssl.SSL_new(self._context))
        self._in, self._out = (
            pointer(self._ssl.BIO_new(pointer(self._ssl.BIO_s_mem()))) for _ in range(2)
        )
        self._ssl.SSL_set_bio(self._client, self._in, self._out)
        self._ssl.SSL_set_connect_state(self._client)

    def __enter__(self) -> NativeClient:
        return self

    def __exit__(self, *exception: object) -> None:
        self._ssl.SSL_free(self._client)
        self._ssl.SSL_CTX_free(self._context)

    def shake_hands(self) -> bool:
        """One step; True when it is done."""
        return bool(self._ssl.SSL_do_handshake(self._client) == 1)

    def renegotiate(self) -> None:
        """Sends a new ClientHello on the open connection."""
        assert self._ssl.SSL_renegotiate(self._client) == 1
        self.shake_hands()

    def update_keys(self) -> None:
        """Sends a KeyUpdate that asks for one back."""
        assert self._ssl.SSL_key_update(self._client, _UPDATE_REQUESTED) == 1
        assert self.shake_hands()

    def write(self, data: bytes) -> None:
        assert self._ssl.SSL_write(self._client, data, len(data)) == len(data)

    def read(self) -> bytes:
        buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        size = self._ssl.SSL_read(self._client, buffer, _BUFFER_BYTES)
        return buffer.raw[: max(0, size)]

    def take(self) -> bytes:
        """What is to be sent to the server."""
        buffer = ctypes.create_string_buffer(_BUFFER_BYTES)
        size = self._ssl.BIO_read(self._out, buffer, _BUFFER_BYTES)
        return buffer.raw[: max(0, size)]

    def push(self, wire: bytes) -> bytes:
        """Hands over what the server has sent; returns what can be read of it."""
        if wire:
            assert self._ssl.BIO_write(self._in, wire, len(wire)) == len(wire)
        return self.read()


def carry(client: NativeClient, server: TlsServer) -> None:
    """The handshake, to its end."""
    for _ in range(4):
        client.shake_hands()
        goes_on, _, wire = server.receive(client.take())
        assert goes_on, server.why
        client.push(wire)
    assert server.is_open
