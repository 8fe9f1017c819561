"""All clients, by the name of what they are built on. Owns the table alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from interop.client import Client
from interop.other_clients import cpp_client, node_client
from interop.python_clients import AioClient, SyncClient

LANGUAGES: Mapping[str, Callable[[str], Client]] = {
    "grpcio": SyncClient,
    "grpcio aio": AioClient,
    "grpc-js": node_client,
    "libgrpc++": cpp_client,
}
"""Each opens a channel to an address."""
