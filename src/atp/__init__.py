# The map of the package. Imports go downward only; tests/test_layers.py holds the line.
#
#   vocabulary.py   outcomes, replies, caps, errors: the words every room shares; knows nothing
#   v1/             generated from proto/atp/v1: the words on the wire
#   engine/*.pxd    decides: shards, stock, holds, caps; no I/O, no clock, no Python object
#   _core.pyx       the engine's one compiled unit and its Python face, Engine
#   settings.py     every setting, one row each; the only reader of the environment
#   clock.py        the only reader of time
#   server/         the two planes over gRPC; the only place with start and stop order
#   _front.pyx      the data plane: HTTP/2, gRPC and protobuf on native threads; front/ its modules
#   client/         Client and AsyncClient: what a checkout imports
#   command.py      what its batches are made of
#   cli/            the `atp` command
"""A stock reservation engine: holds that stay true in the first seconds of a flash sale.

`import atp` is light: the client is loaded when it is first asked for.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from atp.client import AsyncClient, Client

__all__ = ["AsyncClient", "Client", "__version__"]

try:
    __version__ = metadata.version("atp")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:
    """Loads the client on first use (PEP 562), so that the engine alone needs no gRPC."""
    if name in ("AsyncClient", "Client"):
        from atp import client  # noqa: PLC0415 - late on purpose, see above

        return getattr(client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
