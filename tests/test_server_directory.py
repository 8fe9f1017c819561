"""The data directory of a real server: whose it is, what it says of it, and what it refuses.

Every refusal is held to one line on stderr and exit status 2, with nothing changed.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

import faults
from server_process import run_atp, serving
from server_stubs import new_sku, stubs_to

FREE = ("--data-address", "127.0.0.1:0", "--control-address", "127.0.0.1:0")


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder that only an owner's changes change."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("clock", "synced") and path.suffix != ".part"
    }


def test_the_directory_is_made_where_the_server_is_started_and_shown_in_full(
    tmp_path: Path,
) -> None:
    with serving(folder=tmp_path) as server:
        assert f"data directory {tmp_path}/atp-data" in server.stderr()
        assert (tmp_path / "atp-data" / "LOCK").exists()
        with stubs_to(server) as stubs:
            new_sku(stubs)
        assert any((tmp_path / "atp-data" / "journal").iterdir())


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--data", "shop/one"), {}),
        (("--set", "data.directory=shop/one"), {}),
        ((), {"ATP_DATA_DIRECTORY": "shop/one"}),
    ],
    ids=["option", "setting", "environment"],
)
def test_another_directory_is_made_with_those_above_it(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    with serving(*arguments, environment=environment, folder=tmp_path) as server:
        assert f"data directory {tmp_path}/shop/one" in server.stderr()
    assert (tmp_path / "shop" / "one" / "STORE").exists()
    assert not (tmp_path / "atp-data").exists()


def test_a_second_server_on_the_same_directory_is_refused_with_who_holds_it(
    tmp_path: Path,
) -> None:
    with serving(folder=tmp_path) as first:
        before = content(tmp_path)
        told = told_at_start(tmp_path)
        assert told == (
            f"atp: {tmp_path}/atp-data is in use by process {first.process.pid} on"
            f" {os.uname().nodename}, which serves {first.data_plane}, {first.control_plane}:"
            " stop it, or name another data directory"
        )
        assert content(tmp_path) == before
        with stubs_to(first) as stubs:
            new_sku(stubs)  # the first one serves on


def told_at_start(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """The one line with which a start is refused that got as far as the data directory."""
    done = run_atp("serve", *FREE, *arguments, folder=folder, environment=environment)
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_directory_is_free_as_soon_as_its_owner_has_ended(
    tmp_path: Path, number: signal.Signals
) -> None:
    with serving(folder=tmp_path) as first:
        first.signal(number)
        first.wait()
        with serving(folder=tmp_path) as second:
            assert second.process.pid != first.process.pid


@pytest.mark.parametrize(
    ("directory", "reason"),
    [
        ("file", "not a directory"),
        ("file/below", "not a directory"),
        ("/proc/nothing", "no such file or directory"),
    ],
)
def test_a_directory_that_cannot_be_used_is_told_in_one_line(
    tmp_path: Path, directory: str, reason: str
) -> None:
    (tmp_path / "file").write_text("no directory")
    told = told_at_start(tmp_path, "--data", directory)
    assert told == f"atp: data.directory {tmp_path / directory} can't be used: {reason}"


@pytest.mark.parametrize("name", ["", "journal"])
def test_a_directory_that_cannot_be_written_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    """By what the system answers: whoever runs the tests may be allowed everything."""
    with serving(folder=tmp_path):
        pass
    data = tmp_path / "atp-data"
    rule = faults.Rule(do="error", call="open|create", file=f"{name or 'LOCK'}*", error="EACCES")
    environment = faults.environment(data, rule)
    told = told_at_start(tmp_path, environment=environment)
    where = data / name if name else data / "LOCK"
    assert told.startswith(f"atp: data.directory {data} can't be used: {where}")
    assert told.endswith("permission denied")
