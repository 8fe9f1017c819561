"""Builds the native engine, and nothing else; the rest of the project is in pyproject.toml.

Flavours, by environment: ATP_DEBUG=1 (costly checks, -O0), ATP_SANITIZE=thread|address (the latter
with undefined behaviour), ATP_ANNOTATE=1 (Cython's annotated HTML), ATP_PROFILE=record|use (the two
passes of tools/build_native.py), ATP_PROFILE=skip (nothing native at all), ATP_FUZZ=too|alone (the
fuzzers' unit of tools/fuzz_front as well, or nothing else).
"""

import os
import shutil
import subprocess
import sys
from glob import glob

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

HEADERS = {
    "tsl/robin_map.h": "robin-map-dev",
    "xxhash.h": "libxxhash-dev",
    "protozero/pbf_writer.hpp": "libprotozero-dev",
    "uv.h": "libuv1-dev",
    "nghttp2/nghttp2.h": "libnghttp2-dev",
    "openssl/ssl.h": "libssl-dev",
}
FRONT_LIBRARIES = ("uv", "nghttp2", "ssl", "crypto")
PROFILES = {
    "": [],
    "record": ["-fprofile-generate", "-fprofile-update=atomic", "-Wno-maybe-uninitialized"],
    "use": [
        "-fprofile-use",
        "-fprofile-correction",
        "-Wno-missing-profile",
        "-Wno-maybe-uninitialized",  # seen wrongly, in what Cython generates
    ],
}
SANITIZERS = {"": [], "thread": ["thread"], "address": ["address", "undefined"]}


def check_headers() -> None:
    """Name what is missing, and the package that has it, in one line."""
    compiler = os.environ.get("CXX", "g++").split()[0]
    if shutil.which(compiler) is None:
        sys.exit(f"atp: no C++ compiler: install the Debian package g++ ({compiler} was not found)")
    missing = [
        (header, package)
        for header, package in HEADERS.items()
        if subprocess.run(
            [compiler, "-E", "-x", "c++", "-", "-o", os.devnull],
            input=f"#include <{header}>\n",
            text=True,
            capture_output=True,
            check=False,
        ).returncode
    ]
    if missing:
        packages = " ".join(package for _, package in missing)
        names = ", ".join(header for header, _ in missing)
        sys.exit(f"atp: missing headers ({names}): install the Debian packages {packages}")


def native(name: str, folders: tuple[str, ...], libraries: tuple[str, ...] = ()) -> Extension:
    """One compiled unit: its .pyx and the cimport-only modules and headers in these folders."""
    debug = os.environ.get("ATP_DEBUG") == "1"
    sanitizers = SANITIZERS[os.environ.get("ATP_SANITIZE", "")]
    flags = ["-std=c++20", "-Wall", "-Wextra", "-Wno-unused-parameter", "-g1"]
    flags += ["-Wno-unused-function", "-Wno-missing-field-initializers", "-Wno-cpp"]
    flags += ["-fvisibility=hidden"]  # what headers define is called directly, and inlined
    flags += ["-Wno-sign-compare", "-Wno-array-bounds", "-Wno-ignored-qualifiers"]
    profile = PROFILES[os.environ.get("ATP_PROFILE", "")]
    flags += ["-O0", "-DATP_DEBUG"] if debug else ["-O3", "-DNDEBUG"]
    flags += [f"-fsanitize={name}" for name in sanitizers]
    if sanitizers:
        flags += ["-fno-omit-frame-pointer", "-O1"]
    return Extension(
        name,
        sources=[f"src/{name.replace('.', '/')}.pyx"],
        depends=[
            path
            for folder in ("engine", *folders)
            for suffix in ("pxi", "pxd", "h")
            for path in glob(f"src/atp/{folder}/*.{suffix}")
        ],
        include_dirs=["src", numpy.get_include()],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
        extra_compile_args=flags + profile,
        extra_link_args=[f"-fsanitize={name}" for name in sanitizers] + profile[:1],
        libraries=list(libraries),
        language="c++",
    )


def fuzzers() -> Extension:
    """The front once more, with a count of the ways through it and the loops that feed it."""
    unit = native("fuzz_front", ("journal", "front"), FRONT_LIBRARIES)
    unit.sources = ["tools/fuzz_front/fuzz_front.pyx"]
    unit.depends += glob("tools/fuzz_front/*.[hp]*")
    unit.include_dirs.append("tools/fuzz_front")
    unit.extra_compile_args += ["-fsanitize-coverage=trace-pc", "-O2"]
    return unit


def units() -> list[Extension]:
    """All compiled units that were asked for."""
    fuzz = os.environ.get("ATP_FUZZ", "")
    if fuzz == "alone":
        return [fuzzers()]
    return [
        native("atp._core", ("core",)),
        native("atp.journal._native", ("journal", "journal/native")),
        native("atp._front", ("journal", "front"), FRONT_LIBRARIES),
        native("atp.load._native", ("load",), ("nghttp2", "ssl", "crypto")),
        native("atp.audit._native", ("audit",)),
        native("atp.report._native", ("report",)),
        *([fuzzers()] if fuzz == "too" else []),
    ]


if os.environ.get("ATP_PROFILE") == "skip":
    setup()
    sys.exit()
if not {"egg_info", "dist_info", "sdist", "clean"} & set(sys.argv):
    check_headers()
setup(
    ext_modules=cythonize(
        units(),
        nthreads=2,
        include_path=["src"],
        annotate=os.environ.get("ATP_ANNOTATE") == "1",
        compiler_directives={
            "language_level": 3,
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "freethreading_compatible": False,
            "show_performance_hints": False,
        },
    )
)
