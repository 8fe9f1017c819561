"""What every command that asks a server shares: its options, its client, and how it fails.

Owns the options for address, TLS, timeout and JSON, and the one table from what went wrong to an
exit status. Prints no answer but as JSON.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import click
import grpc

from atp import client as atp_client
from atp.cli.as_json import as_line
from atp.cli.failed import BAD_INPUT, NOT_JUDGED, REFUSED, Failed
from atp.cli.values import DURATION
from atp.client import AtpError, Client, Tls
from atp.client.call import Call

Reply = TypeVar("Reply")
AnyFunction = TypeVar("AnyFunction", bound=Callable[..., Any])

NS_PER_SECOND = 1_000_000_000

_NOT_CONNECTED = "Failed to connect"
"""How grpcio says that nothing can have been done."""

PLANES = {"data": "127.0.0.1:7300", "control": "127.0.0.1:7301"}


class Answer(NamedTuple, Generic[Reply]):
    """An answer twice: in the vocabulary, and as the message that the server sent."""

    reply: Reply
    message: Any


class Session:
    """One command's connection to one plane of a server, opened by its first call."""

    def __init__(
        self, plane: str, address: str, timeout_ns: int, tls_files: dict[str, str | None], tls: bool
    ) -> None:
        self.plane = plane
        self.address = address
        self.timeout_s = timeout_ns / NS_PER_SECOND
        self._tls_files = tls_files
        self._tls = tls or any(tls_files.values())
        self._client: Client | None = None
        self.as_json = False

    @property
    def is_encrypted(self) -> bool:
        """Whether this plane is spoken to by TLS."""
        return self._tls

    @property
    def tls_files(self) -> dict[str, Path | None]:
        """The files of --tls-ca, --tls-cert and --tls-key, by ca, cert and key."""
        named = self._tls_files.items()
        return {name.removeprefix("tls_"): Path(path) if path else None for name, path in named}

    @property
    def client(self) -> Client:
        """The client; made when it is first asked for."""
        if self._client is None:
            tls = None
            if self._tls:
                read = {name: _read(path) for name, path in self._tls_files.items()}
                tls = Tls(read["tls_ca"], read["tls_key"], read["tls_cert"])
            # One address for both planes: a command asks one of them alone.
            self._client = Client(
                self.address,
                self.address,
                data_tls=tls,
                control_tls=tls,
                timeout_s=self.timeout_s,
            )
        return self._client

    def ask(self, call: Call[Reply]) -> Answer[Reply]:
        """Runs a call and keeps the message as well, for --json."""
        return self.client.call(call.read_as(lambda parse, got: Answer(parse(got), got)))

    def show_json(self, value: Any) -> bool:
        """Prints a message or an object as one line of JSON if --json was given; else False."""
        if self.as_json:
            click.echo(as_line(value))
        return self.as_json

    def close(self) -> None:
        """Ends the connection, if there is one."""
        if self._client is not None:
            self._client.close()


def asks(plane: str) -> Callable[[AnyFunction], AnyFunction]:
    """Gives a command the options of a caller of that plane, and a `Session` as first argument."""

    def decorate(function: AnyFunction) -> AnyFunction:
        @functools.wraps(function)
        def command(*args: Any, **values: Any) -> None:
            files = {name: values.pop(name) for name in ("tls_ca", "tls_cert", "tls_key")}
            session = Session(
                plane,
                values.pop(f"{plane}_address"),
                values.pop("timeout"),
                files,
                values.pop("tls"),
            )
            session.as_json = values.pop("as_json")
            _run(session, functools.partial(function, session, *args, **values))

        for option in reversed(_options(plane)):
            command = option(command)
        return command  # type: ignore[return-value]

    return decorate


def _run(session: Session, work: Callable[[], None]) -> None:
    try:
        work()
    except AtpError as error:
        raise failure(session, error) from error
    finally:
        session.close()


def _options(plane: str) -> list[Callable[[Any], Any]]:
    path = click.Path(exists=True, dir_okay=False)
    return [
        click.option(
            f"--{plane}-address",
            metavar="HOST:PORT",
            default=PLANES[plane],
            show_default=True,
            envvar=f"ATP_{plane.upper()}_ADDRESS",
            show_envvar=True,
            help="The server to ask.",
        ),
        click.option(
            "--timeout",
            type=DURATION,
            default="10s",
            show_default=True,
            help="Bounds each call with all its retries.",
        ),
        click.option("--tls", is_flag=True, help="Encrypt; trust the system's authorities."),
        click.option("--tls-ca", type=path, help="Encrypt; trust the authorities in this file."),
        click.option("--tls-cert", type=path, help="Show this certificate to the server."),
        click.option("--tls-key", type=path, help="The private key of --tls-cert."),
        click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts."),
    ]


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise Failed(f"{path}: {error.strerror}", BAD_INPUT) from None


def failure(session: Session, error: AtpError) -> Failed:
    """What a command says, and ends with, when a call could not be judged."""
    message, status = error.message, NOT_JUDGED
    if isinstance(error, atp_client.InvalidArgument):
        status = BAD_INPUT
    elif isinstance(error, atp_client.NotFound | atp_client.Aborted | atp_client.OutOfRange) or (
        isinstance(error, atp_client.ResourceExhausted) and error.answered
    ):
        status = REFUSED
    elif isinstance(error, atp_client.DeadlineExceeded):
        message = f"no answer from {session.address} in time (--timeout){_how_to_repeat(error)}"
    elif isinstance(error, atp_client.Unavailable) and not error.answered:
        cause = error.message.rpartition("last error: ")[2]
        message = f"no server answers at {session.address} (--{session.plane}-address): {cause}"
        if _NOT_CONNECTED not in cause:
            message += _how_to_repeat(error)
    elif error.code is grpc.StatusCode.UNIMPLEMENTED:
        message = (
            f"{session.address} does not serve {error.method}; is it the address of the"
            f" {session.plane} plane (--{session.plane}-address)?"
        )
    details: dict[str, object] | None = None
    if session.as_json:
        details = {
            "code": error.code.name,
            "reason": error.reason,
            "metadata": dict(error.metadata),
            "request_id": error.request_id,
        }
    return Failed(" ".join(message.split()), status, details)


def _how_to_repeat(error: AtpError) -> str:
    if not error.request_id:
        return ""
    return f"; to repeat it without doing it twice: --request-id {error.request_id}"


def refused() -> click.exceptions.Exit:
    """Ends a command whose question was judged and refused; what to say has been said."""
    return click.exceptions.Exit(REFUSED)
