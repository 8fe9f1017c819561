"""docs/cli.md, docs/client.md and docs/feed.md are true: their commands and programs run.

Commands run in order in one folder, by a shell, against one server; programs likewise.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atp import capfile
from server_process import COMMAND, ROOT, ServerProcess, clean_environment, serving

SECONDS = 60.0
_EXPECTED_STATUS = re.compile(r"\s+# exit status (\d)$")


def blocks(page: str, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with serving() as process:
        yield process


def test_every_command_of_the_page_runs(server: ServerProcess, tmp_path: Path) -> None:
    script = tmp_path / "bin" / "atp"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{COMMAND}' \"$@\"\n")
    script.chmod(0o755)
    environment = clean_environment(
        {
            "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
            "ATP_DATA_ADDRESS": server.data_plane,
            "ATP_CONTROL_ADDRESS": server.control_plane,
        }
    )
    lines = "".join(blocks("cli.md", "console") + blocks("feed.md", "console")).splitlines()
    assert len(lines) > 30
    for line in lines:
        assert line.startswith("$ ")
        told = _EXPECTED_STATUS.search(line)
        ended = subprocess.run(
            _EXPECTED_STATUS.sub("", line[2:]),
            shell=True,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert ended.returncode == (int(told[1]) if told else 0), (line, ended)
        assert "Traceback" not in ended.stderr


def test_the_file_of_caps_of_the_page_is_one() -> None:
    (text,) = blocks("cli.md", "toml")
    (cap,) = capfile.parse(text.encode(), "docs/cli.md")
    assert cap.cap_id == "drop-2026"


def test_every_program_of_the_page_runs(server: ServerProcess) -> None:
    programs = blocks("client.md", "python") + blocks("feed.md", "python")
    assert len(programs) == 8
    addresses = f"{server.data_plane!r}, {server.control_plane!r}"
    for program in programs:
        # A program that names no addresses has the default ones, where a test has no server.
        elsewhere = (
            "import functools, atp\n"
            f"atp.Client = functools.partial(atp.Client, {addresses})\n"
            f"atp.AsyncClient = functools.partial(atp.AsyncClient, {addresses})\n"
        )
        named = program.replace('"127.0.0.1:7300", "127.0.0.1:7301"', addresses)
        code = elsewhere + program if named == program else named
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            env=clean_environment(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert (ended.returncode, ended.stderr) == (0, ""), program
