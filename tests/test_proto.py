"""The public schema: linted by buf, and its generated code as fresh as the protos.

Holds the committed code of atp.v1 to what the protos generate, byte for byte. Where buf can't be
had the lint is skipped with the reason in sight, never passed.
"""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE_FOLDER = ROOT / "src" / "atp" / "v1"


def load_tool(name: str) -> ModuleType:
    """Imports tools/NAME.py, which is a script folder and no package."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_generated_code_is_fresh(tmp_path: Path) -> None:
    generate_proto = load_tool("generate_proto")
    fresh = {path.name: path.read_bytes() for path in generate_proto.generate(tmp_path)}
    committed = {
        path.name: path.read_bytes() for path in generate_proto.generated_files(PACKAGE_FOLDER)
    }
    assert sorted(fresh) == sorted(committed)
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, "run python tools/generate_proto.py and commit src/atp/v1"


def test_generating_removes_the_code_of_a_proto_that_is_gone(tmp_path: Path) -> None:
    generate_proto = load_tool("generate_proto")
    left_over = tmp_path / "atp" / "v1" / "gone_service_pb2.py"
    left_over.parent.mkdir(parents=True)
    left_over.write_text("")
    generate_proto.generate(tmp_path)
    assert not left_over.exists()


def test_protos_pass_buf_standard_and_comments() -> None:
    result = lint_or_skip(ROOT / "proto")
    assert result.returncode == 0, result.stdout + result.stderr


def test_lint_finds_a_planted_fault(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "proto", tmp_path / "proto")
    planted = tmp_path / "proto" / "atp" / "v1" / "event.proto"
    with planted.open("a", encoding="utf-8") as proto:
        proto.write("\nmessage Uncommented { string camelCase = 1; }\n")
    result = lint_or_skip(tmp_path / "proto")
    assert result.returncode != 0
    assert "camelCase" in result.stdout
    assert "Uncommented" in result.stdout


def lint_or_skip(folder: Path):
    """Lints folder, or skips the calling test with the reason why buf can't be had."""
    lint_proto = load_tool("lint_proto")
    try:
        return lint_proto.lint(folder)
    except lint_proto.BufUnavailable as reason:
        pytest.skip(f"proto not linted: {reason}")
