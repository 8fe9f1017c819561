"""Kills a server again and again, in every way, and counts what it lost; spoils every byte it left.

Owns the options and the exit status: 0 when nothing was lost, invented or wrong. How it is done is
in tests/crash. A failure names the one command that does the same again, and where the data is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from random import SystemRandom

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # each killed server is an error to it

from crash import campaign, disk_faults, every_byte  # noqa: E402 - found by the lines above
from crash.judge import INVENTED, LOST, WRONG, Finding  # noqa: E402
from crash.kills import BY_NAME, KINDS  # noqa: E402
from specimen import make, take_snapshots  # noqa: E402

KILLS = 200
MEMORY = Path("/dev/shm")
COMMANDS, SEED = 70, 3


def say(line: str) -> None:
    """One line, at once."""
    print(line, flush=True)


def run_kills(kills: int, seed: int, only: str | None) -> list[str]:
    """Servers killed under load; returns what failed, as told."""
    say(f"kills: {kills}, seed {seed}")
    kinds = (BY_NAME[only],) if only else KINDS
    totals, failures = campaign.run(kills, seed, kinds, say=say)
    say(campaign.table(totals))
    together = campaign.whole(totals)
    figures = (together.number(kind) for kind in (LOST, INVENTED, WRONG))
    lost, invented, wrong = figures
    say(
        f"kills {together.kills}, acknowledged {together.acknowledged},"
        f" lost {lost}, invented {invented}, wrong {wrong}"
    )
    return failures


def run_disk() -> list[str]:
    """A fault of the file system at each call of a run."""
    folder = Path(tempfile.mkdtemp(prefix="atp-crash-disk-"))
    calls = disk_faults.census(folder / "census")
    faults = list(disk_faults.all_faults(calls))
    say(f"disk: {len(faults)} faults, one at each of these calls: {dict(calls)}")
    findings: list[Finding] = []
    for number, fault in enumerate(faults, 1):
        findings += disk_faults.suffer(folder / str(number), fault)
        if number % 50 == 0 or number == len(faults):
            say(f"disk: {number} of {len(faults)}, {len(findings)} findings")
    return told(folder, findings)


def run_bytes() -> list[str]:
    """Every byte cut off, every bit flipped."""
    folder = Path(tempfile.mkdtemp(prefix="atp-crash-", dir=MEMORY if MEMORY.is_dir() else None))
    plain = make(folder / "plain", commands=COMMANDS, seed=SEED)
    snapped = make(folder / "snapped", commands=COMMANDS, seed=SEED, between=take_snapshots)
    flips = list(every_byte.all_flips(plain, "*.segment", "STORE", "synced"))
    jobs: list[tuple[str, Sequence[every_byte.Cut | every_byte.Flip], int | None]] = [
        ("every byte cut off", list(every_byte.all_cuts(plain)), None),
        ("every bit flipped", flips, None),
        ("every bit flipped, without the mark", flips, 0),
    ]
    findings: list[Finding] = []
    for what, damages, mark in jobs:
        begin = time.monotonic()
        findings += every_byte.check_all(plain, folder / "data", damages, mark)
        report(what, damages, begin, findings)
    begin = time.monotonic()
    flips = list(every_byte.all_flips(snapped, "*.snapshot"))
    for flip in flips:
        findings += every_byte.check_snapshot_flip(snapped, folder / "data", flip)
    report("every bit of the snapshots flipped", flips, begin, findings)
    return told(folder, findings)


def report(what: str, damages: Sequence[object], begin: float, findings: list[Finding]) -> None:
    """How one of the long walks went."""
    took = time.monotonic() - begin
    say(f"bytes: {what}: {len(damages)} starts in {took:.0f} s, {len(findings)} findings")


def told(folder: Path, findings: Iterable[Finding]) -> list[str]:
    """Findings in words; without any the folder goes."""
    lines = [f"{finding.kind}: {finding.text}" for finding in findings]
    if not lines:
        shutil.rmtree(folder)
        return []
    return [*lines[:20], f"{len(lines)} findings; what was left is in {folder}"]


def main() -> None:
    """Runs what was asked for and prints what it came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="kills, disk, bytes; without any: all, or kills alone if an option is given",
    )
    parser.add_argument("--kills", type=int, help=f"how many (default {KILLS})")
    parser.add_argument("--seed", type=int, help="the same draws the same (default: by chance)")
    parser.add_argument("--only", choices=sorted(BY_NAME), help="one kind of kill alone")
    asked = parser.parse_args()
    has_option = any(word is not None for word in (asked.kills, asked.seed, asked.only))
    parts = asked.parts or (["kills"] if has_option else ["kills", "disk", "bytes"])
    if unknown := set(parts) - {"kills", "disk", "bytes"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    failures: list[str] = []
    if "kills" in parts:
        seed = SystemRandom().randrange(1 << 30) if asked.seed is None else asked.seed
        failures += run_kills(KILLS if asked.kills is None else asked.kills, seed, asked.only)
    if "disk" in parts:
        failures += run_disk()
    if "bytes" in parts:
        failures += run_bytes()
    for line in failures:
        print(line, file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
