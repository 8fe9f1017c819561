"""What the pages say, held to the tree: links, commands, files, functions, tests, messages.

Owns reading Markdown and finding what is named there and is not; test_docs.py runs it over the
pages and shows that each check can fail. Runs no command: it parses them as the command would.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click

from atp.cli import main

BASES = ("", "src/atp", "src/atp/engine", "tests", "docs")
"""Folders that paths on a page may start from."""
NOT_KEPT = ("bench/out/", "build/", "demo-out/", ".venv/")
"""Folders that come into being by running something."""
SOURCE_SUFFIXES = {".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h"}
PLANTED = "test_docs.py"
"""Has names of nothing in it, on purpose."""

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)(?:#([^)\s]*))?\)")
_HEADING = re.compile(r"^#+ +(.*?) *$", re.MULTILINE)
_PATH = re.compile(
    r"(?P<path>[\w.*/-]+\.(?:py|pyi|pyx|pxd|pxi|h|txt|md|proto|toml|sh|svg|yaml)|[\w./-]+/)"
    r"(?:::(?P<test>\w+)|:(?P<name>\w+)|: (?P<case>.+))?"
)
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*(?:\.\w+)*")
_MESSAGE = re.compile(r"law \d+: .*")
_OPERATORS = re.compile(r"[|&;<>()]+")


class Named(NamedTuple):
    """Something a page says, and the line it says it in."""

    line: int
    text: str


def spans(text: str) -> list[Named]:
    """Inline code, fenced blocks left out."""
    found = []
    for match in _SPAN.finditer(_FENCE.sub(_blank, text)):
        found.append(Named(text.count("\n", 0, match.start()) + 1, match[1]))
    return found


def blocks(text: str) -> list[tuple[int, str, str]]:
    """Fenced blocks: (line of the first line inside, language, content)."""
    return [
        (text.count("\n", 0, match.start()) + 2, match[1], match[2])
        for match in _FENCE.finditer(text)
    ]


def _blank(match: re.Match[str]) -> str:
    return "\n" * match[0].count("\n")


# Links.


def anchors(text: str) -> set[str]:
    """The anchors that a page's headings make, as GitHub writes them."""
    plain = (re.sub(r"[`*]", "", title) for title in _HEADING.findall(_FENCE.sub(_blank, text)))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in plain}


def link_faults(page: Path, text: str) -> Iterator[str]:
    """Links to files and headings that are not there."""
    bare = _SPAN.sub("", _FENCE.sub(_blank, text))
    for number, line in enumerate(bare.split("\n"), 1):
        for target, anchor in _LINK.findall(line):
            if "://" in target or target.startswith("mailto:"):
                continue
            file = page.parent / target if target else page
            if not file.exists():
                yield f"{number}: the link to {target} leads nowhere"
            elif anchor and anchor not in anchors(file.read_text(encoding="utf-8")):
                yield f"{number}: {target} has no heading for #{anchor}"


# Commands.


def commands(text: str) -> Iterator[tuple[int, list[str]]]:
    """Every `atp` and `make` command that a page shows, in code blocks and inline, in words."""
    shown = list(spans(text))
    for first, language, content in blocks(text):
        if language in ("", "sh", "console"):
            lines = enumerate(content.split("\n"), first)
            # A console has output, too.
            prompt = "$ " if language == "console" else ""
            shown += [Named(number, line) for number, line in lines if line.startswith(prompt)]
    for line, code in shown:
        for words in simple_commands(code.removeprefix("$ ")):
            if words[0] in ("atp", "make") or words[0].endswith("/atp"):
                yield line, words


def simple_commands(code: str) -> Iterator[list[str]]:
    """The commands of a shell line, each in words; redirections and comments are left out."""
    lexer = shlex.shlex(code, posix=True, punctuation_chars=True)
    words: list[str] = []
    try:
        for word in [*lexer, ";"]:
            if not _OPERATORS.fullmatch(word):
                words.append(word)
            elif words:
                yield words
                words = []
    except ValueError:  # prose with an apostrophe is no command
        return


