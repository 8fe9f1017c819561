"""Imports go downward only, and the checker that says so can fail.

Each fault that layers.py is there to find is planted in a tree of its own.
"""

from __future__ import annotations

from pathlib import Path

import pytest

import layers

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "atp"


def test_every_arrow_of_the_package_goes_down() -> None:
    assert layers.faults(PACKAGE) == []


def test_the_engine_and_its_face_are_among_what_is_read() -> None:
    read = {
        (layers.room_of(path.relative_to(PACKAGE)), each.target.rpartition(".")[0])
        for path in PACKAGE.rglob("*.p[yx][xdi]")
        for each in layers.cython_imports(path)
    }
    assert ("engine", "atp.engine.layout") in read
    assert ("engine", "libc.stdint") in read
    assert ("_core", "atp.engine.reserve") in read


def test_no_room_knows_itself_by_way_of_others() -> None:
    settled: set[str] = set()
    while left := set(layers.KNOWS) - settled - {"atp"}:
        # The package itself offers the client, late, and a version; so it is no room below others.
        lowest = {room for room in left if layers.KNOWS[room] - {"atp"} <= settled}
        assert lowest, f"these know each other in a circle: {sorted(left)}"
        settled |= lowest


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("vocabulary.py", "import atp.settings", "vocabulary may not know settings"),
        ("vocabulary.py", "import numpy", "vocabulary may not import numpy"),
        ("client/calls.py", "from atp import settings", "client may not know settings"),
        ("client/calls.py", "from atp.server import app", "client may not know server"),
        ("client/calls.py", "from ..server import app", "client may not know server"),
        ("client/calls.py", "from .. import _core", "client may not know _core"),
        ("client/calls.py", "def f():\n    import click", "client may not import click"),
        ("server/app.py", "import atp.client.sync as sync", "server may not know client"),
        ("server/app.py", "from atp.cli.serve import serve", "server may not know cli"),
        ("server/app.py", "from atp import client", "server may not know client"),
        ("setting_values.py", "from atp.clock import Clock", "settings may not know clock"),
        ("engine/stock.pxd", "from atp._core cimport Engine", "engine may not know _core"),
        ("engine/stock.pxd", "cimport numpy as cnp", "engine may not import numpy"),
        ("engine/stock.pxd", "from libc.stdint cimport x\nimport os", "engine may not import os"),
        (
            "engine/stock.pxd",
            "from cpython.unicode cimport (\n    a, b,\n)",
            "engine may not import cpython.unicode.a",
        ),
        ("engine/stock.pxd", "from atp cimport server", "engine may not know server"),
        ("_core.pyx", "from atp.server import convert", "_core may not know server"),
        ("core/asking.pxi", "from posix.time cimport clock", "_core may not import posix.time"),
        ("cli/show.py", "from atp._core import Engine", "cli may not know _core"),
        ("attic.py", "", "the room attic is not in KNOWS"),
        ("server/app.py", "import time\ntime.monotonic()", "time.monotonic belongs into"),
        ("server/app.py", "from time import time_ns as now\nnow()", "time.time_ns belongs into"),
        ("server/app.py", "import random as r\nr.random()", "random.random belongs into"),
        ("server/app.py", "import os\nos.environ['A']", "os.environ belongs into settings.py"),
        ("server/app.py", "from os import getenv\ngetenv('A')", "os.getenv belongs into"),
        ("server/app.py", "import uuid\nuuid.uuid4()", "uuid.uuid4 belongs into"),
        (
            "server/app.py",
            "from datetime import datetime\ndatetime.now()",
            "datetime.datetime.now belongs into",
        ),
        ("server/edge.py", "request.HasField('cap')", "?.HasField belongs into"),
    ],
)
def test_a_planted_fault_is_found(tmp_path: Path, file: str, text: str, fault: str) -> None:
    planted = tmp_path / "atp" / file
    planted.parent.mkdir(parents=True)
    planted.write_text(text + "\n")
    found = layers.faults(tmp_path / "atp")
    assert found, "nothing was found"
    assert all(line.startswith(file) for line in found)
    assert fault in found[0]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("__init__.py", "def f():\n    from atp import client"),
        ("vocabulary.py", "from enum import IntEnum"),
        ("client/calls.py", "import grpc\nfrom atp.v1 import x\nfrom .retry import y"),
        ("server/app.py", "from atp import __version__\nfrom atp._core import Engine"),
        ("engine/stock.pxd", "from libc.stdint cimport int64_t\nfrom atp.engine.native cimport x"),
        ("_core.pyx", "import numpy as np\nfrom atp import vocabulary as words"),
        ("clock.py", "import time\ntime.monotonic()"),
        ("server/app.py", "import numpy as np\nnp.random.Generator()\nimport time\ntime.gmtime()"),
        ("cli/serve.py", "import os\nfrom atp.server import app\nos.getpid()"),
    ],
)
def test_what_is_allowed_is_let_be(tmp_path: Path, file: str, text: str) -> None:
    planted = tmp_path / "atp" / file
    planted.parent.mkdir(parents=True, exist_ok=True)
    planted.write_text(text + "\n")
    assert layers.faults(tmp_path / "atp") == []
