"""Generates src/atp/v1 from proto/atp/v1 with the protoc of grpcio-tools.

Owns every *_pb2.py, *_pb2.pyi and *_pb2_grpc.py there and touches nothing else; a file of a proto
that is gone goes too. The pinned grpcio-tools makes the bytes reproducible, which
tests/test_proto.py uses to say when the committed code is stale.
Run: python tools/generate_proto.py
"""

from __future__ import annotations

import argparse
import sys
from importlib.resources import files
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
PROTO_FOLDER = ROOT / "proto"
OUTPUT_FOLDER = ROOT / "src"
GENERATED_PATTERNS = ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")


def generate(output_folder: Path) -> list[Path]:
    """Writes the generated code under output_folder; returns its files, sorted.

    Raises RuntimeError when protoc refuses a proto (it has said why on stderr).
    """
    protos = sorted(PROTO_FOLDER.glob("atp/v1/*.proto"))
    package_folder = output_folder / "atp" / "v1"
    package_folder.mkdir(parents=True, exist_ok=True)
    for stale in generated_files(package_folder):
        stale.unlink()
    arguments = [
        "protoc",
        f"--proto_path={PROTO_FOLDER}",
        f"--proto_path={files('grpc_tools') / '_proto'}",
        f"--python_out={output_folder}",
        f"--pyi_out={output_folder}",
        f"--grpc_python_out={output_folder}",
        *map(str, protos),
    ]
    if protoc.main(arguments) != 0:
        raise RuntimeError("protoc refused a proto; its own words are above")
    for proto in protos:
        if "\nservice " not in proto.read_text(encoding="utf-8"):
            # protoc writes a file of imports alone for a proto without a service.
            (package_folder / f"{proto.stem}_pb2_grpc.py").unlink()
    return generated_files(package_folder)


def generated_files(package_folder: Path) -> list[Path]:
    """The generated files in package_folder, sorted."""
    return sorted(path for pattern in GENERATED_PATTERNS for path in package_folder.glob(pattern))


def main() -> int:
    """Generates into src/ or where --output says; returns the exit status."""
    parser = argparse.ArgumentParser(description="Generate src/atp/v1 from proto/atp/v1.")
    parser.add_argument("--output", type=Path, default=OUTPUT_FOLDER, help="folder to write under")
    for path in generate(parser.parse_args().output):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
