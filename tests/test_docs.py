"""The pages are true: links and names lead somewhere, commands exist, the README runs.

Each check is shown to fail on a planted fault. docs/cli.md and docs/client.md are run by
test_cli_docs.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import layers
import pages
from server_process import COMMAND, ROOT, clean_environment

SECONDS = 60.0
ABOUT_THE_CODE = ("docs/architecture.md", "docs/invariants.md")
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").glob("*.md"))
NAMES_FILES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", *ABOUT_THE_CODE]
MAKEFILE = ROOT / "Makefile"
LAWS = 10

CHANGING = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC \([^)]*\)", "TIME"),
    (r"\bin (\d+[hms])+", "IN A WHILE"),
    (r"(?m)^digest( +)[0-9a-f]{32}$", r"digest\1DIGEST"),
    (r"127\.0\.0\.1:\d+", "ADDRESS"),
    (r"\(process \d+\)", "(process)"),
)
"""What differs from run to run, and what stands for it when outputs are compared."""


def read(page: str) -> str:
    text: str = (ROOT / page).read_text(encoding="utf-8")
    return text


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert list(pages.link_faults(ROOT / page, read(page))) == []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_shown_exists(page: str) -> None:
    assert command_faults(read(page)) == []


def test_commands_are_found_on_the_pages() -> None:
    shown = [words for page in PAGES for _, words in pages.commands(read(page))]
    assert ["make", "demo"] in shown
    assert sum(words[0] == "atp" for words in shown) > 40


def command_faults(text: str) -> list[str]:
    makefile = MAKEFILE.read_text(encoding="utf-8")
    found = []
    for line, words in pages.commands(text):
        if words[0] == "make":
            found += [f"{line}: {fault}" for fault in pages.make_faults(words, makefile)]
        elif fault := pages.command_fault(words):
            found.append(f"{line}: {fault}")
    return found


@pytest.mark.parametrize("page", NAMES_FILES)
def test_every_name_on_the_pages_is_that_of_something(page: str) -> None:
    everything = page in ABOUT_THE_CODE
    assert list(pages.name_faults(ROOT, read(page), everything=everything)) == []


def planted_links(text: str) -> list[str]:
    return list(pages.link_faults(ROOT / "docs" / "planted.md", text))


def planted_names(text: str) -> list[str]:
    return list(pages.name_faults(ROOT, text, everything=True))


@pytest.mark.parametrize(
    ("check", "text", "fault"),
    [
        (planted_links, "[a](nowhere.md)", "1: the link to nowhere.md leads nowhere"),
        (planted_links, "\n[a](semantics.md#no)", "2: semantics.md has no heading for #no"),
        (planted_links, "# One\n[a](#two)", "leads nowhere"),
        (command_faults, "`atp sell`", "there is no command sell"),
        (command_faults, "```console\n$ atp caps drop x\n```", "2: atp caps drop x: there is no"),
        (command_faults, "```sh\natp reserve A=1 --hold 5m\n```", "No such option '--hold'"),
        (command_faults, "```\ntrue && atp status --check -x\n```", "No such option '-x'"),
        (command_faults, "`atp reserve A=1 --ttl soon`", "soon"),
        (command_faults, "`atp caps set c --subject wallet`", "'wallet' is none of"),
        (command_faults, "`atp status now`", "too many words: ['now']"),
        (command_faults, "`make tea`", "1: the Makefile has no target tea"),
        (command_faults, '`make demo DEMO="--fast"`', "No such option '--fast'"),
        (command_faults, "`make demo SIZE=3`", "the Makefile reads no SIZE"),
        (planted_names, "`src/atp/attic.py`", "1: there is no src/atp/attic.py"),
        (planted_names, "`tests/*_attic.py`", "there is no tests/*_attic.py"),
        (planted_names, "`stock.pxd:hold_unit`", "stock.pxd defines no hold_unit"),
        (planted_names, "`native.h:Key2`", "native.h defines no Key2"),
        (planted_names, "`test_threads.py::test_cold_sku`", "defines no test_cold_sku"),
        (planted_names, "`test_cold_sku`", "there is no test test_cold_sku"),
        (planted_names, "`rules/time.txt: at noon`", "rules/time.txt has no case 'at noon'"),
        (planted_names, "`law 1: nobody sells`", "no message says 'law 1: nobody sells'"),
        (planted_names, "`due." + "nexus`", "nexus is nowhere in the source"),
    ],
)
def test_a_planted_fault_is_found(check: Callable[[str], list[str]], text: str, fault: str) -> None:
    found = check(text + "\n")
    if "#two" in text:
        found = [line.replace(" has no heading for #two", "leads nowhere") for line in found]
    assert len(found) == 1
    assert fault in found[0]


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (planted_links, "[a](semantics.md#caps) [b](https://example.com/#c) `[c](d)`"),
        (command_faults, "`atp COMMAND --help`, `atp serve --print-config`, it's atp's"),
        (command_faults, "```console\n$ printf 'A,1\\n' | atp load - --update > out # so\n```"),
        (command_faults, '`make demo DEMO="--invoices 9"` `make PYTHON=python3 build`'),
        (command_faults, "```text\natp sell\n```"),
        (planted_names, "`stock.pxd:hold_units` `layout.h:Shard` `server/edge.py:CallGate`"),
        (planted_names, "`test_threads.py::test_hot_sku` `test_hot_sku` `tests/test_cli_*.py`"),
        (planted_names, "`rules/time.txt: time does not go back` `due.next` `bench/out/x.md`"),
    ],
)
def test_what_is_true_is_let_be(check: Callable[[str], list[str]], text: str) -> None:
    assert check(text + "\n") == []


def test_the_rooms_of_the_page_are_those_that_are_held() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|[^|]*\|([^|]*)\|$", read("docs/architecture.md"), re.MULTILINE
    )
    told = {room: frozenset(re.findall(r"`(\w+)`", known)) for room, known in rows}
    assert told == dict(layers.KNOWS)


def test_every_law_has_its_place_checks_and_tests() -> None:
    sections = re.split(r"^## ", read("docs/invariants.md"), flags=re.MULTILINE)
    laws = [section for section in sections if re.match(r"\d+\. ", section)]
    assert [int(law.partition(".")[0]) for law in laws] == list(range(1, LAWS + 1))
    for law in laws:
        assert re.search(r"`[\w/]+\.\w+:\w+`", law), f"no place upholds {law[:40]!r}"
        assert re.search(r"`test_\w+\.py::\w+`|`rules/\w+\.txt: ", law), f"no test for {law[:40]!r}"


# The README, run.


def shown_commands(text: str) -> list[tuple[str, list[str]]]:
    """Every command of the README's console blocks, with the lines of output shown under it."""
    shown: list[tuple[str, list[str]]] = []
    for _, language, content in pages.blocks(text):
        for line in content.splitlines() if language == "console" else []:
            if line.startswith("$ "):
                shown.append((line[2:], []))
            else:
                shown[-1][1].append(line)
    return shown


