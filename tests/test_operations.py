"""docs/operations.md is true: its commands run, its example is reckoned right, its figures are
those that were measured, and each alert has its heading.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

from server_process import COMMAND, ROOT, clean_environment, serving

SECONDS = 60.0
PAGE = ROOT / "docs" / "operations.md"
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
TEXT = PAGE.read_text(encoding="utf-8")


def section(title: str) -> str:
    """What stands under a heading of the second level."""
    return re.split(r"^## ", TEXT.split(f"\n## {title}\n")[1], flags=re.MULTILINE)[0]


def commands(text: str) -> list[str]:
    """The lines of a page that are shown as typed."""
    return "".join(re.findall(r"```console\n(.*?)```", text, re.DOTALL)).splitlines()


def run_in_order(lines: list[str], folder: Path) -> None:
    """Runs them by a shell, against one server whose data and backups are in the folder."""
    script = folder / "bin" / "atp"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{COMMAND}' \"$@\"\n")
    script.chmod(0o755)
    with serving("--data", str(folder / "data")) as server:
        environment = clean_environment(
            {
                "PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}",
                "ATP_DATA_ADDRESS": server.data_plane,
                "ATP_CONTROL_ADDRESS": server.control_plane,
                "DATA": str(folder / "data"),
                "BACKUP": str(folder / "backups"),
            }
        )
        for line in lines:
            assert line.startswith("$ ")
            ended = subprocess.run(
                line[2:],
                shell=True,
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            assert ended.returncode == 0, (line, ended)
            assert "Traceback" not in ended.stderr


def test_the_commands_of_the_page_run_in_order(tmp_path: Path) -> None:
    lines = commands(TEXT)
    assert len(lines) > 20
    run_in_order(lines, tmp_path)
    assert "per-ip" in (tmp_path / "caps-after.toml").read_text()
    changes = (tmp_path / "changes.jsonl").read_text().splitlines()
    assert len(changes) > 8


def test_the_commands_of_the_page_on_load_tests_run_in_order(tmp_path: Path) -> None:
    """The fourth wanted less stock than the third had left on hold, and was refused."""
    lines = commands((ROOT / "docs" / "load-test.md").read_text(encoding="utf-8"))
    assert len(lines) >= 4
    run_in_order(lines, tmp_path)
    assert len(list((tmp_path / "sale-history").iterdir())) == 2


def example() -> dict[str, float]:
    """The results of the worked example, by their names; M, GB and MB are not in the numbers."""
    rows = re.findall(
        r"^\| ([^|]+?) \| [^|]+ \| ([\d.,]+)[^|]*\|$", section("Capacity"), re.MULTILINE
    )
    return {name.strip("`"): float(result.replace(",", "")) for name, result in rows}


def test_the_example_is_reckoned_right() -> None:
    told = example()
    live, ended = 5_000 * 600, 5_000 * 15 * 60
    engine = 115 * 200_000 + 258 * (live + ended)
    assert told["calls in the busiest second"] == 20_000 * 1.4
    assert told["cores"] == math.ceil(2 * 28_000 / 52_000 + 1)
    assert told["live holds at most"] == live
    assert told["memory.ended_max"] == ended
    assert told["memory"] == math.ceil((72e6 + 128e6 + engine) / 1e6)
    assert told["journal of the hour"] == round(3_600 * 5_000 * (149 + 54) / 1e9, 1)
    snapshot = 2 / 3 * engine
    assert told["a snapshot"] == round(snapshot / 1e6)
    every = 256 * 2**20
    assert told["one snapshot to the next, at 256 MiB of journal"] == round(every / (203 * 5_000))
    disk = 3 * snapshot + 2 * every + 128 * 2**20
    assert told["disk without `journal.keep"] == round(disk / 1e9, 1)
    back = 0.6 + (200_000 + live + ended) * 1e-6 + every / 100 / 3e6
    assert told["back in service"] == round(back, 1)


def test_the_figures_are_those_that_were_measured() -> None:
    measured = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| [^|]+ \| ([\d,]+)[^|]*\| `(\w+)` \|$", section("Capacity"), re.MULTILINE
    )
    assert len(rows) == 7
    for told, name in rows:
        found = re.search(rf"^\| `{name}`[^|]*\| ([\d.,]+)( M)?", measured, re.MULTILINE)
        assert found is not None, name
        figure = float(found[1].replace(",", "")) * (1e6 if found[2] else 1)
        # Rounded, and never in favour of the reader's hopes by more than a part in a hundred.
        assert 0.8 * figure <= float(told.replace(",", "")) <= 1.01 * figure, (name, told, figure)


def test_each_alert_has_its_heading_and_each_heading_its_alert() -> None:
    alerts = re.findall(r"^ +- alert: (\w+)$", ALERTS.read_text(encoding="utf-8"), re.MULTILINE)
    headings = re.findall(r"^### (\w+)$", section("Alerts"), re.MULTILINE)
    assert len(alerts) > 10
    assert headings == alerts
    for name, text in re.findall(r"^### (\w+)\n\n(.*?)(?=\n\n|\Z)", section("Alerts"), re.M | re.S):
        severity = re.search(rf"alert: {name}\n.*?severity: (\w+)", ALERTS.read_text(), re.DOTALL)
        assert severity is not None
        assert text.startswith(f"*{severity[1]}.*"), name


def test_what_the_log_sends_its_reader_to_is_there() -> None:
    """Lines of the log and alerts name pages and headings of this one."""
    events = (ROOT / "src" / "atp" / "server" / "log_events.py").read_text(encoding="utf-8")
    for named in set(re.findall(r"docs/[\w.]+\.md", events)):
        assert (ROOT / named).is_file(), named
