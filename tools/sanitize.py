"""Runs the engine's tests under ThreadSanitizer, and under AddressSanitizer with UBSan.

Owns the builds under build/ and the environment that Python needs for them. A canary goes first: a
small program with a planted fault that the sanitizer must find, else it proves nothing here.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
EXIT = 66

RACE = """
#include <thread>
int shared;
int main() {
  std::thread one([] { for (int i = 0; i < 100000; ++i) ++shared; });
  for (int i = 0; i < 100000; ++i) ++shared;
  one.join();
}
"""
RACE_OF_LOOPS = """
#include <uv.h>
#include <thread>
int shared;
void on_idle(uv_idle_t* handle) {
  if (++shared % 1000 == 0) uv_idle_stop(handle);
}
void run() {
  uv_loop_t loop;
  uv_idle_t idle;
  uv_loop_init(&loop);
  for (int i = 0; i < 100; ++i) {
    uv_idle_init(&loop, &idle);
    uv_idle_start(&idle, on_idle);
    uv_run(&loop, UV_RUN_NOWAIT);
    uv_idle_stop(&idle);
    uv_run(&loop, UV_RUN_NOWAIT);
  }
}
int main() {
  std::thread one(run);
  run();
  one.join();
}
"""
"""A race within libuv's callbacks, as the front's would be: libuv isn't watched, they are."""
OVERFLOW = """
#include <cstdlib>
int main(int count, char**) {
  char* bytes = static_cast<char*>(std::malloc(8));
  bytes[8 * count] = 1;
  return bytes[0];
}
"""


class Flavour(NamedTuple):
    """One sanitizer build: what it is linked with, how it is told, and which tests it runs."""

    name: str
    libraries: tuple[str, ...]
    options: dict[str, str]
    canaries: tuple[tuple[str, tuple[str, ...]], ...]
    tests: tuple[str, ...]
    scale: float


FLAVOURS = (
    Flavour(
        "thread",
        ("libtsan.so",),
        {
            "TSAN_OPTIONS": f"suppressions={ROOT}/tools/suppress_thread.txt "
            f"exitcode={EXIT} report_thread_leaks=0 history_size=7"
        },
        ((RACE, ()), (RACE_OF_LOOPS, ("-luv",))),
        (
            "tests/test_threads.py",
            "tests/test_threads_arrays.py",
            "tests/test_histories.py",
            "tests/test_writer.py",
            "tests/test_read_ahead.py",
        ),
        1.0,
    ),
    Flavour(
        "address",
        ("libasan.so", "libubsan.so"),
        {
            "ASAN_OPTIONS": f"detect_leaks=0:exitcode={EXIT}:allocator_may_return_null=1",
            "UBSAN_OPTIONS": f"print_stacktrace=1:halt_on_error=1:exitcode={EXIT}",
        },
        ((OVERFLOW, ()),),
        (
            "tests/test_threads.py",
            "tests/test_threads_arrays.py",
            "tests/test_model_rules.py",
            "tests/test_malformed.py",
            "tests/test_execute.py",
            "tests/test_engine_bounds.py",
            "tests/test_histories.py",
            "tests/test_writer.py",
            "tests/test_writer_faults.py",
            "tests/test_apply.py",
            "tests/test_apply_refused.py",
            "tests/test_scan.py",
            "tests/test_read_ahead.py",
            "tests/test_load_wire.py",
        ),
        1.0,
    ),
)
SHORT_SCALE = 0.2


def without_shuffled_addresses() -> list[str]:
    """ThreadSanitizer needs places of its own in memory, which some kernels shuffle into."""
    return ["setarch", platform.machine(), "-R"]


def check_canary(flavour: Flavour) -> None:
    """The sanitizer finds planted faults, with the very options that the tests run under."""
    for source, libraries in flavour.canaries:
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "canary"
            code = program.with_suffix(".cpp")
            code.write_text(source)
            words = ["c++", f"-fsanitize={flavour.name}", "-g", "-pthread", str(code)]
            subprocess.run([*words, "-o", str(program), *libraries], check=True)
            command = [*without_shuffled_addresses(), str(program)]
            environment = {**os.environ, **flavour.options}
            found = subprocess.run(command, capture_output=True, check=False, env=environment)
        if found.returncode != EXIT:
            sys.exit(f"atp: the {flavour.name} sanitizer misses a planted fault: it proves nothing")


def build(flavour: Flavour) -> Path:
    """Builds the package into build/<flavour>/lib and returns that folder."""
    base = folder_of(flavour).parent
    command = [sys.executable, "setup.py", "-q", "build", "-j", "2"]
    command += ["--build-base", str(base), "--build-lib", str(base / "lib")]
    environment = {**os.environ, "ATP_SANITIZE": flavour.name, "ATP_PROFILE": ""}
    if flavour.name == "address":
        environment["ATP_FUZZ"] = "too"
    shutil.rmtree(base / "lib", ignore_errors=True)
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return base / "lib"


def folder_of(flavour: Flavour) -> Path:
    """Where the flavour's build is, or will be."""
    return ROOT / "build" / flavour.name / "lib"


def library(name: str) -> str:
    """Where the compiler keeps a sanitizer's library."""
    command = ["c++", f"-print-file-name={name}"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    if not Path(found).is_absolute():
        sys.exit(f"atp: {name} is missing: install the Debian package g++")
    return found


def environment_of(flavour: Flavour, folder: Path) -> dict[str, str]:
    """What Python needs in its environment to run on the flavour's build."""
    return {
        **os.environ,
        **flavour.options,
        "PYTHONPATH": str(folder),
        "LD_PRELOAD": " ".join(library(name) for name in flavour.libraries),
        "OPENBLAS_NUM_THREADS": "1",
    }


def run(flavour: Flavour, folder: Path, scale: float) -> int:
    """Runs the flavour's tests on its build."""
    environment = environment_of(flavour, folder)
    python = [*without_shuffled_addresses(), sys.executable]
    where = [*python, "-c", "import atp._core, atp._front; print(atp._front.__file__)"]
    found = subprocess.run(where, env=environment, check=True, capture_output=True, text=True)
    if not Path(found.stdout.strip()).is_relative_to(folder):
        sys.exit(f"atp: the tests would run on {found.stdout.strip()}, not on {folder}")
    command = [*python, "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", f"--thread-scale={scale}", *flavour.tests]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def main() -> None:
    """Exit status 0 when no sanitizer found anything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="smaller sizes, for every day")
    parser.add_argument("flavours", nargs="*", metavar="FLAVOUR", help="thread, address")
    arguments = parser.parse_args()
    for flavour in FLAVOURS:
        if arguments.flavours and flavour.name not in arguments.flavours:
            continue
        check_canary(flavour)
        scale = flavour.scale * (SHORT_SCALE if arguments.short else 1)
        print(f"atp: tests under the {flavour.name} sanitizer", flush=True)
        status = run(flavour, build(flavour), scale)
        if status:
            sys.exit(f"atp: the {flavour.name} sanitizer, or a test under it, failed ({status})")


if __name__ == "__main__":
    main()
