"""How a client connects: addresses, TLS, and the knobs of a gRPC channel.

Owns the translation to grpcio's option names and nothing else. Opens no connection by itself:
grpcio connects with the first call.
"""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.message import Message

DEFAULT_DATA_ADDRESS = "127.0.0.1:7300"
DEFAULT_CONTROL_ADDRESS = "127.0.0.1:7301"


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypts a connection. All values are PEM bytes, or None.

    `root_certificates` are trusted (None: the system's). `private_key` and `certificate_chain` show
    who the client is, if the server asks. `server_name` replaces the address as the name that the
    server's certificate must carry.
    """

    root_certificates: bytes | None = None
    private_key: bytes | None = None
    certificate_chain: bytes | None = None
    server_name: str = ""


@dataclass(frozen=True, slots=True)
class ChannelOptions:
    """The knobs of a connection; the defaults suit a checkout near its server.

    `keepalive_s`: a ping after this long without traffic, so that a dead peer is noticed; 0 for
    none. `message_bytes_max`: the longest answer taken. `reconnect_first_s` and `reconnect_max_s`
    bound the pauses between attempts to connect. `own_connection`: shares no connection with other
    clients of this process, which grpcio otherwise does for equal addresses and options.
    `http_proxy`: obeys the environment's proxy settings, which rarely fit a service next door.
    """

    keepalive_s: float = 30.0
    keepalive_timeout_s: float = 10.0
    message_bytes_max: int = 64 * 1024 * 1024
    reconnect_first_s: float = 0.1
    reconnect_max_s: float = 5.0
    own_connection: bool = False
    http_proxy: bool = False

    def as_grpc(self, tls: Tls | None) -> list[tuple[str, int | str]]:
        """The same in grpcio's words."""
        options: list[tuple[str, int | str]] = [
            # The client's own policy is the only one that tries again.
            ("grpc.enable_retries", 0),
            ("grpc.max_receive_message_length", self.message_bytes_max),
            ("grpc.initial_reconnect_backoff_ms", _ms(self.reconnect_first_s)),
            ("grpc.min_reconnect_backoff_ms", _ms(self.reconnect_first_s)),
            ("grpc.max_reconnect_backoff_ms", _ms(self.reconnect_max_s)),
            ("grpc.enable_http_proxy", int(self.http_proxy)),
        ]
        if self.keepalive_s:
            options += [
                ("grpc.keepalive_time_ms", _ms(self.keepalive_s)),
                ("grpc.keepalive_timeout_ms", _ms(self.keepalive_timeout_s)),
            ]
        if self.own_connection:
            options.append(("grpc.use_local_subchannel_pool", 1))
        if tls is not None and tls.server_name:
            options.append(("grpc.ssl_target_name_override", tls.server_name))
        return options


def credentials(tls: Tls) -> grpc.ChannelCredentials:
    """What grpcio needs to encrypt."""
    return grpc.ssl_channel_credentials(
        root_certificates=tls.root_certificates,
        private_key=tls.private_key,
        certificate_chain=tls.certificate_chain,
    )


def open_channel(address: str, tls: Tls | None, options: ChannelOptions) -> grpc.Channel:
    """A channel of grpcio's; without `tls` it isn't encrypted."""
    if tls is None:
        return grpc.insecure_channel(address, options.as_grpc(None))
    return grpc.secure_channel(address, credentials(tls), options.as_grpc(tls))


def serialize(request: Message) -> bytes:
    """A request as bytes."""
    return request.SerializeToString()


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
