"""What `--help` says is so: every example runs, every summary is true, help answers at once.

The examples are taken from the help texts themselves and run by a shell against a live server.
"""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from atp import Client
from atp.cli import COMMANDS, main
from remembered import make_store
from server_process import COMMAND, ServerProcess, clean_environment, serving, wait_until

SECONDS = 60.0
OF_THEIR_OWN = ("atp serve", "atp replay", "atp demo", "atp audit")
OFFLINE = ("atp journal", "atp journal check", "atp journal dump", "atp journal repair")

ORDERS = """\
invoice,stock_code,quantity,invoice_date,customer_id,country
536365,MUG,6,2010-12-01T08:26:00,17850,France
536366,TEAPOT,2,2010-12-01T08:28:00,17851,France
C536379,MUG,-1,2010-12-01T09:41:00,17850,France
"""
FILES = {
    "stock.csv": "sku,quantity\nCUP,5\nPLATE,6\n",
    "caps.toml": '[[cap]]\ncap_id = "per-customer"\nsubject = "customer"\nlimit_quantity = 500\n',
}


def commands(
    command: click.Command = main, path: tuple[str, ...] = ("atp",)
) -> Iterator[tuple[str, click.Command]]:
    """Every command there is, groups included, with its full name."""
    yield " ".join(path), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from commands(inner, (*path, name))


ALL = dict(commands())


def examples(command: click.Command) -> list[str]:
    """The commands under "Examples:" in a command's help, each as it is written there."""
    text = f"{command.help or ''}\n{command.epilog or ''}"
    lines = text.partition("Examples:\n")[2].splitlines()
    listed = []
    for line in lines:
        if not line.strip():
            break
        listed.append(line.strip().removeprefix("$ "))
    return listed


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the files that examples name, and the command `atp`."""
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    (tmp_path / "online_retail.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    script = tmp_path / "bin" / "atp"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{COMMAND}' \"$@\"\n")
    script.chmod(0o755)
    return tmp_path


def environment(folder: Path, **variables: str) -> dict[str, str]:
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return clean_environment({"PATH": path, **variables})


@pytest.fixture(scope="module")
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def run_example(
    example: str, folder: Path, server: ServerProcess
) -> subprocess.CompletedProcess[str]:
    addresses = {
        "ATP_DATA_ADDRESS": server.data_plane,
        "ATP_CONTROL_ADDRESS": server.control_plane,
    }
    return subprocess.run(
        example,
        shell=True,
        cwd=folder,
        env=environment(folder, **addresses),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("name", [name for name in ALL if name not in OF_THEIR_OWN + OFFLINE])
def test_every_example_runs(name: str, folder: Path, server: ServerProcess) -> None:
    listed = examples(ALL[name])
    assert listed, "every command's help ends in examples"
    with Client(server.data_plane, server.control_plane) as client:
        for sku in ("MUG", "TEAPOT"):
            client.set_stock(sku, 1_000)
        for status in client.iterate_caps():
            client.remove_cap(status.cap.cap_id)
    for example in listed:
        ended = run_example(example, folder, server)
        assert (ended.returncode, ended.stderr) == (0, ""), example
        if "--json" in example:
            assert all(json.loads(line) for line in ended.stdout.splitlines()), example


@pytest.mark.parametrize("example", [each for name in OFFLINE for each in examples(ALL[name])])
def test_every_example_for_a_data_directory_runs(example: str, folder: Path) -> None:
    """Without a server, on what a server left in atp-data."""
    make_store(folder / "atp-data")
    ended = subprocess.run(
        example,
        shell=True,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout


@pytest.mark.parametrize("example", examples(ALL["atp replay"]))
def test_every_example_of_a_sale_ends_well(example: str, folder: Path) -> None:
    """Each on a server of its own: a sale is audited, so nobody else may sell."""
    with serving() as server:
        ended = run_example(example, folder, server)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("example", examples(ALL["atp serve"]))
def test_every_example_of_a_server_starts_one(example: str, folder: Path) -> None:
    assert example.startswith("atp serve")
    free = {"ATP_DATA_PLANE_ADDRESS": "127.0.0.1:0", "ATP_CONTROL_PLANE_ADDRESS": "127.0.0.1:0"}
    printed = folder / "printed"
    with printed.open("w") as output:
        process = subprocess.Popen(
            f"exec {example}",
            shell=True,
            cwd=folder,
            env=environment(folder, **free),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if "--print-config" not in example:
        wait_until(lambda: "control" in printed.read_text(), "the line that says ready")
        process.terminate()
    assert process.wait(timeout=SECONDS) == 0, printed.read_text()


def test_every_command_of_the_table_is_there_and_says_what_the_table_says() -> None:
    for name, entry in COMMANDS.items():
        assert ALL[f"atp {name}"].get_short_help_str(limit=100) == entry.summary
        assert ALL[f"atp {name}"].callback.__module__ == entry.module  # type: ignore[union-attr]


@pytest.mark.parametrize("name", [name for name in ALL if not isinstance(ALL[name], click.Group)])
def test_every_command_says_how_it_ends(name: str) -> None:
    text = ALL[name].help or ""
    assert "exit status" in text.lower(), "help names the exit statuses"


def test_help_loads_no_command() -> None:
    """So it answers at once: no gRPC, no protobuf, no rich, no NumPy, no command's own module."""
    code = (
        "import sys\n"
        "sys.argv = ['atp', '--help']\n"
        "from atp.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print(sorted(name for name in sys.modules if name.startswith("
        "('grpc', 'google', 'rich', 'numpy', 'asyncio', 'atp'))))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
        env=clean_environment(),
    )
    *help_lines, loaded = ended.stdout.splitlines()
    assert eval(loaded) == ["atp", "atp.cli", "atp.cli.failed"]
    for name, entry in COMMANDS.items():
        assert any(line.split(None, 1) == [name, entry.summary] for line in help_lines)


def test_version_and_a_call_for_nothing(folder: Path) -> None:
    from atp import __version__  # noqa: PLC0415 - looked up by this test alone

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["atp", *words],
            env=environment(folder),
            executable=folder / "bin" / "atp",
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    version = run("--version")
    assert (version.returncode, version.stdout) == (0, f"atp {__version__}\n")
    nothing = run()
    assert (nothing.returncode, nothing.stdout) == (2, "")
    assert nothing.stderr.startswith("Usage: atp [OPTIONS] COMMAND")
    assert run("-h").stdout == run("--help").stdout
