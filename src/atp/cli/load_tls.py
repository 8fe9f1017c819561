"""With what `atp load-test` encrypts its load: as it speaks to the control plane, or else.

Owns the options for a data plane whose TLS is not that of the control plane, and the reading of
files for it. What can't be used is told with its option before anything is asked of the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from atp.cli.failed import BAD_INPUT, Failed
from atp.cli.session import AnyFunction, Session

if TYPE_CHECKING:
    from atp.load import Tls

PARTS = ("ca", "cert", "key")
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_OPTIONS = [
    click.option("--data-tls/--no-data-tls", default=None,
                 help="Encrypt the load, or not, where the planes differ."
                 "  [default: as --tls and the like have it]"),
    click.option("--data-tls-ca", type=_FILE, help="As --tls-ca, for the data plane alone."),
    click.option("--data-tls-cert", type=_FILE, help="As --tls-cert, for the data plane alone."),
    click.option("--data-tls-key", type=_FILE, help="As --tls-key, for the data plane alone."),
]  # fmt: skip


def data_tls_options(command: AnyFunction) -> AnyFunction:
    """Gives a command the options."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def tls_of(session: Session, values: dict[str, Any]) -> Tls | None:
    """What the data plane is spoken to with. Raises UsageError, and Failed for a file."""
    from atp import load  # noqa: PLC0415 - late, so that help stays fast

    files = {part: values[f"data_tls_{part}"] for part in PARTS}
    option = "--data-tls"
    if not any(files.values()) and not values["data_tls"]:
        if values["data_tls"] is False or not session.is_encrypted:
            return None
        option, files = "--tls", session.tls_files
    elif values["data_tls"] is False:
        raise click.UsageError("--no-data-tls goes with no --data-tls-ca, -cert and -key")
    texts = {part: None if path is None else _read(path) for part, path in files.items()}
    host = load.host_of(values["data_address"])
    tls = load.Tls(host, texts["ca"], texts["cert"], texts["key"])
    try:
        load.check_tls(tls)
    except load.TlsRefused as error:
        named = files.get(error.part)
        where = f"{option}-{error.part}" if error.part in files else "--data-address"
        told = f"{where} {named}" if named else where
        raise Failed(f"{told} can't be used: {error}", BAD_INPUT) from None
    return tls


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}", BAD_INPUT) from None
