"""`atp caps import`: a server's caps made like a file's.

Owns the comparison of the file with the server and the order of changes. Checks the whole file
first; changes no cap that somebody else changed after it was compared.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click

from atp import capfile
from atp.cli import tables
from atp.cli.failed import BAD_INPUT, Failed
from atp.cli.session import Session, asks, failure
from atp.client import AtpError
from atp.units import format_duration
from atp.vocabulary import Cap, CapStatus

FILE_BYTES_MAX = 64 * 1024 * 1024
PAGE_SIZE = 100

RESTARTS = ("subject", "ipv4_prefix_length", "ipv6_prefix_length", "skus", "per_sku", "window_ns")
"""What a cap counts by: a change of one of these starts its counting anew."""

FIELD_NAMES = {"limit": "limit_quantity", "window_ns": "window"}


class FieldChange(NamedTuple):
    """One field of a cap, as it was and as it is to be, in the words of the file."""

    field: str
    before: Any
    after: Any


class CapChanged(NamedTuple):
    """A cap that the file has otherwise than the server."""

    cap: Cap
    etag: str
    fields: tuple[FieldChange, ...]
    restarts: bool


class Difference(NamedTuple):
    """What makes the server's caps like the file's."""

    added: tuple[Cap, ...]
    changed: tuple[CapChanged, ...]
    unchanged: tuple[Cap, ...]
    removed: tuple[CapStatus, ...]

    def as_object(self, *, dry_run: bool) -> dict[str, Any]:
        """For --json."""
        return {
            "added": [cap.cap_id for cap in self.added],
            "changed": [
                {
                    "cap_id": change.cap.cap_id,
                    "counting_restarts": change.restarts,
                    "fields": [field._asdict() for field in change.fields],
                }
                for change in self.changed
            ],
            "unchanged": [cap.cap_id for cap in self.unchanged],
            "removed": [status.cap.cap_id for status in self.removed],
            "dry_run": dry_run,
        }


@click.command(name="import", short_help="Make caps like those of a TOML file.")
@click.argument("file", type=click.Path())
@click.option("--prune", is_flag=True, help="Remove caps that the file does not have.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@asks("control")
def import_(session: Session, *, file: str, prune: bool, dry_run: bool) -> None:
    """Make caps like those of a TOML FILE, and show what changes.

    The whole file is checked first; a mistake is told with its line, and changes nothing. Caps that
    the file does not have stay, unless --prune removes them. Durations are written like 10m, limits
    left out mean no limit.

    \b
    A file:
      [[cap]]
      cap_id = "per-ip"
      subject = "ip"               # ip, subnet, customer, reservation, everyone
      limit_quantity = 10
      window = "1h"
      mode = "enforce"             # enforce, shadow, off
      overrides = [{ subject = "10.0.0.0/8", limit_quantity = 500 }]

    \b
    Exit status: 0 done; 1 somebody else changed a cap meanwhile, or a bound on caps is reached;
    2 wrong usage or a bad file, nothing changed; 3 not reached or not judged.

    \b
    Examples:
      $ atp caps import caps.toml --dry-run
      $ atp caps import caps.toml --prune
    """
    wanted = _read(file)
    present = list(session.client.iterate_caps(page_size=PAGE_SIZE))
    difference = compare(wanted, present, prune=prune)
    if not session.as_json:
        _show(difference)
    if not dry_run:
        _apply(session, difference)
    if not session.show_json(difference.as_object(dry_run=dry_run)):
        click.echo(_summary(difference, dry_run))


def _read(file: str) -> tuple[Cap, ...]:
    try:
        with Path(file).open("rb") as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Failed(f"{file}: {error.strerror}", BAD_INPUT) from None
    if len(content) > FILE_BYTES_MAX:
        raise Failed(f"{file}: is longer than {FILE_BYTES_MAX} bytes", BAD_INPUT)
    try:
        return capfile.parse(content, file)
    except capfile.CapFileInvalid as error:
        lines = [tables.printable(line) for line in error.lines()]
        raise Failed("\n".join([*lines, f"{file}: nothing was changed"]), BAD_INPUT) from None


def compare(wanted: tuple[Cap, ...], present: list[CapStatus], *, prune: bool) -> Difference:
    """What has to change so that the caps there are become those wanted."""
    by_id = {status.cap.cap_id: status for status in present}
    added, changed, unchanged = [], [], []
    for cap in wanted:
        status = by_id.pop(cap.cap_id, None)
        if status is None:
            added.append(cap)
            continue
        before, after = _comparable(status.cap), _comparable(cap)
        names = [name for name in Cap._fields if before[name] != after[name]]
        if not names:
            unchanged.append(cap)
            continue
        fields = tuple(
            FieldChange(
                FIELD_NAMES.get(name, name),
                _written(name, getattr(status.cap, name)),
                _written(name, getattr(cap, name)),
            )
            for name in names
        )
        restarts = any(name in RESTARTS for name in names)
        changed.append(CapChanged(cap, status.etag, fields, restarts))
    removed = tuple(by_id.values()) if prune else ()
    return Difference(tuple(added), tuple(changed), tuple(unchanged), removed)


def _comparable(cap: Cap) -> dict[str, Any]:
    """A cap's fields so that two caps that do the same are equal."""
    overrides = {
        capfile.same_subject(override.subject, cap.subject): override.limit
        for override in cap.overrides
    }
    return {**cap._asdict(), "skus": frozenset(cap.skus), "overrides": overrides}


def _written(name: str, value: Any) -> Any:
    """A field's value in the words of the file; None where the file would leave it out."""
    if name in ("subject", "mode"):
        return value.name.lower()
    if name == "window_ns":
        return None if value is None else format_duration(value)
    if name == "overrides":
        return [{"subject": each.subject, "limit_quantity": each.limit} for each in value]
    return list(value) if isinstance(value, tuple) else value


def _show(difference: Difference) -> None:
    rows: list[tuple[str, str, str, str]] = [
        ("add", cap.cap_id, "", "") for cap in difference.added
    ]
    for change in difference.changed:
        restarts = "counting starts anew" if change.restarts else ""
        for field in change.fields:
            what = f"{field.field}: {_short(field.before)} -> {_short(field.after)}"
            rows.append(("change", change.cap.cap_id, what, restarts))
    rows += [("remove", status.cap.cap_id, "", "") for status in difference.removed]
    if rows:
        tables.show_table(("change", "cap", "field", "note"), rows)


def _summary(difference: Difference, dry_run: bool) -> str:
    return (
        f"{'would be ' if dry_run else ''}added {len(difference.added)},"
        f" changed {len(difference.changed)}, removed {len(difference.removed)};"
        f" unchanged {len(difference.unchanged)}"
    )


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


def _apply(session: Session, difference: Difference) -> None:
    """Makes the changes one by one; caps that others changed meanwhile end it."""
    applied: list[str] = []
    try:
        for status in difference.removed:
            session.client.remove_cap(status.cap.cap_id, etag=status.etag)
            applied.append(status.cap.cap_id)
        for change in difference.changed:
            session.client.set_cap(change.cap, etag=change.etag)
            applied.append(change.cap.cap_id)
        # The service cannot be asked to set a cap only if it is new; two imports at once may cross.
        for cap in difference.added:
            session.client.set_cap(cap)
            applied.append(cap.cap_id)
    except AtpError as error:
        failed = failure(session, error)
        failed.message += f" (done before that: {', '.join(applied) or 'nothing'}; import again)"
        raise failed from error
