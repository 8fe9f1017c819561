"""Fuzzes the native front: random and bent bytes at the socket, at HTTP/2's frames, at gRPC's
framing and at protobuf, in rounds of one process each.

Owns the plan (what is fuzzed and how often), the children that do it, and how a failure is told:
the input, and the one command that repeats the round. The files beside draw and check.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / "build" / "fuzz"
HANG_SECONDS = 60.0


class Kind(NamedTuple):
    """What is fuzzed, its share of all inputs, and how many go into a round."""

    name: str
    share: float
    round_inputs: int
    what: str


KINDS = (
    Kind("protobuf", 0.46, 100_000, "bent messages to the judge"),
    Kind("canonical", 0.06, 60_000, "the front's reader against protobuf's own runtime"),
    Kind("bytes", 0.12, 60_000, "random and bent bytes to a connection"),
    Kind("frames", 0.12, 60_000, "bent HTTP/2 frames to a connection"),
    Kind("framing", 0.12, 60_000, "bent gRPC framing to a connection"),
    Kind("calls", 0.12, 60_000, "bent messages to a connection"),
)
NATIVE = {"protobuf": 0, "bytes": 1, "frames": 2, "framing": 3, "calls": 4}
FULL_INPUTS = 10_000_000
SHORT_INPUTS = 250_000


class Round(NamedTuple):
    """One child's work."""

    kind: str
    number: int
    inputs: int


def plan(inputs: int) -> Iterator[Round]:
    """The rounds of a run, kind after kind in turn."""
    left = {kind.name: round(inputs * kind.share) for kind in KINDS}
    number: Counter[str] = Counter()
    while any(left.values()):
        for kind in KINDS:
            some = min(left[kind.name], kind.round_inputs)
            if some:
                yield Round(kind.name, number[kind.name], some)
                left[kind.name] -= some
                number[kind.name] += 1


def command(each: Round, seed: int, arguments: argparse.Namespace) -> list[str]:
    """The one command that does a round again."""
    words = [f"--kind={each.kind}", f"--seed={seed}", f"--round={each.number}"]
    words += [f"--inputs={each.inputs}", *(["--sanitized"] if arguments.sanitized else [])]
    return ["python", str(Path(__file__).relative_to(ROOT)), *words]


class Failure(Exception):
    """A round that failed, told in full."""


