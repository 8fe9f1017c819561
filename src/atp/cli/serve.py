"""`atp serve`: starts the server, and tells what stands in the way of it in one line.

Owns the options, what is said while it starts, and the exit status: 0 after an orderly stop, 2 when
it can't start, 74 when the journal failed. What starts and stops in which order is
atp.server.app's.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from atp.cli.failed import BAD_INPUT, Failed
from atp.journal.report import RecoveryReport
from atp.journal.report_text import report_text
from atp.server import app, log_events, logs
from atp.server.listen import StartFailed
from atp.settings import Settings, SettingsInvalid, load, print_config


@click.command(short_help="Run a server.")
@click.option(
    "--config", metavar="FILE", help="Settings file. Default: ./atp.toml if there is one."
)
@click.option(
    "--data", metavar="DIR", help="Data directory: same as --set data.directory=...  [atp-data]"
)
@click.option("--data-address", metavar="HOST:PORT", help="Same as --set data_plane.address=...")
@click.option(
    "--control-address", metavar="HOST:PORT", help="Same as --set control_plane.address=..."
)
@click.option(
    "--set",
    "assignments",
    metavar="NAME=VALUE",
    multiple=True,
    help="Sets any setting, over file and environment. May be given many times.",
)
@click.option("--insecure", is_flag=True, help="Allow addresses other than loopback without TLS.")
@click.option(
    "--ready-file",
    metavar="FILE",
    help="Write the process id and the addresses there, as JSON, once calls are answered.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the line that says ready as JSON.")
@click.option(
    "--print-config", "printing", is_flag=True, help="Print every setting in force, and exit."
)
def serve(
    *,
    config: str | None,
    data: str | None,
    data_address: str | None,
    control_address: str | None,
    assignments: tuple[str, ...],
    insecure: bool,
    ready_file: str | None,
    as_json: bool,
    printing: bool,
) -> None:
    """Serve stock, holds and caps over gRPC until told to stop.

    What was answered is in the data directory, and the next start goes on from there, whatever
    ended this one. Three ports are opened: the data plane for checkouts, the control plane for
    operators, and one for Prometheus's scrapes, all on loopback unless set otherwise. One line says
    when calls are answered, and where. SIGTERM or Ctrl-C stops it: no new calls, those under way
    finish, a snapshot is taken. SIGHUP takes over live settings from the settings file.

    \b
    Exit status: 0 stopped in order; 2 it could not start, and one line says why; 74 the journal
    could not be written: start it again, on a disk that works.

    \b
    Examples:
      atp serve
      atp serve --data ./shop
      atp serve --set hold.default_ttl=5m --set memory.sku_max=100000
      atp serve --data-address 127.0.0.1:0 --control-address 127.0.0.1:0 --json
      atp serve --print-config > atp.toml
    """
    overrides = [_split(assignment) for assignment in assignments]
    for option, name, value in (
        ("--data", "data.directory", data),
        ("--data-address", "data_plane.address", data_address),
        ("--control-address", "control_plane.address", control_address),
        ("--insecure", "server.insecure", "true" if insecure else None),
    ):
        if value is not None:
            overrides.append((name, value, option))

    def read_settings() -> Settings:
        return load(path=config, overrides=overrides)

    try:
        settings = read_settings()
    except SettingsInvalid as error:
        raise Failed(str(error), BAD_INPUT) from None
    if printing:
        click.echo(print_config(settings), nl=False)
        return
    _serve(settings, read_settings, as_json, ready_file)


def _serve(
    settings: Settings, reload: Callable[[], Settings], as_json: bool, ready_file: str | None
) -> None:
    """Serves until told to stop. Raises Failed, Exit: it could not start, which has been told."""
    try:
        if ready_file is not None:
            _prepare_ready_file(ready_file)
        cut_off = app.run(settings, _tellers(settings, as_json, ready_file), reload=reload)
    except StartFailed as error:
        if not logs.is_for_programs(settings):
            raise Failed(str(error), BAD_INPUT) from None
        logs.configure(settings)
        logs.tell(log_events.START_REFUSED, reason=error)
        raise click.exceptions.Exit(BAD_INPUT) from None
    if ready_file is not None:
        _remove_ready_file(ready_file)
    if cut_off:
        logs.leave(0)  # threads may still work for calls that were cut off


def _split(assignment: str) -> tuple[str, str, str]:
    name, equals, value = assignment.partition("=")
    if not equals:
        raise Failed(f'--set: "{assignment}" is not NAME=VALUE', BAD_INPUT)
    return name.strip(), value, "--set"


def _tellers(settings: Settings, as_json: bool, ready_file: str | None) -> app.Told:
    """Tells how a start goes on: for people on stdout; for scripts, whose first line there is the
    one that says ready, and where the log is for programs, in the log."""
    in_log = as_json or logs.is_for_programs(settings)

    def opening(directory: Path) -> None:
        if in_log:
            logs.tell(log_events.DATA_DIRECTORY, directory=directory)
        else:
            click.echo(f"data directory {directory}")

    def recovered(report: RecoveryReport) -> None:
        if in_log:
            _log_recovery(report)
        else:
            click.echo(report_text(report))
        _log_damage(report)

    def ready(addresses: app.Addresses) -> None:
        facts: dict[str, Any] = {"pid": os.getpid(), **addresses._asdict()}
        if ready_file is not None:
            _write_ready_file(ready_file, facts)
        if in_log:
            logs.tell(log_events.READY, **{**facts, "metrics": addresses.metrics or "off"})
        if as_json:
            click.echo(json.dumps(facts))
        elif not in_log:
            metrics = f", metrics {addresses.metrics}" if addresses.metrics else ""
            click.echo(
                f"atp is ready: data plane {addresses.data_plane},"
                f" control plane {addresses.control_plane}{metrics} (process {facts['pid']})"
            )

    return app.Told(opening, recovered, ready)


def _log_recovery(report: RecoveryReport) -> None:
    if not report.sequence:
        logs.tell(log_events.NEW_STORE)
        return
    logs.tell(
        log_events.RECOVERED,
        sequence=report.sequence,
        seconds=report.duration_ns / 1e9,
        snapshot=report.snapshot or "none",
        replayed=report.replayed_record_count,
        expired=report.expired_count,
        digest=report.digest,
    )


def _log_damage(report: RecoveryReport) -> None:
    """What an operator should act on."""
    if report.torn_bytes:
        logs.tell(log_events.TORN_TAIL_CUT, bytes=report.torn_bytes, copy=report.torn_copy)
    for snapshot in report.damaged_snapshots:
        logs.tell(log_events.SNAPSHOT_PASSED_OVER, snapshot=snapshot)
    for damage in report.passed_damage:
        logs.tell(log_events.DAMAGE_PASSED, damage=damage)


def _prepare_ready_file(path: str) -> None:
    """Removes one that was left over; finds out now that it can't be written."""
    _remove_ready_file(path)
    beside = Path(f"{path}.{os.getpid()}")
    try:
        beside.touch()
        beside.unlink()
    except OSError as error:
        raise StartFailed(f"--ready-file {path} can't be written: {error.strerror}") from None


def _write_ready_file(path: str, facts: dict[str, Any]) -> None:
    """Puts the whole file in place at once: whoever sees it can read it."""
    beside = Path(f"{path}.{facts['pid']}")
    try:
        beside.write_text(json.dumps(facts) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StartFailed(f"--ready-file {path} can't be written: {error.strerror}") from None


def _remove_ready_file(path: str) -> None:
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise StartFailed(f"--ready-file {path} can't be replaced: {error.strerror}") from None