def without_change(text: str) -> str:
    for pattern, stands in CHANGING:
        text = re.sub(pattern, stands, text)
    return text


def is_shown(shown: list[str], output: str) -> bool:
    """Is this the output shown? A line `...` stands for any lines."""
    wanted = [
        ".*" if line == "..." else re.escape(line)
        for line in without_change("\n".join(shown)).split("\n")
    ]
    return (
        re.fullmatch("\n".join(wanted), without_change(output).rstrip("\n"), re.DOTALL) is not None
    )


@contextmanager
def started(environment: dict[str, str], folder: Path) -> Iterator[str]:
    """Runs `atp serve` on free ports until the block ends; gives what it says until it is ready."""
    free = {
        f"ATP_{listener}_ADDRESS": "127.0.0.1:0"
        for listener in ("DATA_PLANE", "CONTROL_PLANE", "METRICS")
    }
    process = subprocess.Popen(
        ["atp", "serve"],
        executable=folder / "bin" / "atp",
        cwd=folder,
        env=environment | free,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            said = []
            while not said or (said[-1] and not said[-1].startswith("atp is ready")):
                said.append(process.stdout.readline())
            yield "".join(said)
        finally:
            process.terminate()
            process.wait(timeout=SECONDS)


def test_the_readme_runs_as_it_is_written(tmp_path: Path) -> None:
    script = tmp_path / "bin" / "atp"
    script.parent.mkdir()
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{COMMAND}' \"$@\"\n")
    script.chmod(0o755)
    environment = clean_environment({"PATH": f"{script.parent}{os.pathsep}{os.environ['PATH']}"})
    (serve, said_ready), *rest = shown_commands(read("README.md"))
    assert serve == "atp serve"
    assert len(rest) > 8
    with started(environment, tmp_path) as said:
        assert is_shown(said_ready, said.replace(str(tmp_path), "/srv/shop"))
        data, control, _metrics = re.findall(r"127\.0\.0\.1:\d+", said)
        environment |= {"ATP_DATA_ADDRESS": data, "ATP_CONTROL_ADDRESS": control}
        for command, shown in rest:
            ended = subprocess.run(
                command,
                shell=True,
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            status = re.search(r"# exit status (\d)$", command)
            assert ended.returncode == (int(status[1]) if status else 0), (command, ended)
            assert is_shown(shown, ended.stdout), f"{command}\n{ended.stdout}{ended.stderr}"


def test_an_output_that_is_not_so_is_found() -> None:
    output = "done\nMUG  98\ncreated 2026-01-01 00:00:00 UTC (1s ago)\n"
    assert is_shown(["done", "...", "created 2025-12-31 11:11:11 UTC (0s ago)"], output)
    assert is_shown(["done", "..."], output)
    assert not is_shown(["done"], output)
    assert not is_shown(["done", "MUG  97", "..."], output)
    assert not is_shown(["granted", "..."], output)
