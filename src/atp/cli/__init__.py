"""The `atp` command: one click group whose commands are loaded when they are asked for.

Owns the list of commands, and how a mistake ends: one clear line on stderr and an exit status.
Imports nothing of a command until that command runs, so that `atp --help` answers at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, NoReturn

import click

from atp.cli.failed import INTERRUPTED, READER_GONE, Failed


class Entry(NamedTuple):
    """Where a command is, and the line that lists it: the command's own short help."""

    module: str
    summary: str


COMMANDS: Mapping[str, Entry] = {
    "serve": Entry("atp.cli.serve", "Run a server."),
    "load": Entry("atp.cli.load", "Load stock from a CSV file."),
    "replay": Entry("atp.cli.replay", "Replay real orders as a sale, and audit it."),
    "demo": Entry("atp.cli.demo", "Start a server, replay a sale against it, and audit it."),
    "load-test": Entry("atp.cli.load_test", "Put a server under load, and check every answer."),
    "audit": Entry("atp.cli.audit", "Prove from a history that every answer was true."),
    "report": Entry("atp.cli.report", "Make a page of a load: charts, figures, verdict."),
    "reserve": Entry("atp.cli.holds", "Set units aside for a basket."),
    "commit": Entry("atp.cli.holds", "Sell units that are held."),
    "release": Entry("atp.cli.holds", "Give held units back."),
    "extend": Entry("atp.cli.holds", "Give a hold more time."),
    "show": Entry("atp.cli.holds", "Show reservations."),
    "stock": Entry("atp.cli.stock", "Show and correct units on hand."),
    "caps": Entry("atp.cli.caps", "Show and change caps, live."),
    "watch": Entry("atp.cli.watch", "Show changes as they happen, and past ones."),
    "journal": Entry(
        "atp.cli.journal", "Check, dump and repair what a server remembers, without it."
    ),
    "top": Entry("atp.cli.top", "Watch a server live: rates, hot SKUs, caps, holds that end."),
    "status": Entry("atp.cli.status", "Show counters, bounds and settings of a server."),
    "snapshot": Entry("atp.cli.snapshot", "Have a server write a snapshot now."),
}

EPILOG = """\b
Addresses: --data-address or ATP_DATA_ADDRESS (127.0.0.1:7300) for reserve, commit, release,
extend and show; --control-address or ATP_CONTROL_ADDRESS (127.0.0.1:7301) for the others.

\b
Exit status: 0 done; 1 refused, and the answer says why; 2 wrong usage or bad input, nothing
changed; 3 the server could not be reached or could not judge.

\b
Examples:
  $ atp stock set MUG 100
  $ atp reserve MUG=2 --customer alice
  $ atp status
"""


class LazyGroup(click.Group):
    """A group that imports a command's module when that command runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, None if there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        from atp.settings import quieten_grpc  # noqa: PLC0415 - late, as the commands themselves

        quieten_grpc()
        command = getattr(importlib.import_module(entry.module), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command), cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command that the first word names, with a hint when there is none."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            known = ", ".join(COMMANDS)
            raise click.UsageError(f"no such command {name!r}; there are {known}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Lists the commands from the table, loading none of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def main(  # type: ignore[override]
        self, args: Sequence[str] | None = None, **extra: Any
    ) -> NoReturn:
        """Runs one command and ends the process with its exit status."""
        extra |= {"prog_name": "atp", "standalone_mode": False}
        try:
            status = super().main(args, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            status = _say(error.format_message(), error.exit_code)
        except click.UsageError as error:
            status = _say(_usage_line(error), error.exit_code)
        except click.ClickException as error:
            status = _say(f"atp: {error.format_message()}", error.exit_code)
        except Failed as error:
            status = _say(error.text(), error.status)
        except click.Abort:
            status = _say("atp: interrupted", INTERRUPTED)
        except BrokenPipeError:
            # Whoever read the output has had enough; Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            status = READER_GONE
        sys.exit(status if isinstance(status, int) else 0)


def _usage_line(error: click.UsageError) -> str:
    path = error.ctx.command_path if error.ctx is not None else "atp"
    message = error.format_message().rstrip(".")
    return f"{path}: {message} (try: {path} --help)"


def _say(line: str, status: int) -> int:
    click.echo(line, err=True)
    return status


def _show_version(ctx: click.Context, param: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from atp import __version__  # noqa: PLC0415 - late, because it has to be looked up

        click.echo(f"atp {__version__}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_show_version,
    help="Show the version and exit.",
)
def main() -> None:
    """Stock reservations that stay true: hold units for a basket, then sell or give them back.

    A server (atp serve) keeps stock, holds and caps. Everything else here asks one: checkouts
    reserve, commit and release; operators load stock and set caps, live.
    """
