"""The rooms of the package and the arrows between them, read from imports and cimports.

Owns who may know whom, and where a clock, chance, the environment and presence may be asked for.
Reads source text alone: what is checked need not be importable. test_layers.py runs it and shows
that it can fail.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

KNOWS: Mapping[str, frozenset[str]] = {
    room: frozenset(known.split())
    for room, known in {
        "atp": "client",
        "vocabulary": "",
        "units": "",
        "clock": "",
        "command": "client",
        "v1": "",
        "history": "v1",
        "settings": "units",
        "engine": "",
        "_core": "engine vocabulary",
        "capfile": "units vocabulary",
        "client": "v1 vocabulary",
        "replay": "capfile client units v1 vocabulary",
        "__main__": "cli",
        "journal": "_core engine units v1 vocabulary",
        "front": "_core engine journal",
        "server": "_core atp clock front journal settings units v1 vocabulary",
        "load": "history vocabulary",
        "audit": "history units v1 vocabulary",
        "report": "audit history v1 vocabulary",
        "cli": "atp audit capfile client clock history journal load replay report server settings"
        " units v1 vocabulary",
    }.items()
}
"""Each room and the rooms that it may import from."""

ROOM_OF_MODULE = {
    "setting_table": "settings",
    "setting_values": "settings",
    "core": "_core",
    "_front": "front",
}
"""Top-level modules that are part of a room of another name."""

OUTSIDE: Mapping[str, frozenset[str]] = {
    room: frozenset(known.split())
    for room, known in {
        "vocabulary": "",
        "units": "",
        "clock": "",
        "settings": "",
        "capfile": "",
        "engine": "libc libcpp",
        "_core": "libc libcpp cpython cython numpy",
        "client": "grpc grpc_status google",
        "history": "grpc google",
        "load": "libc libcpp cpython posix numpy",
        "audit": "libc libcpp google",
    }.items()
}
"""What a room may import from outside, Python's own library apart; others may import anything."""

CLOCKS = ("clock.py", "client/clock.py", "replay/clock.py", "history/clock.py", "audit/clock.py")
SOLE_PLACES: Mapping[str, tuple[str, ...]] = {
    r"time\.(time|monotonic|perf_counter|process_time|clock_gettime)(_ns)?": CLOCKS,
    r"time\.sleep": CLOCKS,
    r"datetime\.(datetime|date)\.(now|utcnow|today)": CLOCKS,
    r"(random|secrets)\..+": CLOCKS,
    r"uuid\.uuid\w*": CLOCKS,
    r"os\.urandom": ("journal/directory.py",),
    r"os\.(environ|environb|getenv|putenv)(\..+)?": ("settings.py",),
    r".*\.HasField": (
        "server/convert.py",
        "client/convert.py",
        "cli/as_json.py",
        "journal/cap_message.py",
        "replay/answers.py",
    ),
}
"""Names that may be used in these files only."""

_CYTHON_IMPORT = re.compile(
    r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+(c?import)[ \t]+(\([^)]*\)|[^\n#]+)"
    r"|(c?import)[ \t]+([^\n#]+))",
    re.MULTILINE,
)


class Import(NamedTuple):
    """One module or name that a file imports, by its full dotted path."""

    path: Path
    line: int
    target: str
    is_cimport: bool = False


def faults(package: Path) -> list[str]:
    """Every arrow that goes up, and every name used out of its place; one line each."""
    found = []
    for path in sorted(package.rglob("*")):
        relative = path.relative_to(package)
        if path.suffix not in (".py", ".pyx", ".pxd", ".pxi") or relative.parts[0] == "v1":
            continue
        room = room_of(relative)
        if room not in KNOWS:
            found.append(f"{relative}: the room {room} is not in KNOWS")
            continue
        is_python = path.suffix == ".py"
        imports = list(python_imports(path) if is_python else cython_imports(path))
        for each in imports:
            problem = arrow_fault(room, each, package)
            if problem:
                found.append(f"{relative}:{each.line}: {problem}")
        if is_python:
            found += [f"{relative}:{line}: {fault}" for line, fault in place_faults(path, relative)]
    return found


def room_of(relative: Path) -> str:
    """The room of a file, by its path within the package."""
    first = relative.parts[0] if len(relative.parts) > 1 else relative.stem
    name = "atp" if first == "__init__" else first
    return ROOM_OF_MODULE.get(name, name)


def arrow_fault(room: str, each: Import, package: Path) -> str:
    """What is wrong with one import; empty when it may be."""
    parts = each.target.split(".")
    if parts[0] == "atp":
        target = room_of_target(parts, package)
        if target == room or target in KNOWS[room]:
            return ""
        return f"{room} may not know {target} ({each.target})"
    if room not in OUTSIDE or parts[0] in OUTSIDE[room]:
        return ""
    if not each.is_cimport and parts[0] in sys.stdlib_module_names and room != "engine":
        return ""
    return f"{room} may not import {each.target}"


def room_of_target(parts: list[str], package: Path) -> str:
    """The room that a dotted path within atp leads to."""
    if len(parts) == 1:
        return "atp"
    is_room = ROOM_OF_MODULE.get(parts[1], parts[1]) in KNOWS
    is_file = any((package / f"{parts[1]}{suffix}").exists() for suffix in ("", ".py", ".pyx"))
    return ROOM_OF_MODULE.get(parts[1], parts[1]) if is_room or is_file else "atp"


def python_imports(path: Path) -> Iterator[Import]:
    """Every import of a Python file, wherever it stands; relative ones resolved."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                module = ".".join(filter(None, ["atp", *folders_above(path, node.level), module]))
            for alias in node.names:
                yield Import(path, node.lineno, f"{module}.{alias.name}")


def folders_above(path: Path, level: int) -> list[str]:
    """Folders from the package down to where a relative import of `level` dots starts."""
    folders = list(path.parent.parts)
    inside = folders[len(folders) - folders[::-1].index("atp") :]
    return inside[: len(inside) - level + 1]


def cython_imports(path: Path) -> Iterator[Import]:
    """Every import and cimport of a Cython file."""
    text = path.read_text(encoding="utf-8")
    for match in _CYTHON_IMPORT.finditer(text):
        module, from_kind, names, plain_kind, plain = match.groups()
        line = text.count("\n", 0, match.start()) + 1
        for name in (names or plain).strip("() \n").split(","):
            bare = name.strip().split(" as ")[0].strip()
            if bare:
                target = f"{module}.{bare}" if module else bare
                yield Import(path, line, target, (from_kind or plain_kind) == "cimport")


def place_faults(path: Path, relative: Path) -> Iterator[tuple[int, str]]:
    """Uses of names that belong into other files: (line, what is wrong)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    aliases = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            aliases |= {alias.asname or alias.name: alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = dotted(node, aliases)
            for pattern, places in SOLE_PLACES.items():
                if re.fullmatch(pattern, name) and str(relative) not in places:
                    yield node.lineno, f"{name} belongs into {' or '.join(places)}"


def dotted(node: ast.expr, aliases: Mapping[str, str]) -> str:
    """The dotted path of a name as imported; what can't be followed is "?"."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value, aliases)}.{node.attr}"
    if isinstance(node, ast.Name):
        return aliases.get(node.id, "?")
    return "?"
