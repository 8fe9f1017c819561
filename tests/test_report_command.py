"""`atp report` as people run it: what it writes, and how it ends when it can't."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from server_process import clean_environment
from test_report_page import make_sale


def run(*words: str) -> Any:
    """`atp report` with these words, in this process."""
    from atp.cli.report import report as command  # noqa: PLC0415

    return CliRunner().invoke(command, words)


def test_the_command_writes_the_page_the_figures_and_the_picture(tmp_path: Path) -> None:
    history, _ = make_sale(tmp_path)
    files = [tmp_path / name for name in ("a.html", "a.json", "a.svg")]
    page_file, figures_file, picture_file = map(str, files)
    ended = run(*(str(history), "-o", page_file, "--json", figures_file, "--picture", picture_file))
    assert ended.exit_code == 0, ended.output
    assert files[0].read_text().startswith("<!DOCTYPE html>")
    assert json.loads(files[1].read_text())["commands"]["Reserve"]["GRANTED"] == 40
    assert files[2].read_text().startswith("<svg")


def in_a_process(*words: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """`atp report` as people run it; `before`: Python code that runs first."""
    code = f"{before}\nfrom atp.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, "report", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(),
    )


def test_bad_input_is_one_line_that_says_what_is_wrong(tmp_path: Path) -> None:
    history, _ = make_sale(tmp_path)
    for words, wrong in (
        ((str(history),), "nothing to write"),
        ((str(tmp_path / "no"), "-o", str(tmp_path / "a.html")), "there is no history"),
        ((str(history), "-o", str(tmp_path / "no" / "a.html")), "can't be written"),
    ):
        ended = in_a_process(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert wrong in ended.stderr
        assert ended.stderr.count("\n") == 1, ended.stderr


def test_without_matplotlib_the_figures_are_there_and_the_page_says_what_to_install(
    tmp_path: Path,
) -> None:
    history, _ = make_sale(tmp_path)
    without = "import sys; sys.modules['matplotlib'] = None"
    page_file, figures_file = tmp_path / "a.html", tmp_path / "a.json"
    ended = in_a_process(str(history), "-o", str(page_file), before=without)
    assert ended.returncode == 2
    assert "pip install 'atp[report]'" in ended.stderr
    assert not page_file.exists()
    ended = in_a_process(str(history), "--json", str(figures_file), before=without)
    assert ended.returncode == 0, ended.stderr
    assert figures_file.exists()
