"""The tree is tidy, the engine's typed face is true, and the checks of both can fail.

Reads the files that git knows; what is new and not yet known is not looked at.
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import types
from pathlib import Path

import pytest

import tidy
from atp.settings import OTHER_VARIABLES, SETTINGS, variable_name

ROOT = Path(__file__).resolve().parent.parent
LEFTOVER = "TO" + "DO"
STUB = ROOT / "src" / "atp" / "_core.pyi"


def known_files() -> list[str]:
    """Paths of every file that git knows and that is there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def test_the_tree_is_tidy() -> None:
    files = known_files()
    assert "src/atp/vocabulary.py" in files
    assert tidy.faults(ROOT, files) == []


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("a.py", '"""Head."""\n' + "x = 1\n" * 400, "a.py: 401 lines; at most 400"),
        ("a.py", "# Head.\nx = '" + "y" * 95 + "'\n", "a.py:2: 101 characters; at most 100"),
        ("a.py", "# Head.\nx = 1 \n", "a.py:2: ends in blanks"),
        ("a.py", "# Head.\nx = 1", "a.py: the last line has no end"),
        ("a.py", f"# {LEFTOVER}: Head.\n", f"a.py:1: {LEFTOVER} left over: do it, or file it"),
        ("a.py", "x = 1\n", "a.py:1: says at its top neither what it owns nor what it refuses"),
        ("a.sh", "#!/bin/sh\nset -e\n", "a.sh:1: says at its top neither what it owns"),
        (
            "a.py",
            '"""Head."""\n\n\ndef f():\n' + "    x = 1\n" * 60,
            "a.py:4: f has 61 lines; at most 60",
        ),
        (
            "a.pxd",
            "# Head.\ncdef inline int f(\n    int a,\n) noexcept nogil:\n"
            + "    a += 1\n\n" * 29
            + "    return a\n\n\ncdef int g() noexcept nogil:\n    return 1\n",
            "a.pxd:2: cdef inline int f has 62 lines; at most 60",
        ),
        (
            "a.pyx",
            "# Head.\ncdef class A:\n    def f(self, a={'(': 1}):\n" + "        x = 1\n" * 60,
            "a.pyx:3: def f has 61 lines; at most 60",
        ),
        ("a.md", "[here](nowhere.md#part)\n", "a.md:1: the link to nowhere.md leads nowhere"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, name: str, text: str, fault: str) -> None:
    (tmp_path / name).write_text(text)
    found = tidy.faults(tmp_path, [name])
    assert len(found) == 1
    assert found[0].startswith(fault)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", '"""Head."""\n\n\ndef f():\n' + "    x = 1\n" * 59),
        (
            "a.pxd",
            "# Head.\ncdef int f(int a) noexcept nogil:\n" + "    a += 1\n" * 59 + "# End.\n",
        ),
        ("a.pyx", "# Head.\ncdef extern from 'a.h':\n    int f(int a)\n" + "    int g()\n" * 70),
        ("a.md", "y" * 200 + "\n[a](a.md#here) [b](https://example.com/c) [d](#e)\n"),
        ("a.json", "x" * 200),
    ],
)
def test_what_is_tidy_is_let_be(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert tidy.faults(tmp_path, [name]) == []


def test_generated_code_alone_is_left_out() -> None:
    assert not tidy.is_checked("src/atp/v1/cap_service_pb2_grpc.py")
    assert tidy.is_checked("src/atp/v1/__init__.py")
    assert tidy.is_checked("src/atp/engine/stock.pxd")


def test_every_variable_that_the_code_names_is_known() -> None:
    known = OTHER_VARIABLES | {variable_name(setting) for setting in SETTINGS.values()}
    named = set()
    for path in (*(ROOT / "src").rglob("*.py"), ROOT / "setup.py"):
        named |= set(re.findall(r"\"(ATP_[A-Z_]*[A-Z])\"", path.read_text(encoding="utf-8")))
    assert "ATP_CONFIG" in named
    assert named <= known, "a server would refuse to start with it in its environment"


# The stub against the module.


def stub_faults(stub: str, module: types.ModuleType) -> list[str]:
    """What the typed face says that the module does not have, and the other way round."""
    tree = ast.parse(stub)
    declared = {name for node in tree.body for name in names_of(node)}
    public = {
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and belongs_to(value, module)
    }
    found = [f"{name} is in the stub alone" for name in sorted(declared - set(vars(module)))]
    found += [f"{name} is in the module alone" for name in sorted(public - declared)]
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in vars(module):
            found += class_faults(node, getattr(module, node.name))
        elif isinstance(node, ast.FunctionDef) and node.name in vars(module):
            found += signature_faults(node.name, node, getattr(module, node.name))
    return found


def names_of(node: ast.stmt) -> list[str]:
    """Names that one statement of a stub declares."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return [node.target.id]
    return []


