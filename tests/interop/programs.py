"""The programs of others that the tests run: found, or built once into build/interop.

A missing one fails the test that needs it, with the package to install; nothing is skipped. What is
built is named by a hash of its sources, so that it is built again when they change.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import google.rpc
import pytest

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parent.parent
BUILD = ROOT / "build" / "interop"
PROTO_FOLDER = ROOT / "proto"
GOOGLE_FOLDER = Path(next(iter(google.rpc.__path__))).parent.parent
"""Has google/rpc/*.proto, as installed with googleapis-common-protos."""
GOOGLE_PROTOS = ("status.proto", "error_details.proto")
PACKAGES = {
    "c++": "g++",
    "curl": "curl",
    "grpc_cpp_plugin": "protobuf-compiler-grpc",
    "h2load": "nghttp2-client",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "node": "nodejs",
    "npm": "npm",
    "pkg-config": "pkg-config",
    "protoc": "protobuf-compiler",
}
"""Programs and the Debian packages that have them."""
SYSTEM_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")
BUILD_SECONDS_MAX = 300.0


def program(name: str) -> str:
    """Its path. Fails the test when it is not on this machine."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS))
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(f"no {name}: install the Debian package {PACKAGES[name]}", pytrace=False)
    return found


def node_client() -> list[str]:
    """The command of the client on Node.js, less the address; its packages are installed once."""
    folder = FOLDER / "node"
    wanted = node_packages(folder / "package-lock.json")
    if node_packages(folder / "node_modules" / ".package-lock.json") != wanted:
        run([program("npm"), "ci", "--no-audit", "--no-fund"], cwd=folder)
    return [program("node"), str(folder / "client.js")]


def node_packages(lock: Path) -> dict[str, str]:
    """Versions of the packages in a lock file of npm, which also tells what is installed."""
    if not lock.exists():
        return {}
    packages = json.loads(lock.read_text(encoding="utf-8"))["packages"]
    return {name: package["version"] for name, package in packages.items() if name}


def cpp_client() -> list[str]:
    """The command of the client in C++, less the address; it is compiled once."""
    main = FOLDER / "cpp" / "client.cc"
    protos = [
        *with_imports(PROTO_FOLDER, "atp/v1/reservation_service.proto"),
        FOLDER / "driver.proto",
        *(GOOGLE_FOLDER / "google" / "rpc" / name for name in GOOGLE_PROTOS),
    ]
    built = BUILD / f"client-{content_hash([main, *protos])}"
    if not built.exists():
        BUILD.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=BUILD) as folder:
            compiled = compile_client(Path(folder), protos, main)
            compiled.replace(built)  # at once, for whoever builds it at the same time
    return [str(built)]


def with_imports(folder: Path, name: str) -> list[Path]:
    """A proto of the folder, after all that it imports from there."""
    text = (folder / name).read_text(encoding="utf-8")
    imported = re.findall(r'^import "([^"]+)";', text, re.MULTILINE)
    before = [
        path for each in imported if (folder / each).exists() for path in with_imports(folder, each)
    ]
    return list(dict.fromkeys([*before, folder / name]))


def compile_client(folder: Path, protos: list[Path], main: Path) -> Path:
    """Generates the code of the protos, compiles all in the folder, and links."""
    include = [f"-I{path}" for path in (PROTO_FOLDER, GOOGLE_FOLDER, FOLDER)]
    plugin = f"--plugin=protoc-gen-grpc={program('grpc_cpp_plugin')}"
    outputs = [f"--cpp_out={folder}", f"--grpc_out={folder}", plugin]
    run([program("protoc"), *include, *outputs, *map(str, protos)])
    sources = [main, *(path for path in folder.rglob("*.cc") if path.stat().st_size > 2_000)]
    compiler, objects = program("c++"), [folder / f"{index}.o" for index in range(len(sources))]
    flags = ["-std=c++17", "-O0", f"-I{folder}", "-c"]

    def compile_one(source: Path, into: Path) -> None:
        run([compiler, *flags, str(source), "-o", str(into)])

    with ThreadPoolExecutor(os.cpu_count()) as workers:
        list(workers.map(compile_one, sources, objects))
    libraries = run([program("pkg-config"), "--libs", "grpc++", "protobuf"]).split()
    made = folder / "client"
    run([compiler, *map(str, objects), "-o", str(made), *libraries, "-pthread"])
    return made


def content_hash(paths: Iterable[Path]) -> str:
    """Names what is made of these files."""
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()[:16]


def run(command: list[str], cwd: Path | None = None) -> str:
    """Runs a step of a build to its end; its stdout. Fails the test with what it said."""
    done = subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=BUILD_SECONDS_MAX,
    )
    if done.returncode:
        told = f"{done.stdout[-2_000:]}\n{done.stderr[-4_000:]}"
        pytest.fail(f"{' '.join(command[:2])} ended with {done.returncode}:\n{told}", pytrace=False)
    return done.stdout
