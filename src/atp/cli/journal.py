"""`atp journal`: what a server remembers, looked at and mended without a server.

Owns the options, what is printed, and that nobody works on a directory that another process writes.
What is right and wrong in it, and what a repair does, is the journal's own.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import click

from atp.cli.as_json import as_object
from atp.cli.failed import BAD_INPUT, REFUSED, Failed
from atp.clock import Clock
from atp.journal.copy_store import copy_store
from atp.journal.directory import Places, read_store, take_lock
from atp.journal.dump import Dumping, dump
from atp.journal.errors import DirectoryBusy, FutureVersion, StoreDamaged
from atp.journal.repair import Plan, carry_out, finish, plan
from atp.journal.segments import list_segments
from atp.journal.survey import Survey, survey

SEQUENCE_MAX = (1 << 63) - 1


class Opened(NamedTuple):
    """A directory to work on; `is_owned`: another process writes there."""

    places: Places
    is_owned: bool


@click.group(short_help="Check, dump and repair what a server remembers, without it.")
def journal() -> None:
    """Look into a data directory, and mend it, while no server runs on it.

    The server mends what a crash leaves by itself. When a start is refused because changes are
    missing, check tells what is wrong and repair what can be done.

    \b
    Examples:
      $ atp journal check atp-data
      $ atp journal dump atp-data --from 10 --to 20
      $ atp journal repair atp-data
    """


def works_on(*, beside_owner: bool) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command its directory, or a copy of it, and ends clearly when it can't be had."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.argument(
            "directory", default="atp-data", type=click.Path(path_type=Path), metavar="[DIR]"
        )
        @click.option(
            "--copy",
            "copy_to",
            type=click.Path(path_type=Path),
            metavar="TO",
            help="Copy the directory to TO first, which must not exist, and work on the copy.",
        )
        @wraps(command)
        def run(*, directory: Path, copy_to: Path | None, **options: Any) -> None:
            try:
                with _opened(directory, copy_to, beside_owner=beside_owner) as opened:
                    command(opened, **options)
            except (DirectoryBusy, FutureVersion) as error:
                raise Failed(str(error), BAD_INPUT) from None
            except OSError as error:
                if isinstance(error, BrokenPipeError):
                    raise
                what = f"{error.filename or directory}: {error.strerror or error}"
                raise Failed(what, BAD_INPUT) from None

        return run

    return decorate


@contextlib.contextmanager
def _opened(directory: Path, copy_to: Path | None, *, beside_owner: bool) -> Iterator[Opened]:
    """The directory, locked unless it is only looked at beside its owner."""
    places = Places(directory.absolute())
    if not places.store.exists() and not places.journal.is_dir():
        raise Failed(f"{directory} is no data directory: it has no STORE and no journal", BAD_INPUT)
    if copy_to is not None:
        if copy_to.exists():
            raise Failed(f"--copy {copy_to}: exists already; name a new directory", BAD_INPUT)
        places = copy_store(places, copy_to)
        click.echo(f"copied {directory} to {copy_to}", err=True)
    lock = None
    try:
        lock = take_lock(places)
    except DirectoryBusy:
        if not beside_owner:
            raise
    except OSError:
        if not beside_owner:
            raise  # else it can't be written to, so nobody writes there
        yield Opened(places, is_owned=False)
        return
    try:
        yield Opened(places, is_owned=lock is None)
    finally:
        if lock is not None:
            os.close(lock)


@journal.command(short_help="Look at everything in a data directory.")
@works_on(beside_owner=True)
def check(opened: Opened) -> None:
    """Read every byte in DIR (atp-data): headers, records, snapshots, the changes themselves, and
    say what is wrong, one line each. Changes nothing; a server may run.

    What a crash broke off at the end of the journal is noted and is nothing wrong: the next start
    cuts it, and nobody was told of it.

    \b
    Exit status: 0 all is well; 1 something is wrong; 2 wrong usage, or no such directory.

    \b
    Examples:
      $ atp journal check
      $ atp journal check atp-data --copy atp-data-copy
    """
    found = survey(opened.places, is_owned=opened.is_owned)
    for note in found.notes():
        click.echo(f"note: {note}; the next start cuts it")
    findings = list(found.findings())
    for finding in findings:
        click.echo(finding)
    click.echo(_summary(found, len(findings), opened.is_owned))
    if findings:
        raise Failed(f"to see what can be done: atp journal repair {opened.places.path}", REFUSED)


def _summary(found: Survey, findings: int, is_owned: bool) -> str:
    changes = "no change"
    if found.runs:
        changes = f"changes {found.runs[0].first:,} to {found.runs[-1].last:,}"
    what = f"{len(found.segments)} segments with {changes}, {len(found.snapshots)} snapshots"
    if is_owned:
        what += ", as far as they were written by now"
    return f"{what}: {f'{findings} findings' if findings else 'all sound'}"


@journal.command(name="dump", short_help="Print changes as JSON, one a line.")
@click.option(
    "--from", "first", type=click.IntRange(min=1), default=1, help="Begin with this change."
)
@click.option(
    "--to", "last", type=click.IntRange(min=1), default=SEQUENCE_MAX, help="End with this change."
)
@works_on(beside_owner=True)
def dump_(opened: Opened, *, first: int, last: int) -> None:
    """Print what is in the journal of DIR (atp-data), one JSON object a line: the change's
    sequence, its time, its kind, and its fields as in proto/atp/v1/event.proto. Changes nothing; a
    server may run.

    What is damaged is told on stderr, and the output goes on after it.

    \b
    Exit status: 0 printed; 1 something is damaged; 2 wrong usage, or no such directory.

    \b
    Examples:
      $ atp journal dump
      $ atp journal dump atp-data --from 2 --to 3
      $ atp journal dump | tail -n 1
    """
    try:
        store_id = read_store(opened.places).store_id
    except (StoreDamaged, FileNotFoundError):
        store_id = survey(opened.places, is_owned=opened.is_owned).store_id
    wanted = Dumping(store_id, first, last, as_object, opened.is_owned)
    problems = 0
    out = sys.stdout.buffer
    for part in dump(list_segments(opened.places.journal), wanted):
        if isinstance(part, bytes):
            out.write(part)
        else:
            problems += 1
            out.flush()
            click.echo(f"atp: {part}", err=True)
    out.flush()
    if problems:
        raise Failed(f"{problems} places are damaged", REFUSED)


@journal.command(short_help="Show what would mend a data directory, and do it if told to.")
@click.option("--yes", is_flag=True, help="Do it.")
@works_on(beside_owner=False)
def repair(opened: Opened, *, yes: bool) -> None:
    """Show what would make DIR (atp-data) one that a server starts on, and which changes are lost
    by it; with --yes, do it. No server may run on it.

    The journal is cut where changes are missing: what comes after them can't be had without them.
    Nothing is destroyed: every byte that is cut is in DIR/cut, with a line in the README there.

    \b
    Exit status: 0 nothing to do, or done; 1 there is something to do, or nothing to start from is
    left; 2 wrong usage, no such directory, or in use.

    \b
    Examples:
      $ atp journal repair
      $ atp journal repair atp-data --yes
    """
    found = survey(opened.places)
    made = plan(found, now_ns=Clock().now_ns())
    if not made.steps:
        click.echo("nothing to do")
        return
    if not yes:
        for step in made.steps:
            click.echo(step.text)
        _tell_loss(made, "would be")
    if made.last == 0 < made.last_lost:
        raise Failed(
            "nothing is left to start from: bring back a snapshot, or the first segments, from a"
            " backup, or begin anew in another directory",
            REFUSED,
        )
    if not yes:
        raise Failed(f"nothing was changed; to do it: add --yes for {opened.places.path}", REFUSED)
    for text in carry_out(made):
        click.echo(text)
    finish(found)
    _tell_loss(made, "is")


def _tell_loss(made: Plan, verb: str) -> None:
    click.echo(f"change {made.last:,} {verb} the last one; {made.lost()}")