def run_round(
    each: Round, seed: int, arguments: argparse.Namespace, environment: dict[str, str]
) -> dict[str, float]:
    """Does one round in a child; raises Failure."""
    note = OUT / f"input-{each.kind}-{seed}-{each.number}"
    OUT.mkdir(parents=True, exist_ok=True)
    words = [*arguments.prefix, sys.executable, __file__, "--child", f"--note={note}"]
    words += [f"--kind={each.kind}", f"--seed={seed}", f"--round={each.number}"]
    process = subprocess.Popen(
        [*words, f"--inputs={each.inputs}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    with process:
        hangs = not ends(process, note)
        if hangs:
            process.kill()
        out, errors = process.communicate()
    if process.returncode == 0:
        note.unlink(missing_ok=True)
        return dict(json.loads(out))
    why = "hangs" if hangs else f"ended with {process.returncode}"
    raise Failure(
        f"atp: fuzzing {each.kind} {why}\n{errors[-6000:]}\n{told_input(note)}\n"
        f"to reproduce: {' '.join(command(each, seed, arguments))}"
    )


def ends(process: subprocess.Popen[str], note: Path) -> bool:
    """Waits for the child; False when it has stayed with one input for a minute."""
    seen, since = b"", time.monotonic()
    while True:
        try:
            # Its last words are few, so that it never waits for them to be read.
            process.wait(timeout=2)
            return True
        except subprocess.TimeoutExpired:
            now = note.read_bytes()[:8] if note.exists() else b""
            if now != seen:
                seen, since = now, time.monotonic()
            elif time.monotonic() - since > HANG_SECONDS:
                return False


def told_input(note: Path) -> str:
    """The input that was under way, from the file that the child left."""
    if not note.exists() or note.stat().st_size < 24:
        return "no input was noted"
    head = note.read_bytes()[:100_000]
    number, method, size = struct.unpack_from("<qqq", head)
    return f"input {number}, method {method}, {size} bytes in {note}: {head[24 : 24 + size].hex()}"


def child(arguments: argparse.Namespace) -> None:
    """One round, in this process."""
    sys.path[:0] = [str(HERE)]
    import child as work  # noqa: PLC0415  # needs the compiled unit, which the parent may lack

    kind = arguments.kind
    name = f"{kind} {arguments.seed} {arguments.round}"
    seed = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())
    seen = work.fuzz(kind, NATIVE.get(kind, 0), seed, arguments.inputs, arguments.note)
    if seen["leak"]:
        sys.exit(f"every run over the same inputs leaves {seen['leak']} more bytes allocated")
    print(json.dumps(seen))


def environment_of(arguments: argparse.Namespace) -> dict[str, str]:
    """Builds what is needed; what a child must find in its environment."""
    sys.path[:0] = [str(HERE.parent)]
    import sanitize  # noqa: PLC0415  # a script beside, not a package

    arguments.prefix = []
    if arguments.sanitized:
        flavour = next(each for each in sanitize.FLAVOURS if each.name == "address")
        folder = sanitize.folder_of(flavour) if arguments.no_build else sanitize.build(flavour)
        arguments.prefix = sanitize.without_shuffled_addresses()
        return sanitize.environment_of(flavour, folder)
    if not arguments.no_build:
        words = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", str(OUT)]
        subprocess.run(
            words, cwd=ROOT, check=True, env={**os.environ, "ATP_FUZZ": "alone", "ATP_PROFILE": ""}
        )
    return {**os.environ, "PYTHONPATH": f"{OUT}:{ROOT / 'src'}", "OPENBLAS_NUM_THREADS": "1"}


def parent(arguments: argparse.Namespace) -> None:
    """All rounds, as many at once as there are cores; the counts at the end."""
    seed = arguments.seed if arguments.seed is not None else secrets.randbits(32)
    total = arguments.inputs or (SHORT_INPUTS if arguments.short else FULL_INPUTS)
    rounds = list(plan(total))
    if arguments.kind:
        number = arguments.round or 0
        rounds = [Round(arguments.kind, number, total)]
    environment = environment_of(arguments)
    sums: dict[str, Counter[str]] = {}
    began = time.monotonic()
    print(f"atp: fuzzing with seed {seed}: {total:,} inputs in {len(rounds)} rounds", flush=True)
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        work = {pool.submit(run_round, r, seed, arguments, environment): r for r in rounds}
        todo = set(work)
        while todo:
            done, todo = wait(todo, return_when=FIRST_COMPLETED)
            for each in done:
                if each.exception() is not None:
                    pool.shutdown(wait=False, cancel_futures=True)
                    sys.exit(str(each.exception()))
                kind = work[each].kind
                sums.setdefault(kind, Counter()).update(each.result())
    for kind in KINDS:
        if kind.name in sums:
            told = "  ".join(f"{name} {sums[kind.name][name]:,.0f}" for name in sums[kind.name])
            print(f"{kind.name:10} {told}  ({kind.what})")
    inputs = sum(int(each["inputs"]) for each in sums.values())
    seconds = time.monotonic() - began
    print(f"atp: {inputs:,} inputs in {seconds:.0f} s, seed {seed}: nothing found")


def main() -> None:
    """Exit status 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, help="of all kinds, or of the round asked for")
    parser.add_argument("--short", action="store_true", help="a small run, for every day")
    parser.add_argument("--sanitized", action="store_true", help="under AddressSanitizer and UBSan")
    parser.add_argument("--no-build", action="store_true", help="with what was built before")
    parser.add_argument("--kind", choices=[kind.name for kind in KINDS], help="this kind alone")
    parser.add_argument("--seed", type=int, help="drawn, and told, when not given")
    parser.add_argument("--round", type=int, help="this round alone; needs --kind")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--note", type=str, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments)
    else:
        parent(arguments)


if __name__ == "__main__":
    main()
