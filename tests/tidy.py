"""How the project's own text is kept: lengths, headers, no leftovers, links that lead somewhere.

Owns the measures and the readers of source text; test_tidy.py runs them over the tree and shows
that each can fail. Generated code and data of tests are not for it, and prose may have long lines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
LINE_CHARACTERS_MAX = 100
SOURCE_SUFFIXES = {
    *(".py", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".c", ".proto", ".sh", ".toml", ".yaml"),
}
CYTHON_SUFFIXES = {".pyx", ".pxd", ".pxi"}
HEADED_SUFFIXES = SOURCE_SUFFIXES - {".toml"}
PROSE_SUFFIXES = {".md"}
GENERATED = re.compile(r"src/atp/v1/\w+_pb2(_grpc)?\.pyi?|src/atp/_core\.cpp")

# Spelt apart, so that this file does not have what it looks for.
LEFTOVERS = re.compile(
    r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK")) + r")\b"
)
_CYTHON_FUNCTION = re.compile(r"([ \t]*)(?:def|cdef|cpdef|async def)\b[^=#]*\(")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]*)(#[^)\s]*)?\)")


def is_checked(path: str) -> bool:
    """True for a file, by its path from the root, that is source or prose of the project's own."""
    suffix = Path(path).suffix
    wanted = suffix in SOURCE_SUFFIXES | PROSE_SUFFIXES or Path(path).name == "Makefile"
    return wanted and not GENERATED.fullmatch(path)


def faults(root: Path, paths: list[str]) -> list[str]:
    """Everything untidy in these files; one line each."""
    found = []
    for path in filter(is_checked, paths):
        text = (root / path).read_text(encoding="utf-8")
        suffix = Path(path).suffix
        characters_max = None if suffix in PROSE_SUFFIXES else LINE_CHARACTERS_MAX
        found += [f"{path}{fault}" for fault in text_faults(text, characters_max)]
        if suffix in PROSE_SUFFIXES:
            found += [f"{path}{fault}" for fault in link_faults(root / path, text)]
            continue
        if text.count("\n") > FILE_LINES_MAX:
            found.append(f"{path}: {text.count(chr(10))} lines; at most {FILE_LINES_MAX}")
        if suffix in HEADED_SUFFIXES and not has_header(text):
            found.append(f"{path}:1: says at its top neither what it owns nor what it refuses")
        found += [f"{path}{fault}" for fault in function_faults(suffix, text)]
    return found


def text_faults(text: str, characters_max: int | None) -> Iterator[str]:
    """Lines that are too long or end in blanks, leftover markers, a missing last line end."""
    for number, line in enumerate(text.split("\n"), 1):
        if characters_max is not None and len(line) > characters_max:
            yield f":{number}: {len(line)} characters; at most {characters_max}"
        if line != line.rstrip():
            yield f":{number}: ends in blanks"
        marker = LEFTOVERS.search(line)
        if marker:
            yield f":{number}: {marker[0]} left over: do it, or file it"
    if text and not text.endswith("\n"):
        yield ": the last line has no end"


def has_header(text: str) -> bool:
    """True when the file opens with a docstring or a comment."""
    lines = text.split("\n")
    first = lines[1] if lines[0].startswith("#!") and len(lines) > 1 else lines[0]
    return text == "" or first.startswith(("#", '"""', 'r"""', "//", "/*"))


def function_faults(suffix: str, text: str) -> Iterator[str]:
    """Functions that are too long."""
    functions: Iterator[tuple[str, int, int]] = iter(())
    if suffix in (".py", ".pyi"):
        functions = python_functions(text)
    elif suffix in CYTHON_SUFFIXES:
        functions = cython_functions(text)
    for name, line, length in functions:
        if length > FUNCTION_LINES_MAX:
            yield f":{line}: {name} has {length} lines; at most {FUNCTION_LINES_MAX}"


def python_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, first line, lines) of every function, decorators left out."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def cython_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """(signature, first line, lines) of every function, told by indentation.

    A function goes on while lines are indented deeper than its first word, or its brackets are
    open; blank lines and comments after its last line are not its own. A declaration without a
    body has one line, or those of its brackets.
    """
    lines = text.split("\n")
    for start, line in enumerate(lines):
        match = _CYTHON_FUNCTION.match(line)
        if match is None:
            continue
        indent = len(match[1].expandtabs())
        depth = bracket_depth(line)
        last = start
        for index in range(start + 1, len(lines)):
            bare = lines[index].strip()
            deeper = len(lines[index]) - len(lines[index].lstrip()) > indent
            if depth <= 0 and bare and not deeper:
                break
            if bare and (depth > 0 or not bare.startswith("#")):
                last = index
            depth += bracket_depth(lines[index])
        yield line.strip().partition("(")[0], start + 1, last - start + 1


def bracket_depth(line: str) -> int:
    """How many brackets the line leaves open, its strings and comment left out."""
    code = re.sub(r'"[^"]*"|\'[^\']*\'', "", line).split("#")[0]
    return sum(code.count(bracket) for bracket in "([{") - sum(code.count(b) for b in ")]}")


def link_faults(page: Path, text: str) -> Iterator[str]:
    """Links to files that are not there."""
    for number, line in enumerate(text.split("\n"), 1):
        for target, _ in _LINK.findall(line):
            is_file = target and "://" not in target and not target.startswith("mailto:")
            if is_file and not (page.parent / target).exists():
                yield f":{number}: the link to {target} leads nowhere"
