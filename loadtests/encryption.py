"""TLS of a rehearsal: the files that each plane is spoken to with, and channels that use them.

Owns the words for them on a command line, ours and that of the processes that are started. Reads
the files where a channel is made; whether they can be used is asked before a sale is set up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import click
import grpc

from atp import load
from atp.client import channel

PLANES = ("data", "control")
PARTS = ("ca", "cert", "key")
Command = TypeVar("Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class Files:
    """What a plane is spoken to with; without `ca` the system's authorities are believed.

    `server_name`: whom the server's certificate must be for, where that is not the address.
    """

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str = ""

    def words(self, plane: str) -> Iterator[str]:
        """The same as options of Locust."""
        yield f"--{plane}-tls"
        for part in PARTS:
            if (path := getattr(self, part)) is not None:
                yield from (f"--{plane}-tls-{part}", str(path))
        if self.server_name:
            yield from (f"--{plane}-server-name", self.server_name)

    def texts(self) -> list[bytes | None]:
        """Authorities, certificates and key. Raises OSError."""
        paths = (self.ca, self.cert, self.key)
        return [None if path is None else path.read_bytes() for path in paths]

    def of_load(self, address: str) -> load.Tls:
        """The same for the product's own generator. Raises OSError."""
        return load.Tls(self.server_name or load.host_of(address), *self.texts())

    def check(self, address: str) -> None:
        """ValueError names the file that can't be used, and why."""
        try:
            load.check_tls(self.of_load(address))
        except load.TlsRefused as error:
            named = getattr(self, error.part, None) or error.part
            raise ValueError(f"{named} can't be used: {error}") from None
        except OSError as error:
            raise ValueError(f"{error.filename}: {error.strerror}") from None

    def behind(self, address: str) -> Files:
        """The same for a proxy, which passes on what the server at this address says."""
        return replace(self, server_name=self.server_name or load.host_of(address))


def open_channel(
    address: str, files: Files | None, options: channel.ChannelOptions
) -> grpc.Channel:
    """A channel of grpcio's, encrypted where there are files. Raises OSError."""
    if files is None:
        return channel.open_channel(address, None, options)
    authorities, certificates, key = files.texts()
    tls = channel.Tls(authorities, key, certificates, files.server_name)
    return channel.open_channel(address, tls, options)


def tls_options(command: Command) -> Command:
    """Gives a command of click's the options."""
    path = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)
    made = [
        click.option("--tls", is_flag=True, help="Encrypt; trust the system's authorities."),
        click.option("--tls-ca", type=path, help="Encrypt; trust the authorities in this file."),
        click.option("--tls-cert", type=path, help="Show this certificate to the server."),
        click.option("--tls-key", type=path, help="The private key of --tls-cert."),
    ]
    for plane in PLANES:
        told = f"For the {plane} plane alone, where the planes differ: files as above."
        made.append(click.option(f"--{plane}-tls/--no-{plane}-tls", default=None, help=told))
        made += [click.option(f"--{plane}-tls-{part}", type=path) for part in PARTS]
    for option in reversed(made):
        command = option(command)
    return command


def files_of(values: dict[str, Any], plane: str) -> Files | None:
    """What the options of a command say of a plane; None where it is not encrypted."""
    own = {part: values[f"{plane}_tls_{part}"] for part in PARTS}
    is_told = values[f"{plane}_tls"]
    if is_told or any(own.values()):
        return Files(**own)
    shared = {part: values[f"tls_{part}"] for part in PARTS}
    if is_told is False or not (values["tls"] or any(shared.values())):
        return None
    return Files(**shared)


def add_options(group: Any) -> None:
    """Gives Locust the options that `words` makes."""
    for plane in PLANES:
        group.add_argument(f"--{plane}-tls", action="store_true", help="Encrypt.")
        for part in PARTS:
            group.add_argument(f"--{plane}-tls-{part}", type=Path, help="A file in PEM.")
        group.add_argument(f"--{plane}-server-name", default="", help="On its certificate.")


def files_told(told: Any, plane: str) -> Files | None:
    """What Locust's options say of a plane."""
    own = {part: getattr(told, f"{plane}_tls_{part}") for part in PARTS}
    if not (getattr(told, f"{plane}_tls") or any(own.values())):
        return None
    return Files(**own, server_name=getattr(told, f"{plane}_server_name"))