def command_fault(words: list[str]) -> str:
    """What is wrong with an `atp` command, judged as the command itself parses it; else empty."""
    command: click.Command = main
    context = click.Context(main, info_name="atp")
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        if rest[0].isupper():  # COMMAND stands for any
            return ""
        inner = command.get_command(context, rest[0])
        if inner is None:
            return f"{' '.join(words)}: there is no command {rest[0]}"
        context = click.Context(inner, context, rest[0], **inner.context_settings)
        command, rest = inner, rest[1:]
    try:
        values, left, _ = command.make_parser(context).parse_args(list(rest))
        if left:
            return f"{' '.join(words)}: too many words: {left}"
        for parameter in command.get_params(context):
            value = values.get(parameter.name or "")
            is_file = isinstance(parameter.type, click.Path | click.File)
            if isinstance(value, str | tuple) and not is_file:
                parameter.type_cast_value(context, value)
    except click.UsageError as error:
        return f"{' '.join(words)}: {error.format_message()}"
    return ""


def make_faults(words: list[str], makefile: str) -> Iterator[str]:
    """Targets that the Makefile does not have; a variable may come before or after them."""
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    for word in words[1:]:
        variable, is_set, value = word.partition("=")
        if is_set and variable == "DEMO":
            fault = command_fault(["atp", "demo", *shlex.split(value)])
            if fault:
                yield fault
        elif is_set and not re.search(
            rf"^{variable} \?= |\$\({variable}\)", makefile, re.MULTILINE
        ):
            yield f"the Makefile reads no {variable}"
        elif not is_set and word not in targets:
            yield f"the Makefile has no target {word}"


# Files, functions, tests, messages, words.


def name_faults(root: Path, text: str, *, everything: bool) -> Iterator[str]:
    """Files, and what is named in them, that are not there.

    With `everything`, so for pages about the code, messages of laws and single names must be in the
    source, too.
    """
    for line, span in spans(text):
        path = _PATH.fullmatch(span)
        fault = ""
        if path is not None and not path["path"].startswith(NOT_KEPT):
            fault = path_fault(root, path)
        elif everything and _MESSAGE.fullmatch(span):
            fault = "" if span in source(root) else f"no message says {span!r}"
        elif everything and path is None and _IDENTIFIER.fullmatch(span):
            fault = word_fault(root, span)
        if fault:
            yield f"{line}: {fault}"


def path_fault(root: Path, match: re.Match[str]) -> str:
    """What is wrong with a path, and the function, test or case named after it; else empty."""
    path, name = match["path"], match["test"] or match["name"]
    files = [file for base in BASES for file in (root / base).glob(path)]
    if not files:
        return f"there is no {path}"
    if match["case"] is not None:
        cases = files[0].read_text(encoding="utf-8").split("\n")
        return "" if f"== {match['case']}" in cases else f"{path} has no case {match['case']!r}"
    if name and not any(defines(file, name) for file in files):
        return f"{path} defines no {name}"
    return ""


def defines(file: Path, name: str) -> bool:
    """Is there a function, class, struct, enum or constant of this name?"""
    if not file.is_file():
        return False
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".h":
        pattern = rf"^(template .*|struct|class|enum|inline .*|  \w+) (alignas\(\d+\) )?{name}\b"
    else:
        pattern = rf"^\s*((async )?def|class|cdef .*|cpdef .*) \**{name}\b|^{name}\b.* = "
    return re.search(pattern, text, re.MULTILINE) is not None


def word_fault(root: Path, span: str) -> str:
    """A name, dotted or not, that is nowhere in the source or the tests; else empty."""
    if span.startswith("test_"):
        found = any(defines(file, span) for file in (root / "tests").glob("test_*.py"))
        return "" if found else f"there is no test {span}"
    missing = [word for word in span.split(".") if not re.search(rf"\b{word}\b", source(root))]
    return f"{span} is nowhere in the source" if missing else ""


@cache
def source(root: Path) -> str:
    """The text of package, protos and tests; string literals over several lines are joined."""
    files = [file for file in sorted((root / "src").rglob("*")) if file.suffix in SOURCE_SUFFIXES]
    files += [*sorted((root / "proto").rglob("*.proto")), root / "setup.py", root / "Makefile"]
    files += [file for file in sorted((root / "tests").glob("*.py")) if file.name != PLANTED]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files if file.is_file())
    return re.sub(r"\"\n\s*f?\"", "", text)