def belongs_to(value: object, module: types.ModuleType) -> bool:
    """True for what the module defines itself: not for its imports."""
    if isinstance(value, types.ModuleType):
        return False
    return getattr(value, "__module__", module.__name__) == module.__name__


def class_faults(node: ast.ClassDef, kind: type) -> list[str]:
    declared = {entry.name: entry for entry in node.body if isinstance(entry, ast.FunctionDef)}
    public = {name for name in vars(kind) if not name.startswith("_")}
    found = [
        f"{node.name}.{name} is in the stub alone"
        for name in sorted(set(declared) - public - {"__init__"})
    ]
    found += [
        f"{node.name}.{name} is in the module alone" for name in sorted(public - set(declared))
    ]
    for name in sorted(public & set(declared)):
        found += signature_faults(f"{node.name}.{name}", declared[name], vars(kind)[name])
    if "__init__" in declared:
        found += constructor_faults(f"{node.name}.__init__", declared["__init__"], kind)
    return found


def constructor_faults(name: str, node: ast.FunctionDef, kind: type) -> list[str]:
    """As signature_faults; a constructor that does not tell its own is asked, word by word."""
    try:
        inspect.signature(kind)
    except (TypeError, ValueError):
        words = [argument.arg for argument in node.args.kwonlyargs]
        assert not takes(kind, "no_such_word"), "asking tells nothing"
        return [f"{name}: the module takes no {word}" for word in words if not takes(kind, word)]
    return signature_faults(name, node, kind)


def takes(kind: type, word: str) -> bool:
    """True when the constructor knows the keyword, whatever it makes of its value."""
    try:
        kind(**{word: object()})
    except (TypeError, ValueError) as refused:
        return "unexpected keyword" not in str(refused)
    return True


def signature_faults(name: str, node: ast.FunctionDef, function: object) -> list[str]:
    """Compares the names and kinds of parameters, and which have a default."""
    try:
        signature = inspect.signature(function)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return [f"{name}: the module does not tell its signature"]
    real = [
        (parameter.name, parameter.kind is parameter.KEYWORD_ONLY, has_default(parameter))
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    arguments = node.args
    without = len(arguments.args) - len(arguments.defaults)
    declared = [
        (argument.arg, False, index >= without)
        for index, argument in enumerate(arguments.args)
        if argument.arg != "self"
    ]
    declared += [
        (argument.arg, True, default is not None)
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return [] if real == declared else [f"{name}: the stub has {declared}, the module {real}"]


def has_default(parameter: inspect.Parameter) -> bool:
    return parameter.default is not inspect.Parameter.empty


def test_the_typed_face_is_that_of_the_compiled_module() -> None:
    from atp import _core  # noqa: PLC0415 - the other tests here need no engine

    assert stub_faults(STUB.read_text(encoding="utf-8"), _core) == []


def test_a_stub_that_is_not_true_is_found_out() -> None:
    module = types.ModuleType("planted")
    source = """
class Engine:
    def __init__(self, *, size=1): ...
    def reserve(self, lines, *, now_ns, ttl_ns=None): ...
    def sweep(self): ...
def load(path): ...
LIMITS = {}
"""
    exec(source, vars(module))
    true = """
class Engine:
    def __init__(self, *, size: int = ...) -> None: ...
    def reserve(self, lines: list, *, now_ns: int, ttl_ns: int | None = None) -> int: ...
    def sweep(self) -> None: ...
def load(path: str) -> None: ...
LIMITS: dict
"""
    assert stub_faults(true, module) == []
    for old, new, fault in (
        ("now_ns: int", "time_ns: int", "Engine.reserve: the stub has"),
        ("ttl_ns: int | None = None", "ttl_ns: int", "Engine.reserve: the stub has"),
        ("lines: list, *,", "lines: list,", "Engine.reserve: the stub has"),
        ("size: int", "bytes: int", "Engine.__init__: the stub has"),
        ("    def sweep(self) -> None: ...\n", "", "Engine.sweep is in the module alone"),
        ("def sweep", "def clean", "Engine.clean is in the stub alone"),
        ("LIMITS: dict\n", "", "LIMITS is in the module alone"),
        ("LIMITS:", "BOUNDS:", "BOUNDS is in the stub alone"),
        ("def load(path", "def load(file", "load: the stub has"),
    ):
        assert old in true
        assert fault in "\n".join(stub_faults(true.replace(old, new), module)), fault
